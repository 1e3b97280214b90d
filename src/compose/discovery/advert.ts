import { isIPv4 } from "node:net";
import type { OpenClawConfig } from "../../config/mod.ts";
import type { DnsRecord } from "./dns-message.ts";

/** What is known of this gateway, of which an advert tells as little as its mode says. */
export interface AdvertFacts {
  readonly port: number;
  /** Where it listens. */
  readonly hosts: readonly string[];
  /** Of this machine. */
  readonly addresses: readonly string[];
  readonly hostName: string;
  /** Random for each start, and nothing that tells the machine. */
  readonly label: string;
  /** SHA-256 of the certificate; undefined without TLS. */
  readonly certificateFingerprint: string | undefined;
}

export interface Advert {
  readonly records: readonly DnsRecord[];
  /** The addresses of the interfaces to advertise on. */
  readonly interfaces: readonly string[];
}

export const service = "_openclaw-gw._tcp.local";
const ttlSeconds = 120;

/** Which mode the config and the environment ask for. It starts by itself on macOS only, and never in a container. */
export function mdnsMode(
  config: OpenClawConfig,
  env: Readonly<Record<string, string | undefined>>,
  machine: { readonly platform: string; readonly inContainer: boolean },
): "minimal" | "full" | "off" {
  const mode = config.discovery?.mdns?.mode;
  const disable = env.OPENCLAW_DISABLE_BONJOUR;
  if (disable === "1" || mode === "off") return "off";
  if (machine.inContainer && disable !== "0") return "off";
  return mode ?? (machine.platform === "darwin" ? "minimal" : "off");
}

/**
 * The records of a gateway, or undefined when nobody on the local network could reach it. Clients cannot trust them:
 * whoever is on the network may answer. So they say where to look, and never what to believe.
 *
 * `minimal` tells neither the machine's name nor paths, users, other ports or the tailnet's name; the name that
 * it gives is made up.
 */
export function advertOf(
  mode: "minimal" | "full",
  facts: AdvertFacts,
  env: Readonly<Record<string, string | undefined>>,
): Advert | undefined {
  const listened = facts.hosts.includes("0.0.0.0") ? facts.addresses : facts.hosts;
  const interfaces = listened.filter((address) => isIPv4(address) && !isElsewhere(address));
  if (interfaces.length === 0) return undefined;
  const isFull = mode === "full";
  const hostLabel = labelOf(env.OPENCLAW_MDNS_HOSTNAME ?? (isFull ? facts.hostName : facts.label));
  const displayName = isFull ? labelOf(facts.hostName) : "OpenClaw";
  const host = `${hostLabel}.local`;
  const instance = `${isFull ? displayName : facts.label}.${service}`;
  const texts = [
    "role=gateway",
    "transport=gateway",
    `displayName=${displayName}`,
    `lanHost=${host}`,
    `gatewayPort=${facts.port}`,
    "gatewayDirectReachable=1",
    ...(facts.certificateFingerprint === undefined
      ? []
      : [
          "gatewayTls=1",
          `gatewayTlsSha256=${facts.certificateFingerprint.replaceAll(":", "").toLowerCase()}`,
        ]),
    ...(isFull ? fullTexts(env) : []),
  ];
  return {
    interfaces,
    records: [
      { name: "_services._dns-sd._udp.local", ttlSeconds, type: "PTR", target: service },
      { name: service, ttlSeconds, type: "PTR", target: instance },
      { name: instance, ttlSeconds, type: "SRV", port: facts.port, target: host },
      { name: instance, ttlSeconds, type: "TXT", texts },
      ...interfaces.map((address) => ({ name: host, ttlSeconds, type: "A", address }) as const),
    ],
  };
}

function fullTexts(env: Readonly<Record<string, string | undefined>>): string[] {
  return [
    ["sshPort", env.OPENCLAW_SSH_PORT],
    ["cliPath", env.OPENCLAW_CLI_PATH],
    ["tailnetDns", env.OPENCLAW_TAILNET_DNS],
  ].flatMap(([key, value]) => (value ? [`${key}=${value}`] : []));
}

/** Loopback, and Tailscale's addresses: nobody on the local network gets there. */
function isElsewhere(address: string): boolean {
  const [a = 0, b = 0] = address.split(".").map(Number);
  return a === 127 || (a === 100 && b >= 64 && b < 128);
}

/** One label of a name: a dot would begin another one. */
function labelOf(name: string): string {
  const first = name.split(".")[0]?.replace(/[^A-Za-z0-9-]/g, "-") ?? "";
  return first.slice(0, 63) || "openclaw";
}
