import type { Entry } from "../session/mod.ts";
import { summaryText } from "./compaction.ts";
import { fence } from "./fence.ts";
import type { ModelMessage, ToolCallPart } from "./model.ts";

/** The part of a conversation that the model sees. */
export interface History {
  readonly messages: readonly ModelMessage[];
  /** Characters in all of them: what the window is measured by (about four to a token). */
  readonly chars: number;
  /** For each message: the seq of the entry that it came from. */
  readonly seqs: readonly number[];
}

export const emptyHistory: History = { messages: [], chars: 0, seqs: [] };

/** `history` with these entries added; what is not a message adds nothing, a reset clears. */
export function extendHistory(history: History, entries: readonly Entry[], fenceKey: string): History {
  const grown: GrowingHistory = {
    messages: [...history.messages],
    seqs: [...history.seqs],
    chars: history.chars,
  };
  for (const entry of entries) growHistory(grown, entry, fenceKey);
  return grown;
}

/** A history that is added to in place: a long one is not copied for each entry. */
export interface GrowingHistory extends History {
  readonly messages: ModelMessage[];
  readonly seqs: number[];
  chars: number;
}

export function growHistory(history: GrowingHistory, entry: Entry, fenceKey: string): void {
  if (entry.body.type === "reset") {
    history.messages.length = 0;
    history.seqs.length = 0;
    history.chars = 0;
    return;
  }
  if (entry.body.type === "compaction") {
    replaceOlder(history, entry.body, entry.id, fenceKey);
    return;
  }
  const message = messageOf(entry, fenceKey);
  if (!message) return;
  history.messages.push(message);
  history.seqs.push(entry.seq);
  history.chars += charsOf(message);
}

/** What a summary was made from gives way to it. */
function replaceOlder(
  history: GrowingHistory,
  { summary, firstKeptSeq, source }: Extract<Entry["body"], { type: "compaction" }>,
  entryId: string,
  fenceKey: string,
): void {
  const kept = history.seqs.findIndex((seq) => seq >= firstKeptSeq);
  const gone = kept === -1 ? history.seqs.length : kept;
  const words = source.trust === "untrusted" ? fence(summary, source.author, entryId, fenceKey) : summary;
  const text = summaryText(words);
  history.messages.splice(0, gone, { role: "user", content: [{ type: "text", text }] });
  history.seqs.splice(0, gone, firstKeptSeq - 1);
  history.chars = history.messages.reduce((sum, message) => sum + charsOf(message), 0);
}

/**
 * The history cut to `maxChars` when it is larger: then down to 60 % of it, so that many turns share one prefix,
 * and always at a user's message, so that a tool call keeps its result. At least the newest user message stays.
 */
export function fitHistory(history: History, maxChars: number): History {
  if (history.chars <= maxChars) return history;
  const target = maxChars * 0.6;
  let chars = history.chars;
  let start = 0;
  for (let index = 0; index < history.messages.length; index++) {
    const message = history.messages[index] as ModelMessage;
    if (message.role === "user") {
      start = index;
      if (chars <= target) break;
    }
    chars -= charsOf(message);
  }
  return from(history, start);
}

/**
 * The history with at most `turns` messages of a user's before that of `seq` (before the newest one, where it is not
 * there), each with all that followed it. A summary counts as one.
 */
export function lastTurns(history: History, seq: number | undefined, turns: number): History {
  const isUser = (message: ModelMessage) => message.role === "user";
  const found = seq === undefined ? -1 : history.seqs.lastIndexOf(seq);
  let start = found === -1 ? history.messages.findLastIndex(isUser) : found;
  let left = turns;
  for (let index = start - 1; index >= 0 && left > 0; index--) {
    if (!isUser(history.messages[index] as ModelMessage)) continue;
    start = index;
    left -= 1;
  }
  return from(history, Math.max(start, 0));
}

function from(history: History, start: number): History {
  const messages = history.messages.slice(start);
  return {
    messages,
    seqs: history.seqs.slice(start),
    chars: messages.reduce((sum, message) => sum + charsOf(message), 0),
  };
}

/** Tool calls of the last assistant message that have no result yet: where a run that was cut off goes on. */
export function unansweredCalls(history: History): readonly ToolCallPart[] {
  const answered = new Set<string>();
  for (let index = history.messages.length - 1; index >= 0; index--) {
    const message = history.messages[index] as ModelMessage;
    if (message.role === "tool") answered.add(message.toolCallId);
    else if (message.role === "assistant") {
      return message.content
        .filter((part) => part.type === "toolCall")
        .filter((call) => !answered.has(call.id));
    } else return [];
  }
  return [];
}

function messageOf(entry: Entry, fenceKey: string): ModelMessage | undefined {
  if (entry.body.type !== "message") return undefined;
  const { message } = entry.body;
  switch (message.role) {
    case "user": {
      const text =
        message.source.trust === "untrusted"
          ? fence(message.content, message.source.author, entry.id, fenceKey)
          : message.content;
      return { role: "user", content: [{ type: "text", text }] };
    }
    case "assistant":
      // What failed or was aborted before anything was said must not stand as an answer.
      if (message.content.length === 0) return undefined;
      return { role: "assistant", content: message.content };
    case "toolResult": {
      const text = message.content.map((part) => part.text).join("\n");
      return {
        role: "tool",
        toolCallId: message.toolCallId,
        toolName: message.toolName,
        text:
          message.source.trust === "untrusted"
            ? fence(text, message.source.author, entry.id, fenceKey)
            : text,
        isError: message.isError,
      };
    }
  }
}

function charsOf(message: ModelMessage): number {
  if (message.role === "tool") return message.text.length + 50;
  let chars = 20;
  for (const part of message.content) {
    if (part.type === "text") chars += part.text.length;
    else if (part.type === "image") chars += 4000;
    else chars += JSON.stringify(part.arguments)?.length ?? 0;
  }
  return chars;
}
