import type { Message, MessageEntity, MessageOrigin, Update, User } from "grammy/types";
import type { Conversation, InboundMessage, Sender } from "../../delivery/channel.ts";
import { counterOf } from "./counters.ts";
import { attachmentsOf } from "./files.ts";

/** Our own account, as getMe gave it. */
export interface BotIdentity {
  readonly id: number;
  readonly username: string;
}

/** Longest text handed in, UTF-16 units; Telegram's own limit is 4096 for a message, rich ones hold more. */
export const maxInboundTextChars = 65_536;

/** What a button of ours carries before its command. */
export const commandPrefix = "cmd:";

const maxNameChars = 128;

/**
 * The message in an update, or undefined for everything that is not a new message of a person to us: edits,
 * channel posts, reactions, service messages. Only what Telegram itself vouches for decides who and where.
 */
export function inboundOf(update: Update, bot: BotIdentity, account: string): InboundMessage | undefined {
  if (update.callback_query) return fromButton(update, bot, account);
  const message = update.message;
  // A service message ("topic created", "member joined") has no content and never wakes anybody (attack A-070).
  const content = message && contentOf(message);
  const conversation = message && conversationOf(message);
  if (!message || content === undefined || !conversation) return undefined;
  const foreign = foreignAuthor(message);
  const attachments = attachmentsOf(message, foreign !== undefined);
  const quoted = foreign === undefined ? quotedOf(message, bot) : { ...foreign, text: content };
  return {
    channel: "telegram",
    account,
    eventId: String(update.update_id),
    conversation,
    sender: senderOf(message),
    // Words that somebody else wrote are never handed in as the sender's own: a forwarded "/approve" is no command.
    text: foreign === undefined ? cut(content, maxInboundTextChars) : "[forwarded message]",
    messageId: String(message.message_id),
    newestMessageId: String(message.message_id),
    counter: counterOf(String(message.chat.id)),
    ...(message.date > 0 ? { sentAtMs: message.date * 1000 } : {}),
    mentionsBot: foreign === undefined && mentions(message, bot),
    repliesToBot: foreign === undefined && repliesTo(message, bot),
    mentionsOthers: foreign === undefined && mentionsOthers(message, bot),
    ownText: foreign === undefined ? ownText(message) : "",
    ...(quoted ? { quoted: { ...quoted, text: cut(quoted.text, maxInboundTextChars) } } : {}),
    ...(attachments.length > 0 ? { attachments } : {}),
    isBot: message.sender_chat === undefined && message.from?.is_bot === true,
  };
}

/**
 * A click on a button of ours reads as if the clicking user had typed the command. It gives no more authority than
 * that: any client can send any callback data, so the data is only ever a text (attack A-068).
 */
function fromButton(update: Update, bot: BotIdentity, account: string): InboundMessage | undefined {
  const query = update.callback_query;
  const message = query?.message;
  if (!query?.data?.startsWith(commandPrefix) || !message) return undefined;
  if ("from" in message && message.from && message.from.id !== bot.id) return undefined;
  const conversation = conversationOf(message);
  if (!conversation) return undefined;
  return {
    channel: "telegram",
    account,
    eventId: String(update.update_id),
    conversation,
    sender: person(query.from),
    text: query.data.slice(commandPrefix.length),
    messageId: String(message.message_id),
    mentionsBot: true,
    repliesToBot: true,
    isBot: query.from.is_bot,
  };
}

type Placed = Pick<Message, "chat"> & Partial<Pick<Message, "is_topic_message" | "message_thread_id">>;

const kinds: ReadonlyMap<string, Conversation["kind"]> = new Map([
  ["private", "direct"],
  ["group", "group"],
  ["supergroup", "group"],
  ["channel", "channel"],
]);

/** Undefined for a chat of a kind that is not known here: no rule is for it (attack A-069). */
function conversationOf(message: Placed): Conversation | undefined {
  const { chat } = message;
  const kind = kinds.get(chat.type);
  if (kind === undefined) return undefined;
  // Outside of forums message_thread_id only names a chain of replies, which is no conversation of its own.
  const thread = message.is_topic_message ? message.message_thread_id : undefined;
  return {
    kind,
    id: String(chat.id),
    ...(thread === undefined ? {} : { threadId: String(thread) }),
  };
}

function senderOf(message: Message): Sender {
  const chat = message.sender_chat;
  if (chat) {
    // An anonymous administrator or a linked channel: `from` is then a stand-in account that all of them share,
    // so the id is one that no allowlist of users can hold.
    return { id: `chat:${chat.id}`, proof: "none", claimedName: name(chat.title ?? chat.username ?? "") };
  }
  return message.from ? person(message.from) : { id: "", proof: "none" };
}

function person(user: User): Sender {
  const handle = user.username === undefined ? {} : { claimedHandle: user.username };
  return { id: String(user.id), proof: "platform", claimedName: name(fullName(user)), ...handle };
}

/** Who wrote something: a label for people, and the id where Telegram vouches for one. */
type Author = Pick<NonNullable<InboundMessage["quoted"]>, "author" | "authorId" | "isBot">;

/** Who wrote the content, when that is not the sender: a forward, or a text made by an inline bot. */
function foreignAuthor(message: Message): Author | undefined {
  if (message.forward_origin) return authorOf(message.forward_origin);
  if (message.via_bot) return userAuthor(message.via_bot);
  return undefined;
}

function quotedOf(message: Message, bot: BotIdentity): (Author & { readonly text: string }) | undefined {
  const reply = message.reply_to_message;
  const external = message.external_reply;
  const text = message.quote?.text ?? (reply && contentOf(reply as Message));
  if (text === undefined) return undefined;
  if (external) return { ...authorOf(external.origin), text };
  if (!reply) return { author: "unknown", text };
  if (reply.forward_origin) return { ...authorOf(reply.forward_origin), text };
  if (reply.sender_chat) return { author: chatLabel(reply.sender_chat), text };
  if (reply.from?.id === bot.id) return { author: `@${bot.username}`, isBot: true, text };
  return reply.from ? { ...userAuthor(reply.from), text } : { author: "unknown", text };
}

function repliesTo(message: Message, bot: BotIdentity): boolean {
  const reply = message.reply_to_message;
  // In a forum every plain message "replies" to the service message that opened its topic, often ours.
  return reply?.from?.id === bot.id && contentOf(reply as Message) !== undefined;
}

/** True when Telegram marked a mention of our account outside of quoted and code passages. */
function mentions(message: Message, bot: BotIdentity): boolean {
  const { text, entities } = markedText(message);
  return entities.some((entity) => isOurs(entity, text, bot) && !isAside(entity, entities));
}

function mentionsOthers(message: Message, bot: BotIdentity): boolean {
  const { text, entities } = markedText(message);
  return entities.some(
    (entity) =>
      (entity.type === "mention" || entity.type === "text_mention") &&
      !isOurs(entity, text, bot) &&
      !isAside(entity, entities),
  );
}

/** What the sender says in words of its own: without quoted and code passages, and nothing for a picture. */
function ownText(message: Message): string {
  const { text, entities } = markedText(message);
  let out = text;
  for (const { type, offset, length } of entities) {
    if (asideTypes.has(type)) out = out.slice(0, offset) + " ".repeat(length) + out.slice(offset + length);
  }
  return cut(out, maxInboundTextChars);
}

function markedText(message: Message): {
  readonly text: string;
  readonly entities: readonly MessageEntity[];
} {
  return {
    text: message.text ?? message.caption ?? "",
    entities: message.entities ?? message.caption_entities ?? [],
  };
}

function isAside(entity: MessageEntity, entities: readonly MessageEntity[]): boolean {
  return entities.some(
    (block) =>
      asideTypes.has(block.type) &&
      block.offset <= entity.offset &&
      entity.offset < block.offset + block.length,
  );
}

const asideTypes: ReadonlySet<string> = new Set(["blockquote", "expandable_blockquote", "code", "pre"]);

function isOurs(entity: MessageEntity, text: string, bot: BotIdentity): boolean {
  if (entity.type === "text_mention") return entity.user.id === bot.id;
  // Offsets count UTF-16 units, as slice does.
  const marked = text.slice(entity.offset, entity.offset + entity.length).toLowerCase();
  const handle = `@${bot.username.toLowerCase()}`;
  if (entity.type === "mention") return marked === handle;
  if (entity.type === "bot_command")
    return marked.endsWith(handle) && marked.indexOf("@") === marked.length - handle.length;
  return false;
}

/** What the message says, or a note in brackets for what it shows; undefined for a service message. */
function contentOf(message: Message): string | undefined {
  const text = message.text ?? message.caption;
  if (text !== undefined) return text;
  for (const [key, note] of mediaNotes) if (message[key] !== undefined) return note;
  return undefined;
}

// An animation is also a document, a venue also a location: the first that fits names it.
const mediaNotes: readonly (readonly [keyof Message, string])[] = [
  ["rich_message", "[rich message]"],
  ["photo", "[photo]"],
  ["live_photo", "[photo]"],
  ["video", "[video]"],
  ["animation", "[animation]"],
  ["voice", "[voice message]"],
  ["audio", "[audio]"],
  ["video_note", "[video message]"],
  ["sticker", "[sticker]"],
  ["document", "[document]"],
  ["paid_media", "[paid media]"],
  ["story", "[story]"],
  ["contact", "[contact]"],
  ["venue", "[place]"],
  ["location", "[location]"],
  ["poll", "[poll]"],
  ["checklist", "[checklist]"],
  ["dice", "[dice]"],
  ["game", "[game]"],
];

function authorOf(origin: MessageOrigin): Author {
  switch (origin.type) {
    case "user":
      return userAuthor(origin.sender_user);
    case "hidden_user":
      return { author: name(origin.sender_user_name) };
    case "chat":
      return { author: chatLabel(origin.sender_chat) };
    case "channel":
      return { author: chatLabel(origin.chat) };
    default:
      return { author: "unknown" };
  }
}

function userAuthor(user: User): Author {
  return { author: `${name(fullName(user))} (telegram:${user.id})`, authorId: String(user.id) };
}

function chatLabel(chat: { readonly id: number; readonly title?: string | undefined }): string {
  return `${name(chat.title ?? "")} (telegram:${chat.id})`;
}

function fullName(user: User): string {
  return user.last_name ? `${user.first_name} ${user.last_name}` : user.first_name;
}

/** A name somebody chose: on one line, and short. */
function name(text: string): string {
  return cut(text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " "), maxNameChars);
}

/** At most `limit` UTF-16 units, never half a surrogate pair. */
function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit);
}
