import type { Json } from "../../kernel/mod.ts";
import { isObject } from "../settings-reader.ts";
import type { Credentials } from "./credentials.ts";
import { eventOf } from "./inbound.ts";
import { type Baileys, type BaileysSocket, quietLogger } from "./library.ts";

/** How a connection ended: WhatsApp's status code, where it gave one. */
export interface ConnectionEnd {
  readonly status: number | undefined;
  readonly wasOpen: boolean;
}

/** As the library names a message. */
export interface MessageKey {
  readonly id: string;
  readonly remoteJid?: unknown;
  /** The number beside a hidden id, or the other way round. */
  readonly remoteJidAlt?: unknown;
  readonly fromMe?: unknown;
}

/** Unix seconds at which one of a group's people got, read or played a message. */
export interface Receipt {
  readonly receiptTimestamp?: unknown;
  readonly readTimestamp?: unknown;
  readonly playedTimestamp?: unknown;
}

export interface ConnectionEvents {
  /** A code to scan; each replaces the one before. */
  linkCode(code: string): void;
  open(socket: BaileysSocket): void;
  message(event: Json): void;
  /** What WhatsApp says of a message: 0 an error, 2 the server has it, 3 and more: a recipient's device has it. */
  answered(key: MessageKey, status: number): void;
  /** Who of a group has a message, and since when. */
  received(key: MessageKey, receipt: Receipt): void;
  /** A key could not be kept: going on would make the device unusable. */
  notKept(error: unknown): void;
  /** A message of ours that a recipient's device asks for again. */
  messageOf(id: string): object | undefined;
}

/** One connection from its start to its end. Resolves when it has ended; the signal ends it. */
export function runConnection(
  library: Baileys,
  credentials: Credentials,
  events: ConnectionEvents,
  signal: AbortSignal,
): Promise<ConnectionEnd> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ status: undefined, wasOpen: false });
    let wasOpen = false;
    const socket = library.makeWASocket({
      auth: credentials.state,
      logger: quietLogger(),
      // The phone goes on being told of new messages.
      markOnlineOnConnect: false,
      syncFullHistory: false,
      shouldSyncHistoryMessage: () => false,
      // A preview would fetch whatever address a model wrote (attack A-202).
      generateHighQualityLinkPreview: false,
      getMessage: async ({ id }) => (typeof id === "string" ? events.messageOf(id) : undefined),
    });
    const end = (status: number | undefined) => {
      signal.removeEventListener("abort", stop);
      resolve({ status, wasOpen });
    };
    const stop = () => {
      socket.end(undefined);
      end(undefined);
    };
    signal.addEventListener("abort", stop, { once: true });
    const on = (name: string, take: (value: unknown) => void) =>
      socket.ev.on(name, take as (value: never) => void);
    on("creds.update", (change) => {
      credentials.update(change).catch((error: unknown) => {
        events.notKept(error);
        socket.end(undefined);
        end(undefined);
      });
    });
    on("connection.update", (update) => {
      if (signal.aborted || !isObject(update)) return;
      if (typeof update.qr === "string") events.linkCode(update.qr);
      if (update.connection === "open") {
        wasOpen = true;
        events.open(socket);
      }
      if (update.connection === "close")
        end(statusOf(isObject(update.lastDisconnect) ? update.lastDisconnect.error : undefined));
    });
    on("messages.upsert", (value) => {
      const messages = isObject(value) && Array.isArray(value.messages) ? value.messages : [];
      for (const message of messages) {
        const event = eventOf(message);
        if (event !== undefined) events.message(event);
      }
    });
    on("messages.update", (value) => {
      for (const { key, update } of itemsOf(value))
        if (isKey(key) && isObject(update) && typeof update.status === "number")
          events.answered(key, update.status);
    });
    on("message-receipt.update", (value) => {
      for (const { key, receipt } of itemsOf(value))
        if (isKey(key) && isObject(receipt)) events.received(key, receipt);
    });
  });
}

function itemsOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function isKey(key: unknown): key is MessageKey {
  return isObject(key) && typeof key.id === "string";
}

/** The status code in an error of the library's (@hapi/boom). */
export function statusOf(error: unknown): number | undefined {
  const output = (error as { readonly output?: unknown } | null | undefined)?.output;
  const status = isObject(output) ? output.statusCode : undefined;
  return typeof status === "number" ? status : undefined;
}
