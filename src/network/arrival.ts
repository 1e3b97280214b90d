import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { admit, refuse, type Verdict } from "../kernel/mod.ts";
import type { NetworkSettings } from "./settings.ts";

/** Facts about a request that the socket proves, before anybody is asked who they are. */
export interface Arrival {
  /** The peer's address, IPv4-mapped forms unwrapped. */
  readonly address: string;
  readonly isLoopback: boolean;
  /** Direct from this machine: a loopback socket without any sign of a proxy. */
  readonly isLocal: boolean;
  readonly origin: string | undefined;
  readonly host: string;
}

const forwardingHeaders = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-real-ip",
  "via",
  "cf-connecting-ip",
  "true-client-ip",
];

/**
 * What the network layer knows of a request, or why it goes no further.
 *
 * A request that a proxy forwarded is refused unless the proxy is trusted: behind it, everybody would look like
 * loopback. A Host that names neither an address nor this machine is refused: a page on another site that had its
 * name rebound to us would send exactly that.
 */
export function arrive(request: IncomingMessage, settings: NetworkSettings): Verdict<Arrival> {
  const address = plainAddress(request.socket.remoteAddress ?? "");
  const isLoopback = address === "::1" || address.startsWith("127.");
  const forwarded = forwardingHeaders.some((name) => request.headers[name] !== undefined);
  const fromTrustedProxy =
    settings.trustedProxies?.check(address, address.includes(":") ? "ipv6" : "ipv4") === true;
  if (forwarded && !fromTrustedProxy) return refuse("network.proxy_attribution_required", address);
  const host = request.headers.host ?? "";
  const origin = request.headers.origin;
  if (!hostAllowed(host, settings)) return refuse("network.host_refused", host.slice(0, 100));
  if (origin !== undefined && !originAllowed(origin, host, settings)) {
    return refuse("network.origin_refused", origin.slice(0, 100));
  }
  return admit({ address, isLoopback, isLocal: isLoopback && !forwarded, origin, host });
}

/** `::ffff:10.0.0.1` is 10.0.0.1. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

function hostAllowed(host: string, settings: NetworkSettings): boolean {
  const name = hostName(host);
  if (name === undefined) return false;
  if (isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost")) return true;
  return settings.allowedOrigins.some(
    (allowed) => URL.canParse(allowed) && new URL(allowed).hostname === name,
  );
}

/** The name in a Host header, lower case, without port and brackets. */
function hostName(host: string): string | undefined {
  if (host === "" || /[^A-Za-z0-9.:[\]_-]/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, "").toLowerCase();
}

function originAllowed(origin: string, host: string, settings: NetworkSettings): boolean {
  if (settings.allowedOrigins.includes(origin)) return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (url.protocol !== "http:" && url.protocol !== "https:") return false;
  // The same origin that serves the page: host and port must both agree.
  return (
    url.host === new URL(`http://${host}`).host ||
    (url.protocol === "https:" && url.host === new URL(`https://${host}`).host)
  );
}
