import type { Socket as Connection } from "node:net";
import { type Refusal, refuse } from "../kernel/mod.ts";
import { type AddressRange, inRanges, isLoopback, limitKeyOf, peerAddress } from "./address.ts";
import type { Door } from "./door.ts";

/** What is looked at of a connection before its first byte. */
export type NewConnection = Pick<
  Connection,
  "remoteAddress" | "remotePort" | "localAddress" | "destroy" | "once"
>;

/** Takes each new connection to the door, before TLS and before a byte is read. */
export function createReception(ports: {
  readonly door: Door;
  readonly trustedProxies: () => readonly AddressRange[];
  readonly logRefusal: (refusal: Refusal, peer: string) => void;
}): (connection: NewConnection) => void {
  const { door } = ports;
  return (connection) => {
    const peer = peerAddress(connection.remoteAddress);
    if (!peer) {
      // It was gone before it was here.
      connection.destroy();
      return;
    }
    const key = connectionKey(connection);
    const isKnownPath = isLoopback(peer) || inRanges(peer, ports.trustedProxies());
    const reason = door.enter(key, { limitKey: limitKeyOf(peer), isKnownPath }, () => connection.destroy());
    if (reason) {
      // No answer: a stranger who floods is not worth the bytes, and with TLS there is nothing to answer in yet.
      connection.destroy();
      ports.logRefusal(refuse(reason, peer.text), peer.text);
      return;
    }
    connection.once("close", () => door.left(key));
  };
}

/** The same for a connection and for the encrypted stream that runs through it. */
export function connectionKey(
  connection: Pick<Connection, "remoteAddress" | "remotePort" | "localAddress">,
): string {
  return `${connection.remoteAddress} ${connection.remotePort} ${connection.localAddress}`;
}
