import { isIPv4, isIPv6 } from "node:net";
import type { Secret } from "../kernel/mod.ts";

/** One line of what a sandbox may reach. */
export interface EgressRule {
  /** A name, `*.example.com` (not the domain itself), or an address; lower case, without trailing dot or brackets. */
  readonly host: string;
  /** Absent: 80 for http, 443 for https. */
  readonly port?: number;
  /** In capitals. Absent: every method. Never empty. */
  readonly methods?: readonly string[];
  /** Each exact, or with `*` at its end everything that begins so. Absent: every path. Never empty. */
  readonly paths?: readonly string[];
  /** The host may be in a private network, or on this machine. */
  readonly allowPrivate?: boolean;
  /** Set on each request that the rule admits, over https only; what the sandbox sent under that name is dropped. */
  readonly inject?: { readonly header: string; readonly value: Secret };
}

/** Where a client of the proxy wants to go. */
export interface EgressTarget {
  readonly secure: boolean;
  /** As in a rule. */
  readonly host: string;
  readonly port: number;
}

/** What one request asks for, as far as rules can tell. */
export interface EgressRequest extends EgressTarget {
  readonly method: string;
  /** With its query. */
  readonly path: string;
}

export type EgressVerdict =
  /** `index` counts from 0, in the order of the config. */
  | { readonly ok: true; readonly rule: EgressRule; readonly index: number }
  /** A sentence for whoever runs in the sandbox. */
  | { readonly ok: false; readonly why: string };

/** The rules that name this host and port, in order. None: nothing of it may be reached. */
export function rulesFor(rules: readonly EgressRule[], target: EgressTarget): readonly EgressRule[] {
  return rules.filter((rule) => {
    const port = rule.port ?? (target.secure ? 443 : 80);
    return port === target.port && hostMatches(rule.host, target.host);
  });
}

/**
 * Must the proxy read what goes to this host? As soon as one of its rules asks for more than host and port: otherwise
 * a tunnel opened under the other rule would go around it.
 */
export function mustRead(rules: readonly EgressRule[]): boolean {
  return rules.some((rule) => rule.methods || rule.paths || rule.inject);
}

/** The first rule that admits the request. */
export function judgeRequest(rules: readonly EgressRule[], request: EgressRequest): EgressVerdict {
  const named = rulesFor(rules, request);
  if (named.length === 0) return { ok: false, why: notNamed(request) };
  const path = plainPath(request.path);
  const rule = named.find((item) => admits(item, request, path));
  if (rule) return { ok: true, rule, index: rules.indexOf(rule) };
  if (!request.secure && named.some((item) => item.inject))
    return {
      ok: false,
      why: `${request.host} gets its credential from the proxy, over https only. Ask for https.`,
    };
  const what = `${request.method} ${path ?? "this path"}`;
  return { ok: false, why: `No rule of this sandbox's egress lets it ask ${request.host} for ${what}.` };
}

export function notNamed({ host, port }: EgressTarget): string {
  return `No rule of this sandbox's egress names ${host} with port ${port}. The operator can add one (agents.*.sandbox.egress).`;
}

function admits(rule: EgressRule, request: EgressRequest, path: string | undefined): boolean {
  if (rule.inject && !request.secure) return false;
  if (rule.methods && !rule.methods.includes(request.method)) return false;
  if (!rule.paths) return true;
  return path !== undefined && rule.paths.some((pattern) => pathMatches(pattern, path));
}

/**
 * The path without its query, or undefined when a server could read it as another one: dot segments, escaped slashes
 * or dots, backslashes, empty segments.
 */
function plainPath(path: string): string | undefined {
  const plain = path.split(/[?#]/, 1)[0] ?? "";
  const isPlain =
    plain.startsWith("/") && !/\/\/|\\|%(?:25)*(?:2e|2f|5c|00)|;|\/\.{1,2}(?:\/|$)/i.test(plain);
  return isPlain ? plain : undefined;
}

function pathMatches(pattern: string, path: string): boolean {
  return pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}

function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === host;
  // No address has a domain above it.
  return !isIPv4(host) && host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1;
}

/**
 * `host:port`, `[::1]:443`, as CONNECT names its target. Undefined for what two readers could take for two hosts: user
 * information, escapes, letters beyond ASCII, no port.
 */
export function parseAuthority(text: string, secure: boolean): EgressTarget | undefined {
  const parts = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?):(\d{1,5})$/i.exec(text);
  const port = Number(parts?.[3]);
  const host = (parts?.[1] ?? parts?.[2])?.toLowerCase();
  if (host === undefined || host.length > 253 || port < 1 || port > 65_535) return undefined;
  return parts?.[1] !== undefined && !isIPv6(host) ? undefined : { secure, host, port };
}
