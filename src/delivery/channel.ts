import type { Proof, Verdict } from "../kernel/mod.ts";
import type { Poll } from "./poll.ts";

export type { Poll, PollLimits } from "./poll.ts";

/** A message as a channel received it: facts that the platform proved, and nothing that the sender claims about itself. */
export interface InboundMessage {
  readonly channel: string;
  readonly account: string;
  /** The platform's own id of this delivery; the same for each redelivery. Unique per channel and account. */
  readonly eventId: string;
  readonly conversation: Conversation;
  readonly sender: Sender;
  /** The text as written; at most `maxInboundTextChars`. */
  readonly text: string;
  /** The platform's id of the message itself (to reply to it). */
  readonly messageId: string;
  /**
   * Where a chat's messages have an order that can be asked for: the newest one that this event tells of. What is sent
   * in answer comes later. Undefined where it tells none (a click on an old message).
   */
  readonly newestMessageId?: string;
  /** Where that is a number: which of the account's counters it is of, as {@link Channel.counterOf} names it. */
  readonly counter?: string;
  /** Unix ms by the platform's clock; undefined when it does not say. */
  readonly sentAtMs?: number;
  /**
   * True when the platform marks a mention of our own account (never by searching the text), or when the event can be
   * meant for nobody else: a click on a button of ours.
   */
  readonly mentionsBot: boolean;
  /** True when the message is a platform reply to one of ours. */
  readonly repliesToBot: boolean;
  /** True when it quotes one of ours without being a reply to it. */
  readonly quotesBot?: boolean;
  /** True when it stands in a thread that the platform says we take part in (never merely a thread of the group). */
  readonly inBotThread?: boolean;
  /** True when the platform marks a mention of somebody else. */
  readonly mentionsOthers?: boolean;
  /** The text without what it quotes and without code; absent where the platform marks neither. */
  readonly ownText?: string;
  /**
   * Text of another person that the message quotes or forwards; always untrusted. `author` is for display; `authorId`
   * is the author's stable id, absent where the platform does not prove it; `isBot`: we wrote it ourselves.
   */
  readonly quoted?: {
    readonly author: string;
    readonly text: string;
    readonly authorId?: string;
    readonly isBot?: boolean;
  };
  /** Files that came with it, in the platform's order; more than 16 are cut off. Fetched later, and only once admitted. */
  readonly attachments?: readonly Attachment[];
  readonly isBot: boolean;
}

/** A file of the sender's. Everything but the reference is a claim: what it is, its content says. */
export interface Attachment {
  readonly kind: "image" | "audio" | "video" | "file";
  readonly claimedType?: string;
  readonly claimedName?: string;
  readonly claimedBytes?: number;
  /** The channel's own words to fetch it by, good for at least an hour; stored with the message. At most 4 KB. */
  readonly reference: string;
  /** True when its content is another person's: it came with a forwarded message. */
  readonly isForwarded?: boolean;
}

export interface Conversation {
  readonly kind: "direct" | "group" | "channel";
  /** Stable platform id of the chat. */
  readonly id: string;
  /** Topic or thread inside it. */
  readonly threadId?: string;
  /** The message there below which answers stand, where a platform has such things: it makes no other conversation. */
  readonly belowMessageId?: string;
  /** What the chat belongs to, where the platform has such a thing: a Discord guild, a Slack team. */
  readonly spaceId?: string;
}

export interface Sender {
  /** Stable platform id; empty means the platform did not say, and the message is refused. */
  readonly id: string;
  readonly proof: Proof;
  /** Where an account has more than one id (a Signal account's number). Absent: it has none but `id`. */
  readonly aliases?: Aliases;
  /** The id that this account had here before; the key of its conversations was made of it. It lets nobody in. */
  readonly formerId?: string;
  /** What the sender calls itself: for display only, never for a decision. */
  readonly claimedName?: string;
  /** The ids of the roles that the platform gives it in the conversation's space. */
  readonly roles?: readonly string[];
  /** The name under which others find the sender, without "@". It changes hands: as worthless as the claimed name. */
  readonly claimedHandle?: string;
  /** What the platform itself says the sender belongs to: "audience:<guild>/<channel>" (those who can view it). */
  readonly memberOf?: readonly string[];
}

/** Other ids of one account. They change hands: nothing is kept under one. */
export interface Aliases {
  /** Proved by this very message, as strongly as the sender's id: a list that names one names the sender. */
  readonly proved: readonly string[];
  /** That the platform proved as this account's before anybody else's; perhaps hidden, or another's, by now. */
  readonly own: readonly string[];
}

/** What the channel may do with the gateway. */
export interface ChannelHost {
  /**
   * Hands a message in. Resolves once the outcome is on disk, so that the channel may then tell its platform
   * "received". Resolves with a refusal for a message that will not be answered (also durable: it is not offered
   * again). Rejects when nothing could be stored: the channel must not acknowledge, so that the platform redelivers.
   */
  accept(message: InboundMessage): Promise<Verdict<{ readonly messageId: string }>>;
  /** The highest number of each counter that was ever stored, by this process or one before it. */
  newestNumbers(): ReadonlyMap<string, number>;
  /** Tells what changed about the connection; shown in channels.status. */
  report(status: ChannelStatus): void;
}

export interface ChannelStatus {
  readonly state: "starting" | "connected" | "reconnecting" | "stopped" | "failed";
  /** For failed and reconnecting: what was wrong and what to do. Never a token. */
  readonly detail?: string;
  /** Unix ms of the last confirmed round trip with the platform. */
  readonly lastConfirmedAtMs?: number;
  /** The account's own name on the platform, once known: "@my_bot". */
  readonly identity?: string;
  /** While a device is being linked: what the person scans with the platform's app. A secret: shown, never logged. */
  readonly linkCode?: string;
}

/** One outgoing message, already cut to the channel's limits. */
export interface OutboundMessage {
  /** Our outbox id; stable over retries. Pass it on where the platform takes an idempotency key. */
  readonly id: string;
  readonly conversation: Conversation;
  readonly text: string;
  readonly replyToMessageId?: string;
  /** It was written after this message of the platform's: where {@link Channel.wasSent} begins to look. */
  readonly afterMessageId?: string;
  /** The newest message when it left, as {@link Channel.newestMessageId} gave it: it comes right behind that one. */
  readonly sentAfterMessageId?: string;
  /** The newest message when its fate was given up as unknown: it is none behind a message that came later. */
  readonly givenUpAfterMessageId?: string;
  /** Offer these choices as buttons where the platform has them. */
  readonly choices?: readonly { readonly label: string; readonly command: string }[];
  /** The outbox id of a message of ours in this conversation whose text this one replaces, rather than following it. */
  readonly edits?: string;
  /** It says only that work goes on: what replaces it is sent by itself where this one never came. */
  readonly isStatus?: true;
  /** A file to send with the text (which may be empty then); only to channels with `limits.fileBytes`. */
  readonly file?: OutboundFile;
  /** A poll to send in place of the text, which says the same in words; only to platforms that have polls. */
  readonly poll?: Poll;
}

export interface OutboundFile {
  /** A regular file that stays as it is until the message is settled. */
  readonly path: string;
  readonly name: string;
  /** By its content: "image/png". */
  readonly type: string;
  readonly bytes: number;
}

export type SendResult =
  | { readonly outcome: "sent"; readonly platformId: string }
  /** Surely not sent; try again after `retryAfterMs` (the platform's own limit where it said one). */
  | { readonly outcome: "retry"; readonly retryAfterMs: number; readonly detail: string }
  /** Surely not sent, and never will be: blocked, chat gone, token revoked. */
  | { readonly outcome: "rejected"; readonly detail: string }
  /** The request left, no answer came: it may have been seen. Never resent blindly. */
  | { readonly outcome: "unknown"; readonly detail: string };

/**
 * What became of a message that a crash or a lost answer left in doubt. With an id where the
 * platform tells it: `isExact` when it was known by a mark or by its text, otherwise a message of ours that is no other
 * that we know.
 */
export type WasSent =
  | "sent"
  | { readonly platformId: string; readonly isExact?: true }
  | "absent"
  | "unknown";

/** A platform. It carries bytes; it has no authority and decides nothing. */
export interface Channel {
  readonly id: string;
  readonly account: string;
  readonly limits: ChannelLimits;
  /** Connects and starts handing in messages. Resolves when the first attempt ended; keeps reconnecting by itself. */
  start(host: ChannelHost): Promise<void>;
  /** Stops taking messages; resolves when nothing is in flight. Sending still works until the process ends. */
  stop(): Promise<void>;
  send(message: OutboundMessage): Promise<SendResult>;
  /**
   * Where the platform numbers messages upwards, and shows nothing else of a chat: the newest number that there is now.
   * Undefined while it is not known for certain.
   */
  newestMessageId?(conversation: Conversation): string | undefined;
  /** Which counter numbers the messages of this conversation, ours as well; present where numbers go upwards. */
  counterOf?(conversation: Conversation): string;
  /**
   * After a crash in mid-send, or a lost answer: did the platform get this message? Asked only where the platform can tell without
   * a visible trace; absent where it cannot. `isKnown` is true for a platform id that belongs to another message of
   * ours in this conversation. Rejects when the platform cannot be asked now. Only "absent" lets it be sent again.
   */
  wasSent?(message: OutboundMessage, isKnown: (platformId: string) => boolean): Promise<WasSent>;
  /**
   * Whether the connection stands that sending goes over; absent where each send makes its own. While it does not,
   * nothing is sent and nothing is asked.
   */
  readonly isConnected?: boolean;
  /** Shows that work goes on, where the platform can; errors are swallowed. */
  typing(conversation: Conversation): void;
  /**
   * The content of an attachment; rejects with an InputError when it is gone, too large, or cannot be fetched.
   * Present where messages come with attachments.
   */
  fetch?(reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** Puts an emoji on a message of the other side, or takes ours away (""). Errors are swallowed. */
  react?(conversation: Conversation, messageId: string, emoji: string): void;
  /**
   * Replaces the text of a message of ours. Repeating it changes nothing. "rejected" when the platform no longer
   * lets it be edited.
   */
  edit?(conversation: Conversation, platformId: string, text: string): Promise<SendResult>;
  /** HTTP requests under the channel's webhook path; undefined when the channel takes none. */
  readonly webhook?: Webhook;
}

export interface ChannelLimits {
  /** Longest text of one message, in UTF-16 units. A platform that counts otherwise splits the rest by itself. */
  readonly textChars: number;
  /**
   * True where {@link Channel.wasSent} gives the id of what it found, so that a message can be edited after a crash
   * too: only there is a reply shown while it grows.
   */
  readonly namesFoundMessages?: boolean;
  /** Largest file that can be sent; absent where none can. */
  readonly fileBytes?: number;
}

/** A path on the gateway's own port that a platform calls. */
export interface Webhook {
  readonly path: string;
  readonly maxBodyBytes: number;
  /** Proves the caller on the raw bytes before anything is parsed. */
  verify(headers: Readonly<Record<string, string | undefined>>, rawBody: Buffer): Verdict<void>;
  /** Called only after verify admitted. Resolves with the HTTP status to answer, and plain text where one is asked for. */
  receive(rawBody: Buffer): Promise<number | WebhookAnswer>;
}

export interface WebhookAnswer {
  readonly status: number;
  readonly body?: string;
}
