import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type Clock, sleep } from "../../kernel/mod.ts";
import { service } from "./advert.ts";
import { type DnsRecord, parseResponse, queryBytes } from "./dns-message.ts";
import { isNear } from "./responder.ts";

/**
 * A gateway that says it is on the local network. Whoever is there can say so, and in anybody's name: nothing of it is
 * proved, and nothing of it is a reason to send a secret.
 */
export interface Beacon {
  readonly instance: string;
  readonly displayName: string;
  /** Where its records of where it is lead; what it says in words leads nowhere. */
  readonly address: string;
  readonly port: number;
  /** ws:// or wss:// */
  readonly wsUrl: string;
  /** SHA-256 in 64 hexadecimal digits, as it claims. */
  readonly claimedFingerprint: string | undefined;
}

const group = "224.0.0.251";
const mdnsPort = 5353;
const maxBeacons = 100;

/** Asks the local network for `timeoutMs` and gives who answered, by address. `targets`: where the question goes. */
export async function browse(ports: {
  /** IPv4 addresses of this machine's interfaces. */
  readonly interfaces: readonly string[];
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Tests ask one responder; otherwise everybody is asked. */
  readonly target?: { readonly address: string; readonly port: number };
}): Promise<readonly Beacon[]> {
  const { interfaces, timeoutMs, clock, target = { address: group, port: mdnsPort } } = ports;
  const found = new Map<string, Beacon>();
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  // An interface that goes down while we ask is none to find anything on.
  socket.on("error", () => {});
  socket.on("message", (bytes: Buffer, from) => {
    for (const beacon of heard(bytes, from.address))
      if (found.size < maxBeacons) found.set(`${beacon.address}:${beacon.port}`, beacon);
  });
  socket.bind(0, "0.0.0.0");
  await once(socket, "listening");
  const question = queryBytes(service);
  for (const address of interfaces) {
    try {
      socket.setMulticastInterface(address);
      await new Promise<void>((resolve) => {
        socket.send(question, target.port, target.address, () => resolve());
      });
    } catch {
      // Not one that carries multicast.
    }
  }
  await sleep(clock, timeoutMs);
  await new Promise<void>((resolve) => void socket.close(resolve));
  return [...found.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** What a packet from this address tells of. */
export function heard(bytes: Buffer, from: string): readonly Beacon[] {
  return isNear(from) ? beaconsIn(parseResponse(bytes) ?? []) : [];
}

function beaconsIn(records: readonly DnsRecord[]): Beacon[] {
  return records.flatMap((record) => {
    if (record.type !== "PTR" || record.name !== service) return [];
    const instance = record.target;
    const where = records.find((item) => item.type === "SRV" && item.name === instance);
    if (where?.type !== "SRV") return [];
    const at = records.find((item) => item.type === "A" && item.name === where.target);
    if (at?.type !== "A" || !isNear(at.address) || where.port === 0) return [];
    const words = records.find((item) => item.type === "TXT" && item.name === instance);
    const said = (key: string) =>
      words?.type === "TXT"
        ? words.texts.find((text) => text.startsWith(`${key}=`))?.slice(key.length + 1)
        : undefined;
    const fingerprint = said("gatewayTlsSha256")?.toLowerCase();
    const isTls = said("gatewayTls") === "1";
    return [
      {
        instance: instance.slice(0, -service.length - 1),
        displayName: said("displayName") ?? "",
        address: at.address,
        port: where.port,
        wsUrl: `${isTls ? "wss" : "ws"}://${at.address}:${where.port}/`,
        claimedFingerprint: isTls && /^[0-9a-f]{64}$/.test(fingerprint ?? "") ? fingerprint : undefined,
      },
    ];
  });
}
