import { titleOf } from "./title.ts";
import type { AssistantMessage, Entry, EntryBody, Message, SessionRow } from "./transcript.ts";

/** A conversation that nobody has spoken in yet. */
export function newSession(input: {
  readonly key: string;
  readonly agentId: string;
  readonly sessionId: string;
  readonly now: number;
  readonly route?: string;
}): SessionRow {
  return {
    key: input.key,
    agentId: input.agentId,
    sessionId: input.sessionId,
    kind: /:(?:group|channel):/.test(input.key) ? "group" : "direct",
    createdAt: input.now,
    updatedAt: input.now,
    startedAt: input.now,
    lastInteractionAt: input.now,
    archived: false,
    pinned: false,
    lastSeq: 0,
    lastEntryId: null,
    windowStartSeq: 0,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: 0,
    ...(input.route === undefined ? {} : { route: input.route }),
  };
}

/** The next entry of a conversation, and the conversation's row with it. A reset moves the model's window past itself. */
export function appendEntry(
  row: SessionRow,
  input: { readonly id: string; readonly now: number; readonly runId?: string; readonly body: EntryBody },
): { readonly row: SessionRow; readonly entry: Entry } {
  const { body, now } = input;
  const seq = row.lastSeq + 1;
  const entry: Entry = {
    seq,
    id: input.id,
    parentId: row.lastEntryId,
    timestamp: new Date(now).toISOString(),
    ...(input.runId === undefined ? {} : { runId: input.runId }),
    body,
  };
  const spoken = body.type === "message" ? spokenText(body.message) : "";
  const reset =
    body.type === "reset"
      ? { windowStartSeq: seq, startedAt: now, inputTokens: 0, outputTokens: 0, costUsd: 0 }
      : {};
  const condensed = body.type === "compaction" ? { windowStartSeq: body.firstKeptSeq - 1 } : {};
  const isFromOutside = body.type === "message" && body.message.role === "user";
  return {
    entry,
    row: {
      ...row,
      updatedAt: now,
      ...(isFromOutside ? { lastInteractionAt: now } : {}),
      lastSeq: seq,
      lastEntryId: entry.id,
      ...(row.title === undefined && spoken !== "" ? { title: titleOf(spoken) } : {}),
      ...(spoken === "" ? {} : { lastMessage: titleOf(spoken, 120) }),
      ...reset,
      ...condensed,
    },
  };
}

/** What a person would call the text of a message; tools' results are not speech. */
function spokenText(message: Message): string {
  if (message.role === "user") return message.content;
  if (message.role === "toolResult") return "";
  return replyText(message);
}

/** What people read of a reply. */
export function replyText({ content, delivered }: AssistantMessage): string {
  return delivered?.text ?? content.map((part) => (part.type === "text" ? part.text : "")).join("");
}
