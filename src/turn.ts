/**
 * The second half of the message path, in order: one accepted message from its lane to its reply. This file is a
 * map: it calls the stages and records what they say, each effect before it happens.
 *
 *   Turn -> ToolRequest -> Permit -> Outcome -> reply
 *
 * Read `turn`, then `converse` (the model's loop), tool-call.ts (a request, a permit, an outcome) and turn-end.ts (the
 * reply: transcript, outbox and inbox in one commit).
 */
import {
  type AgentSettings,
  holdsFence,
  lastTurns,
  run,
  type Step,
  type StepAnswer,
  unansweredCalls,
} from "./agent/mod.ts";
import { createChatCommands } from "./chat-commands.ts";
import type { RunEvents } from "./control/mod.ts";
import { createGrowingReply, type InboxRow } from "./delivery/mod.ts";
import {
  admitted,
  InputError,
  joinSources,
  reasonText,
  type Source,
  sleep,
  type Write,
} from "./kernel/mod.ts";
import { type ActiveRun, parseChatCommand } from "./session/mod.ts";
import { createToolCalls } from "./tool-call.ts";
import { createCompaction } from "./turn-compaction.ts";
import { createTurnEnd, failureOf } from "./turn-end.ts";
import { createTurnLog } from "./turn-log.ts";
import { createTurnMedia } from "./turn-media.ts";
import {
  charsPerToken,
  createTurnOpening,
  userBody,
  userKey,
  withAside,
  withPictures,
} from "./turn-opening.ts";
import type { Said, Turn, TurnParts } from "./turn-parts.ts";
import { createTurnQueue } from "./turn-queue.ts";
import { createReplyStreams } from "./turn-stream.ts";

const quotedSource: Source = { author: "quoted", proof: "none", trust: "untrusted", sensitivity: "public" };
/** Pause before a turn whose end the store refused (disk full) is tried again. */
const storeRetryMs = 1000;

export function createTurns(parts: TurnParts): { readonly run: (row: InboxRow) => Promise<void> } {
  const { clock, commit, inbox, sessions, runs, histories } = parts;
  const log = createTurnLog(parts);
  const { add, addReply, modelStart, modelEnd, sessionFor } = log;
  const callTool = createToolCalls(parts, log);
  const queue = createTurnQueue(parts, log);
  const media = createTurnMedia(parts, log);
  const streams = createReplyStreams(parts, log);
  const compact = createCompaction(parts, log);
  const runCommand = createChatCommands(parts, log, compact);
  const { overheard, makeRoom, userSeq, readBefore, isDue, startAfresh } = createTurnOpening(
    parts,
    log,
    compact,
  );
  const { close, fail, maySendTo } = createTurnEnd(parts, log, media);

  async function turn(row: InboxRow): Promise<void> {
    if (parts.isStopping() || runs.takeAbsorbed(row.runId)) return;
    const active = runs.begin(row.runId, row.sessionKey);
    const events = parts.events({
      runId: row.runId,
      sessionKey: row.sessionKey,
      agentId: row.agentId,
      startedAt: active.startedAt,
    });
    const stopTyping = keepTyping(row);
    const settings = parts.agentSettings(row.agentId);
    const cancelTimeout = clock.after(settings.timeoutMs, () => {
      active.timedOutAfterMs = settings.timeoutMs;
      active.abort.abort();
    });
    try {
      // What is accepted stays in its lane until its end is on disk.
      while (!(await attempt(row, active, events, settings)) && !parts.isStopping()) {
        await sleep(clock, storeRetryMs);
      }
    } finally {
      cancelTimeout();
      stopTyping();
      runs.end(row.runId);
    }
  }

  /** True when the turn has ended, well or badly; false when not even its failure could be stored. */
  async function attempt(
    row: InboxRow,
    active: ActiveRun,
    events: RunEvents,
    settings: AgentSettings,
  ): Promise<boolean> {
    const unfinished: { task?: Turn } = {};
    try {
      // Asked again: a token may have ended while its message waited, or while the gateway stood still.
      const allowed = parts.mayUseAgent(row.source.author, row.agentId);
      if (!admitted(allowed)) throw new InputError(reasonText(allowed.reason));
      const command = parseChatCommand(row.text, parts.sessionSettings().resetTriggers);
      if (runs.takeSkipped(row.runId))
        await close(row, { status: "aborted", text: "" }, undefined, events, active);
      else if (command) {
        const text = await runCommand(row, command, active.abort.signal);
        await close(row, { status: "done", text, stopReason: "stop" }, undefined, events, active);
      } else await converse(row, active, events, settings, unfinished);
      return true;
    } catch (error) {
      if (parts.isStopping()) return true;
      const { message } = error as Error;
      parts.log("error", "a turn failed", { runId: row.runId, session: row.sessionKey, error: message });
      const { task } = unfinished;
      // What was added in memory may not be on disk: the transcript is read again.
      if (task) histories.forget(task.session.current.sessionId);
      try {
        await fail(row, events, active, failureOf(error, row.runId), fresh(task));
        return true;
      } catch (second) {
        if (task) histories.forget(task.session.current.sessionId);
        parts.log("error", "a turn could not be ended; it is tried again", {
          runId: row.runId,
          error: (second as Error).message,
        });
        return false;
      }
    } finally {
      await unfinished.task?.stream?.settle();
    }
  }

  /** The turn as the disk knows it: entries of a commit that failed were never written. */
  function fresh(task: Turn | undefined): Turn | undefined {
    const stored = task && sessions.get(task.session.current.key);
    return stored && { ...task, session: { current: stored }, ends: [] };
  }

  // --- the model's loop ----------------------------------------------------------------------------------------

  async function converse(
    accepted: InboxRow,
    active: ActiveRun,
    events: RunEvents,
    settings: AgentSettings,
    unfinished: { task?: Turn },
  ): Promise<void> {
    const gathered = queue.gather(accepted);
    const told = await media.takeIn(gathered?.row ?? accepted, active.abort.signal);
    const aside = overheard(told);
    // In this turn only: what is written down is what was said to the agent.
    const row = aside === "" ? told : { ...told, text: `${aside}${told.text}` };
    const found = sessions.get(row.sessionKey);
    const [specs, turns] = await Promise.all([parts.toolSpecs(row), parts.shownTurns(row)]);
    const [{ model, choice }, system] = await Promise.all([
      parts.modelFor(row.agentId, found?.model),
      parts.promptFor(
        row.agentId,
        specs.map((spec) => spec.name),
      ),
    ]);
    const session = { current: sessionFor(row, found) };
    // What a message quotes of others stands in it behind a fence: the turn has read that too.
    const label = media.labelOf(row);
    const seen = holdsFence(row.text) ? joinSources(label, quotedSource) : label;
    const growing = createGrowingReply();
    const opened = { row, active, events, session, choice, seen, ends: [], growing };
    const isShown = row.reply !== undefined && maySendTo(row, row.reply);
    const task: Turn = { ...opened, stream: isShown ? streams.begin(opened) : undefined };
    unfinished.task = task;

    // A run that a stopped gateway left open has its user's message in the transcript already.
    const resumed =
      session.current.lastSeq > 0 &&
      sessions.entryByKey(session.current.sessionId, userKey(row)) !== undefined;
    const opening: Write[] = [inbox.move(row.messageId, "running", undefined, clock.now())];
    const roomChars = Math.max(
      (choice.contextTokens - choice.maxOutputTokens) * charsPerToken - system.length - aside.length,
      2000,
    );
    if (resumed) task.seen = joinSources(task.seen, readBefore(session.current, row));
    else if (found && isDue(found, row)) startAfresh(task, opening);
    // A summary would tell the model of turns that it is not to be shown.
    else if (found && turns === undefined) await makeRoom(task, roomChars, settings);
    const added = resumed ? [] : [add(task, opening, userBody(told))];
    if (gathered && !resumed) {
      // At once: until it is on disk that they belong to this turn, they must not be seen as a part of it.
      opening.push(...gathered.writes, sessions.put(session.current));
      await commit(opening.splice(0));
      gathered.taken();
    }
    const fitting = histories.fit(session.current, histories.of(session.current, added), roomChars);
    session.current = fitting.session;
    const pictures = choice.readsImages ? await media.pictures(row) : [];
    const seq = userSeq(session.current, row, added[0]);
    const shown = turns === undefined ? fitting.history : lastTurns(fitting.history, seq, turns);
    const messages = withPictures(withAside(shown, seq, aside), seq, pictures);
    opening.push(sessions.put(session.current));

    events.lifecycle({ phase: "start", startedAt: active.startedAt });
    parts.sessionChanged(session.current, "agent.run.started", row.runId);
    for (const entry of added) parts.entryAdded(session.current, entry);
    const loop = run({
      runId: row.runId,
      agentId: row.agentId,
      sessionKey: row.sessionKey,
      model,
      modelId: choice.model,
      system,
      messages,
      tools: specs,
      unanswered: resumed ? unansweredCalls(fitting.history) : [],
      maxOutputTokens: choice.maxOutputTokens,
      maxRounds: settings.maxRounds,
      signal: active.abort.signal,
      clock,
    });
    await follow(loop, task, opening);
  }

  /** Carries out the loop's steps. `opening` is the turn's own start: the first effect's record takes it along. */
  async function follow(loop: ReturnType<typeof run>, task: Turn, opening: Write[]): Promise<void> {
    let first: Write[] | undefined = opening;
    let answer: StepAnswer | undefined;
    let reply: Said | undefined;
    for (;;) {
      const { value: step, done } = await loop.next(answer);
      answer = undefined;
      if (done) {
        if (first) await commit(first);
        await close(task.row, step, { task, reply }, task.events, task.active);
        return;
      }
      if (step.type === "model") {
        await commit([...(first ?? []), ...task.ends.splice(0), modelStart(task, step)]);
        first = undefined;
      } else if (step.type === "assistant" && step.final) reply = step;
      else {
        if (first && (step.type === "tool" || step.type === "assistant" || step.type === "hear")) {
          await commit(first);
          first = undefined;
        }
        answer = await carryOut(step, task);
      }
    }
  }

  async function carryOut(
    step: Exclude<Step, { type: "model" }>,
    task: Turn,
  ): Promise<StepAnswer | undefined> {
    switch (step.type) {
      case "modelEnd":
        // Nothing outside depends on it: it rides along with the turn's next commit.
        task.ends.push(modelEnd(task, step));
        return undefined;
      case "delta":
        showGrowing(step, task);
        return undefined;
      case "thinking":
        task.events.thinking(step.delta);
        return undefined;
      case "retry":
        task.active.text = "";
        task.events.retrying({ message: step.reason, retryAttempt: step.attempt, delayMs: step.delayMs });
        return undefined;
      case "assistant": {
        const writes = task.ends.splice(0);
        const entry = addReply(task, writes, step);
        await commit([...writes, sessions.put(task.session.current)]);
        parts.entryAdded(task.session.current, entry);
        return undefined;
      }
      case "tool":
        return callTool(step.request, task);
      case "hear":
        return queue.hear(task);
    }
  }

  function showGrowing({ delta, text }: Extract<Step, { type: "delta" }>, task: Turn): void {
    const { shown, piece } = task.growing(delta, text);
    task.active.text = shown;
    if (piece !== "") task.events.delta(piece, shown);
    task.stream?.show(text);
  }

  function keepTyping(row: InboxRow): () => void {
    const { reply } = row;
    if (!reply) return () => {};
    let cancel = () => {};
    const tick = () => {
      parts.typing(row.channel, row.account, reply);
      cancel = clock.after(4000, tick);
    };
    tick();
    return () => cancel();
  }

  return { run: turn };
}
