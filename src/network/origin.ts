import type { IncomingHttpHeaders } from "node:http";
import { admit, refuse, type Verdict } from "../kernel/mod.ts";
import { isPrivate } from "./address.ts";
import { type Authority, effectivePort, type Origin, parseAuthority, parseOrigin } from "./authority.ts";

export interface OriginTrust {
  /** In their only spelling, or "*": every page of the web may talk to the gateway. */
  readonly allowedOrigins: readonly string[];
  /** Hosts of `allowedOrigins`, and of gateway.publicOrigin. Lower case. */
  readonly ownNames: readonly string[];
  /** gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback: the Host header alone says what our name is. */
  readonly hostHeaderFallback: boolean;
}

/**
 * Whether a Host header can be about this gateway. A name that somebody else's DNS server answers for may have been
 * pointed at us after the page was loaded (DNS rebinding, A-022); an address cannot be, and neither can the names
 * that never leave this machine or that Tailscale alone answers for.
 */
export function judgeHost(host: string, trust: OriginTrust): Verdict<Authority> {
  const authority = parseAuthority(host);
  if (!authority) return refuse("network.host_refused", host.slice(0, 100));
  const { name, address } = authority;
  const known =
    address !== undefined ||
    isPrivateName(name) ||
    trust.ownNames.includes(name) ||
    trust.hostHeaderFallback ||
    trust.allowedOrigins.includes("*");
  return known ? admit(authority) : refuse("network.host_refused", name.slice(0, 100));
}

/**
 * Whether the page behind a request may make it. A request without Origin is no page's, or a page's plain navigation:
 * for those the browser's own words (Sec-Fetch-Site, Referer) decide, so that a link to the gateway works and an
 * image, a form or a frame on another site does not.
 */
export function judgeOrigin(
  request: { readonly method: string; readonly headers: IncomingHttpHeaders; readonly isUpgrade: boolean },
  host: Authority,
  scheme: "http" | "https" | undefined,
  trust: OriginTrust,
): Verdict<Origin | undefined> {
  const { headers } = request;
  const text = headers.origin;
  if (text !== undefined) {
    const origin = parseOrigin(text);
    if (origin && originAllowed(origin, host, scheme, trust)) return admit(origin);
    return refuse("network.origin_refused", text.slice(0, 100));
  }
  const site = headers["sec-fetch-site"];
  const changes = request.isUpgrade || (request.method !== "GET" && request.method !== "HEAD");
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    const isLink = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
    if (changes || !isLink) return refuse("network.origin_refused", `Sec-Fetch-Site: ${String(site)}`);
  }
  if (changes && headers.referer !== undefined) {
    const [from = ""] = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/.exec(headers.referer) ?? [];
    const origin = parseOrigin(from);
    if (!origin || !originAllowed(origin, host, scheme, trust))
      return refuse("network.origin_refused", `Referer: ${from.slice(0, 100)}`);
  }
  return admit(undefined);
}

function originAllowed(
  origin: Origin,
  host: Authority,
  scheme: "http" | "https" | undefined,
  trust: OriginTrust,
): boolean {
  if (trust.allowedOrigins.includes(origin.text)) return true;
  if (origin.scheme !== "http" && origin.scheme !== "https") return false;
  if (trust.allowedOrigins.includes("*")) return true;
  // The page that this gateway serves itself: host and port agree. A page that came unencrypted may have been written
  // by whoever stands in between, so it does not reach what is served encrypted.
  const isSame =
    origin.authority.name === host.name &&
    effectivePort(origin.authority, origin.scheme) === effectivePort(host, origin.scheme) &&
    (origin.scheme === "https" || scheme !== "https");
  // On a public address or name "the same host" is a matter of routing and DNS: it must have been written down.
  const isOwn = host.address ? isPrivate(host.address) : isPrivateName(host.name);
  return isSame && (isOwn || trust.hostHeaderFallback);
}

/** Not `.local`: anybody on the same network may answer for such a name. */
function isPrivateName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost") || name.endsWith(".ts.net");
}
