/**
 * The message path, in order. This file is a map: it calls the stages and records what they say.
 *
 *   bytes -> Arrival -> Principal -> Admitted -> Turn -> ToolRequest -> Permit -> Outcome -> reply
 *
 * Read `receive` (a platform's message), `submit` (a control client's message) and `turn` (both, from the inbox to
 * the reply). Nothing here decides: each refusal and each permission comes from the stage that is named beside it.
 */
import { hash } from "node:crypto";
import { posix } from "node:path";
import { type AccessSettings, type Admitted, decide as decideAccess, type Pairings } from "./access/mod.ts";
import {
  type AgentSettings,
  emptyHistory,
  extendHistory,
  fence,
  fitHistory,
  type History,
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
import type { LedgerEvent, LedgerStore } from "./audit/mod.ts";
import type { RunEvents, ToolCallInfo } from "./control/mod.ts";
import {
  chunkText,
  type InboundMessage,
  type InboxRow,
  type InboxStore,
  type OutboundMessage,
  type OutboxRow,
  type OutboxSender,
  type OutboxStore,
  type ReplyTo,
} from "./delivery/mod.ts";
import {
  admit,
  admitted,
  type Clock,
  type Commit,
  type Json,
  joinSources,
  type Log,
  type Random,
  type Reason,
  reasonText,
  refuse,
  type Source,
  type Usage,
  uuid,
  type Verdict,
  type Write,
} from "./kernel/mod.ts";
import {
  type Approvals,
  decide as decidePolicy,
  type Effect,
  type Permit,
  type PolicyContext,
  settle,
} from "./policy/mod.ts";
import type { Outcome, ToolOutput } from "./sandbox/mod.ts";
import {
  type AssistantMessage,
  type ChatCommand,
  chatHelp,
  type Entry,
  type EntryBody,
  type Lanes,
  type Message,
  parseChatCommand,
  route,
  type SessionRow,
  type SessionSettings,
  type SessionStore,
  titleOf,
} from "./session/mod.ts";
import type { FileSourceStore, UsageStore } from "./store/mod.ts";

/** Everything that the path needs, made by the composer. Functions give what may change while the gateway runs. */
export interface GatewayParts {
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
  readonly sender: OutboxSender;
  readonly approvals: Approvals;
  readonly pairings: Pairings;
  readonly accessSettings: (channel: string, account: string) => AccessSettings;
  readonly sessionSettings: () => SessionSettings;
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
  readonly pairingChanged: () => void;
  readonly typing: (channel: string, account: string, reply: ReplyTo) => void;
  readonly channelTextLimit: (channel: string, account: string) => number;
  /** Of the fences around untrusted text; made once per installation. */
  readonly fenceKey: string;
  readonly maxMessageChars: number;
}

/** A message from a control client (the page, the terminal, an API). */
export interface Submission {
  readonly sessionKey: string;
  readonly agentId: string;
  readonly text: string;
  /** Becomes the run's id; the same key is never run twice. */
  readonly idempotencyKey: string;
  readonly source: Source;
  readonly actor: string;
}

export type Submitted = { readonly runId: string; readonly status: "started" | "in_flight" | "ok" };

/** How a run ended, for those who wait for it. */
export interface RunOutcome {
  readonly runId: string;
  readonly sessionKey: string;
  readonly agentId: string;
  readonly status: "ok" | "error" | "aborted";
  readonly text: string;
  readonly errorMessage?: string;
  readonly provider?: string;
  readonly model?: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface Gateway {
  receive(message: InboundMessage): Promise<Verdict<{ readonly messageId: string }>>;
  submit(submission: Submission): Promise<Verdict<Submitted>>;
  /** Aborts one run, or all of a session (what waits there too). Returns the ids of what it stopped. */
  abort(sessionKey: string, runId?: string): readonly string[];
  /** The outcome once the run has ended; undefined when `timeoutMs` passed or nobody knows the run. */
  wait(runId: string, timeoutMs: number): Promise<RunOutcome | undefined>;
  activeRun(
    sessionKey: string,
  ): { readonly runId: string; readonly text: string; readonly startedAt: number } | undefined;
  readonly activeRuns: number;
  /** Takes up everything that a stopped gateway left open. */
  resume(): Promise<void>;
  /** Refuses new messages, waits up to `graceMs` for running turns, then leaves them to be taken up at the next start. */
  drain(graceMs: number): Promise<void>;
  /** Forgets what it keeps in memory of a session (after a reset or a delete). */
  forget(sessionId: string): void;
}

interface ActiveRun {
  readonly runId: string;
  readonly sessionKey: string;
  readonly startedAt: number;
  readonly abort: AbortController;
  text: string;
}

interface Turn {
  readonly row: InboxRow;
  readonly session: { current: SessionRow };
  readonly choice: ModelChoice;
  readonly events: RunEvents;
  readonly active: ActiveRun;
  /** The label of all that this turn has read. */
  seen: Source;
  /** Ends of effects, waiting for the turn's next commit. */
  readonly ends: Write[];
}

export function createGateway(parts: GatewayParts): Gateway {
  const { clock, commit, inbox, ledger, log, sessions } = parts;
  const active = new Map<string, ActiveRun>();
  const cancelled = new Set<string>();
  const outcomes = new Map<string, RunOutcome>();
  const waiters = new Map<string, ((outcome: RunOutcome) => void)[]>();
  const histories = new Map<string, { readonly lastSeq: number; readonly history: History }>();
  let draining = false;
  let stopping = false;

  function record(event: LedgerEvent): Write {
    return ledger.append(event);
  }

  // --- message: Arrival -> Admitted -> Turn ------------------------------------------------------------------

  async function receive(message: InboundMessage): Promise<Verdict<{ readonly messageId: string }>> {
    if (draining) throw new Error(reasonText("delivery.draining"));
    const known = inbox.find(message.channel, message.account, message.eventId);
    if (known) return admit({ messageId: known.messageId });

    const paired = await parts.pairings.allowed(message.channel, message.account);
    const access = decideAccess(message, parts.accessSettings(message.channel, message.account), paired);
    if (!admitted(access)) return turnAway(message, "access", access.reason, access.detail);

    const routed = route(message, parts.sessionSettings());
    if (!admitted(routed)) return turnAway(message, "session", routed.reason, routed.detail);
    if (message.text.length > parts.maxMessageChars) {
      return turnAway(message, "session", "session.message_too_large", `${message.text.length} characters`);
    }

    const command = parseChatCommand(message.text);
    if (command?.name === "stop") abort(routed.value.sessionKey);
    if (command?.name === "approve") return answerApproval(message, access.value, command, routed.value);

    // Rejecting (rather than refusing) makes the platform offer the message again when there is room.
    if (!parts.lanes.hasRoom(routed.value.sessionKey)) throw new Error(reasonText("session.queue_full"));
    const row = inboxRowOf(message, "accepted", routed.value, access.value.source);
    await commit([
      inbox.insert(row),
      verdict("access", "admit", row, access.value.source.author, { trust: access.value.source.trust }),
      verdict("session", "route", row, access.value.source.author, { agentId: row.agentId }),
    ]);
    enqueue(row);
    return admit({ messageId: row.messageId });
  }

  /** A message that no agent will see: recorded with its reason; an unknown sender gets a pairing code, once. */
  async function turnAway(
    message: InboundMessage,
    stage: string,
    reason: Reason,
    detail: string,
  ): Promise<Verdict<{ readonly messageId: string }>> {
    const row = {
      ...inboxRowOf(message, "refused", { agentId: "", sessionKey: "" }, unprovedSource(message)),
      detail: reason,
      text: "",
    };
    const replies = reason === "access.sender_unpaired" ? await pairingReply(message, row) : [];
    await commit([
      inbox.insert(row),
      record({
        stage,
        kind: "verdict",
        action: "refuse",
        outcome: reason,
        messageId: row.messageId,
        actor: row.source.author,
        facts: { detail },
      }),
      ...replies.map((reply) => parts.outbox.insert(reply)),
    ]);
    parts.sender.offer(replies);
    return refuse(reason, detail);
  }

  async function pairingReply(message: InboundMessage, row: InboxRow): Promise<OutboxRow[]> {
    const { channel, account, sender } = message;
    const asked = await parts.pairings.request(channel, account, sender.id, sender.claimedName);
    if (asked.state !== "created") return [];
    parts.pairingChanged();
    const text = [
      "This assistant answers only people its owner has approved.",
      `Your id here: ${sender.id}`,
      `Pairing code: ${asked.request.code}`,
      `The owner can approve you with: openclaw pairing approve ${channel} ${asked.request.code}`,
      "The code is good for 60 minutes.",
    ].join("\n");
    return outboxRows(row, text, { conversation: message.conversation, messageId: message.messageId });
  }

  async function answerApproval(
    message: InboundMessage,
    who: Admitted,
    command: ChatCommand,
    target: { agentId: string; sessionKey: string },
  ): Promise<Verdict<{ readonly messageId: string }>> {
    const row = { ...inboxRowOf(message, "done", target, who.source), text: "" };
    let text: string;
    if (!who.isOwner) text = "Only the owner may answer approvals. Ask them, or see commands.ownerAllowFrom.";
    else {
      try {
        const approval = await parts.approvals.resolve(
          command.args[0] ?? "",
          command.args[1] ?? "",
          who.source.author,
        );
        text = `${approval.decision}: ${approval.request.command}`;
      } catch (error) {
        text = `${(error as Error).message}. Usage: /approve <id> allow-once|allow-always|deny`;
      }
    }
    const replies = outboxRows(row, text, row.reply as ReplyTo);
    await commit([
      inbox.insert(row),
      verdict("access", "command", row, who.source.author, { command: command.name, owner: who.isOwner }),
      ...replies.map((reply) => parts.outbox.insert(reply)),
    ]);
    parts.sender.offer(replies);
    return admit({ messageId: row.messageId });
  }

  // --- control client: Principal -> Turn ---------------------------------------------------------------------

  async function submit(submission: Submission): Promise<Verdict<Submitted>> {
    const { idempotencyKey, sessionKey } = submission;
    const digest = digestOf(submission.sessionKey, submission.text);
    const known = inbox.find("control", "", idempotencyKey);
    if (known) {
      if (known.digest !== digest) return refuse("delivery.conflict", idempotencyKey);
      const open = known.state === "accepted" || known.state === "running";
      return admit({ runId: known.runId, status: open ? "in_flight" : "ok" });
    }
    if (draining) return refuse("delivery.draining");
    if (submission.text.length > parts.maxMessageChars) {
      return refuse(
        "session.message_too_large",
        `${submission.text.length} characters, at most ${parts.maxMessageChars}`,
      );
    }
    if (parseChatCommand(submission.text)?.name === "stop") abort(sessionKey);
    if (!parts.lanes.hasRoom(sessionKey)) return refuse("session.queue_full", sessionKey);
    const now = clock.now();
    const row: InboxRow = {
      messageId: uuid(parts.random),
      channel: "control",
      account: "",
      eventId: idempotencyKey,
      state: "accepted",
      sessionKey,
      agentId: submission.agentId,
      runId: idempotencyKey,
      receivedAt: now,
      updatedAt: now,
      text: submission.text,
      digest,
      source: submission.source,
    };
    try {
      await commit([inbox.insert(row), verdict("auth", "admit", row, submission.actor, { sessionKey })]);
    } catch (error) {
      // Two frames with one key at once: the second finds the first's row.
      const twin = inbox.find("control", "", idempotencyKey);
      if (twin)
        return twin.digest === digest
          ? admit({ runId: twin.runId, status: "in_flight" })
          : refuse("delivery.conflict", idempotencyKey);
      log("error", "a message could not be stored", { error: (error as Error).message });
      return refuse("delivery.store_unavailable", (error as Error).message);
    }
    enqueue(row);
    return admit({ runId: row.runId, status: "started" });
  }

  function enqueue(row: InboxRow): void {
    parts.lanes.add(row.sessionKey, () => turn(row));
  }

  // --- Turn -> ToolRequest -> Permit -> Outcome -> reply -----------------------------------------------------

  async function turn(row: InboxRow): Promise<void> {
    if (stopping) return;
    const startedAt = clock.now();
    const abortController = new AbortController();
    const current: ActiveRun = {
      runId: row.runId,
      sessionKey: row.sessionKey,
      startedAt,
      abort: abortController,
      text: "",
    };
    const events = parts.events({
      runId: row.runId,
      sessionKey: row.sessionKey,
      agentId: row.agentId,
      startedAt,
    });
    active.set(row.runId, current);
    const stopTyping = keepTyping(row);
    const settings = parts.agentSettings(row.agentId);
    const cancelTimeout = clock.after(settings.timeoutMs, () => abortController.abort());
    try {
      if (cancelled.delete(row.runId)) {
        await close(row, { status: "aborted", text: "" }, undefined, events, current);
        return;
      }
      const command = parseChatCommand(row.text);
      if (command) await runCommand(row, command, events, current);
      else await converse(row, current, events, settings);
    } catch (error) {
      if (stopping) return;
      log("error", "a turn failed", {
        runId: row.runId,
        session: row.sessionKey,
        error: (error as Error).message,
      });
      await fail(row, events, current, (error as Error).message);
    } finally {
      cancelTimeout();
      stopTyping();
      active.delete(row.runId);
    }
  }

  async function converse(
    row: InboxRow,
    current: ActiveRun,
    events: RunEvents,
    settings: AgentSettings,
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
    const session = { current: found ?? newSession(row) };
    const writes: Write[] = [inbox.move(row.messageId, "running", undefined, clock.now())];
    const resumed =
      session.current.lastSeq > 0 &&
      sessions.entryByKey(session.current.sessionId, userKey(row)) !== undefined;
    const added: Entry[] = resumed ? [] : [addEntry(session, writes, row, userBody(row))];
    const history = fitted(session, historyOf(session.current, added), choice, system.length);
    writes.push(sessions.put(session.current));
    const task: Turn = { row, session, choice, events, active: current, seen: row.source, ends: [] };
    events.lifecycle({ phase: "start", startedAt: current.startedAt });
    parts.sessionChanged(session.current, "agent.run.started", row.runId);
    for (const entry of added) parts.entryAdded(session.current, entry);

    const loop = run({
      runId: row.runId,
      agentId: row.agentId,
      sessionKey: row.sessionKey,
      model,
      modelId: choice.model,
      system,
      messages: history.messages,
      tools: specs,
      unanswered: resumed ? unansweredCalls(history) : [],
      maxOutputTokens: choice.maxOutputTokens,
      maxRounds: settings.maxRounds,
      signal: current.abort.signal,
      clock,
    });
    let waitingWrites: Write[] | undefined = writes;
    let answer: ToolAnswer | undefined;
    let reply: Extract<Step, { type: "assistant" }> | undefined;
    for (;;) {
      const { value: step, done } = await loop.next(answer);
      answer = undefined;
      if (done) {
        if (waitingWrites) await commit(waitingWrites);
        await close(row, step, { task, reply }, events, current);
        return;
      }
      if (waitingWrites && (step.type === "model" || step.type === "tool" || step.type === "assistant")) {
        // The turn's first effect carries the turn's own start: one wait for the disk instead of two.
        const first: Write[] = waitingWrites;
        waitingWrites = undefined;
        if (step.type === "model") first.push(modelStart(task, step));
        await commit(first);
        if (step.type === "model") continue;
      }
      if (step.type === "assistant" && step.final) reply = step;
      else answer = await carryOut(step, task);
    }
  }

  /** One step of the loop: told to clients, recorded, carried out. */
  async function carryOut(step: Step, task: Turn): Promise<ToolAnswer | undefined> {
    switch (step.type) {
      case "model":
        await commit([modelStart(task, step)]);
        return undefined;
      case "modelEnd":
        // Rides along with the next commit of the turn: nothing outside depends on it.
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
      case "assistant":
        await saveAssistant(task, step);
        return undefined;
      case "tool":
        return callTool(step.request, task);
    }
  }

  function modelStart(task: Turn, step: Extract<Step, { type: "model" }>): Write {
    const { provider, model } = task.choice;
    return effect("effect.start", "agent", "model.call", task.row, {
      provider,
      model,
      round: step.round,
      attempt: step.attempt,
    });
  }

  function modelEnd(task: Turn, step: Extract<Step, { type: "modelEnd" }>): Write {
    return effect(
      "effect.end",
      "agent",
      "model.call",
      task.row,
      { input: step.usage.input, output: step.usage.output },
      step.outcome,
    );
  }

  async function saveAssistant(task: Turn, step: Extract<Step, { type: "assistant" }>): Promise<void> {
    const writes: Write[] = task.ends.splice(0);
    const entry = addEntry(task.session, writes, task.row, {
      type: "message",
      message: assistantMessage(task, step),
    });
    count(task, step, writes);
    writes.push(sessions.put(task.session.current));
    await commit(writes);
    parts.entryAdded(task.session.current, entry);
  }

  async function callTool(request: ToolRequest, task: Turn): Promise<ToolAnswer> {
    const { row, events } = task;
    const call: ToolCallInfo = {
      toolCallId: request.id,
      name: request.tool,
      args: request.arguments,
      title: callTitle(request),
    };
    events.toolStart(call);
    const output = await permitAndRun(request, task, call);
    const source = sourceOfOutput(request, output.effects, output.output, row.agentId);
    task.seen = joinSources(task.seen, source);
    const writes: Write[] = task.ends.splice(0);
    const entry = addEntry(task.session, writes, row, {
      type: "message",
      message: {
        role: "toolResult",
        toolCallId: request.id,
        toolName: request.tool,
        content: [{ type: "text", text: output.output.text }],
        isError: output.output.isError,
        timestamp: clock.now(),
        source,
      },
    });
    if (output.ran) {
      writes.push(
        effect(
          "effect.end",
          "sandbox",
          `tool.${request.tool}`,
          row,
          { toolCallId: request.id },
          output.output.isError ? "error" : "ok",
        ),
      );
      if (!output.output.isError) {
        for (const path of writtenPaths(output.effects))
          writes.push(parts.fileSources.put(row.agentId, path, task.seen));
      }
    }
    writes.push(sessions.put(task.session.current));
    await commit(writes);
    parts.entryAdded(task.session.current, entry);
    events.toolEnd(call, output.output);
    const modelText =
      source.trust === "untrusted"
        ? fence(output.output.text, source.author, entry.id, parts.fenceKey)
        : output.output.text;
    return { text: output.output.text, isError: output.output.isError, modelText };
  }

  /** ToolRequest -> Permit (policy, an operator) -> Outcome (sandbox). Whatever is refused never reaches a tool. */
  async function permitAndRun(
    request: ToolRequest,
    task: Turn,
    call: ToolCallInfo,
  ): Promise<{ readonly output: ToolOutput; readonly effects: readonly Effect[]; readonly ran: boolean }> {
    const { row, events, active: current } = task;
    const nothing = (reason: Reason, detail: string) => ({
      output: {
        text: `${reasonText(reason)} (${reason}${detail === "" ? "" : `: ${detail}`})`,
        isError: true,
        trust: "system" as const,
      },
      effects: [],
      ran: false,
    });
    if (current.abort.signal.aborted) return nothing("policy.approval_expired", "the run was stopped");
    if (wasStarted(task.session.current, request.id)) return nothing("sandbox.interrupted", request.tool);

    const decision = decidePolicy(request, await parts.policyFor(row.agentId, request.tool));
    let verdictOf: Verdict<Permit>;
    if (decision.ok === "ask") {
      events.lifecycle({ phase: "waiting-approval" });
      const approval = await parts.approvals.ask(
        approvalId(row.runId, request.id),
        decision.question,
        current.abort.signal,
      );
      events.approval({ phase: "resolved", kind: "exec", status: approval.state, approvalId: approval.id });
      verdictOf = settle(
        decision.question,
        approval.state === "allowed" ? approval.decision : approval.decision === "deny" ? "deny" : undefined,
      );
    } else verdictOf = decision;

    if (!admitted(verdictOf)) {
      await commit([
        record({
          stage: "policy",
          kind: "verdict",
          action: "refuse",
          outcome: verdictOf.reason,
          messageId: row.messageId,
          runId: row.runId,
          sessionKey: row.sessionKey,
          actor: row.source.author,
          facts: { tool: request.tool, toolCallId: request.id },
        }),
      ]);
      return nothing(verdictOf.reason, verdictOf.detail);
    }
    const permit = verdictOf.value;
    const writes: Write[] = task.ends.splice(0);
    addEntry(task.session, writes, row, { type: "tool_started", toolCallId: request.id });
    await commit([
      ...writes,
      sessions.put(task.session.current),
      verdict("policy", "permit", row, row.source.author, { tool: request.tool, toolCallId: request.id }),
      effect("effect.start", "sandbox", `tool.${request.tool}`, row, {
        toolCallId: request.id,
        effects: factsOf(permit.effects),
      }),
    ]);
    const outcome = await parts.execute(permit, current.abort.signal, (text) =>
      events.toolProgress(call, text),
    );
    return { output: outcome, effects: permit.effects, ran: true };
  }

  // --- the end of a turn: transcript, outbox and inbox in one commit -------------------------------------------

  async function close(
    row: InboxRow,
    result: RunResult,
    said:
      | { readonly task: Turn; readonly reply: Extract<Step, { type: "assistant" }> | undefined }
      | undefined,
    events: RunEvents,
    current: ActiveRun,
  ): Promise<void> {
    // A gateway that is stopping leaves its turns open on disk; the next start takes them up.
    if (result.status === "aborted" && stopping) return;
    if (result.status === "failed")
      return fail(row, events, current, result.fault.message, said?.task, result.text, result.fault.kind);
    const writes: Write[] = said?.task.ends.splice(0) ?? [];
    let entry: Entry | undefined;
    if (said) {
      const { task } = said;
      if (said.reply) {
        entry = addEntry(task.session, writes, row, {
          type: "message",
          message: assistantMessage(task, said.reply),
        });
        count(task, said.reply, writes);
      } else if (result.text !== "") {
        entry = addEntry(task.session, writes, row, {
          type: "message",
          message: partialMessage(task, result.text, "aborted"),
        });
      }
      writes.push(sessions.put(task.session.current));
    }
    const text = result.status === "aborted" ? "" : result.text;
    const replies = row.reply && text.trim() !== "" ? outboxRows(row, text, row.reply) : [];
    writes.push(
      ...replies.map((reply) => parts.outbox.insert(reply)),
      inbox.move(row.messageId, "done", result.status === "aborted" ? "aborted" : undefined, clock.now()),
      verdict("delivery", result.status === "aborted" ? "aborted" : "reply", row, row.source.author, {
        parts: replies.length,
      }),
    );
    await commit(writes);
    parts.sender.offer(replies);
    if (said && entry) parts.entryAdded(said.task.session.current, entry);
    if (result.status === "aborted") events.finish({ state: "aborted", text: result.text });
    else events.finish({ state: "final", text: result.text, stopReason: result.stopReason });
    if (said) parts.sessionChanged(said.task.session.current, "agent.input.settled", row.runId);
    settleRun(row, current, {
      status: result.status === "aborted" ? "aborted" : "ok",
      text: result.text,
      ...choiceOf(said?.task),
    });
  }

  /** A turn that ended in an error is visible too: to clients as an error, on a channel as a sentence. */
  async function fail(
    row: InboxRow,
    events: RunEvents,
    current: ActiveRun,
    message: string,
    task?: Turn,
    partial = "",
    kind = "internal",
  ): Promise<void> {
    const writes: Write[] = task?.ends.splice(0) ?? [];
    if (task) {
      addEntry(task.session, writes, row, {
        type: "message",
        message: { ...partialMessage(task, partial, "error"), errorMessage: message },
      });
      writes.push(sessions.put(task.session.current));
    }
    const replies = row.reply ? outboxRows(row, `I could not answer: ${message}`, row.reply) : [];
    await commit([
      ...writes,
      ...replies.map((reply) => parts.outbox.insert(reply)),
      inbox.move(row.messageId, "failed", message.slice(0, 500), clock.now()),
      verdict("delivery", "failed", row, row.source.author, { kind }),
    ]);
    parts.sender.offer(replies);
    events.finish({ state: "error", errorMessage: message, errorKind: kind });
    if (task) parts.sessionChanged(task.session.current, "agent.input.settled", row.runId);
    settleRun(row, current, { status: "error", text: partial, errorMessage: message, ...choiceOf(task) });
  }

  async function runCommand(
    row: InboxRow,
    command: ChatCommand,
    events: RunEvents,
    current: ActiveRun,
  ): Promise<void> {
    const session = { current: sessions.get(row.sessionKey) ?? newSession(row) };
    const writes: Write[] = [];
    let text = chatHelp;
    if (command.name === "new" || command.name === "reset") {
      addEntry(session, writes, row, { type: "reset" });
      session.current = {
        ...session.current,
        windowStartSeq: session.current.lastSeq,
        inputTokens: 0,
        outputTokens: 0,
      };
      text = "A fresh conversation. What was said before is out of the model's sight.";
    } else if (command.name === "stop") text = "Stopped.";
    else if (command.name === "whoami")
      text = `You are ${row.source.author} (proved by ${row.source.proof}; trust: ${row.source.trust}).`;
    else if (command.name === "approve")
      text = "Answer approvals on the page, or with: openclaw approvals resolve <id> <decision>";
    else if (command.name === "status") text = statusText(session.current);
    writes.push(sessions.put(session.current));
    await commit(writes);
    histories.delete(session.current.sessionId);
    parts.sessionChanged(
      session.current,
      command.name === "new" || command.name === "reset" ? "reset" : "send",
      row.runId,
    );
    await close(row, { status: "done", text, stopReason: "stop" }, undefined, events, current);
  }

  function statusText(session: SessionRow): string {
    const settings = parts.agentSettings(session.agentId);
    return [
      `Session ${session.key}`,
      `Model ${session.model ?? settings.model ?? "not configured"}`,
      `Tokens ${session.inputTokens} in, ${session.outputTokens} out; cost $${session.costUsd.toFixed(4)}`,
      `${parts.lanes.depth(session.key)} message(s) in this lane, ${active.size} run(s) active`,
    ].join("\n");
  }

  // --- what a turn is made of ----------------------------------------------------------------------------------

  function newSession(row: InboxRow): SessionRow {
    const now = clock.now();
    const group = /:(?:group|channel):/.test(row.sessionKey);
    return {
      key: row.sessionKey,
      agentId: row.agentId,
      sessionId: uuid(parts.random),
      kind: group ? "group" : "direct",
      createdAt: now,
      updatedAt: now,
      title: titleOf(row.text),
      archived: false,
      pinned: false,
      lastSeq: 0,
      lastEntryId: null,
      windowStartSeq: 0,
      inputTokens: 0,
      outputTokens: 0,
      costUsd: 0,
      ...(row.reply
        ? {
            route: JSON.stringify({
              channel: row.channel,
              account: row.account,
              conversation: row.reply.conversation,
            }),
          }
        : {}),
    };
  }

  /** Puts the next entry of the session into `writes`, and moves the session's row with it. */
  function addEntry(
    session: { current: SessionRow },
    writes: Write[],
    row: InboxRow,
    body: EntryBody,
  ): Entry {
    const now = clock.now();
    const before = session.current;
    const entry: Entry = {
      seq: before.lastSeq + 1,
      id: uuid(parts.random),
      parentId: before.lastEntryId,
      timestamp: new Date(now).toISOString(),
      runId: row.runId,
      body,
    };
    const spoken = body.type === "message" ? spokenText(body.message) : undefined;
    session.current = {
      ...before,
      updatedAt: now,
      lastSeq: entry.seq,
      lastEntryId: entry.id,
      ...(before.title === undefined && spoken ? { title: titleOf(spoken) } : {}),
      ...(spoken ? { lastMessage: titleOf(spoken, 120) } : {}),
    };
    writes.push(sessions.append(before.sessionId, entry));
    remember(session.current, entry);
    return entry;
  }

  function historyOf(session: SessionRow, added: readonly Entry[]): History {
    const kept = histories.get(session.sessionId);
    if (kept && kept.lastSeq === session.lastSeq) return kept.history;
    const stored = sessions.entries(session.sessionId, {
      afterSeq: session.windowStartSeq,
      throughSeq: session.lastSeq - added.length,
      limit: maxWindowEntries,
    });
    const history = extendHistory(extendHistory(emptyHistory, stored, parts.fenceKey), added, parts.fenceKey);
    keep(session.sessionId, session.lastSeq, history);
    return history;
  }

  /** Keeps a history that is in memory in step with an entry that was just added. */
  function remember(session: SessionRow, entry: Entry): void {
    const kept = histories.get(session.sessionId);
    if (kept && kept.lastSeq === entry.seq - 1) {
      keep(session.sessionId, entry.seq, extendHistory(kept.history, [entry], parts.fenceKey));
    }
  }

  function keep(sessionId: string, lastSeq: number, history: History): void {
    histories.delete(sessionId);
    histories.set(sessionId, { lastSeq, history });
    while (histories.size > maxKeptHistories) histories.delete(histories.keys().next().value as string);
  }

  function fitted(
    session: { current: SessionRow },
    history: History,
    choice: ModelChoice,
    systemChars: number,
  ): History {
    const room = (choice.contextTokens - choice.maxOutputTokens) * charsPerToken - systemChars;
    const fitting = fitHistory(history, Math.max(room, 2000));
    const firstSeq = fitting.seqs[0];
    if (fitting !== history && firstSeq !== undefined) {
      session.current = { ...session.current, windowStartSeq: firstSeq - 1 };
      keep(session.current.sessionId, session.current.lastSeq, fitting);
    }
    return fitting;
  }

  function assistantMessage(task: Turn, step: Extract<Step, { type: "assistant" }>): AssistantMessage {
    return {
      role: "assistant",
      content: step.content,
      timestamp: clock.now(),
      source: modelSource(task),
      provider: task.choice.provider,
      model: task.choice.model,
      usage: {
        ...step.usage,
        totalTokens: step.usage.input + step.usage.output,
        costUsd: costOf(task.choice, step.usage),
      },
      stopReason: step.stopReason,
    };
  }

  function partialMessage(task: Turn, text: string, stopReason: "aborted" | "error"): AssistantMessage {
    const none = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0, costUsd: 0 };
    return {
      role: "assistant",
      content: text === "" ? [] : [{ type: "text", text }],
      timestamp: clock.now(),
      source: modelSource(task),
      provider: task.choice.provider,
      model: task.choice.model,
      usage: none,
      stopReason,
    };
  }

  function modelSource(task: Turn): Source {
    const { trust, sensitivity } = task.seen;
    return {
      author: `model:${task.choice.provider}/${task.choice.model}`,
      proof: "self",
      trust,
      sensitivity,
    };
  }

  function count(task: Turn, step: Extract<Step, { type: "assistant" }>, writes: Write[]): void {
    const { usage } = step;
    const costUsd = costOf(task.choice, usage);
    const before = task.session.current;
    task.session.current = {
      ...before,
      inputTokens: before.inputTokens + usage.input,
      outputTokens: before.outputTokens + usage.output,
      costUsd: before.costUsd + costUsd,
    };
    const day = new Date(clock.now()).toISOString().slice(0, 10);
    writes.push(
      parts.usage.add(day, task.row.agentId, task.choice.provider, task.choice.model, { ...usage, costUsd }),
    );
  }

  function wasStarted(session: SessionRow, toolCallId: string): boolean {
    const recent = sessions.entries(session.sessionId, {
      afterSeq: Math.max(0, session.lastSeq - 200),
      limit: 200,
    });
    return recent.some((entry) => entry.body.type === "tool_started" && entry.body.toolCallId === toolCallId);
  }

  /** A tool's own word on trust stands; a file carries the label that it was written with. */
  function sourceOfOutput(
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
    for (const read of effects) {
      if (read.kind !== "file.read") continue;
      const label = parts.fileSources.get(agentId, plainPath(read.path));
      if (label) source = joinSources(source, label);
    }
    return source;
  }

  function outboxRows(row: InboxRow, text: string, reply: ReplyTo): OutboxRow[] {
    const now = clock.now();
    const pieces = chunkText(text, parts.channelTextLimit(row.channel, row.account));
    return pieces.map((piece, index) => {
      const id = `${row.messageId}:${String(index).padStart(3, "0")}`;
      const message: OutboundMessage = {
        id,
        conversation: reply.conversation,
        text: piece,
        ...(index === 0 && reply.messageId !== undefined && reply.conversation.kind !== "direct"
          ? { replyToMessageId: reply.messageId }
          : {}),
      };
      return {
        id,
        messageId: row.messageId,
        runId: row.runId,
        channel: row.channel,
        account: row.account,
        message,
        state: "pending",
        attempts: 0,
        notBefore: 0,
        createdAt: now,
        updatedAt: now,
      };
    });
  }

  function inboxRowOf(
    message: InboundMessage,
    state: InboxRow["state"],
    target: { readonly agentId: string; readonly sessionKey: string },
    source: Source,
  ): InboxRow {
    const now = clock.now();
    return {
      messageId: uuid(parts.random),
      channel: message.channel,
      account: message.account,
      eventId: message.eventId,
      state,
      sessionKey: target.sessionKey,
      agentId: target.agentId,
      runId: uuid(parts.random),
      receivedAt: now,
      updatedAt: now,
      text: message.quoted
        ? `${message.text}\n\n${fence(message.quoted.text, message.quoted.author, message.eventId, parts.fenceKey)}`
        : message.text,
      digest: digestOf(message.conversation.id, message.text),
      source,
      reply: { conversation: message.conversation, messageId: message.messageId },
    };
  }

  function userBody(row: InboxRow): EntryBody {
    return {
      type: "message",
      message: { role: "user", content: row.text, timestamp: row.receivedAt, source: row.source },
      idempotencyKey: userKey(row),
    };
  }

  // --- the record ------------------------------------------------------------------------------------------------

  function verdict(stage: string, action: string, row: InboxRow, actor: string, facts: Json): Write {
    return record({
      stage,
      kind: "verdict",
      action,
      messageId: row.messageId,
      runId: row.runId,
      sessionKey: row.sessionKey,
      actor,
      facts,
    });
  }

  function effect(
    kind: "effect.start" | "effect.end",
    stage: string,
    action: string,
    row: InboxRow,
    facts: Json,
    outcome?: string,
  ): Write {
    return record({
      stage,
      kind,
      action,
      messageId: row.messageId,
      runId: row.runId,
      sessionKey: row.sessionKey,
      facts,
      ...(outcome === undefined ? {} : { outcome }),
    });
  }

  // --- runs: abort, wait, resume, drain --------------------------------------------------------------------------

  function abort(sessionKey: string, runId?: string): readonly string[] {
    const stopped: string[] = [];
    for (const item of inbox.open()) {
      if (
        item.sessionKey !== sessionKey ||
        (runId !== undefined && item.runId !== runId) ||
        active.has(item.runId)
      )
        continue;
      cancelled.add(item.runId);
      stopped.push(item.runId);
    }
    for (const item of active.values()) {
      if (item.sessionKey !== sessionKey || (runId !== undefined && item.runId !== runId)) continue;
      item.abort.abort();
      stopped.push(item.runId);
    }
    return stopped;
  }

  function settleRun(
    row: InboxRow,
    current: ActiveRun,
    end: Pick<RunOutcome, "status" | "text" | "errorMessage" | "provider" | "model">,
  ): void {
    const outcome: RunOutcome = {
      runId: row.runId,
      sessionKey: row.sessionKey,
      agentId: row.agentId,
      startedAt: current.startedAt,
      endedAt: clock.now(),
      ...end,
    };
    outcomes.set(row.runId, outcome);
    if (outcomes.size > maxKeptOutcomes) outcomes.delete(outcomes.keys().next().value as string);
    for (const answer of waiters.get(row.runId) ?? []) answer(outcome);
    waiters.delete(row.runId);
  }

  function wait(runId: string, timeoutMs: number): Promise<RunOutcome | undefined> {
    const known = outcomes.get(runId);
    if (known) return Promise.resolve(known);
    return new Promise((resolve) => {
      const list = waiters.get(runId) ?? [];
      const done = (outcome: RunOutcome | undefined) => {
        cancel();
        resolve(outcome);
      };
      const cancel = clock.after(timeoutMs, () => {
        const left = (waiters.get(runId) ?? []).filter((item) => item !== done);
        if (left.length === 0) waiters.delete(runId);
        else waiters.set(runId, left);
        resolve(undefined);
      });
      list.push(done);
      waiters.set(runId, list);
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

  return {
    receive,
    submit,
    abort,
    wait,
    forget: (sessionId) => void histories.delete(sessionId),
    get activeRuns() {
      return active.size;
    },
    activeRun(sessionKey) {
      for (const item of active.values()) if (item.sessionKey === sessionKey) return item;
      return undefined;
    },
    async resume() {
      for (const row of inbox.open()) enqueue(row);
      await parts.sender.resume();
    },
    async drain(graceMs) {
      draining = true;
      parts.lanes.pause();
      await new Promise<void>((resolve) => {
        const cancel = clock.after(graceMs, resolve);
        void parts.lanes.idle().then(() => {
          cancel();
          resolve();
        });
      });
      stopping = true;
      for (const item of active.values()) item.abort.abort();
      await parts.sender.stop();
    },
  };
}

const charsPerToken = 3.5;
const maxWindowEntries = 5000;
const maxKeptHistories = 64;
const maxKeptOutcomes = 1000;

function userKey(row: InboxRow): string {
  return `${row.runId}:user`;
}

function unprovedSource(message: InboundMessage): Source {
  return {
    author: `${message.channel}:${message.sender.id}`,
    proof: message.sender.proof,
    trust: "untrusted",
    sensitivity: "private",
  };
}

function digestOf(place: string, text: string): string {
  return hash("sha256", `${place}\n${text}`);
}

function approvalId(runId: string, toolCallId: string): string {
  // The same call asks under the same id after a restart, so that an answer that was given still counts.
  return hash("sha256", `${runId}\n${toolCallId}`).slice(0, 16);
}

function spokenText(message: Message): string | undefined {
  if (message.role === "user") return message.content;
  if (message.role !== "assistant") return undefined;
  return message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** One line that says what a call is about. */
function callTitle(request: ToolRequest): string {
  const args = (request.arguments ?? {}) as Record<string, unknown>;
  const subject = args.command ?? args.path ?? args.url ?? args.action ?? "";
  return titleOf(`${request.tool} ${typeof subject === "string" ? subject : ""}`, 120);
}

/** What the record holds of an effect: where it goes, never what it carries. */
function factsOf(effects: readonly Effect[]): Json {
  return effects.map((item) => {
    switch (item.kind) {
      case "command":
        return { kind: item.kind, command: item.command, workdir: item.workdir, background: item.background };
      case "fetch":
        return { kind: item.kind, url: item.url };
      case "process":
        return { kind: item.kind, action: item.action };
      default:
        return { kind: item.kind, path: item.path };
    }
  });
}

function writtenPaths(effects: readonly Effect[]): string[] {
  return effects.filter((item) => item.kind === "file.write").map((item) => plainPath(item.path));
}

function plainPath(path: string): string {
  return posix.normalize(path).replace(/^\.\//, "");
}

function costOf(choice: ModelChoice, usage: Usage): number {
  const { cost } = choice;
  const perMillion =
    usage.input * cost.input +
    usage.output * cost.output +
    usage.cacheRead * cost.cacheRead +
    usage.cacheWrite * cost.cacheWrite;
  return perMillion / 1_000_000;
}

function choiceOf(task: Turn | undefined): { provider?: string; model?: string } {
  return task ? { provider: task.choice.provider, model: task.choice.model } : {};
}
