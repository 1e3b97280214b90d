/**
 * The second half of the message path, in order: one accepted message from its lane to its reply. This file is a
 * map: it calls the stages and records what they say, each effect before it happens.
 *
 *   Turn -> ToolRequest -> Permit -> Outcome -> reply
 *
 * Read `turn`, then `converse` (the model's loop), `callTool` (a request, a permit, an outcome) and `close` (the
 * reply: transcript, outbox and inbox in one commit).
 */
import { hash } from "node:crypto";
import {
  type AgentSettings,
  costOf,
  fence,
  type Histories,
  type Model,
  type ModelChoice,
  type RunResult,
  run,
  type Step,
  type ToolAnswer,
  type ToolRequest,
  type ToolSpec,
  unansweredCalls,
} from "./agent/mod.ts";
import type { LedgerStore } from "./audit/mod.ts";
import type { RunEvents, ToolCallInfo } from "./control/mod.ts";
import {
  type InboxRow,
  type InboxStore,
  type OutboxSender,
  type OutboxStore,
  type ReplyTo,
  replyRows,
} from "./delivery/mod.ts";
import {
  admitted,
  type Clock,
  type Commit,
  InputError,
  type Json,
  joinSources,
  type Log,
  ModelFault,
  type Random,
  type Reason,
  reasonText,
  type Source,
  sleep,
  uuid,
  type Verdict,
  type Write,
} from "./kernel/mod.ts";
import {
  type Approvals,
  decide,
  type Effect,
  effectFacts,
  type Permit,
  type PolicyContext,
  plainPath,
  settle,
} from "./policy/mod.ts";
import type { Outcome, ToolOutput } from "./sandbox/mod.ts";
import {
  type ActiveRun,
  type AssistantMessage,
  appendEntry,
  type ChatCommand,
  chatHelp,
  type Entry,
  type EntryBody,
  type Lanes,
  newSession,
  parseChatCommand,
  type Runs,
  type SessionRow,
  type SessionStore,
  titleOf,
} from "./session/mod.ts";
import type { FileSourceStore, UsageStore } from "./store/mod.ts";

/** Everything that a turn needs, made by the composer. Functions give what may change while the gateway runs. */
export interface TurnParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly commit: Commit;
  readonly inbox: InboxStore;
  readonly outbox: OutboxStore;
  readonly sessions: SessionStore;
  readonly ledger: LedgerStore;
  readonly usage: UsageStore;
  readonly fileSources: FileSourceStore;
  readonly lanes: Lanes;
  readonly runs: Runs;
  readonly histories: Histories;
  readonly sender: OutboxSender;
  readonly approvals: Approvals;
  readonly agentSettings: (agentId: string) => AgentSettings;
  readonly modelFor: (
    agentId: string,
    sessionModel: string | undefined,
  ) => Promise<{ readonly model: Model; readonly choice: ModelChoice }>;
  readonly promptFor: (agentId: string, toolNames: readonly string[]) => Promise<string>;
  readonly toolSpecs: (agentId: string) => Promise<readonly ToolSpec[]>;
  readonly policyFor: (agentId: string, tool: string) => Promise<PolicyContext>;
  readonly execute: (
    permit: Permit,
    signal: AbortSignal,
    progress: (text: string) => void,
  ) => Promise<Outcome>;
  readonly events: (run: {
    readonly runId: string;
    readonly sessionKey: string;
    readonly agentId: string;
    readonly startedAt: number;
  }) => RunEvents;
  readonly sessionChanged: (row: SessionRow, reason: string, runId?: string) => void;
  readonly entryAdded: (row: SessionRow, entry: Entry) => void;
  readonly typing: (channel: string, account: string, reply: ReplyTo) => void;
  readonly channelTextLimit: (channel: string, account: string) => number;
  readonly redact: (text: string) => string;
  /** Of the fences around untrusted text; made once per installation. */
  readonly fenceKey: string;
  /** True once the gateway lets go of what runs: a turn that is cut off then stays open on disk. */
  readonly isStopping: () => boolean;
}

/** One turn that is going on, and what it has gathered. */
interface Turn {
  readonly row: InboxRow;
  readonly active: ActiveRun;
  readonly events: RunEvents;
  readonly session: { current: SessionRow };
  readonly choice: ModelChoice;
  /** The label of all that this turn has read. */
  seen: Source;
  /** Ends of effects, waiting for the turn's next commit. */
  readonly ends: Write[];
}

type Said = Extract<Step, { type: "assistant" }>;

const charsPerToken = 3.5;
/** Two for each call of one answer: more calls than a provider lets a model make at once. */
const maxEntriesOfAnAnswer = 1000;
/** Pause before a turn whose end the store refused (disk full) is tried again. */
const storeRetryMs = 1000;

export function createTurns(parts: TurnParts): { readonly run: (row: InboxRow) => Promise<void> } {
  const { clock, commit, inbox, sessions, runs, histories } = parts;

  async function turn(row: InboxRow): Promise<void> {
    if (parts.isStopping()) return;
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
      const command = parseChatCommand(row.text);
      if (runs.takeSkipped(row.runId))
        await close(row, { status: "aborted", text: "" }, undefined, events, active);
      else if (command) await runCommand(row, command, events, active);
      else await converse(row, active, events, settings, unfinished);
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
    }
  }

  /** The turn as the disk knows it: entries of a commit that failed were never written. */
  function fresh(task: Turn | undefined): Turn | undefined {
    const stored = task && sessions.get(task.session.current.key);
    return stored && { ...task, session: { current: stored }, ends: [] };
  }

  // --- the model's loop ----------------------------------------------------------------------------------------

  async function converse(
    row: InboxRow,
    active: ActiveRun,
    events: RunEvents,
    settings: AgentSettings,
    unfinished: { task?: Turn },
  ): Promise<void> {
    const found = sessions.get(row.sessionKey);
    const specs = await parts.toolSpecs(row.agentId);
    const [{ model, choice }, system] = await Promise.all([
      parts.modelFor(row.agentId, found?.model),
      parts.promptFor(
        row.agentId,
        specs.map((spec) => spec.name),
      ),
    ]);
    const session = { current: found ?? sessionOf(row) };
    const task: Turn = { row, active, events, session, choice, seen: row.source, ends: [] };
    unfinished.task = task;

    // A run that a stopped gateway left open has its user's message in the transcript already.
    const resumed =
      session.current.lastSeq > 0 &&
      sessions.entryByKey(session.current.sessionId, userKey(row)) !== undefined;
    const opening: Write[] = [inbox.move(row.messageId, "running", undefined, clock.now())];
    const added = resumed ? [] : [add(task, opening, userBody(row))];
    const roomChars = (choice.contextTokens - choice.maxOutputTokens) * charsPerToken - system.length;
    const fitting = histories.fit(
      session.current,
      histories.of(session.current, added),
      Math.max(roomChars, 2000),
    );
    session.current = fitting.session;
    const { messages } = fitting.history;
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
    let answer: ToolAnswer | undefined;
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
        if (first && (step.type === "tool" || step.type === "assistant")) {
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
  ): Promise<ToolAnswer | undefined> {
    switch (step.type) {
      case "modelEnd":
        // Nothing outside depends on it: it rides along with the turn's next commit.
        task.ends.push(modelEnd(task, step));
        return undefined;
      case "delta":
        task.active.text = step.text;
        task.events.delta(step.delta, step.text);
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
    }
  }

  // --- ToolRequest -> Permit -> Outcome --------------------------------------------------------------------------

  async function callTool(request: ToolRequest, task: Turn): Promise<ToolAnswer> {
    const { row, events } = task;
    const call: ToolCallInfo = {
      toolCallId: request.id,
      name: request.tool,
      args: request.arguments,
      title: callTitle(request),
    };
    events.toolStart(call);
    const { output, effects, ran } = await permitAndRun(request, task, call);
    const source = sourceOf(request, effects, output, row.agentId);
    task.seen = joinSources(task.seen, source);
    const writes = task.ends.splice(0);
    const entry = add(task, writes, {
      type: "message",
      message: {
        role: "toolResult",
        toolCallId: request.id,
        toolName: request.tool,
        content: [{ type: "text", text: output.text }],
        isError: output.isError,
        timestamp: clock.now(),
        source,
      },
    });
    if (ran) {
      writes.push(
        recordEffect(
          "effect.end",
          "sandbox",
          `tool.${request.tool}`,
          row,
          { toolCallId: request.id },
          output.isError ? "error" : "ok",
        ),
      );
      // Whether or not the tool finished: what it may have written carries the label of all that was read before.
      for (const effect of effects) {
        if (effect.kind === "file.write")
          writes.push(parts.fileSources.put(row.agentId, plainPath(effect.path), task.seen));
      }
    }
    await commit([...writes, sessions.put(task.session.current)]);
    parts.entryAdded(task.session.current, entry);
    events.toolEnd(call, output);
    const modelText =
      source.trust === "untrusted"
        ? fence(output.text, source.author, entry.id, parts.fenceKey)
        : output.text;
    return { text: output.text, isError: output.isError, modelText };
  }

  /** Policy, an operator where policy asks for one, then the sandbox. What is refused never reaches a tool. */
  async function permitAndRun(
    request: ToolRequest,
    task: Turn,
    call: ToolCallInfo,
  ): Promise<{ readonly output: ToolOutput; readonly effects: readonly Effect[]; readonly ran: boolean }> {
    const { row, events, active } = task;
    if (active.abort.signal.aborted) return refusedCall("policy.run_stopped", request.tool);
    const last = lastAnswer(task.session.current);
    // Begun before a crash: what it did is not known, so it is not done again.
    if (last.started.has(request.id)) return refusedCall("sandbox.interrupted", request.tool);

    const decision = decide(request, await parts.policyFor(row.agentId, request.tool));
    let verdict: Verdict<Permit>;
    if (decision.ok === "ask") {
      events.lifecycle({ phase: "waiting-approval" });
      const approval = await parts.approvals.ask(
        approvalId(row.runId, last.entryId, request.id),
        decision.question,
        active.abort.signal,
      );
      events.approval({ phase: "resolved", kind: "exec", status: approval.state, approvalId: approval.id });
      // A run that was stopped while it waited was not refused by anybody.
      if (approval.state === "cancelled") return refusedCall("policy.run_stopped", request.tool);
      verdict = settle(decision.question, approval.decision);
    } else verdict = decision;

    if (!admitted(verdict)) {
      const facts = { tool: request.tool, toolCallId: request.id };
      await commit([...task.ends.splice(0), recordVerdict("policy", "refuse", row, facts, verdict.reason)]);
      return refusedCall(verdict.reason, verdict.detail);
    }
    const permit = verdict.value;
    const writes = task.ends.splice(0);
    add(task, writes, { type: "tool_started", toolCallId: request.id });
    await commit([
      ...writes,
      sessions.put(task.session.current),
      recordVerdict("policy", "permit", row, { tool: request.tool, toolCallId: request.id }),
      recordEffect("effect.start", "sandbox", `tool.${request.tool}`, row, {
        toolCallId: request.id,
        effects: effectFacts(permit.effects, parts.redact),
      }),
    ]);
    const outcome = await parts.execute(permit, active.abort.signal, (text) =>
      events.toolProgress(call, text),
    );
    return { output: outcome, effects: permit.effects, ran: true };
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
    const writes = said?.task.ends.splice(0) ?? [];
    let entry: Entry | undefined;
    if (said?.reply) entry = addReply(said.task, writes, said.reply);
    else if (said && result.text !== "")
      entry = add(said.task, writes, partial(said.task, result.text, "aborted"));
    if (said) writes.push(sessions.put(said.task.session.current));
    const aborted = result.status === "aborted";
    const replies = row.reply && !aborted ? repliesTo(row, result.text, row.reply) : [];
    await commit([
      ...writes,
      ...replies.map((reply) => parts.outbox.insert(reply)),
      inbox.move(row.messageId, "done", aborted ? "aborted" : undefined, clock.now()),
      recordVerdict("delivery", aborted ? "aborted" : "reply", row, { parts: replies.length }),
    ]);
    parts.sender.offer(replies);
    if (said && entry) parts.entryAdded(said.task.session.current, entry);
    events.finish(
      aborted
        ? { state: "aborted", text: result.text }
        : { state: "final", text: result.text, stopReason: result.stopReason },
    );
    if (said) parts.sessionChanged(said.task.session.current, "agent.input.settled", row.runId);
    settleRun(row, active, said?.task, { status: aborted ? "aborted" : "ok", text: result.text });
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
    const writes = task?.ends.splice(0) ?? [];
    if (task) {
      add(task, writes, partial(task, text, "error", message));
      writes.push(sessions.put(task.session.current));
    }
    const replies = row.reply ? repliesTo(row, `I could not answer: ${message}`, row.reply) : [];
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

  async function runCommand(
    row: InboxRow,
    command: ChatCommand,
    events: RunEvents,
    active: ActiveRun,
  ): Promise<void> {
    let session = sessions.get(row.sessionKey) ?? sessionOf(row);
    const writes: Write[] = [];
    let text = chatHelp;
    const resets = command.name === "new" || command.name === "reset";
    if (resets) {
      const appended = appendEntry(session, {
        id: uuid(parts.random),
        now: clock.now(),
        runId: row.runId,
        body: { type: "reset" },
      });
      session = appended.row;
      writes.push(sessions.append(session.sessionId, appended.entry), sessions.put(session));
      text = "A fresh conversation. What was said before is out of the model's sight.";
    } else if (command.name === "stop") text = "Stopped.";
    else if (command.name === "whoami")
      text = `You are ${row.source.author} (proved by ${row.source.proof}; trust: ${row.source.trust}).`;
    else if (command.name === "approve")
      text = "Answer approvals on the page, or with: openclaw approvals resolve <id> <decision>";
    else if (command.name === "status") text = statusText(session);
    if (writes.length > 0) await commit(writes);
    if (resets) {
      histories.forget(session.sessionId);
      parts.sessionChanged(session, "reset", row.runId);
    }
    await close(row, { status: "done", text, stopReason: "stop" }, undefined, events, active);
  }

  function statusText(session: SessionRow): string {
    const model = session.model ?? parts.agentSettings(session.agentId).model ?? "not configured";
    return [
      `Session ${session.key}`,
      `Model ${model}`,
      `Tokens ${session.inputTokens} in, ${session.outputTokens} out; cost $${session.costUsd.toFixed(4)}`,
      `${parts.lanes.depth(session.key)} message(s) in this lane, ${runs.size} run(s) active`,
    ].join("\n");
  }

  // --- what a turn is made of ----------------------------------------------------------------------------------------

  function sessionOf(row: InboxRow): SessionRow {
    const route = row.reply
      ? JSON.stringify({ channel: row.channel, account: row.account, conversation: row.reply.conversation })
      : undefined;
    return newSession({
      key: row.sessionKey,
      agentId: row.agentId,
      sessionId: uuid(parts.random),
      now: clock.now(),
      ...(route === undefined ? {} : { route }),
    });
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
  function addReply(task: Turn, writes: Write[], said: Said): Entry {
    const { choice } = task;
    const costUsd = costOf(choice, said.usage);
    const entry = add(task, writes, {
      type: "message",
      message: {
        ...spoken(task, said.content),
        usage: { ...said.usage, totalTokens: said.usage.input + said.usage.output, costUsd },
        stopReason: said.stopReason,
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

  /**
   * The model's last answer, and which of its calls were begun. A call's id is the model's to choose, and some use one
   * again and again: only together with the answer that it stands in does it name a call.
   */
  function lastAnswer(session: SessionRow): {
    readonly entryId: string;
    readonly started: ReadonlySet<string>;
  } {
    const started = new Set<string>();
    const recent = sessions.entries(session.sessionId, {
      afterSeq: Math.max(0, session.lastSeq - maxEntriesOfAnAnswer),
      limit: maxEntriesOfAnAnswer,
    });
    for (const { id, body } of recent.reverse()) {
      if (body.type === "tool_started") started.add(body.toolCallId);
      if (body.type === "message" && body.message.role === "assistant") return { entryId: id, started };
    }
    return { entryId: "", started };
  }

  /** A tool's own word on trust stands; a file carries the label that it was written with. */
  function sourceOf(
    request: ToolRequest,
    effects: readonly Effect[],
    output: ToolOutput,
    agentId: string,
  ): Source {
    let source: Source = {
      author: output.origin ?? `tool:${request.tool}`,
      proof: "self",
      trust: output.trust ?? "untrusted",
      sensitivity: output.sensitivity ?? "private",
    };
    for (const effect of effects) {
      const label =
        effect.kind === "file.read" ? parts.fileSources.get(agentId, plainPath(effect.path)) : undefined;
      if (label) source = joinSources(source, label);
    }
    return source;
  }

  function repliesTo(row: InboxRow, text: string, reply: ReplyTo) {
    return replyRows(row, text, reply, parts.channelTextLimit(row.channel, row.account), clock.now());
  }

  function settleRun(
    row: InboxRow,
    active: ActiveRun,
    task: Turn | undefined,
    end: { status: "ok" | "error" | "aborted"; text: string; errorMessage?: string },
  ): void {
    const { runId, sessionKey, agentId } = row;
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

  // --- the record ------------------------------------------------------------------------------------------------------

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

  return { run: turn };
}

/** What people are told. Only errors that were written for them are shown; others may name what is none of theirs. */
function failureOf(error: unknown, runId: string): { readonly message: string; readonly kind: string } {
  if (error instanceof ModelFault) return { message: error.message, kind: error.kind };
  if (error instanceof InputError) return { message: error.message, kind: "input" };
  return { message: `the gateway failed inside; its log tells why (run ${runId})`, kind: "internal" };
}

function refusedCall(reason: Reason, detail: string) {
  const text = `${reasonText(reason)} (${reason}${detail === "" ? "" : `: ${detail}`})`;
  return { output: { text, isError: true, trust: "system" as const }, effects: [], ran: false };
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

/**
 * The same call asks under the same id after a restart, so that an answer that was given still counts; another call,
 * though it may bear the same name, asks anew (an answer to one command must never let another one run).
 */
function approvalId(runId: string, answerEntryId: string, toolCallId: string): string {
  return hash("sha256", `${runId}\n${answerEntryId}\n${toolCallId}`).slice(0, 16);
}

/** One line that says what a call is about. */
function callTitle(request: ToolRequest): string {
  const args = (request.arguments ?? {}) as Record<string, unknown>;
  const subject = args.command ?? args.path ?? args.url ?? args.action ?? "";
  return titleOf(`${request.tool} ${typeof subject === "string" ? subject : ""}`, 120);
}
