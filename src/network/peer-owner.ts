import { readFileSync } from "node:fs";
import type { Socket as Connection } from "node:net";

export type LocalConnection = Pick<Connection, "remotePort" | "localPort">;

/**
 * Whether the program at the other end of a connection on 127.0.0.1 is tailscaled, or might as well be: root's, or of
 * the gateway's own user, who could read its secrets anyway. Any other user of this machine could say over that
 * connection that he is whoever he likes. Where the system does not tell (there is no /proc/net/tcp), it is believed.
 * `root` is where the file system begins; tests give another.
 */
export function isTrustedPeer(connection: LocalConnection, ownUid: number, root = "/"): boolean {
  const tables = ["tcp", "tcp6"].map((name) => contentOf(`${root}proc/net/${name}`));
  if (tables[0] === undefined) return true;
  const owner = tables.map((table) => ownerIn(table ?? "", connection)).find((uid) => uid !== undefined);
  return owner === 0 || owner === ownUid;
}

/** The addresses of 127.0.0.1, as the kernel writes them: in the machine's byte order, also inside of IPv6. */
const loopback = /^(?:0100007F|0000000000000000FFFF00000100007F)$/;

/** The uid in the row of the other end's socket (proc(5)). */
function ownerIn(table: string, { remotePort, localPort }: LocalConnection): number | undefined {
  for (const line of table.split("\n").slice(1)) {
    const [, local = "", remote = "", , , , , uid] = line.trim().split(/\s+/);
    if (isAt(local, remotePort) && isAt(remote, localPort)) return Number(uid);
  }
  return undefined;
}

function isAt(text: string, port: number | undefined): boolean {
  const [address = "", hex = ""] = text.split(":");
  return loopback.test(address) && Number.parseInt(hex, 16) === port;
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
