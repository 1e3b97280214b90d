import type { Source, Write } from "../kernel/mod.ts";
import type { Aliases, Attachment, Conversation, OutboundMessage } from "./channel.ts";

/**
 * Where an accepted message stands. `refused`, `done` and `failed` are final and visible; `accepted` waits for its
 * lane; `running` was begun (after a crash it is taken up where its transcript stopped).
 */
export type InboxState = "accepted" | "running" | "done" | "failed" | "refused";

export interface InboxRow {
  /** Our id of the message; a uuid. */
  readonly messageId: string;
  readonly channel: string;
  readonly account: string;
  readonly eventId: string;
  readonly state: InboxState;
  /** A Reason, or what made it fail. */
  readonly detail?: string;
  readonly sessionKey: string;
  readonly agentId: string;
  readonly runId: string;
  readonly receivedAt: number;
  readonly updatedAt: number;
  /** What the model will read. Emptied when the message reaches a final state: the transcript holds it. */
  readonly text: string;
  /** SHA-256 of the input, to tell a repeat from a conflict. */
  readonly digest: string;
  readonly source: Source;
  /** Of the sender: a decision may be taken again. Gone with the final state. */
  readonly aliases?: Aliases;
  /** Only while it is inserted: the number that it told of. */
  readonly counted?: Counted;
  /** Where the reply goes; absent for control clients, which read the transcript. */
  readonly reply?: ReplyTo;
  /** Where a program that came in without a conversation had the reply sent. */
  readonly deliverTo?: Destination;
  /** The files that came with it, and what became of each. Emptied together with the text. */
  readonly attachments?: readonly KeptAttachment[];
}

export interface KeptAttachment extends Attachment {
  /** Absent until its turn has dealt with it. */
  readonly staged?: StagedFile;
}

/** A file in the agent's workspace, or why there is none. */
export type StagedFile =
  | {
      /** Relative to the workspace. */
      readonly path: string;
      readonly kind: Attachment["kind"];
      /** By its content. */
      readonly type: string;
      readonly bytes: number;
      /** In hex: a picture is shown as it came or not at all. */
      readonly sha256: string;
      /** The type that was claimed, where the content is surely another. */
      readonly claimedOtherwise?: string;
    }
  | { readonly path?: undefined; readonly problem: string };

/** A conversation on one of our accounts. */
export interface Destination {
  readonly channel: string;
  readonly account: string;
  readonly conversation: Conversation;
}

export interface ReplyTo {
  readonly conversation: Conversation;
  readonly messageId?: string;
  readonly afterMessageId?: string;
}

/** A number that a platform gave a message, and which of the account's counters it is of. */
export interface Counted {
  readonly counter: string;
  readonly number: number;
}

export interface InboxStore {
  find(channel: string, account: string, eventId: string): InboxRow | undefined;
  byMessageId(messageId: string): InboxRow | undefined;
  byRunId(runId: string): InboxRow | undefined;
  /** A row for an event that is not known yet; the commit rejects when it is. */
  insert(row: InboxRow): Write;
  move(messageId: string, state: InboxState, detail: string | undefined, at: number): Write;
  /** Notes what became of the message's files. */
  keepAttachments(messageId: string, attachments: readonly KeptAttachment[]): Write;
  /** Not final yet, oldest first. */
  open(): InboxRow[];
  /** Refused as too old, and updated after this moment; oldest first, at most 10,000. */
  missed(after: number): InboxRow[];
  /** Of one session, accepted and not begun, oldest first. */
  waiting(sessionKey: string): InboxRow[];
}

/** `sending` is committed before the request leaves, so that a crash in between shows as doubt. */
/** `dismissed`: an operator looked at what was unknown or rejected, and let it be; or another row took its place. */
export type OutboxState = "pending" | "sending" | "sent" | "unknown" | "rejected" | "dismissed";

export interface OutboxRow {
  readonly id: string;
  readonly messageId: string;
  readonly runId: string;
  readonly channel: string;
  readonly account: string;
  readonly message: OutboundMessage;
  readonly state: OutboxState;
  readonly attempts: number;
  /** Unix ms before which it is not tried again. */
  readonly notBefore: number;
  readonly platformId?: string;
  readonly detail?: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface OutboxStore {
  insert(row: OutboxRow): Write;
  move(
    id: string,
    change: {
      readonly state: OutboxState;
      readonly attempts: number;
      readonly notBefore: number;
      readonly platformId?: string;
      readonly detail?: string;
      readonly at: number;
      /** With `sending`: becomes the message's; absent: it has none any more. */
      readonly sentAfterMessageId?: string;
      /** With `unknown`: becomes the message's. */
      readonly givenUpAfterMessageId?: string;
      /** The number that the platform gave it. */
      readonly counted?: Counted & { readonly of: Pick<OutboxRow, "channel" | "account"> };
    },
  ): Write;
  /** The highest number of each counter that was ever stored, with what came or with what went. */
  newest(channel: string, account: string): ReadonlyMap<string, number>;
  /** pending and sending, oldest first. */
  open(): OutboxRow[];
  byId(id: string): OutboxRow | undefined;
  byMessageId(messageId: string): OutboxRow[];
  /** True when a message with this platform id was sent to this conversation. */
  hasPlatformId(row: Pick<OutboxRow, "channel" | "account" | "message">, platformId: string): boolean;
  /**
   * True when another message to this conversation may have been seen, under a platform id that we do not know; unless
   * it was given up before this one left behind a newer message.
   */
  hasDoubtBeside(row: Pick<OutboxRow, "id" | "channel" | "account" | "message">): boolean;
  /** Those that an operator should look at, newest first. */
  inDoubt(state: "unknown" | "rejected", limit: number): OutboxRow[];
}
