/**
 * The older part of a conversation becomes a summary when it no longer fits the model's window, or on `/compact`.
 * This file is a map, as turn.ts is: the model's call is on record before it is made, and the summary bears the label
 * of all that it was made from.
 */
import {
  type CompactionPlan,
  compactionRequest,
  costOf,
  type ModelChoice,
  planCompaction,
  run,
} from "./agent/mod.ts";
import type { InboxRow } from "./delivery/mod.ts";
import { joinSources, type Source, uuid, type Write } from "./kernel/mod.ts";
import { appendEntry, type SessionRow } from "./session/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import type { TurnParts } from "./turn-parts.ts";

export interface CompactionTask {
  readonly row: InboxRow;
  readonly session: { current: SessionRow };
  /** The conversation's own model. */
  readonly choice: ModelChoice;
  readonly signal: AbortSignal;
  /** What to give most room to. */
  readonly focus?: string;
}

const charsPerToken = 3.5;
const maxEntries = 5000;
const maxSummaryTokens = 4000;

export function createCompaction(parts: TurnParts, { recordEffect }: TurnLog) {
  const { clock, commit, sessions, histories } = parts;

  /**
   * Summarises all but the newest part. False when there was nothing to, or the model gave no summary: the caller
   * then leaves the oldest out instead.
   */
  async function compact(task: CompactionTask, keepChars: number): Promise<boolean> {
    const { row, session, choice } = task;
    // A summary is made from entries, and bears their labels: where none are kept, neither may a summary be.
    if (parts.sessionSettings().retention === "none") return false;
    const settings = parts.agentSettings(row.agentId).compaction;
    const plan = planCompaction(histories.of(session.current, []), keepChars);
    if (!plan) return false;
    const { model, choice: used } =
      settings.model === undefined
        ? await parts.modelFor(row.agentId, `${choice.provider}/${choice.model}`)
        : await parts.modelFor(row.agentId, settings.model);
    const maxOutputTokens = Math.min(used.maxOutputTokens, maxSummaryTokens);
    const room = (used.contextTokens - maxOutputTokens) * charsPerToken * 0.8;
    const purpose = { provider: used.provider, model: used.model, purpose: "compaction" };
    await commit([recordEffect("effect.start", "agent", "model.call", row, purpose)]);
    const loop = run({
      runId: row.runId,
      agentId: row.agentId,
      sessionKey: row.sessionKey,
      model,
      modelId: used.model,
      ...compactionRequest(plan, room, settings, task.focus),
      tools: [],
      unanswered: [],
      maxOutputTokens,
      maxRounds: 1,
      signal: AbortSignal.any([task.signal, AbortSignal.timeout(settings.timeoutMs)]),
      clock,
    });
    let usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
    let step = await loop.next();
    while (!step.done) {
      if (step.value.type === "modelEnd") usage = step.value.usage;
      step = await loop.next();
    }
    const result = step.value;
    const summary = result.status === "done" ? result.text.trim() : "";
    const writes: Write[] = [
      recordEffect(
        "effect.end",
        "agent",
        "model.call",
        row,
        { input: usage.input, output: usage.output },
        summary === "" ? "failed" : "ok",
      ),
      parts.usage.add(
        new Date(clock.now()).toISOString().slice(0, 10),
        row.agentId,
        used.provider,
        used.model,
        {
          ...usage,
          costUsd: costOf(used, usage),
        },
      ),
    ];
    if (summary !== "") keep(task, plan, summary, writes);
    await commit(writes);
    return summary !== "";
  }

  function keep(task: CompactionTask, plan: CompactionPlan, summary: string, writes: Write[]): void {
    const { session, row } = task;
    const before = session.current;
    const appended = appendEntry(before, {
      id: uuid(parts.random),
      now: clock.now(),
      runId: row.runId,
      body: {
        type: "compaction",
        summary,
        firstKeptSeq: plan.firstKeptSeq,
        tokensBefore: Math.round(plan.chars / charsPerToken),
        source: sourceOf(before, plan.firstKeptSeq, row),
      },
    });
    histories.forget(before.sessionId);
    session.current = appended.row;
    writes.push(sessions.append(before.sessionId, appended.entry), sessions.put(appended.row));
  }

  /** The label of all that the summary was made from. */
  function sourceOf(session: SessionRow, firstKeptSeq: number, row: InboxRow): Source {
    const entries = sessions.entries(session.sessionId, {
      afterSeq: session.windowStartSeq,
      throughSeq: session.lastSeq,
      limit: maxEntries,
    });
    return entries
      .flatMap(({ seq, body }) => {
        if (body.type === "compaction") return [body.source];
        return body.type === "message" && seq < firstKeptSeq ? [body.message.source] : [];
      })
      .reduce(joinSources, row.source);
  }

  return compact;
}
