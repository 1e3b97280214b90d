/**
 * The second half of the message path, in order: one accepted message from its lane to its reply. This file is a
 * map: it calls the stages and records what they say, each effect before it happens.
 *
 *   Turn -> ToolRequest -> Permit -> Outcome -> reply
 *
 * Read `turn`, then `converse` (the model's loop), tool-call.ts (a request, a permit, an outcome) and `close` (the
 * reply: transcript, outbox and inbox in one commit).
 */
import {
  type AgentSettings,
  fence,
  type History,
  holdsFence,
  type ImagePart,
  lastTurns,
  type RunResult,
  run,
  type Step,
  type StepAnswer,
  unansweredCalls,
} from "./agent/mod.ts";
import { createChatCommands } from "./chat-commands.ts";
import type { RunEvents } from "./control/mod.ts";
import { type InboxRow, type ReplyTo, replyRows, shownSoFar, withPrefix } from "./delivery/mod.ts";
import {
  admitted,
  InputError,
  joinSources,
  ModelFault,
  reasonText,
  type Source,
  sleep,
  type Write,
} from "./kernel/mod.ts";
import {
  type ActiveRun,
  type Entry,
  type EntryBody,
  isStale,
  maySend,
  parseChatCommand,
  type ResetPlace,
  type RunOutcome,
  resetRule,
  type SessionRow,
} from "./session/mod.ts";
import { createToolCalls } from "./tool-call.ts";
import { createCompaction } from "./turn-compaction.ts";
import { createTurnLog } from "./turn-log.ts";
import { createTurnMedia, type ReplyContent } from "./turn-media.ts";
import type { Said, Turn, TurnParts } from "./turn-parts.ts";
import { createTurnQueue } from "./turn-queue.ts";
import { createReplyStreams, endOfStatus, firstRowId, overDraft } from "./turn-stream.ts";

const quotedSource: Source = { author: "quoted", proof: "none", trust: "untrusted", sensitivity: "public" };
const charsPerToken = 3.5;
const maxEntriesOfARun = 2000;
/** Pause before a turn whose end the store refused (disk full) is tried again. */
const storeRetryMs = 1000;

export function createTurns(parts: TurnParts): { readonly run: (row: InboxRow) => Promise<void> } {
  const { clock, commit, inbox, sessions, runs, histories } = parts;
  const log = createTurnLog(parts);
  const { add, addReply, partial, modelStart, modelEnd, recordVerdict, sessionOf } = log;
  const callTool = createToolCalls(parts, log);
  const queue = createTurnQueue(parts, log);
  const media = createTurnMedia(parts, log);
  const streams = createReplyStreams(parts, log);
  const compact = createCompaction(parts, log);
  const runCommand = createChatCommands(parts, log, compact);

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
    const session = { current: found ?? sessionOf(row) };
    // What a message quotes of others stands in it behind a fence: the turn has read that too.
    const label = media.labelOf(row);
    const seen = holdsFence(row.text) ? joinSources(label, quotedSource) : label;
    const opened = { row, active, events, session, choice, seen, ends: [] };
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
    const shown = shownSoFar(text);
    const before = shownSoFar(text.slice(0, text.length - delta.length));
    task.active.text = shown;
    if (shown !== before) task.events.delta(shown.slice(before.length), shown);
    task.stream?.show(text);
  }

  // --- the end: transcript, outbox and inbox in one commit ---------------------------------------------------------

  async function close(
    row: InboxRow,
    result: RunResult,
    said: { readonly task: Turn; readonly reply: Said | undefined } | undefined,
    events: RunEvents,
    active: ActiveRun,
  ): Promise<void> {
    // A gateway that is stopping leaves its turns open on disk; the next start takes them up.
    if (result.status === "aborted" && parts.isStopping()) return;
    if (result.status === "aborted" && active.timedOutAfterMs !== undefined) {
      const seconds = Math.round(active.timedOutAfterMs / 1000);
      const message = `the run took longer than ${seconds} s and was stopped (agents.defaults.timeoutSeconds)`;
      await fail(row, events, active, { message, kind: "timeout" }, said?.task, result.text);
      return;
    }
    if (result.status === "failed") {
      await fail(
        row,
        events,
        active,
        { message: result.fault.message, kind: result.fault.kind },
        said?.task,
        result.text,
      );
      return;
    }
    const writes = [...(said?.task.ends.splice(0) ?? []), ...((await said?.task.stream?.settle()) ?? [])];
    const aborted = result.status === "aborted";
    const content = await contentOf(row, result, said?.task);
    let entry: Entry | undefined;
    if (said?.reply) entry = addReply(said.task, writes, said.reply, content.delivered);
    else if (said && result.text !== "")
      entry = add(said.task, writes, partial(said.task, result.text, "aborted"));
    if (said) writes.push(sessions.put(said.task.session.current));
    const replies =
      row.reply && !aborted
        ? repliesTo(row, said ? prefixed(content, said.task) : content, row.reply)
        : endOfStatus(parts.outbox.byId(firstRowId(row.messageId)), "Stopped.");
    await commit([
      ...writes,
      ...content.writes,
      ...replies.map((reply) => parts.outbox.insert(reply)),
      inbox.move(row.messageId, "done", aborted ? "aborted" : undefined, clock.now()),
      recordVerdict("delivery", aborted ? "aborted" : "reply", row, { parts: replies.length }),
    ]);
    parts.sender.offer(replies);
    if (said && entry) parts.entryAdded(said.task.session.current, entry);
    const { text } = content;
    const { files } = content.delivered ?? {};
    const sent = entry && files ? { sent: { seq: entry.seq, files } } : {};
    events.finish(
      aborted ? { state: "aborted", text } : { state: "final", text, stopReason: result.stopReason, ...sent },
    );
    if (said) parts.sessionChanged(said.task.session.current, "agent.input.settled", row.runId);
    settleRun(row, active, said?.task, { status: aborted ? "aborted" : "ok", text, ...sent });
  }

  /** What people are given of a run's end; its files are copied away by now. */
  async function contentOf(row: InboxRow, result: RunResult, task: Turn | undefined): Promise<ReplyContent> {
    const goesOut = result.status !== "aborted" && (row.reply === undefined || maySendTo(row, row.reply));
    if (task && goesOut) return media.sendOut(task, result.text);
    return { text: task ? shownSoFar(result.text) : result.text, files: [], writes: [] };
  }

  /** A turn that ended in an error is visible too: to clients as an error, on a channel as a sentence. */
  async function fail(
    row: InboxRow,
    events: RunEvents,
    active: ActiveRun,
    fault: { readonly message: string; readonly kind: string },
    task?: Turn,
    text = "",
  ): Promise<void> {
    const message = parts.redact(fault.message);
    const writes = [...(task?.ends.splice(0) ?? []), ...((await task?.stream?.settle()) ?? [])];
    if (task) {
      add(task, writes, partial(task, text, "error", message));
      writes.push(sessions.put(task.session.current));
    }
    const replies = row.reply ? repliesTo(row, { text: `I could not answer: ${message}` }, row.reply) : [];
    await commit([
      ...writes,
      ...replies.map((reply) => parts.outbox.insert(reply)),
      inbox.move(row.messageId, "failed", message.slice(0, 500), clock.now()),
      recordVerdict("delivery", "failed", row, { kind: fault.kind }),
    ]);
    parts.sender.offer(replies);
    events.finish({ state: "error", errorMessage: message, errorKind: fault.kind });
    if (task) parts.sessionChanged(task.session.current, "agent.input.settled", row.runId);
    settleRun(row, active, task, { status: "error", text, errorMessage: message });
  }

  function repliesTo(row: InboxRow, { text, files }: Partial<ReplyContent>, reply: ReplyTo) {
    if (!maySendTo(row, reply)) return [];
    const limitChars = parts.channelTextLimit(row.channel, row.account);
    const rows = replyRows(row, text ?? "", reply, limitChars, clock.now(), files);
    return overDraft(rows, parts.outbox.byId(firstRowId(row.messageId)));
  }

  function prefixed(content: ReplyContent, { row, session, choice }: Turn): ReplyContent {
    const { responsePrefix } = parts.media.settings(row.channel, row.account);
    const facts = {
      provider: choice.provider,
      model: choice.model,
      thinkingLevel: session.current.thinkingLevel,
      identityName: parts.agentSettings(row.agentId).identityName,
    };
    return { ...content, text: withPrefix(content.text, responsePrefix, facts) };
  }

  function maySendTo({ channel, sessionKey }: InboxRow, reply: ReplyTo): boolean {
    const { sendPolicy } = parts.sessionSettings();
    return maySend(sendPolicy, { channel, sessionKey, kind: reply.conversation.kind });
  }

  function settleRun(
    row: InboxRow,
    active: ActiveRun,
    task: Turn | undefined,
    end: Pick<RunOutcome, "status" | "text" | "sent" | "errorMessage">,
  ): void {
    const { runId, sessionKey, agentId } = row;
    parts.media.ended(row);
    parts.overheard.ended(runId);
    const model = task ? { provider: task.choice.provider, model: task.choice.model } : {};
    runs.settle({
      runId,
      sessionKey,
      agentId,
      startedAt: active.startedAt,
      endedAt: clock.now(),
      ...model,
      ...end,
    });
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

/** What people are told. Only errors that were written for them are shown; others may name what is none of theirs. */
function failureOf(error: unknown, runId: string): { readonly message: string; readonly kind: string } {
  if (error instanceof ModelFault) return { message: error.message, kind: error.kind };
  if (error instanceof InputError) return { message: error.message, kind: "input" };
  return { message: `the gateway failed inside; its log tells why (run ${runId})`, kind: "internal" };
}

/** The history with what was said around the turn's own message, in front of it; no later turn is shown it again. */
function withAside(history: History, seq: number | undefined, aside: string): History {
  if (aside === "") return history;
  const messages = history.messages.map((message, index) =>
    message.role === "user" && history.seqs[index] === seq
      ? { ...message, content: [{ type: "text" as const, text: aside }, ...message.content] }
      : message,
  );
  return { ...history, messages };
}

/** The history with the pictures of the turn's own message, which no later turn is shown again. */
function withPictures(history: History, seq: number | undefined, pictures: readonly ImagePart[]) {
  if (pictures.length === 0) return history.messages;
  return history.messages.map((message, index) =>
    message.role === "user" && history.seqs[index] === seq
      ? { ...message, content: [...message.content, ...pictures] }
      : message,
  );
}

function userKey(row: InboxRow): string {
  return `${row.runId}:user`;
}

function userBody(row: InboxRow): EntryBody {
  const { text: content, receivedAt: timestamp, source } = row;
  return {
    type: "message",
    message: { role: "user", content, timestamp, source },
    idempotencyKey: userKey(row),
  };
}
