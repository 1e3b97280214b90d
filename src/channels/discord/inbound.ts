import type { Attachment, Conversation, InboundMessage, Sender } from "../../delivery/channel.ts";
import type { BotIdentity } from "./memory.ts";
import { conversationOf, type Place } from "./places.ts";
import {
  type Interaction,
  isSnowflake,
  type Member,
  snowflakeTime,
  type User,
  type WireAttachment,
  type WireMessage,
} from "./wire.ts";

/** Longest text handed in, UTF-16 units; a person can write 4000 characters. */
export const maxInboundTextChars = 65_536;

/** What a button of ours carries before its command. */
export const commandPrefix = "cmd:";

const maxNameChars = 128;
const maxAttachments = 16;
/** A plain message and a reply; all other types are Discord's own notices ("joined", "pinned"). */
const written: ReadonlySet<number> = new Set([0, 19]);
const forward = 1;
const buttonPressed = 3;

interface Seen {
  readonly account: string;
  readonly bot: BotIdentity;
  /** Of the channel that it is in. */
  readonly place: Place;
}

/**
 * A message as MESSAGE_CREATE or the history gives it; undefined for what is not a new message of somebody to us: our
 * own, notices, and what is in no kind of channel that we know. Only what Discord vouches for decides who and where.
 */
export function inboundOf(message: WireMessage, { account, bot, place }: Seen): InboundMessage | undefined {
  const { author } = message;
  // A notice ("pinned a message") has no words of a person, and never wakes anybody (attacks ).
  if (!isSnowflake(message.id) || !written.has(message.type ?? -1) || author?.id === bot.id) return undefined;
  const conversation = conversationOf(message.channel_id, place, author?.id ?? "");
  const content = contentOf(message);
  if (!conversation || content === undefined) return undefined;
  const isForward = message.message_reference?.type === forward;
  const own = withoutAsides(message.content ?? "");
  const mentioned = (message.mentions ?? []).map((user) => user.id);
  const answered = isForward ? undefined : message.referenced_message;
  const quoted = isForward ? forwardedOf(message) : answered && quotedOf(answered, bot);
  const attachments = attachmentsOf(message);
  return {
    channel: "discord",
    account,
    eventId: message.id,
    conversation,
    sender: senderOf(message, conversation),
    // Words that somebody else wrote are never handed in as the sender's own: a forwarded "/approve" is no command.
    text: isForward ? "[forwarded message]" : cut(content, maxInboundTextChars),
    messageId: message.id,
    newestMessageId: message.id,
    sentAtMs: snowflakeTime(message.id),
    // A reply lists the author that it answers among its mentions; a mention is one that is written out.
    mentionsBot: mentioned.includes(bot.id) && mentionIn(own, bot.id),
    repliesToBot: answered?.author?.id === bot.id,
    ...(place.isOurs ? { inBotThread: true } : {}),
    ...(mentioned.some((id) => id !== bot.id && mentionIn(own, id)) ? { mentionsOthers: true } : {}),
    ...(isForward ? {} : { ownText: cut(own, maxInboundTextChars) }),
    ...(quoted ? { quoted } : {}),
    ...(attachments.length === 0 ? {} : { attachments }),
    isBot: author?.bot === true || message.webhook_id !== undefined,
  };
}

/**
 * A press on a button of ours reads as if the presser had typed the command. It gives no more authority than that:
 * what a button carries is only ever a text (attack A-068).
 */
export function pressOf(press: Interaction, { account, bot, place }: Seen): InboundMessage | undefined {
  const command = press.data?.custom_id;
  const user = press.member?.user ?? press.user;
  if (press.type !== buttonPressed || !command?.startsWith(commandPrefix)) return undefined;
  if (!isSnowflake(press.id) || !press.message || press.message.author?.id !== bot.id) return undefined;
  const channelId = press.channel_id ?? "";
  const conversation = conversationOf(channelId, place, user?.id ?? "");
  if (!conversation) return undefined;
  return {
    channel: "discord",
    account,
    eventId: press.id,
    conversation,
    sender: user ? person(user, press.member, conversation) : { id: "", proof: "none" },
    text: cut(command.slice(commandPrefix.length), maxInboundTextChars),
    messageId: press.message.id,
    sentAtMs: snowflakeTime(press.id),
    mentionsBot: false,
    repliesToBot: true,
    isBot: user?.bot === true,
  };
}

function senderOf(message: WireMessage, conversation: Conversation): Sender {
  const { author, webhook_id: webhook } = message;
  if (webhook !== undefined) {
    // Whoever knows a webhook's address chooses the name: it is nobody, under an id that no list of users can hold.
    return { id: `webhook:${webhook}`, proof: "none", claimedName: name(author?.username ?? "") };
  }
  return author ? person(author, message.member, conversation) : { id: "", proof: "none" };
}

function person(user: User, member: Member | undefined, conversation: Conversation): Sender {
  if (!isSnowflake(user.id)) return { id: "", proof: "none" };
  const { id, threadId, spaceId } = conversation;
  return {
    id: user.id,
    proof: "platform",
    claimedName: name(member?.nick ?? user.global_name ?? user.username ?? ""),
    ...(user.username === undefined ? {} : { claimedHandle: name(user.username) }),
    ...(member?.roles ? { roles: member.roles.filter(isSnowflake) } : {}),
    // Who writes in a channel can view it. A private thread's members need not see the channel around it.
    ...(spaceId === undefined || threadId !== undefined ? {} : { memberOf: [`audience:${spaceId}/${id}`] }),
  };
}

/** What the message says, or a note in brackets for what it shows; undefined for one without content. */
function contentOf(message: WireMessage): string | undefined {
  if (message.content) return message.content;
  if (message.message_snapshots?.length) return "";
  const kind = message.attachments?.[0] && kindOf(message.attachments[0]);
  if (kind) return `[${kind}]`;
  if (message.sticker_items?.length) return "[sticker]";
  if (message.poll !== undefined) return "[poll]";
  return message.embeds?.length ? "[embed]" : undefined;
}

function quotedOf(answered: WireMessage, bot: BotIdentity): NonNullable<InboundMessage["quoted"]> {
  const { author, webhook_id: webhook } = answered;
  const isUser = author !== undefined && webhook === undefined && isSnowflake(author.id);
  return {
    author: author ? label(author) : "unknown",
    text: cut(contentOf(answered) ?? "", maxInboundTextChars),
    ...(isUser ? { authorId: author.id, isBot: author.id === bot.id } : {}),
  };
}

/** Discord does not say who wrote what was forwarded. */
function forwardedOf(message: WireMessage): NonNullable<InboundMessage["quoted"]> {
  const texts = (message.message_snapshots ?? []).map((snapshot) => snapshot.message?.content ?? "");
  return { author: "unknown", text: cut(texts.join("\n"), maxInboundTextChars) };
}

function attachmentsOf(message: WireMessage): readonly Attachment[] {
  return (message.attachments ?? [])
    .filter((file) => isSnowflake(file?.id))
    .slice(0, maxAttachments)
    .map((file) => ({
      kind: kindOf(file),
      ...(typeof file.content_type === "string" ? { claimedType: file.content_type.slice(0, 128) } : {}),
      ...(typeof file.filename === "string" ? { claimedName: name(file.filename) } : {}),
      ...(Number.isSafeInteger(file.size) ? { claimedBytes: file.size as number } : {}),
      // Its address is signed and grows old; it is asked for anew when the file is wanted.
      reference: `${message.channel_id}/${message.id}/${file.id}`,
    }));
}

function kindOf(file: WireAttachment): Attachment["kind"] {
  const kind = /^(image|audio|video)\//.exec(file.content_type ?? "")?.[1];
  return kind === "image" || kind === "audio" || kind === "video" ? kind : "file";
}

/** The text without quoted lines and code: what stands there was not said to anybody. */
export function withoutAsides(text: string): string {
  const quoteAll = /^>>> /m.exec(text);
  return (quoteAll ? text.slice(0, quoteAll.index) : text)
    .replace(/```[\s\S]*?(?:```|$)/g, " ")
    .replace(/``[^`]+``|`[^`\n]+`/g, " ")
    .replace(/^> .*$/gm, "")
    .trim();
}

function mentionIn(text: string, id: string): boolean {
  return text.includes(`<@${id}>`) || text.includes(`<@!${id}>`);
}

function label(user: User): string {
  return `${name(user.global_name ?? user.username ?? "")} (discord:${user.id})`;
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
