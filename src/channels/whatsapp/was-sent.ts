import type { Conversation, OutboundMessage, WasSent } from "../../delivery/channel.ts";
import type { MessageKey, Receipt } from "./connection.ts";
import { messageIdOf } from "./outbound.ts";
import { isGroupJid, personOf } from "./settings.ts";

/** WhatsApp hands over what it kept for a device within moments of its coming back. */
const looksAfterMs = [0, 1_000, 2_000];
const maxKept = 2_000;
/** The server has it, it was delivered, read or played; 0 is an error, 1 that it waits to be sent. */
const lowestProof = 2;

/** Messages of ours, by id and chat, that WhatsApp or a recipient's device gave a sign of; the newest 2,000. */
export class Receipts {
  /** "<id> <chat>" */
  readonly #signs = new Set<string>();

  status(key: MessageKey, status: number): void {
    if (status >= lowestProof) this.#keep(key);
  }

  received(key: MessageKey, { receiptTimestamp, readTimestamp, playedTimestamp }: Receipt): void {
    if ([receiptTimestamp, readTimestamp, playedTimestamp].some((at) => Number(at) > 0)) this.#keep(key);
  }

  chatsOf(id: string): readonly string[] {
    const start = `${id} `;
    return [...this.#signs].filter((sign) => sign.startsWith(start)).map((sign) => sign.slice(start.length));
  }

  #keep({ id, fromMe, remoteJid, remoteJidAlt }: MessageKey): void {
    if (fromMe !== true) return;
    for (const jid of [remoteJid, remoteJidAlt]) {
      const chat = typeof jid === "string" ? chatOf(jid) : undefined;
      if (chat !== undefined) this.#signs.add(`${id} ${chat}`);
    }
    for (const oldest of this.#signs) {
      if (this.#signs.size <= maxKept) break;
      this.#signs.delete(oldest);
    }
  }
}

export interface ReceiptPorts {
  readonly receipts: Receipts;
  /** Rejects when the connection that stood is gone: what WhatsApp kept comes over the next one. */
  wait(ms: number): Promise<void>;
  /** The number that WhatsApp's server named beside a hidden id, as the library remembers it. */
  numberOf(lid: string): Promise<string | undefined>;
}

/**
 * Did WhatsApp get this before a crash, or a lost answer? Its receipts tell, by the id that we chose: one message of
 * ours is one of WhatsApp's. Never "absent": the recipient's phone may be off. Rejects when the connection is lost.
 */
export async function wasSent(message: OutboundMessage, ports: ReceiptPorts): Promise<WasSent> {
  const platformId = messageIdOf(message.id);
  for (const ms of looksAfterMs) {
    await ports.wait(ms);
    for (const chat of ports.receipts.chatsOf(platformId))
      if (await isSameChat(chat, message.conversation, ports)) return { platformId, isExact: true };
  }
  return "unknown";
}

function chatOf(jid: string): string | undefined {
  return isGroupJid(jid) ? jid : personOf(jid);
}

/** A receipt may name a person by the hidden id where we wrote to the number, and the other way round. */
async function isSameChat(chat: string, { id }: Conversation, { numberOf }: ReceiptPorts): Promise<boolean> {
  if (chat === id) return true;
  const number = async (person: string) =>
    person.startsWith("lid:") ? await numberOf(`${person.slice(4)}@lid`) : person;
  const known = await number(chat);
  return known !== undefined && known === (await number(id));
}
