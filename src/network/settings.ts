import { BlockList, isIPv4, isIPv6 } from "node:net";
import type { OpenClawConfig } from "../config/mod.ts";
import { InputError } from "../kernel/mod.ts";

export interface NetworkSettings {
  readonly port: number;
  /** Addresses to listen on. */
  readonly hosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly trustedProxies: BlockList | undefined;
  readonly handshakeTimeoutMs: number;
  readonly strictTransportSecurity: string | undefined;
}

export const defaultPort = 18789;

/** Throws an InputError for a bind mode that this machine cannot give. `port` overrides what the config says. */
export function networkSettings(
  config: OpenClawConfig,
  env: Readonly<Record<string, string | undefined>>,
  port: number | undefined,
): NetworkSettings {
  const gateway = config.gateway ?? {};
  return Object.freeze({
    port: port ?? portFrom(env.OPENCLAW_GATEWAY_PORT) ?? gateway.port ?? defaultPort,
    hosts: hostsOf(gateway.bind ?? "loopback", gateway.customBindHost),
    allowedOrigins: gateway.controlUi?.allowedOrigins ?? [],
    trustedProxies: proxies(gateway.trustedProxies ?? []),
    handshakeTimeoutMs: Math.max(15_000, Number(env.OPENCLAW_HANDSHAKE_TIMEOUT_MS) || 0),
    strictTransportSecurity: gateway.http?.securityHeaders?.strictTransportSecurity || undefined,
  });
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

function hostsOf(bind: string, custom: string | undefined): string[] {
  if (bind === "loopback" || bind === "auto") return ["127.0.0.1"];
  if (bind === "lan") return ["0.0.0.0"];
  if (bind === "custom") {
    if (custom === undefined || !isIPv4(custom)) {
      throw new InputError(
        "gateway.bind is custom, but gateway.customBindHost is not an IPv4 address; set it",
      );
    }
    return custom === "127.0.0.1" || custom === "0.0.0.0" ? [custom] : [custom, "127.0.0.1"];
  }
  throw new InputError(
    `gateway.bind ${JSON.stringify(bind)} is not available yet; use loopback, lan or custom`,
  );
}

function proxies(entries: readonly string[]): BlockList | undefined {
  if (entries.length === 0) return undefined;
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", bits] = entry.split("/");
    const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : undefined;
    if (!family)
      throw new InputError(
        `gateway.trustedProxies: ${JSON.stringify(entry)} is not an IP address or CIDR range`,
      );
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}
