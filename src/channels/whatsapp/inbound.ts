import type { Attachment, InboundMessage } from "../../delivery/channel.ts";
import type { Json } from "../../kernel/mod.ts";
import { isObject } from "../settings-reader.ts";
import { isGroupJid, personOf } from "./settings.ts";

type Fields = Readonly<Record<string, unknown>>;

const maxInboundTextChars = 65_536;
const maxNameChars = 200;
/** What the library wraps a message in: for messages that disappear, or are seen once. */
const wrappers = [
  "ephemeralMessage",
  "viewOnceMessage",
  "viewOnceMessageV2",
  "viewOnceMessageV2Extension",
  "documentWithCaptionMessage",
];
const media = {
  imageMessage: "image",
  videoMessage: "video",
  audioMessage: "audio",
  documentMessage: "file",
  stickerMessage: "image",
} as const;
const libraryTypes: Readonly<Record<string, string>> = {
  imageMessage: "image",
  videoMessage: "video",
  audioMessage: "audio",
  documentMessage: "document",
  stickerMessage: "sticker",
};

export interface Self {
  readonly accountId: string;
  /** Our own ids: number and hidden id. */
  readonly ids: ReadonlySet<string>;
}

/** What of the library's message is kept, as JSON (bytes in base64). */
export function eventOf(message: unknown): Json | undefined {
  if (!isObject(message) || !isObject(message.key) || !isObject(message.message)) return undefined;
  const { id, remoteJid, remoteJidAlt, participant, participantAlt, fromMe } = message.key;
  const { pushName, messageTimestamp } = message;
  const kept = {
    key: { id, remoteJid, remoteJidAlt, participant, participantAlt, fromMe },
    pushName,
    messageTimestamp: Number(messageTimestamp),
    message: message.message,
  };
  return JSON.parse(JSON.stringify(kept, bytesAsBase64)) as Json;
}

function bytesAsBase64(this: unknown, _key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  const isBuffer = isObject(value) && value.type === "Buffer" && Array.isArray(value.data);
  return isBuffer ? Buffer.from(value.data as number[]).toString("base64") : value;
}

/** The message of somebody else in an event; undefined for everything else. */
export function inboundOf(event: unknown, self: Self): InboundMessage | undefined {
  const outer = objectAt({ event }, "event");
  const key = objectAt(outer, "key");
  const { id, remoteJid } = key;
  // Whatever is not surely somebody else's is ours, and so is what says that it is from nobody.
  if (key.fromMe === true || typeof id !== "string" || id === "" || id.length > 200) return undefined;
  if (typeof remoteJid !== "string") return undefined;
  const isGroup = isGroupJid(remoteJid);
  const person = isGroup
    ? personBehind(key.participant, key.participantAlt)
    : personBehind(remoteJid, key.remoteJidAlt);
  if (person === undefined || self.ids.has(person)) return undefined;
  const content = contentOf(outer);
  const [kind, file] = mediaIn(content);
  const text = textIn(content, file).slice(0, maxInboundTextChars);
  const attachment = kind === undefined ? undefined : attachmentOf(kind, file);
  if (text === "" && !attachment) return undefined;
  const context = objectAt(
    kind === undefined ? objectAt(content, "extendedTextMessage") : file,
    "contextInfo",
  );
  const mentioned = Array.isArray(context.mentionedJid)
    ? context.mentionedJid.map((jid) => personOf(String(jid)))
    : [];
  const quotedBy = typeof context.participant === "string" ? personOf(context.participant) : undefined;
  const isOurs = quotedBy !== undefined && self.ids.has(quotedBy);
  const isForward = context.isForwarded === true;
  const at = Number(outer.messageTimestamp) * 1000;
  const conversationId = isGroup ? remoteJid : person;
  return {
    channel: "whatsapp",
    account: self.accountId,
    eventId: `${conversationId}:${person}:${id}`,
    conversation: { kind: isGroup ? "group" : "direct", id: conversationId },
    sender: { id: person, proof: "platform", ...nameOf(outer.pushName) },
    text: isForward ? "[forwarded message]" : text,
    messageId: JSON.stringify({ id, remoteJid, ...(isGroup ? { participant: key.participant } : {}) }),
    ...(Number.isSafeInteger(at) && at > 0 ? { sentAtMs: at } : {}),
    // Whoever hands on what others said calls nobody by it (attack A-070).
    mentionsBot: !isForward && mentioned.some((jid) => jid !== undefined && self.ids.has(jid)),
    mentionsOthers: mentioned.some((jid) => jid === undefined || !self.ids.has(jid)),
    repliesToBot: !isForward && typeof context.stanzaId === "string" && isOurs,
    ...(isForward ? { quoted: { author: "unknown", text } } : {}),
    ...(!isForward && isObject(context.quotedMessage)
      ? {
          quoted: {
            author: quotedBy ?? "unknown",
            text: quotedText(context.quotedMessage),
            ...(isOurs ? { isBot: true } : {}),
          },
        }
      : {}),
    ...(attachment ? { attachments: [attachment] } : {}),
    isBot: false,
  };
}

/** The number that WhatsApp's server itself names beside a hidden id; what a message says about itself is not asked. */
function personBehind(jid: unknown, beside: unknown): string | undefined {
  const person = typeof jid === "string" ? personOf(jid) : undefined;
  if (person === undefined || person.startsWith("+")) return person;
  const number = typeof beside === "string" ? personOf(beside) : undefined;
  return number?.startsWith("+") ? number : person;
}

function contentOf(outer: Fields): Fields {
  let content = objectAt(outer, "message");
  for (let depth = 0; depth < 4; depth += 1) {
    const wrapper = wrappers.find((name) => isObject(content[name]));
    if (wrapper === undefined) break;
    content = objectAt(objectAt(content, wrapper), "message");
  }
  return content;
}

type MediaName = keyof typeof media;

function mediaIn(content: Fields): readonly [MediaName | undefined, Fields] {
  const name = (Object.keys(media) as MediaName[]).find((item) => isObject(content[item]));
  return [name, name === undefined ? {} : objectAt(content, name)];
}

function textIn(content: Fields, file: Fields): string {
  const text = content.conversation ?? objectAt(content, "extendedTextMessage").text ?? file.caption;
  return typeof text === "string" ? text : "";
}

function quotedText(message: Fields): string {
  const content = contentOf({ message });
  return textIn(content, mediaIn(content)[1]).slice(0, maxInboundTextChars);
}

function attachmentOf(name: MediaName, file: Fields): Attachment | undefined {
  const { directPath, mediaKey, mimetype, fileName, fileLength } = file;
  // Only the path: the host is the library's own, never one that a message names.
  if (typeof directPath !== "string" || !directPath.startsWith("/") || directPath.startsWith("//"))
    return undefined;
  if (typeof mediaKey !== "string" || directPath.length > 2_000 || mediaKey.length > 100) return undefined;
  const bytes = Number(fileLength);
  return {
    kind: media[name],
    ...(typeof mimetype === "string" ? { claimedType: mimetype.slice(0, 128) } : {}),
    ...(typeof fileName === "string" ? { claimedName: oneLine(fileName) } : {}),
    ...(Number.isSafeInteger(bytes) && bytes > 0 ? { claimedBytes: bytes } : {}),
    reference: JSON.stringify({ directPath, mediaKey, type: libraryTypes[name] }),
  };
}

function nameOf(name: unknown): { readonly claimedName?: string } {
  return typeof name === "string" && name !== "" ? { claimedName: oneLine(name) } : {};
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " ").slice(0, maxNameChars);
}

function objectAt(of: Fields, key: string): Fields {
  const value = of[key];
  return isObject(value) ? value : {};
}
