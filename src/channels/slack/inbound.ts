import type { Attachment, Conversation, InboundMessage, Sender } from "../../delivery/channel.ts";
import { plainText } from "./mrkdwn.ts";
import {
  type ActionPayload,
  isConversationId,
  isTimestamp,
  isUserId,
  type MessageEvent,
  type WireFile,
} from "./wire.ts";

/** Our own account, as auth.test gave it. */
export interface BotIdentity {
  readonly userId: string;
  readonly botId: string;
  readonly name: string;
  readonly teamId: string;
}

/** What a channel is, as Slack says. */
export type PlaceKind = "im" | "mpim" | "channel";

/** Longest text handed in, UTF-16 units; Slack cuts at 40,000. */
export const maxInboundTextChars = 65_536;
/** What the buttons of ours are called. */
export const actionPrefix = "openclaw:";

const maxNameChars = 128;
const maxAttachments = 16;
/** With a file, and "also send to channel"; all other subtypes are notices, edits and deletions. */
const written: ReadonlySet<string | undefined> = new Set([
  undefined,
  "file_share",
  "thread_broadcast",
  "me_message",
  "bot_message",
]);

interface Seen {
  readonly account: string;
  readonly bot: BotIdentity;
  readonly kind: PlaceKind;
}

/** True for an event that can be a new message of somebody to us; the others need no look-up of their channel. */
export function isMessage(event: MessageEvent | undefined, bot: BotIdentity): event is MessageEvent {
  return (
    event !== undefined &&
    (event.type === "message" || event.type === "app_mention") &&
    event.hidden !== true &&
    written.has(event.subtype) &&
    isConversationId(event.channel) &&
    isTimestamp(event.ts) &&
    event.user !== bot.userId &&
    (event.bot_id === undefined || event.bot_id !== bot.botId)
  );
}

/**
 * A message as the Events API gives it, or undefined for one without content. The id of the event is the message's own:
 * a mention comes twice, as `message` and as `app_mention`, under two event ids, and is one message.
 */
export function inboundOf(event: MessageEvent, { account, bot, kind }: Seen): InboundMessage | undefined {
  const { channel = "", ts = "", text = "" } = event;
  const share = event.attachments?.find((item) => item.is_share === true || item.is_msg_unfurl === true);
  const content =
    text.trim() === "" ? (share ? "[forwarded message]" : noteOf(event.files)) : plainText(text);
  if (content === undefined) return undefined;
  const own = withoutAsides(text);
  const inThread = event.thread_ts !== undefined && event.thread_ts !== ts;
  const toBot = inThread && event.parent_user_id === bot.userId;
  const attachments = attachmentsOf(event.files, channel);
  return {
    channel: "slack",
    account,
    eventId: `${channel}/${ts}`,
    conversation: conversationOf(
      event.user ?? "",
      channel,
      kind,
      bot,
      inThread ? event.thread_ts : undefined,
    ),
    sender: senderOf(event),
    text: cut(content, maxInboundTextChars),
    messageId: ts,
    newestMessageId: ts,
    sentAtMs: Math.round(Number(ts) * 1000),
    // What somebody types as "<@U1>" comes escaped: these marks are Slack's own.
    mentionsBot: mentions(own).includes(bot.userId),
    repliesToBot: toBot,
    ...(toBot ? { inBotThread: true } : {}),
    ...(mentions(own).some((id) => id !== bot.userId) ? { mentionsOthers: true } : {}),
    ownText: cut(plainText(own), maxInboundTextChars),
    ...(share ? { quoted: quotedOf(share, bot) } : {}),
    ...(attachments.length === 0 ? {} : { attachments }),
    isBot: event.bot_id !== undefined || event.subtype === "bot_message",
  };
}

/**
 * A press on a button of ours reads as if the presser had typed the command. It gives no more authority than that:
 * what a button carries is only ever a text (attack A-068).
 */
export function pressOf(press: ActionPayload, { account, bot, kind }: Seen): InboundMessage | undefined {
  const [action] = press.actions ?? [];
  const { message, user, channel } = press;
  if (press.type !== "block_actions" || !action?.action_id?.startsWith(actionPrefix)) return undefined;
  if (!message || (message.user !== bot.userId && message.bot_id !== bot.botId)) return undefined;
  if (!isConversationId(channel?.id) || !isTimestamp(message.ts) || typeof action.value !== "string") {
    return undefined;
  }
  const thread = message.thread_ts === message.ts ? undefined : message.thread_ts;
  return {
    channel: "slack",
    account,
    eventId: `${channel.id}/${message.ts}/${user?.id ?? ""}/${action.action_ts ?? ""}`,
    conversation: conversationOf(user?.id ?? "", channel.id, kind, bot, thread),
    sender: isUserId(user?.id)
      ? { id: user.id, proof: "platform", claimedName: name(user.username ?? user.name ?? "") }
      : { id: "", proof: "none" },
    text: cut(action.value, maxInboundTextChars),
    messageId: message.ts,
    mentionsBot: false,
    repliesToBot: true,
    isBot: false,
  };
}

/** The channel's kind decides, and nothing else: a direct message among several is a group (attack A-066). */
function conversationOf(
  userId: string,
  channel: string,
  kind: PlaceKind,
  bot: BotIdentity,
  threadId: string | undefined,
): Conversation {
  return {
    kind: kind === "im" ? "direct" : kind === "mpim" ? "group" : "channel",
    id: kind === "im" ? userId : channel,
    ...(threadId === undefined ? {} : { threadId }),
    ...(kind === "im" ? {} : { spaceId: bot.teamId }),
  };
}

function senderOf(event: MessageEvent): Sender {
  // An integration without a member of its own: an id that no list of members can hold.
  if (!isUserId(event.user)) return { id: event.bot_id ? `bot:${event.bot_id}` : "", proof: "none" };
  return { id: event.user, proof: "platform" };
}

function quotedOf(
  share: NonNullable<MessageEvent["attachments"]>[number],
  bot: BotIdentity,
): NonNullable<InboundMessage["quoted"]> {
  const isUser = isUserId(share.author_id);
  return {
    author: `${name(share.author_name ?? "unknown")}${isUser ? ` (slack:${share.author_id})` : ""}`,
    text: cut(plainText(share.text ?? ""), maxInboundTextChars),
    ...(isUser ? { authorId: share.author_id, isBot: share.author_id === bot.userId } : {}),
  };
}

function attachmentsOf(files: readonly WireFile[] | undefined, channel: string): readonly Attachment[] {
  return (files ?? [])
    .filter((file) => /^F[A-Z0-9]{2,20}$/.test(file?.id ?? ""))
    .slice(0, maxAttachments)
    .map((file) => ({
      kind: kindOf(file),
      ...(typeof file.mimetype === "string" ? { claimedType: file.mimetype.slice(0, 128) } : {}),
      ...(typeof file.name === "string" ? { claimedName: name(file.name) } : {}),
      ...(Number.isSafeInteger(file.size) ? { claimedBytes: file.size as number } : {}),
      reference: `${channel}/${file.id}`,
    }));
}

function noteOf(files: readonly WireFile[] | undefined): string | undefined {
  return files?.[0] && `[${kindOf(files[0])}]`;
}

function kindOf(file: WireFile): Attachment["kind"] {
  const kind = /^(image|audio|video)\//.exec(file.mimetype ?? "")?.[1];
  return kind === "image" || kind === "audio" || kind === "video" ? kind : "file";
}

/** The text, as Slack delivers it, without quoted lines and code. */
function withoutAsides(text: string): string {
  return text
    .replace(/```[\s\S]*?(?:```|$)/g, " ")
    .replace(/`[^`\n]+`/g, " ")
    .replace(/^&gt;.*$/gm, "")
    .trim();
}

function mentions(text: string): readonly string[] {
  return [...text.matchAll(/<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>/g)].map((match) => match[1] ?? "");
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
