import type { IncomingHttpHeaders } from "node:http";
import { admit, admitted, refuse, type Verdict } from "../kernel/mod.ts";
import { isLoopback, limitKeyOf, peerAddress } from "./address.ts";
import { attribute, type ProxyTrust } from "./attribution.ts";
import { judgeHost, judgeOrigin, type OriginTrust } from "./origin.ts";
import { judgeFraming, judgeTarget } from "./request-shape.ts";

/** Facts about a request that are proved before anybody is asked who they are. */
export interface Arrival {
  /** The client's address: the socket's peer, or what a trusted proxy says. In its only spelling. */
  readonly address: string;
  /** The socket's peer; differs from `address` behind a proxy. */
  readonly peer: string;
  readonly via: "direct" | "proxy";
  /** How the client reached us or the proxy in front. */
  readonly scheme: "http" | "https";
  /** Direct over a loopback socket. Never true behind a proxy, wherever that runs. */
  readonly isLoopback: boolean;
  /** Direct from this machine: a loopback socket without any sign of a proxy. */
  readonly isLocal: boolean;
  /**
   * What limits and lock-outs count this client as: its address, the /64 of an IPv6 address, or the page's origin when
   * a browser on this machine connects (a page that guesses must not lock out the owner's command line, and its
   * loopback address must not exempt it, A-242).
   */
  readonly limitKey: string;
  readonly origin: string | undefined;
  readonly host: string;
  /** Without the query, in its one spelling. */
  readonly path: string;
}

/** A request as it came, reduced to what is judged. */
export interface ArrivingRequest {
  readonly method: string;
  readonly target: string | undefined;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly isUpgrade: boolean;
  /** The socket's peer as the operating system gives it; undefined once it is gone. */
  readonly peer: string | undefined;
  readonly isEncrypted: boolean;
}

/**
 * What the network layer knows of a request, or why it goes no further. In order: the shape of the request, who sent
 * it through whom, which host it was meant for, which page made it. Pure.
 */
export function arrive(request: ArrivingRequest, trust: ProxyTrust & OriginTrust): Verdict<Arrival> {
  const framing = judgeFraming(request);
  if (!admitted(framing)) return framing;
  const target = judgeTarget(request.target);
  if (!admitted(target)) return target;
  const peer = peerAddress(request.peer);
  if (!peer) return refuse("network.request_malformed", "the socket has no peer");
  const attribution = attribute(peer, request.headers, request.httpVersion, trust);
  if (!admitted(attribution)) return attribution;
  const { client, via, claimedScheme } = attribution.value;
  const host = judgeHost(request.headers.host ?? "", trust);
  if (!admitted(host)) return host;
  const scheme = claimedScheme ?? (request.isEncrypted ? "https" : undefined);
  const origin = judgeOrigin(request, host.value, scheme, trust);
  if (!admitted(origin)) return origin;
  const onLoopback = via === "direct" && isLoopback(peer);
  const page = origin.value?.text;
  return admit({
    address: client.text,
    peer: peer.text,
    via,
    scheme: scheme ?? "http",
    isLoopback: onLoopback,
    isLocal: onLoopback,
    limitKey: onLoopback && page !== undefined ? `browser-origin:${page}` : limitKeyOf(client),
    origin: page,
    host: request.headers.host as string,
    path: target.value,
  });
}
