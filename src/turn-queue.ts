/**
 * What is said in a conversation while its turn waits or runs (`messages.queue`). This file is a map, as turn.ts is:
 * a message that another turn takes in is on disk as a part of that turn before the model sees it, and ends there.
 */
import type { Heard } from "./agent/mod.ts";
import { type InboxRow, sameConversation } from "./delivery/mod.ts";
import { joinSources, type Write } from "./kernel/mod.ts";
import { collectedText, parseChatCommand, queueRule } from "./session/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import type { Turn, TurnParts } from "./turn-parts.ts";

export interface Gathered {
  /** With the text and the label of all of them. */
  readonly row: InboxRow;
  /** Belongs into the commit that begins the turn. */
  readonly writes: readonly Write[];
  /** Call it once that is on disk. */
  readonly taken: () => void;
}

export function createTurnQueue(parts: TurnParts, { add, recordVerdict }: TurnLog) {
  const { clock, commit, inbox, runs, sessions } = parts;

  /**
   * What the same person said behind this one in the same conversation, up to the next command. Another person's words
   * never join a turn: what it may do was decided for this one.
   */
  function behind(row: InboxRow): InboxRow[] {
    if (!row.reply || parts.lanes.depth(row.sessionKey) < 2) return [];
    const { resetTriggers } = parts.sessionSettings();
    const waiting = inbox.waiting(row.sessionKey).filter((item) => item.runId !== row.runId);
    const end = waiting.findIndex(
      (item) =>
        !sameConversation(item, row) ||
        item.source.author !== row.source.author ||
        // Files are taken in at the opening of a turn, so they begin one of their own.
        item.attachments !== undefined ||
        parseChatCommand(item.text, resetTriggers) !== undefined,
    );
    return end === -1 ? waiting : waiting.slice(0, end);
  }

  function modeOf(row: InboxRow) {
    return queueRule(parts.sessionSettings().queue, row.channel).mode;
  }

  /** In mode `collect`: this message and those behind it as one. Undefined when it goes alone. */
  function gather(row: InboxRow): Gathered | undefined {
    if (modeOf(row) !== "collect") return undefined;
    const others = behind(row);
    if (others.length === 0) return undefined;
    const all = [row, ...others];
    return {
      row: {
        ...row,
        text: collectedText(all.map((item) => item.text)),
        source: all.map((item) => item.source).reduce(joinSources),
      },
      writes: others.flatMap((item) => taking(item, "collect", row.runId)),
      taken: () => absorb(others),
    };
  }

  /** In mode `steer`: what came in since the turn began, made a part of its transcript. */
  async function hear(task: Turn): Promise<Heard | undefined> {
    if (modeOf(task.row) !== "steer" || task.active.abort.signal.aborted) return undefined;
    const said = behind(task.row);
    if (said.length === 0) return undefined;
    const writes = task.ends.splice(0);
    const entries = said.map((item) => {
      const { text: content, receivedAt: timestamp, source } = item;
      task.seen = joinSources(task.seen, source);
      const idempotencyKey = `${item.runId}:user`;
      const message = { role: "user", content, timestamp, source } as const;
      return add(task, writes, { type: "message", message, idempotencyKey });
    });
    for (const item of said) writes.push(...taking(item, "steer", task.row.runId));
    await commit([...writes, sessions.put(task.session.current)]);
    absorb(said);
    for (const entry of entries) parts.entryAdded(task.session.current, entry);
    return { heard: said.map((item) => item.text) };
  }

  function taking(item: InboxRow, how: "collect" | "steer", into: string): Write[] {
    return [
      inbox.move(item.messageId, "done", `${how}: answered by run ${into}`, clock.now()),
      recordVerdict("session", how, item, { into }),
    ];
  }

  function absorb(items: readonly InboxRow[]): void {
    const now = clock.now();
    for (const { runId, sessionKey, agentId, receivedAt } of items) {
      runs.absorb(runId);
      runs.settle({
        runId,
        sessionKey,
        agentId,
        status: "ok",
        text: "",
        startedAt: receivedAt,
        endedAt: now,
      });
    }
  }

  return { gather, hear };
}
