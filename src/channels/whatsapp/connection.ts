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

export interface ConnectionEvents {
  /** A code to scan; each replaces the one before. */
  linkCode(code: string): void;
  open(socket: BaileysSocket): void;
  message(event: Json): void;
  /** WhatsApp's answer to a message of ours: 0 an error, 2 and more: the server has it. */
  answered(messageId: string, status: number): void;
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
      for (const item of Array.isArray(value) ? value.filter(isObject) : []) {
        const { key, update } = item;
        if (
          isObject(key) &&
          typeof key.id === "string" &&
          isObject(update) &&
          typeof update.status === "number"
        )
          events.answered(key.id, update.status);
      }
    });
  });
}

/** The status code in an error of the library's (@hapi/boom). */
export function statusOf(error: unknown): number | undefined {
  const output = (error as { readonly output?: unknown } | null | undefined)?.output;
  const status = isObject(output) ? output.statusCode : undefined;
  return typeof status === "number" ? status : undefined;
}
