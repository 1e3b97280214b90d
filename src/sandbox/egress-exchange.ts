import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import type { SecureContext } from "node:tls";
import type { Clock } from "../kernel/mod.ts";
import { type EgressLimits, watchTime } from "./egress-limits.ts";
import type { EgressRequest, EgressRule } from "./egress-rules.ts";
import { pinned, type ResolvedAddress } from "./web-address.ts";

/** Headers that are about one connection, or that only the proxy may say. RFC 9110, 7.6.1. */
const ownHeaders: ReadonlySet<string> = new Set(
  (
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding " +
    "upgrade host expect"
  ).split(" "),
);
/** By these a server takes a request for another method than the rule admitted. */
const methodHeaders = /^x-(?:http-)?method(?:-override)?$/;

/** How it ended, for the record. */
export interface ExchangeEnd {
  readonly status?: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Absent: whole. */
  readonly fault?: string;
}

/**
 * Passes one admitted request on, to just these addresses, and its answer back as it is: redirects are the client's to
 * follow, and then another request to judge. Never rejects; the client is always answered or cut off.
 */
export function exchange(
  parts: {
    readonly clock: Clock;
    readonly limits: EgressLimits;
    /** Made once: reading some hundred certificates takes longer than the request. */
    readonly upstreamTls: SecureContext;
  },
  admitted: {
    readonly target: EgressRequest;
    readonly rule: EgressRule;
    readonly addresses: readonly ResolvedAddress[];
  },
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<ExchangeEnd> {
  const { target, rule, addresses } = admitted;
  const { promise, resolve } = Promise.withResolvers<ExchangeEnd>();
  const counts = { sentBytes: 0, receivedBytes: 0 };
  const options = {
    host: target.host,
    port: target.port,
    method: target.method,
    path: target.path,
    headers: requestHeaders(incoming, target, rule),
    setHost: false,
    // A connection of its own: none that carried another rule's credential is used again.
    agent: false as const,
    lookup: pinned(addresses),
    autoSelectFamily: true,
    ...(target.secure
      ? { secureContext: parts.upstreamTls, ...(isIP(target.host) ? {} : { servername: target.host }) }
      : {}),
  };
  const upstream = target.secure ? httpsRequest(options) : httpRequest(options);
  let status: number | undefined;
  const finish = (fault?: string) => {
    watch.stop();
    upstream.destroy();
    resolve({
      ...counts,
      ...(status === undefined ? {} : { status }),
      ...(fault === undefined ? {} : { fault }),
    });
  };
  const fail = (fault: string) => {
    if (outgoing.headersSent) outgoing.destroy();
    else answer(outgoing, 502, `The request to ${target.host} failed: ${fault}.`);
    finish(fault);
  };
  const watch = watchTime(parts.clock, parts.limits, fail);
  const count = (which: "sentBytes" | "receivedBytes") => (chunk: Buffer) => {
    watch.moved();
    counts[which] += chunk.length;
    if (counts[which] > parts.limits.maxBytes) fail(`more than ${parts.limits.maxBytes} bytes`);
  };

  upstream.on("error", (error) => fail(error.message));
  upstream.on("response", (response) => {
    status = response.statusCode ?? 0;
    response.on("error", (error) => fail(error.message));
    response.on("aborted", () => fail("the server closed the connection early"));
    response.on("data", count("receivedBytes"));
    try {
      outgoing.writeHead(status, plainHeaders(response.rawHeaders, response.headers.connection));
    } catch {
      return fail("its answer has headers that cannot be passed on");
    }
    response.pipe(outgoing);
  });
  // An answer that wants another protocol is none: what went through it could not be judged.
  upstream.on("upgrade", (_, socket) => {
    socket.destroy();
    fail("it answered with another protocol than HTTP");
  });
  outgoing.on("finish", () => finish());
  outgoing.on("close", () => finish(outgoing.writableFinished ? undefined : "the client went away"));
  incoming.on("data", count("sentBytes"));
  incoming.pipe(upstream);
  return promise;
}

/** A sentence, and the connection's end: what follows a refused request is not read. */
export function answer(outgoing: ServerResponse, status: number, sentence: string): void {
  const body = `${sentence}\n`;
  outgoing.writeHead(status, [
    ...["content-type", "text/plain; charset=utf-8"],
    ...["content-length", String(Buffer.byteLength(body))],
    ...["connection", "close"],
  ]);
  outgoing.end(body);
}

function requestHeaders(incoming: IncomingMessage, target: EgressRequest, rule: EgressRule): string[] {
  const injected = rule.inject?.header.toLowerCase();
  const sent = plainHeaders(incoming.rawHeaders, incoming.headers.connection, (name) => {
    if (name === injected) return false;
    return !(rule.methods && methodHeaders.test(name));
  });
  const isUsual = target.port === (target.secure ? 443 : 80);
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  const framing = incoming.headers["transfer-encoding"] === undefined ? [] : ["transfer-encoding", "chunked"];
  return [
    ...["host", isUsual ? host : `${host}:${target.port}`],
    ...sent,
    ...framing,
    ...(rule.inject ? [rule.inject.header, rule.inject.value.reveal()] : []),
    ...["connection", "close"],
  ];
}

/** Names and values in turn, without what is about the other connection. */
function plainHeaders(
  raw: readonly string[],
  connection: string | undefined,
  keep: (lowerName: string) => boolean = () => true,
): string[] {
  const named = new Set((connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const [name = "", value = ""] = [raw[at], raw[at + 1]];
    const lower = name.toLowerCase();
    if (!ownHeaders.has(lower) && !named.has(lower) && keep(lower)) kept.push(name, value);
  }
  return kept;
}
