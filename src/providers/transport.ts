import type { ClientRequest, Agent as HttpAgent, RequestOptions } from "node:http";
import { type Clock, InputError } from "../kernel/mod.ts";
import { type Call, type Exchange, HttpExchange, type Line } from "./exchange.ts";
import { Faults } from "./faults.ts";
import type { ProviderDeps, ProviderSettings } from "./settings.ts";

/** Of a list of models. */
const maxJsonChars = 8 * 1024 * 1024;
/** Idle connections kept, and how long: networks forget a quiet connection without telling either end. */
const maxIdleSockets = 32;
const idleSocketMs = 60_000;

/** Opens the HTTP client of one provider; https is loaded only where it is needed. */
export async function openTransport(settings: ProviderSettings, deps: ProviderDeps): Promise<Transport> {
  const url = parseBaseUrl(settings);
  const { Agent, request } =
    url.protocol === "https:" ? await import("node:https") : await import("node:http");
  // Nagle is off by default in this agent.
  const agent = new Agent({
    keepAlive: true,
    maxFreeSockets: maxIdleSockets,
    timeout: idleSocketMs,
    scheduling: "lifo",
  });
  return new Transport(settings, deps, url, agent, request);
}

function parseBaseUrl({ id, baseUrl }: ProviderSettings): URL {
  const where = `models.providers.${id}.baseUrl`;
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new InputError(
      `${where} is not an http or https address; write it like https://api.example.com/v1.`,
    );
  }
  // User information would show up in messages and logs, where addresses are printed.
  if (url.username !== "" || url.password !== "") {
    throw new InputError(`${where} holds a user name or password; put the key into apiKey instead.`);
  }
  return url;
}

/** One provider's address, its idle connections, and its way to say what went wrong. */
export class Transport implements Line {
  readonly faults: Faults;
  readonly settings: ProviderSettings;
  readonly url: URL;
  readonly clock: Clock;
  readonly #agent: HttpAgent;
  readonly #request: (options: RequestOptions) => ClientRequest;

  constructor(
    settings: ProviderSettings,
    deps: ProviderDeps,
    url: URL,
    agent: HttpAgent,
    request: (options: RequestOptions) => ClientRequest,
  ) {
    this.settings = settings;
    this.url = url;
    this.clock = deps.clock;
    this.#agent = agent;
    this.#request = request;
    this.faults = new Faults(settings, deps.clock, url.origin);
  }

  /** Sends one request. The receiver hears of a 2xx answer only; everything else ends in `failed`. */
  send(call: Call): Exchange {
    const exchange = new HttpExchange(this, call);
    exchange.start();
    return exchange;
  }

  /** A JSON document, at most 8 MB of text. */
  getJson(
    path: string,
    query: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let body = "";
      this.send({
        method: "GET",
        path,
        query,
        headers,
        body: "",
        signal,
        failed: reject,
        receiver: {
          head() {},
          chunk: (text) => {
            body += text;
            if (body.length > maxJsonChars) throw this.faults.make("protocol", "sent a list of over 8 MB");
          },
          end: () => {
            try {
              resolve(JSON.parse(body));
            } catch {
              throw this.faults.make("protocol", "sent a list that is not JSON");
            }
          },
        },
      });
    });
  }

  dropIdleSockets(): void {
    for (const sockets of Object.values(this.#agent.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy();
    }
  }

  open(call: Call, body: Buffer | undefined): ClientRequest {
    const { url, settings } = this;
    const headers: Record<string, string | number> = {
      accept: call.method === "POST" ? "text/event-stream" : "application/json",
      "accept-encoding": "identity",
      "user-agent": "openclaw",
      ...call.headers,
    };
    for (const [name, value] of Object.entries(settings.headers)) headers[name.toLowerCase()] = value;
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = body.byteLength;
    }
    const prefix = url.pathname.endsWith("/") ? url.pathname.slice(0, -1) : url.pathname;
    const query = call.query ? (url.search ? `${url.search}&${call.query}` : `?${call.query}`) : url.search;
    return this.#request({
      method: call.method,
      // An IPv6 address stands in brackets in a URL, but not in a socket call.
      hostname: url.hostname.replace(/^\[|\]$/g, ""),
      ...(url.port === "" ? {} : { port: url.port }),
      path: `${prefix}${call.path}${query}`,
      headers,
      agent: this.#agent,
    });
  }
}
