import type { IncomingHttpHeaders } from "node:http";
import { admit, refuse, type Verdict } from "../kernel/mod.ts";
import { type Address, type AddressRange, inRanges, isLoopback, parseAddress } from "./address.ts";

export interface ProxyTrust {
  readonly trustedProxies: readonly AddressRange[];
  readonly allowRealIpFallback: boolean;
}

/** Whom a request comes from, and how it came. */
export interface Attribution {
  readonly client: Address;
  readonly via: "direct" | "proxy";
  /** What the proxy says that its own caller used; undefined when it says nothing, or there is no proxy. */
  readonly claimedScheme: "http" | "https" | undefined;
}

/** More hops than any honest chain has. */
const maxHops = 32;

const forwardingHeaders = new Set([
  "forwarded",
  "via",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-original-host",
  "cf-connecting-ip",
  "cf-ray",
  "true-client-ip",
  "fastly-client-ip",
  "fly-client-ip",
]);

/**
 * True when something between the client and us has touched the request. One sign is enough: a request that was
 * forwarded and passes for local would be the owner's. HTTP/1.0 is a sign too: nginx speaks it to what is behind it
 * unless told otherwise, no client of ours does, and a forwarder that adds no header shows by nothing else.
 */
export function looksForwarded(headers: IncomingHttpHeaders, httpVersion: string): boolean {
  if (httpVersion !== "1.1") return true;
  for (const name in headers) {
    if (name.startsWith("x-forwarded-") || name.startsWith("tailscale-") || forwardingHeaders.has(name))
      return true;
  }
  return false;
}

/**
 * Resolves the client of a request.
 *
 * Only a trusted proxy is believed. X-Forwarded-For is read from the right: what stands there was written by the
 * proxy next to us, and each trusted hop vouches for the one to its left. The first hop that is not trusted is the
 * client; what is left of it the client may have written itself, and is not looked at. So it does not matter whether a
 * proxy overwrites the header or appends to it. A hop that is not plainly an address ends in a refusal, and so does a
 * chain that ends on this machine: nobody who came through a proxy is local.
 */
export function attribute(
  peer: Address,
  headers: IncomingHttpHeaders,
  httpVersion: string,
  trust: ProxyTrust,
): Verdict<Attribution> {
  if (!looksForwarded(headers, httpVersion))
    return admit({ client: peer, via: "direct", claimedScheme: undefined });
  if (!inRanges(peer, trust.trustedProxies)) return unattributed(`${peer.text} is not a trusted proxy`);
  const client = clientOf(headers, trust);
  if (!client.ok) return client;
  if (isLoopback(client.value)) return unattributed("the chain of proxies ends on this machine");
  const scheme = schemeOf(headers["x-forwarded-proto"]);
  if (!scheme.ok) return scheme;
  return admit({ client: client.value, via: "proxy", claimedScheme: scheme.value });
}

function clientOf(headers: IncomingHttpHeaders, trust: ProxyTrust): Verdict<Address> {
  const chain = text(headers["x-forwarded-for"]);
  if (chain === undefined) {
    const realIp = trust.allowRealIpFallback ? text(headers["x-real-ip"]) : undefined;
    if (realIp === undefined) return unattributed("the proxy sends no X-Forwarded-For");
    const address = parseHop(realIp.trim());
    return address ? admit(address) : unattributed("X-Real-IP is not an address");
  }
  const hops = chain.split(",");
  if (hops.length > maxHops) return unattributed(`X-Forwarded-For has more than ${maxHops} hops`);
  let farthest: Address | undefined;
  for (const hop of hops.reverse()) {
    farthest = parseHop(hop.trim());
    if (!farthest) return unattributed("a hop in X-Forwarded-For is not an address");
    if (!inRanges(farthest, trust.trustedProxies)) break;
  }
  return admit(farthest as Address);
}

/** `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`. */
function parseHop(hop: string): Address | undefined {
  const [, bracketed, dotted] = /^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?$/.exec(hop) ?? [];
  if (bracketed !== undefined && !bracketed.includes(":")) return undefined;
  return parseAddress(bracketed ?? dotted ?? hop);
}

/** In a chain the right-most value is the nearest proxy's own. */
function schemeOf(header: string | string[] | undefined): Verdict<"http" | "https" | undefined> {
  const last = text(header)?.split(",").at(-1)?.trim().toLowerCase();
  if (last === undefined || last === "http" || last === "https") return admit(last);
  return unattributed("X-Forwarded-Proto is neither http nor https");
}

function text(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(",") : header;
}

function unattributed(detail: string): ReturnType<typeof refuse> {
  return refuse("network.proxy_attribution_required", detail);
}
