import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import type { Clock, Log } from "../../kernel/mod.ts";
import type { Advert } from "./advert.ts";
import { type DnsRecord, parseQuery, type Query, responseBytes, typeNumbers } from "./dns-message.ts";

export interface Responder {
  /** The port that it answers on. */
  readonly port: number;
  /** Says good-bye, and is silent from then on. */
  close(): Promise<void>;
}

const group = "224.0.0.251";
const mdnsPort = 5353;
/** Whoever sends more questions than this gets no more answers: nobody is flooded through us. */
const answersPerSecond = 20;
const announceAgainMs = 1000;

/**
 * Answers questions for the records of `advert` on its interfaces, announces them at the start and takes them back at
 * the end. Rejects when the port cannot be had.
 */
export async function startResponder(ports: {
  readonly advert: Advert;
  readonly clock: Clock;
  readonly log: Log;
  /** Tests take another port, where ordinary resolvers can ask. */
  readonly port?: number;
}): Promise<Responder> {
  const { advert, clock, log } = ports;
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  socket.bind({ port: ports.port ?? mdnsPort, address: "0.0.0.0" });
  await once(socket, "listening");
  socket.on("error", (error) => log("warn", "the mDNS responder met an error", { error: error.message }));
  socket.setMulticastTTL(255);
  const joined = advert.interfaces.filter((address) => {
    try {
      socket.addMembership(group, address);
      return true;
    } catch (error) {
      log("warn", "mDNS does not work on an interface", { address, error: (error as Error).message });
      return false;
    }
  });

  let second = 0;
  let answers = 0;
  /** False when enough was said in this second. */
  function mayAnswer(): boolean {
    const now = Math.floor(clock.monotonic() / 1000);
    if (now !== second) answers = 0;
    second = now;
    answers += 1;
    return answers <= answersPerSecond;
  }

  /** One after the other: a socket has one interface to send on at a time. */
  let sending: Promise<void> = Promise.resolve();
  function toEverybody(records: readonly DnsRecord[]): Promise<void> {
    const bytes = responseBytes(records);
    sending = sending.then(async () => {
      for (const address of joined) await sendOn(address, bytes);
    });
    return sending;
  }

  function sendOn(address: string, bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      try {
        socket.setMulticastInterface(address);
        socket.send(bytes, mdnsPort, group, () => resolve());
      } catch {
        // The interface went down; the others are told all the same.
        resolve();
      }
    });
  }

  socket.on("message", (bytes: Buffer, from: RemoteInfo) => {
    const query = parseQuery(bytes);
    if (!query) return;
    const found = answersTo(query, advert.records);
    if (found.length === 0 || !mayAnswer()) return;
    // Answers go no further than the local network, whoever's address the question bears.
    if (!isNear(from.address)) return;
    if (from.port !== mdnsPort) socket.send(responseBytes(found, query), from.port, from.address);
    else if (query.questions.every((question) => question.wantsUnicast))
      socket.send(responseBytes(found), from.port, from.address);
    else void toEverybody(found);
  });

  void toEverybody(advert.records);
  const cancel = clock.after(announceAgainMs, () => void toEverybody(advert.records));
  return {
    port: socket.address().port,
    async close() {
      cancel();
      await toEverybody(advert.records.map((record) => ({ ...record, ttlSeconds: 0 })));
      await new Promise<void>((resolve) => void socket.close(resolve));
    },
  };
}

/** What was asked for, with what the asker would ask for next. */
function answersTo(query: Query, records: readonly DnsRecord[]): readonly DnsRecord[] {
  const asked = records.filter((record) =>
    query.questions.some(
      ({ name, type }) =>
        name === record.name.toLowerCase() && (type === typeNumbers[record.type] || type === typeNumbers.any),
    ),
  );
  const isAboutService = asked.some(
    (record) => record.type === "PTR" && !record.name.startsWith("_services."),
  );
  const rest = isAboutService ? records.filter((record) => record.type !== "PTR") : [];
  return [...asked, ...rest.filter((record) => !asked.includes(record))];
}

/** An address of the local network. */
export function isNear(address: string): boolean {
  const [a = 0, b = 0] = address.split(".").map(Number);
  return (
    a === 127 ||
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254)
  );
}
