import { hash } from "node:crypto";
import type { Source } from "../kernel/mod.ts";
import type { InboundMessage, OutboundFile } from "./channel.ts";
import { chunkText } from "./chunk.ts";
import type { InboxRow, InboxState, OutboxRow, ReplyTo } from "./queue.ts";

/** Where a message goes; empty strings for one that reaches no agent. */
export interface Target {
  readonly agentId: string;
  readonly sessionKey: string;
}

/** The inbox row of a platform's message. `text` is what the agent will read. */
export function inboxRowOf(
  message: InboundMessage,
  input: {
    readonly messageId: string;
    readonly runId: string;
    readonly now: number;
    readonly state: InboxState;
    readonly target: Target;
    readonly source: Source;
    readonly text: string;
  },
): InboxRow {
  return {
    messageId: input.messageId,
    channel: message.channel,
    account: message.account,
    eventId: message.eventId,
    state: input.state,
    sessionKey: input.target.sessionKey,
    agentId: input.target.agentId,
    runId: input.runId,
    receivedAt: input.now,
    updatedAt: input.now,
    text: input.text,
    digest: digestOf(message.conversation.id, message.text),
    source: input.source,
    ...(message.sender.aliases && input.state === "accepted" ? { aliases: message.sender.aliases } : {}),
    ...(message.counter === undefined
      ? {}
      : { counted: { counter: message.counter, number: Number(message.newestMessageId) } }),
    reply: {
      conversation: message.conversation,
      messageId: message.messageId,
      ...(message.newestMessageId === undefined ? {} : { afterMessageId: message.newestMessageId }),
    },
  };
}

/** The outbox rows of a reply: the text cut to the channel's limit (none for one without content), then its files. */
export function replyRows(
  row: InboxRow,
  text: string,
  reply: ReplyTo,
  limitChars: number,
  now: number,
  files: readonly OutboundFile[] = [],
): OutboxRow[] {
  const { conversation, messageId } = reply;
  const pieces = text.trim() === "" ? [] : chunkText(text, limitChars).map((piece) => ({ text: piece }));
  return [...pieces, ...files.map((file) => ({ text: "", file }))].map((piece, index) => {
    const id = `${row.messageId}:${String(index).padStart(3, "0")}`;
    // In a group the first part says whom it answers; in a direct chat that would only be noise.
    const answers = index === 0 && conversation.kind !== "direct" ? messageId : undefined;
    return {
      id,
      messageId: row.messageId,
      runId: row.runId,
      channel: row.channel,
      account: row.account,
      message: {
        id,
        conversation,
        ...piece,
        ...(answers === undefined ? {} : { replyToMessageId: answers }),
        ...(reply.afterMessageId === undefined ? {} : { afterMessageId: reply.afterMessageId }),
      },
      state: "pending",
      attempts: 0,
      notBefore: 0,
      createdAt: now,
      updatedAt: now,
    };
  });
}

/** The row as its reply's way out sees it: with the place that the reply was ordered to, where one was. */
export function addressed(row: InboxRow): InboxRow {
  if (!row.deliverTo) return row;
  const { channel, account, conversation } = row.deliverTo;
  return { ...row, channel, account, reply: { conversation } };
}

/** Tells a repeated message from another one under the same id. */
export function digestOf(place: string, text: string): string {
  return hash("sha256", `${place}\n${text}`);
}

/** Do the replies to both go to the same place? */
export function sameConversation(a: InboxRow, b: InboxRow): boolean {
  const one = a.reply?.conversation;
  const other = b.reply?.conversation;
  return (
    a.channel === b.channel &&
    a.account === b.account &&
    one !== undefined &&
    one.id === other?.id &&
    one.threadId === other.threadId &&
    one.belowMessageId === other.belowMessageId
  );
}
