import { EventEmitter } from "node:events";
import type { Baileys, BaileysSocket, SocketOptions } from "../../../src/channels/whatsapp/library.ts";

interface Sent {
  readonly jid: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly id: string;
}

/** An error as the library throws it. */
export function boom(statusCode: number): Error {
  return Object.assign(new Error("from the library"), { output: { statusCode } });
}

/** As the library tells a receipt: of a group's people by an event of its own. */
export function receiptOf(
  id: string,
  remoteJid: string,
): { readonly event: string; readonly value: unknown } {
  const key = { id, remoteJid, fromMe: true };
  return remoteJid.endsWith("@g.us")
    ? { event: "message-receipt.update", value: [{ key, receipt: { receiptTimestamp: 1_700_000_000 } }] }
    : { event: "messages.update", value: [{ key, update: { status: 3 } }] };
}

/**
 * WhatsApp behind the library's documented interface: its events and its calls, no wire. What is delivered while nobody
 * is connected waits, and comes as "append"; so do receipts. Every third message has none: the recipient's phone is off.
 */
export class FakeWhatsApp {
  readonly sent: Sent[] = [];
  readonly reads: object[] = [];
  readonly options: SocketOptions[] = [];
  readonly files = new Map<string, Uint8Array>();
  self = { id: "15550009999:7@s.whatsapp.net", lid: "99990000:7@lid", name: "house" };
  nextSend: "error" | "lost" | number | undefined;
  /** False: the device is yet to be linked. */
  isLinked = true;
  isAway = false;
  /** The number behind a hidden id, as the library learned it from messages. */
  readonly numbers = new Map<string, string>();
  readonly #waiting: object[] = [];
  readonly #receipts: ReturnType<typeof receiptOf>[] = [];
  #live: EventEmitter | undefined;

  readonly library: Baileys = {
    makeWASocket: (options) => this.#connect(options),
    initAuthCreds: () => ({ registrationId: 1, noiseKey: "the-noise-key-of-the-test" }),
    BufferJSON: { replacer: (_, value) => value, reviver: (_, value) => value },
    proto: { Message: { AppStateSyncKeyData: { fromObject: (value) => ({ made: value }) } } },
    downloadContentFromMessage: async ({ directPath, mediaKey }, type) => {
      const bytes = this.files.get(`${type} ${directPath} ${Buffer.from(mediaKey).toString()}`);
      if (!bytes) throw new Error("gone");
      return (async function* () {
        yield bytes.subarray(0, 2);
        yield bytes.subarray(2);
      })();
    },
  };

  deliver(message: object): void {
    if (this.#live) this.#live.emit("messages.upsert", { messages: [message], type: "notify" });
    else this.#waiting.push(message);
  }

  emit(event: string, value: unknown): void {
    this.#live?.emit(event, value);
  }

  /** The connection ends with this status. */
  close(statusCode: number | undefined): void {
    const live = this.#live;
    this.#live = undefined;
    const error = statusCode === undefined ? undefined : boom(statusCode);
    live?.emit("connection.update", { connection: "close", lastDisconnect: { error } });
  }

  #connect(options: SocketOptions): BaileysSocket {
    this.options.push(options);
    const ev = new EventEmitter();
    const socket: BaileysSocket = {
      ev: { on: (event, listener) => void ev.on(event, (value) => listener(value as never)) },
      user: this.self,
      signalRepository: {
        lidMapping: {
          getPNForLID: async (lid) => {
            if (lid.startsWith("666")) throw new Error("the keys cannot be read");
            return this.numbers.get(lid) ?? null;
          },
        },
      },
      sendMessage: async (jid, content, given) => this.#send(ev, jid, content as Sent["content"], given),
      sendPresenceUpdate: async () => {},
      readMessages: async (keys) => {
        this.reads.push(...keys);
      },
      end: () => {
        if (this.#live === ev) this.#live = undefined;
      },
    };
    setImmediate(() => {
      if (this.isAway)
        return ev.emit("connection.update", { connection: "close", lastDisconnect: { error: boom(428) } });
      this.#live = ev;
      if (!this.isLinked) return ev.emit("connection.update", { qr: "2@the-code-to-scan" });
      ev.emit("connection.update", { connection: "open" });
      const messages = this.#waiting.splice(0);
      if (messages.length > 0) ev.emit("messages.upsert", { messages, type: "append" });
      setImmediate(() => this.#handReceipts());
      return true;
    });
    return socket;
  }

  #send(ev: EventEmitter, jid: string, content: Sent["content"], given: object): object {
    const how = this.nextSend;
    this.nextSend = undefined;
    if (this.isAway || this.#live !== ev) throw boom(428);
    if (typeof how === "number") throw boom(how);
    const id = (given as { messageId?: string }).messageId ?? "random";
    const answer = (status: number) =>
      setImmediate(() => ev.emit("messages.update", [{ key: { id, remoteJid: jid }, update: { status } }]));
    if (how === "error") answer(0);
    else {
      this.sent.push({ jid, content, id });
      const hasReceipt = this.sent.length % 3 !== 0;
      const isLost = how === "lost";
      if (!isLost) answer(2);
      setImmediate(() => {
        if (isLost) this.close(428);
        if (hasReceipt) this.#receipts.push(receiptOf(id, jid));
        this.#handReceipts();
      });
    }
    return { key: { id }, message: { conversation: content.text } };
  }

  #handReceipts(): void {
    if (!this.#live) return;
    for (const { event, value } of this.#receipts.splice(0)) this.#live.emit(event, value);
  }
}
