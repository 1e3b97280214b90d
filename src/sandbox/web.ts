import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { type Clock, InputError, type Json, sleep, type Verdict } from "../kernel/mod.ts";
import type { Destination, SsrfSettings } from "../policy/address.ts";
import { nextUrl, refused, shown } from "./redirect.ts";
import type { Web, WebResponse } from "./tool.ts";
import { pinned, type Resolve, type ResolvedAddress, vettedAddresses } from "./web-address.ts";
import { readBody } from "./web-body.ts";

export interface WebDeps {
  /** All addresses of a name; rejects when there is none. */
  readonly resolve: Resolve;
  readonly ssrf: SsrfSettings;
  readonly clock: Clock;
  /** The judges that policy uses: what is asked here is asked in the same words. */
  readonly hostVerdict: (url: string, ssrf: SsrfSettings) => Verdict<Destination>;
  readonly addressVerdict: (ip: string, destination: Destination, ssrf: SsrfSettings) => Verdict<string>;
}

/** All that a request may carry; the rest could act on, or identify us to, whoever answers. */
const forwardedHeaders = /^(?:accept|accept-language|user-agent)$/;
/** Never set by a caller: they frame the request, or name another host. */
const framingHeaders =
  /^(?:host|connection|content-length|content-type|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*|accept-encoding|range|forwarded|x-forwarded-.*)$/;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

type Request = Parameters<Web["fetch"]>[0];

/**
 * GET, and POST of JSON, over http and https. Each hop's URL is judged, its name resolved once, every address judged (one that is
 * refused refuses the hop), and the connection made to just those addresses: a second DNS answer is never asked for.
 */
export function createWeb(deps: WebDeps): Web {
  async function hopTo(url: string, request: Request, origin: string, signal: AbortSignal) {
    const verdict = deps.hostVerdict(url, deps.ssrf);
    if (!verdict.ok) throw refused(url, verdict.detail);
    const destination = verdict.value;
    const addresses = await vettedAddresses(
      destination,
      {
        resolve: deps.resolve,
        judge: (address) => deps.addressVerdict(address, destination, deps.ssrf),
      },
      (detail) => refused(destination.url.href, detail),
      signal,
    );
    const sent = ownHeaders(request.headers, destination.url.origin === origin);
    return { destination, response: await ask(destination, addresses, sent, request.json, signal) };
  }

  async function follow(request: Request, signal: AbortSignal): Promise<WebResponse> {
    let url = request.url;
    const origin = URL.parse(url)?.origin ?? "";
    for (let hop = 0; ; hop += 1) {
      const { destination, response } = await hopTo(url, request, origin, signal);
      const status = response.statusCode ?? 0;
      const { location } = response.headers;
      if (redirects.has(status) && location !== undefined) {
        response.destroy();
        // What was posted was for this address and no other.
        if (request.json !== undefined)
          throw new InputError(`${shown(request.url)} redirects, which is not followed with what was sent.`);
        if (hop >= request.maxRedirects)
          throw new InputError(`${shown(request.url)} redirects more than ${request.maxRedirects} times.`);
        url = nextUrl(destination.url, location);
        continue;
      }
      const { body, truncated } = await readBody(response, request.maxBytes, signal);
      const contentType = response.headers["content-type"] ?? "";
      return { url: request.url, finalUrl: destination.url.href, status, contentType, body, truncated };
    }
  }

  return {
    async fetch(request) {
      const overall = new AbortController();
      const ended = new AbortController();
      let timedOut = false;
      void sleep(deps.clock, request.timeoutMs, ended.signal).then(() => {
        timedOut = !ended.signal.aborted;
        overall.abort();
      });
      const signal = AbortSignal.any([request.signal, overall.signal]);
      try {
        return await follow(request, signal);
      } catch (error) {
        if (error instanceof InputError) throw error;
        if (request.signal.aborted)
          throw new InputError(`${shown(request.url)} was not fetched: it was cancelled.`);
        if (timedOut)
          throw new InputError(
            `${shown(request.url)} did not answer within ${request.timeoutMs} ms. Try again later.`,
          );
        const cause = error instanceof Error ? error.message : String(error);
        throw new InputError(`${shown(request.url)} could not be fetched: ${cause}.`);
      } finally {
        ended.abort();
      }
    },
  };
}

function ask(
  destination: Destination,
  addresses: readonly ResolvedAddress[],
  headers: Record<string, string>,
  json: Json | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { url, literal, hostname } = destination;
  const secure = url.protocol === "https:";
  const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
  const framing = body && { "content-type": "application/json", "content-length": String(body.length) };
  const options = {
    method: body ? "POST" : "GET",
    headers: { ...headers, ...framing },
    signal,
    // A connection of its own: none made for another destination is used again.
    agent: false as const,
    lookup: pinned(addresses),
    autoSelectFamily: true,
    ...(secure && literal === undefined ? { servername: hostname } : {}),
  };
  return new Promise((resolve, reject) => {
    const request: ClientRequest = secure ? httpsRequest(url, options) : httpRequest(url, options);
    request.on("response", resolve);
    request.on("error", reject);
    // An answer that wants another protocol is no answer.
    request.on("upgrade", (_, socket) => {
      socket.destroy();
      reject(new InputError(`${shown(url.href)} answered with another protocol than HTTP.`));
    });
    request.end(body);
  });
}

/** The caller's headers for its own origin; elsewhere only those that say nothing about it. */
function ownHeaders(headers: Request["headers"], sameOrigin: boolean): Record<string, string> {
  const sent: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (framingHeaders.test(lower)) continue;
    if (sameOrigin || forwardedHeaders.test(lower)) sent[lower] = value;
  }
  return { ...sent, "accept-encoding": "gzip, deflate, br" };
}
