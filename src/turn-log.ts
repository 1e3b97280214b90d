/** What a turn writes: entries of its transcript and rows of the record. Nothing is on disk before a map commits it. */
import { costOf, type Step } from "./agent/mod.ts";
import type { Destination, InboxRow } from "./delivery/mod.ts";
import { type Json, type Reason, type Source, uuid, type Write } from "./kernel/mod.ts";
import {
  type AssistantMessage,
  appendEntry,
  type Delivered,
  type Entry,
  type EntryBody,
  newSession,
  type SessionRow,
} from "./session/mod.ts";
import type { Said, Turn, TurnParts } from "./turn-parts.ts";

export type TurnLog = ReturnType<typeof createTurnLog>;

export function createTurnLog(parts: TurnParts) {
  const { clock, sessions, histories } = parts;

  function sessionOf(row: InboxRow): SessionRow {
    const route = routeOf(row);
    return newSession({
      key: row.sessionKey,
      agentId: row.agentId,
      sessionId: uuid(parts.random),
      now: clock.now(),
      ...(route === undefined ? {} : { route }),
    });
  }

  /** Where the conversation's own people are: for a message of theirs. */
  function routeOf({ channel, account, reply }: InboxRow): string | undefined {
    return (
      reply && JSON.stringify({ channel, account, conversation: reply.conversation } satisfies Destination)
    );
  }

  /** The session as this message finds it: a conversation is where it was last spoken in. */
  function sessionFor(row: InboxRow, found: SessionRow | undefined): SessionRow {
    const route = routeOf(row);
    if (!found) return sessionOf(row);
    return route === undefined || route === found.route ? found : { ...found, route };
  }

  /** Puts the session's next entry into `writes`, and moves the turn's row and history with it. */
  function add(task: Turn, writes: Write[], body: EntryBody): Entry {
    const { row, entry } = appendEntry(task.session.current, {
      id: uuid(parts.random),
      now: clock.now(),
      runId: task.row.runId,
      body,
    });
    task.session.current = row;
    writes.push(sessions.append(row.sessionId, entry));
    histories.grew(row, entry);
    return entry;
  }

  /** What the model said, with its tokens counted. */
  function addReply(task: Turn, writes: Write[], said: Said, delivered?: Delivered): Entry {
    const { choice } = task;
    const costUsd = costOf(choice, said.usage);
    const entry = add(task, writes, {
      type: "message",
      message: {
        ...spoken(task, said.content),
        usage: { ...said.usage, totalTokens: said.usage.input + said.usage.output, costUsd },
        stopReason: said.stopReason,
        ...(delivered ? { delivered } : {}),
      },
    });
    const before = task.session.current;
    task.session.current = {
      ...before,
      inputTokens: before.inputTokens + said.usage.input,
      outputTokens: before.outputTokens + said.usage.output,
      costUsd: before.costUsd + costUsd,
    };
    const day = new Date(clock.now()).toISOString().slice(0, 10);
    writes.push(
      parts.usage.add(day, task.row.agentId, choice.provider, choice.model, { ...said.usage, costUsd }),
    );
    return entry;
  }

  /** What was said before a run was stopped or failed. */
  function partial(
    task: Turn,
    text: string,
    stopReason: "aborted" | "error",
    errorMessage?: string,
  ): EntryBody {
    const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0, costUsd: 0 };
    const content = text === "" ? [] : [{ type: "text" as const, text }];
    return {
      type: "message",
      message: {
        ...spoken(task, content),
        usage,
        stopReason,
        ...(errorMessage === undefined ? {} : { errorMessage }),
      },
    };
  }

  /** A model's words are worth what the least trusted of the texts before them is worth. */
  function spoken(
    task: Turn,
    content: AssistantMessage["content"],
  ): Omit<AssistantMessage, "usage" | "stopReason"> {
    const { provider, model } = task.choice;
    const { trust, sensitivity } = task.seen;
    const source: Source = { author: `model:${provider}/${model}`, proof: "self", trust, sensitivity };
    return { role: "assistant", content, timestamp: clock.now(), source, provider, model };
  }

  function modelStart(task: Turn, step: Extract<Step, { type: "model" }>): Write {
    const { provider, model } = task.choice;
    return recordEffect("effect.start", "agent", "model.call", task.row, {
      provider,
      model,
      round: step.round,
      attempt: step.attempt,
    });
  }

  function modelEnd(task: Turn, step: Extract<Step, { type: "modelEnd" }>): Write {
    return recordEffect(
      "effect.end",
      "agent",
      "model.call",
      task.row,
      { input: step.usage.input, output: step.usage.output },
      step.outcome,
    );
  }

  function recordVerdict(stage: string, action: string, row: InboxRow, facts: Json, outcome?: Reason): Write {
    const { messageId, runId, sessionKey } = row;
    return parts.ledger.append({
      stage,
      kind: "verdict",
      action,
      messageId,
      runId,
      sessionKey,
      actor: row.source.author,
      facts,
      ...(outcome === undefined ? {} : { outcome }),
    });
  }

  function recordEffect(
    kind: "effect.start" | "effect.end",
    stage: string,
    action: string,
    row: InboxRow,
    facts: Json,
    outcome?: string,
  ): Write {
    const { messageId, runId, sessionKey } = row;
    return parts.ledger.append({
      stage,
      kind,
      action,
      messageId,
      runId,
      sessionKey,
      facts,
      ...(outcome === undefined ? {} : { outcome }),
    });
  }

  return { sessionOf, sessionFor, add, addReply, partial, modelStart, modelEnd, recordVerdict, recordEffect };
}
