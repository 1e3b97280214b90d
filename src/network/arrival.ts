import type { IncomingHttpHeaders } from "node:http";
import { admit, admitted, refuse, type Verdict } from "../kernel/mod.ts";
import { type AddressRange, isLoopback, limitKeyOf, parseRange, peerAddress } from "./address.ts";
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
  readonly entrance: Entrance;
  /** Direct over a loopback socket. Never true behind a proxy, wherever that runs. */
  readonly isLoopback: boolean;
  /** Direct from this machine: a loopback socket without any sign of a proxy. */
  readonly isLocal: boolean;
  /** Direct, and from this machine's own address in its tailnet. */
  readonly isOwnTailnet: boolean;
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
  /**
   * What a trusted proxy says of who its caller is: the headers of {@link IdentityTrust}, each at most once, by lower-case
   * name. Empty for everybody else, so that a header which somebody wrote himself gets no further than here.
   */
  readonly identityHeaders: Readonly<Record<string, string>>;
}

/** Which headers may say who a caller is. Lower case. */
export interface IdentityTrust {
  /** From a trusted proxy. */
  readonly identityHeaders: readonly string[];
  /** From `tailscale serve`, which connects to an entrance of its own; nothing comes in there while it is "off". */
  readonly tailscale: "off" | "serve" | "funnel";
  /** This machine's own addresses in 100.64.0.0/10. */
  readonly ownTailnetAddresses: readonly string[];
}

/**
 * Where a request came in. Behind "tailscale" stands the local tailscaled alone, which says for whom it speaks; what
 * somebody else on this machine sends there is nobody's.
 */
export type Entrance = "main" | "tailscale";

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
  readonly entrance: Entrance;
}

const loopbackProxy: ProxyTrust = {
  trustedProxies: ["127.0.0.0/8", "::1"].map((text) => parseRange(text) as AddressRange),
  allowRealIpFallback: false,
};
const noHeaders: Readonly<Record<string, string>> = Object.freeze({});
/** The second one is how tailscaled marks what came from the internet (Funnel), which no tailnet login stands behind. */
const tailscaleHeaders = ["tailscale-user-login", "tailscale-funnel-request"];

/**
 * What the network layer knows of a request, or why it goes no further. In order: the shape of the request, who sent
 * it through whom, which host it was meant for, which page made it. Pure.
 */
export function arrive(
  request: ArrivingRequest,
  trust: ProxyTrust & OriginTrust & IdentityTrust,
): Verdict<Arrival> {
  const isMain = request.entrance === "main";
  const named = isMain ? trust.identityHeaders : tailscaleHeaders;
  const framing = judgeFraming(request, named);
  if (!admitted(framing)) return framing;
  const target = judgeTarget(request.target);
  if (!admitted(target)) return target;
  const peer = peerAddress(request.peer);
  if (!peer) return refuse("network.request_malformed", "the socket has no peer");
  const proxies = isMain ? trust : loopbackProxy;
  const attribution = attribute(peer, request.headers, request.httpVersion, proxies);
  if (!admitted(attribution)) return attribution;
  if (!isMain && (trust.tailscale === "off" || attribution.value.via === "direct"))
    return refuse("network.proxy_attribution_required", "this entrance is for tailscale serve");
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
    entrance: request.entrance,
    isLoopback: onLoopback,
    isLocal: onLoopback,
    isOwnTailnet: via === "direct" && trust.ownTailnetAddresses.includes(peer.text),
    limitKey: onLoopback && page !== undefined ? `browser-origin:${page}` : limitKeyOf(client),
    origin: page,
    host: request.headers.host as string,
    path: target.value,
    identityHeaders: via === "proxy" && named.length > 0 ? pick(request.headers, named) : noHeaders,
  });
}

function pick(headers: IncomingHttpHeaders, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}
