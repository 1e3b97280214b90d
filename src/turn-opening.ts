/** What a turn begins with: what its model is shown of the conversation, and what was said around its message. */
import { type AgentSettings, fence, type History, type ImagePart } from "./agent/mod.ts";
import type { InboxRow } from "./delivery/mod.ts";
import { joinSources, type Source, type Write } from "./kernel/mod.ts";
import {
  type Entry,
  type EntryBody,
  isStale,
  type ResetPlace,
  resetRule,
  type SessionRow,
} from "./session/mod.ts";
import type { createCompaction } from "./turn-compaction.ts";
import type { TurnLog } from "./turn-log.ts";
import type { Turn, TurnParts } from "./turn-parts.ts";

export const charsPerToken = 3.5;
const maxEntriesOfARun = 2000;

export function createTurnOpening(
  parts: TurnParts,
  { add, recordVerdict }: TurnLog,
  compact: ReturnType<typeof createCompaction>,
) {
  const { clock, sessions, histories } = parts;

  /** What was said around it in its group, as data of people who did not speak to the agent; "" where nothing was. */
  function overheard(row: InboxRow): string {
    const said = parts.overheard.take(row);
    if (said === "") return "";
    const fenced = fence(said, "people in this group", `${row.messageId}:group`, parts.fenceKey);
    return `[Said in this group since your last turn here, and not to you. Only so that you know:]\n${fenced}\n\n`;
  }

  /** What no longer fits becomes a summary; without one, {@link Histories.fit} leaves the oldest out. */
  async function makeRoom(task: Turn, roomChars: number, { compaction }: AgentSettings): Promise<void> {
    const { row, session, choice, active } = task;
    const { chars } = histories.of(session.current, []);
    if (!compaction.enabled || chars + row.text.length <= roomChars) return;
    const keepChars = Math.min(compaction.keepRecentTokens * charsPerToken, roomChars * 0.4);
    await compact({ row, session, choice, signal: active.abort.signal }, keepChars);
  }

  function userSeq(session: SessionRow, row: InboxRow, added: Entry | undefined): number | undefined {
    return (added ?? sessions.entryByKey(session.sessionId, userKey(row)))?.seq;
  }

  /** The label of what an interrupted turn had read: its message and its tools' results. */
  function readBefore(session: SessionRow, row: InboxRow): Source {
    const first = sessions.entryByKey(session.sessionId, userKey(row))?.seq ?? session.lastSeq;
    return sessions
      .entries(session.sessionId, { afterSeq: first - 1, limit: maxEntriesOfARun })
      .flatMap(({ body }) => (body.type === "message" ? [body.message.source] : []))
      .reduce(joinSources, row.source);
  }

  function isDue(session: SessionRow, row: InboxRow): boolean {
    const conversation = row.reply?.conversation;
    const kind = conversation?.kind === "direct" || !conversation ? "direct" : "group";
    const place: ResetPlace = {
      ...(conversation ? { channel: row.channel } : {}),
      kind: conversation?.threadId === undefined ? kind : "thread",
    };
    const rule = resetRule(parts.sessionSettings().resets, place);
    return session.lastSeq > 0 && isStale(rule, session, clock.now(), parts.lastDaily);
  }

  function startAfresh(task: Turn, opening: Write[]): void {
    add(task, opening, { type: "reset" });
    histories.forget(task.session.current.sessionId);
    opening.push(recordVerdict("session", "reset", task.row, { because: "session.reset" }));
  }

  return { overheard, makeRoom, userSeq, readBefore, isDue, startAfresh };
}

/** The history with what was said around the turn's own message, in front of it; no later turn is shown it again. */
export function withAside(history: History, seq: number | undefined, aside: string): History {
  if (aside === "") return history;
  const messages = history.messages.map((message, index) =>
    message.role === "user" && history.seqs[index] === seq
      ? { ...message, content: [{ type: "text" as const, text: aside }, ...message.content] }
      : message,
  );
  return { ...history, messages };
}

/** The history with the pictures of the turn's own message, which no later turn is shown again. */
export function withPictures(history: History, seq: number | undefined, pictures: readonly ImagePart[]) {
  if (pictures.length === 0) return history.messages;
  return history.messages.map((message, index) =>
    message.role === "user" && history.seqs[index] === seq
      ? { ...message, content: [...message.content, ...pictures] }
      : message,
  );
}

export function userKey(row: InboxRow): string {
  return `${row.runId}:user`;
}

export function userBody(row: InboxRow): EntryBody {
  const { text: content, receivedAt: timestamp, source } = row;
  return {
    type: "message",
    message: { role: "user", content, timestamp, source },
    idempotencyKey: userKey(row),
  };
}
