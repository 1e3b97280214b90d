import { isIPv4 } from "node:net";
import { type Address, parseAddress } from "./address.ts";

/** The host and port of a Host header or an Origin. */
export interface Authority {
  /** Lower case, without brackets; an address in its only spelling. */
  readonly name: string;
  readonly port: number | undefined;
  /** Set when the host is an address. */
  readonly address: Address | undefined;
}

export interface Origin {
  /** Lower case, without the colon. */
  readonly scheme: string;
  readonly authority: Authority;
  /** scheme://host[:port], the port left out where it is the scheme's own. */
  readonly text: string;
}

const grammar = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([1-9]\d{0,4}))?$/;
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Undefined for what no browser would send: userinfo, an empty or impossible port, a trailing dot, empty labels, and
 * numbers that a resolver may read as an address (`2130706433`, `0x7f.1`, `127.1`).
 */
export function parseAuthority(text: string): Authority | undefined {
  const [, bracketed, plain = "", portText] = grammar.exec(text) ?? [];
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && port > 65_535) return undefined;
  if (bracketed !== undefined) {
    const address = bracketed.includes(":") ? parseAddress(bracketed) : undefined;
    return address && { name: address.text, port, address };
  }
  if (isIPv4(plain)) return { name: plain, port, address: parseAddress(plain) };
  const name = plain.toLowerCase();
  const labels = name.split(".");
  if (!labels.every((part) => label.test(part))) return undefined;
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) as string)) return undefined;
  return { name, port, address: undefined };
}

/**
 * An Origin header, or undefined: `null` (sandboxed frames and files of any site), file:, paths, userinfo, two origins
 * in one, and everything else that is not exactly scheme://host[:port].
 */
export function parseOrigin(text: string): Origin | undefined {
  const [, scheme = "", rest = ""] = /^([a-z][a-z0-9+.-]{0,31}):\/\/(.+)$/.exec(text) ?? [];
  if (scheme === "" || scheme === "file") return undefined;
  const authority = parseAuthority(rest);
  if (!authority) return undefined;
  const port = authority.port === defaultPortOf(scheme) ? "" : `:${authority.port ?? ""}`;
  return { scheme, authority, text: `${scheme}://${hostText(authority)}${port === ":" ? "" : port}` };
}

/** An entry of gateway.controlUi.allowedOrigins or gateway.publicOrigin: a person may write capitals or a last slash. */
export function parseConfiguredOrigin(text: string): Origin | undefined {
  return parseOrigin(text.trim().toLowerCase().replace(/\/$/, ""));
}

/** The port that a page of this scheme reaches: the one written, or the scheme's own; undefined for other schemes. */
export function effectivePort(authority: Authority, scheme: string): number | undefined {
  return authority.port ?? defaultPortOf(scheme);
}

function defaultPortOf(scheme: string): number | undefined {
  if (scheme === "http") return 80;
  return scheme === "https" ? 443 : undefined;
}

function hostText(authority: Authority): string {
  return authority.address?.family === 6 ? `[${authority.name}]` : authority.name;
}
