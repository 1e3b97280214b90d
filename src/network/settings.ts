import { isAbsolute, join } from "node:path";
import type { OpenClawConfig } from "../config/mod.ts";
import { InputError } from "../kernel/mod.ts";
import { type AddressRange, parseRange } from "./address.ts";
import type { IdentityTrust } from "./arrival.ts";
import type { ProxyTrust } from "./attribution.ts";
import { parseAuthority, parseConfiguredOrigin } from "./authority.ts";
import { hostsOf, isTailnetText, type Machine, opensBeyondLoopback } from "./binding.ts";
import type { OriginTrust } from "./origin.ts";

export interface NetworkSettings extends ProxyTrust, OriginTrust, IdentityTrust {
  readonly port: number;
  /** Addresses to listen on. */
  readonly hosts: readonly string[];
  /** Undefined: plain HTTP. */
  readonly tls: TlsSettings | undefined;
  /** What a certificate that is made here is for. */
  readonly certificateNames: readonly string[];
  readonly handshakeTimeoutMs: number;
  readonly strictTransportSecurity: string | undefined;
  /** What in the config cannot be acted on; a start refuses, a reload says so and leaves it out. */
  readonly problems: readonly string[];
  /** What acts as written, and should not be so. */
  readonly warnings: readonly string[];
}

export interface TlsSettings {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string | undefined;
  /** Make a certificate when neither file is there. */
  readonly autoGenerate: boolean;
  /** Take changed files over while running (gateway.reload.mode is not "off"). */
  readonly renews: boolean;
}

/** What the settings need to know beside the config. */
export interface Place {
  readonly stateFolder: string;
  readonly machine: Machine;
  /** The headers by which a trusted proxy may say who its caller is; lower case. */
  readonly identityHeaders?: readonly string[];
}

export const defaultPort = 18789;

/**
 * `port` overrides what the config says. Never throws for what a running gateway may read from a changed config; that
 * is in `problems`, and what is wrong trusts nobody. Throws an InputError for a port in the environment that is none.
 */
export function networkSettings(
  config: OpenClawConfig,
  env: Readonly<Record<string, string | undefined>>,
  port: number | undefined,
  place: Place,
): NetworkSettings {
  const gateway = config.gateway ?? {};
  const problems: string[] = [];
  const warnings: string[] = [];
  const hosts = hostsOf(gateway.bind ?? "loopback", gateway.customBindHost, place.machine);
  if (!hosts) {
    problems.push("gateway.bind is custom, but gateway.customBindHost is not an IPv4 address; set it");
  }
  const origins = originsOf(gateway.controlUi?.allowedOrigins ?? [], problems);
  const publicOrigin = parseConfiguredOrigin(gateway.publicOrigin ?? "");
  if (origins.includes("*")) {
    warnings.push('gateway.controlUi.allowedOrigins has "*": every web page may talk to this gateway');
  }
  const hostHeaderFallback = gateway.controlUi?.dangerouslyAllowHostHeaderOriginFallback === true;
  if (hostHeaderFallback) {
    warnings.push(
      "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback is on: a rebound name (DNS rebinding) passes for this gateway's own",
    );
  }
  const ownNames = [...origins.flatMap((text) => parseConfiguredOrigin(text) ?? []), publicOrigin]
    .filter((origin) => origin !== undefined)
    .map((origin) => origin.authority.name);
  return Object.freeze({
    port: port ?? portFrom(env.OPENCLAW_GATEWAY_PORT) ?? gateway.port ?? defaultPort,
    hosts: hosts ?? ["127.0.0.1"],
    tls: tlsOf(config, env, place),
    allowedOrigins: publicOrigin ? [...origins, publicOrigin.text] : origins,
    ownNames,
    certificateNames: certificateNames(ownNames, hosts ?? [], place.machine),
    hostHeaderFallback,
    trustedProxies: proxiesOf(gateway.trustedProxies ?? [], problems, warnings),
    allowRealIpFallback: gateway.allowRealIpFallback === true,
    identityHeaders: place.identityHeaders ?? [],
    tailscale: tailscaleOf(config, env, hosts ?? [], problems),
    ownTailnetAddresses: place.machine.addresses.filter(isTailnetText),
    handshakeTimeoutMs: Math.max(15_000, Number(env.OPENCLAW_HANDSHAKE_TIMEOUT_MS) || 0),
    strictTransportSecurity: gateway.http?.securityHeaders?.strictTransportSecurity || undefined,
    problems,
    warnings,
  });
}

/** "off" for whatever would reach further than its authentication allows; the start refuses that. */
function tailscaleOf(
  config: OpenClawConfig,
  env: Readonly<Record<string, string | undefined>>,
  hosts: readonly string[],
  problems: string[],
): NetworkSettings["tailscale"] {
  const mode = config.gateway?.tailscale?.mode ?? "off";
  if (mode === "off") return "off";
  const { mode: auth, password } = config.gateway?.auth ?? {};
  const given = password ?? env.OPENCLAW_GATEWAY_PASSWORD;
  const isPassword = auth === "password" || (auth === undefined && given !== undefined);
  const problem = opensBeyondLoopback(hosts)
    ? `gateway.tailscale.mode is "${mode}", but gateway.bind opens the port to others as well; set gateway.bind to "loopback"`
    : mode === "funnel" && !isPassword
      ? 'gateway.tailscale.mode is "funnel", which opens the gateway to the internet: set gateway.auth.mode to "password" and gateway.auth.password, or use "serve"'
      : auth === "none"
        ? `gateway.tailscale.mode is "${mode}", but gateway.auth.mode is "none": everybody in the tailnet would be the owner; set a token`
        : undefined;
  if (problem === undefined) return mode;
  problems.push(problem);
  return "off";
}

function portFrom(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new InputError(
      `OPENCLAW_GATEWAY_PORT is ${JSON.stringify(text)}; it must be a port from 0 to 65535`,
    );
  }
  return port;
}

function originsOf(entries: readonly string[], problems: string[]): string[] {
  return entries.flatMap((entry) => {
    if (entry === "*") return [entry];
    const origin = parseConfiguredOrigin(entry);
    if (origin) return [origin.text];
    problems.push(
      `gateway.controlUi.allowedOrigins: ${JSON.stringify(entry)} is not an origin; write https://name, without a path`,
    );
    return [];
  });
}

function proxiesOf(entries: readonly string[], problems: string[], warnings: string[]): AddressRange[] {
  return entries.flatMap((entry) => {
    const range = parseRange(entry);
    if (!range) {
      problems.push(`gateway.trustedProxies: ${JSON.stringify(entry)} is not an IP address or CIDR range`);
      return [];
    }
    if (range.first === 0n) {
      warnings.push(
        `gateway.trustedProxies: ${JSON.stringify(entry)} trusts everybody to say who they are; name the proxy's own address`,
      );
    }
    return [range];
  });
}

/** Everything that somebody may type to reach this gateway, each once. */
function certificateNames(ownNames: readonly string[], hosts: readonly string[], machine: Machine): string[] {
  const bound = hosts.includes("0.0.0.0") ? machine.addresses : hosts;
  const candidates = ["localhost", "127.0.0.1", "::1", machine.hostName, ...ownNames, ...bound];
  const names = candidates.flatMap((name) => {
    const authority = parseAuthority(name.includes(":") ? `[${name}]` : name);
    return authority && authority.port === undefined ? [authority.name] : [];
  });
  return [...new Set(names)];
}

function tlsOf(
  config: OpenClawConfig,
  env: Readonly<Record<string, string | undefined>>,
  place: Place,
): TlsSettings | undefined {
  const tls = config.gateway?.tls;
  if (tls?.enabled !== true) return undefined;
  const folder = join(place.stateFolder, "gateway", "tls");
  const path = (given: string) => {
    if (given.startsWith("~/") && env.HOME) return join(env.HOME, given.slice(2));
    return isAbsolute(given) ? given : join(place.stateFolder, given);
  };
  return {
    certFile: path(tls.certPath ?? join(folder, "gateway-cert.pem")),
    keyFile: path(tls.keyPath ?? join(folder, "gateway-key.pem")),
    caFile: tls.caPath === undefined ? undefined : path(tls.caPath),
    autoGenerate: tls.autoGenerate !== false,
    renews: config.gateway?.reload?.mode !== "off",
  };
}
