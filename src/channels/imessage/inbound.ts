import type { Attachment, InboundMessage, Sender } from "../../delivery/channel.ts";
import { isObject } from "../settings-reader.ts";
import { handleId } from "./settings.ts";

type Fields = Readonly<Record<string, unknown>>;

const maxAttachments = 16;
const maxInboundTextChars = 65_536;
const maxPathChars = 2_000;

export interface Known {
  readonly accountId: string;
  /** Texts of our latest messages, by guid. */
  readonly ours: ReadonlyMap<string, string>;
  /** "iMessage", "SMS" or "RCS" by the chat's number, as `chats.list` tells. */
  readonly services: ReadonlyMap<number, string>;
}

/** A message that we wrote, here or on another device of the account. */
export function ownOf(event: unknown): { readonly guid: string; readonly text: string } | undefined {
  const message = isObject(event) ? event : {};
  if (message.is_from_me !== true || typeof message.guid !== "string") return undefined;
  return { guid: message.guid, text: typeof message.text === "string" ? message.text : "" };
}

/** The message in what imsg tells; undefined for our own, tapbacks, and what names no sender. */
export function inboundOf(event: unknown, known: Known): InboundMessage | undefined {
  const message = isObject(event) ? event : {};
  const { guid, chat_id: chatId } = message;
  // Whatever is not surely somebody else's is ours: an answer to ourselves would never end.
  if (message.is_from_me !== false || typeof guid !== "string" || guid === "" || guid.length > 200)
    return undefined;
  if (!Number.isSafeInteger(chatId) || message.is_reaction === true || message.associated_message_guid)
    return undefined;
  const sender = senderOf(message, known.services.get(chatId as number));
  const text =
    typeof message.text === "string"
      ? message.text.replaceAll("\ufffc", "").slice(0, maxInboundTextChars)
      : "";
  const attachments = attachmentsOf(message);
  if (!sender || (text.trim() === "" && attachments.length === 0)) return undefined;
  const at = Date.parse(String(message.created_at));
  const answered =
    typeof message.reply_to_guid === "string" ? known.ours.get(message.reply_to_guid) : undefined;
  return {
    channel: "imessage",
    account: known.accountId,
    eventId: guid,
    conversation: isGroup(message)
      ? { kind: "group", id: `chat_id:${chatId}` }
      : { kind: "direct", id: sender.id },
    sender,
    text,
    messageId: guid,
    newestMessageId: guid,
    ...(Number.isFinite(at) ? { sentAtMs: at } : {}),
    // iMessage tells of no mentions; a reply to ours is what addresses us.
    mentionsBot: false,
    repliesToBot: answered !== undefined,
    ...(answered === undefined ? {} : { quoted: { author: "us", text: answered, isBot: true } }),
    ...(attachments.length > 0 ? { attachments } : {}),
    isBot: false,
  };
}

/** A chat that nobody marks as one or the other is a group: its id then is no person's. */
function isGroup(message: Fields): boolean {
  if (typeof message.is_group === "boolean") return message.is_group;
  return !/^[^;]*;-;/.test(String(message.chat_guid));
}

/** Apple vouches for who writes an iMessage; of an SMS, everybody can forge the number. */
function senderOf(message: Fields, chatService: string | undefined): Sender | undefined {
  const id = typeof message.sender === "string" ? handleId(message.sender) : undefined;
  if (id === undefined) return undefined;
  return { id, proof: serviceOf(message, chatService) === "imessage" ? "platform" : "claimed" };
}

function serviceOf(message: Fields, chatService: string | undefined): string | undefined {
  const ofGuid = /^([A-Za-z]+);/.exec(String(message.chat_guid))?.[1];
  const given = typeof message.service === "string" ? message.service : ofGuid;
  // Newer systems write "any" for a chat that was moved between services.
  return (given === undefined || given.toLowerCase() === "any" ? chatService : given)?.toLowerCase();
}

function attachmentsOf(message: Fields): readonly Attachment[] {
  const files = Array.isArray(message.attachments) ? message.attachments.filter(isObject) : [];
  return files.slice(0, maxAttachments).flatMap((file) => {
    const path = file.original_path ?? file.filename;
    if (typeof path !== "string" || path.length > maxPathChars || file.missing === true) return [];
    const { mime_type: type, transfer_name: name, total_bytes: bytes } = file;
    return [
      {
        kind: kindOf(type),
        ...(typeof type === "string" ? { claimedType: type.slice(0, 128) } : {}),
        ...(typeof name === "string" ? { claimedName: name.replace(/\p{Cc}/gu, " ").slice(0, 200) } : {}),
        ...(Number.isSafeInteger(bytes) ? { claimedBytes: bytes as number } : {}),
        reference: path,
      },
    ];
  });
}

function kindOf(type: unknown): Attachment["kind"] {
  const kind = typeof type === "string" ? /^(image|audio|video)\//.exec(type)?.[1] : undefined;
  return kind === "image" || kind === "audio" || kind === "video" ? kind : "file";
}
