import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Conversation, OutboundMessage, SendResult } from "../../delivery/channel.ts";
import type { Clock } from "../../kernel/mod.ts";
import { isObject } from "../settings-reader.ts";
import { statusOf } from "./connection.ts";
import type { BaileysSocket } from "./library.ts";

export const maxFileBytes = 16 * 1024 * 1024;
const answerDeadlineMs = 30_000;
const retryAfterMs = 5_000;
/** WhatsApp names no time. */
const limitWaitMs = 60_000;
const maxKept = 200;

/** The id that WhatsApp knows our message by; the same for each try, so that recipients show it once. */
export function messageIdOf(id: string): string {
  return `3EB0${hash("sha256", id, "hex").slice(0, 18).toUpperCase()}`;
}

export function jidOf({ kind, id }: Conversation): string {
  if (kind !== "direct") return id;
  return id.startsWith("lid:") ? `${id.slice(4)}@lid` : `${id.slice(1)}@s.whatsapp.net`;
}

/** What is on its way, and what was lately sent, for a device that could not read it. */
export class Outbound {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, (result: SendResult) => void>();
  readonly #kept = new Map<string, object>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  messageOf(id: string): object | undefined {
    return this.#kept.get(id);
  }

  answered(id: string, status: number): void {
    if (status >= 2) this.#waiting.get(id)?.({ outcome: "sent", platformId: id });
    else if (status === 0)
      this.#waiting.get(id)?.({ outcome: "rejected", detail: "WhatsApp did not take the message" });
  }

  /** The connection is gone: what had no answer may have been sent. */
  lost(): void {
    const detail = "the connection was lost before WhatsApp answered";
    for (const settle of [...this.#waiting.values()]) settle({ outcome: "unknown", detail });
  }

  async send(message: OutboundMessage, socket: BaileysSocket | undefined): Promise<SendResult> {
    if (message.text.trim() === "" && !message.file)
      return { outcome: "rejected", detail: "the message has no text" };
    if (message.file && message.file.bytes > maxFileBytes)
      return { outcome: "rejected", detail: `the file is larger than ${maxFileBytes} bytes` };
    if (!socket) return { outcome: "retry", retryAfterMs, detail: "not connected to WhatsApp" };
    let content: object;
    try {
      content = await contentOf(message);
    } catch {
      return { outcome: "rejected", detail: "the file to send cannot be read" };
    }
    const id = messageIdOf(message.id);
    const answer = this.#answerTo(id);
    try {
      const quoted = quotedOf(message.replyToMessageId);
      const sent = await socket.sendMessage(jidOf(message.conversation), content, {
        messageId: id,
        ...(quoted ? { quoted } : {}),
      });
      if (isObject(sent) && isObject(sent.message)) this.#keep(id, sent.message);
    } catch (error) {
      this.#waiting.get(id)?.(outcomeOf(error));
    }
    return answer;
  }

  #answerTo(id: string): Promise<SendResult> {
    return new Promise((resolve) => {
      const settle = (result: SendResult) => {
        cancel();
        this.#waiting.delete(id);
        resolve(result);
      };
      const cancel = this.#clock.after(answerDeadlineMs, () =>
        settle({ outcome: "unknown", detail: "WhatsApp did not answer in time" }),
      );
      this.#waiting.set(id, settle);
    });
  }

  #keep(id: string, content: object): void {
    this.#kept.set(id, content);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= maxKept) break;
      this.#kept.delete(oldest);
    }
  }
}

async function contentOf({ text, choices, file, poll }: OutboundMessage): Promise<object> {
  if (poll) {
    const { question, options, maxSelections = 1 } = poll;
    return { poll: { name: question, values: [...options], selectableCount: maxSelections } };
  }
  const lines = (choices ?? []).map(({ label, command }) => `${label}: ${command}`);
  const whole = [whatsappText(text), ...lines].filter((line) => line !== "").join("\n");
  // No preview: it would fetch whatever address a model wrote (attack A-202).
  if (!file) return { text: whole, linkPreview: null };
  const bytes = await readFile(file.path);
  const caption = whole === "" ? {} : { caption: whole };
  if (/^image\/(?:png|jpeg|webp)$/.test(file.type)) return { image: bytes, mimetype: file.type, ...caption };
  if (/^video\/mp4$/.test(file.type)) return { video: bytes, mimetype: file.type, ...caption };
  return { document: bytes, mimetype: file.type, fileName: file.name, ...caption };
}

/** Markdown's marks as WhatsApp's own: *bold*, _italic_, ~struck~. Code reads the same in both. */
export function whatsappText(markdown: string): string {
  return markdown
    .split(/(```[\s\S]*?```|`[^`\n]+`)/)
    .map((part, index) =>
      index % 2 === 1
        ? part
        : part
            .replace(/(?<![\w*])\*(?![\s*])([^*\n]*[^*\s])\*(?![\w*])/g, "_$1_")
            .replace(/\*\*(?!\s)([^\n]+?)\*\*/g, "*$1*")
            .replace(/~~(?!\s)([^\n]+?)~~/g, "~$1~")
            .replace(/^ {0,3}#{1,6} +(.+)$/gm, "*$1*"),
    )
    .join("");
}

/** `messageId` as we hand it in. */
export function keyOf(messageId: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const key: unknown = JSON.parse(messageId);
    return isObject(key) && typeof key.id === "string" && typeof key.remoteJid === "string"
      ? { ...key, fromMe: false }
      : undefined;
  } catch {
    return undefined;
  }
}

function quotedOf(messageId: string | undefined): object | undefined {
  const key = messageId === undefined ? undefined : keyOf(messageId);
  return key ? { key, message: { conversation: "" } } : undefined;
}

/** Thrown before the message left: 428 there is no connection, 429 too much was asked. */
function outcomeOf(error: unknown): SendResult {
  const status = statusOf(error);
  if (status === 428) return { outcome: "retry", retryAfterMs, detail: "not connected to WhatsApp" };
  if (status === 429) return { outcome: "retry", retryAfterMs: limitWaitMs, detail: "WhatsApp's rate limit" };
  if (status === 404 || status === 403)
    return { outcome: "rejected", detail: `WhatsApp refuses the chat (${status})` };
  return { outcome: "unknown", detail: "the library failed while it sent" };
}
