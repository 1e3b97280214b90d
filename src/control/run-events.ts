import type { Clock } from "../kernel/mod.ts";
import type { SentFile } from "../session/mod.ts";
import type { Hub } from "./hub.ts";
import type { AgentEvent, AttachmentBlock, ChatEvent } from "./protocol.ts";
import { attachmentBlocks } from "./reply-files.ts";

/** Tells clients how one run goes, in the wire's words. One per run; numbers its events from 1. */
export interface RunEvents {
  lifecycle(data: Readonly<Record<string, unknown>>): void;
  status(phase: string): void;
  /** Text so far and what came new; sent at once the first time, then at most every 50 ms, a long one less often. */
  delta(delta: string, text: string): void;
  thinking(delta: string): void;
  retrying(data: Readonly<Record<string, unknown>>): void;
  toolStart(call: ToolCallInfo): void;
  toolProgress(call: ToolCallInfo, partial: string): void;
  toolEnd(
    call: ToolCallInfo,
    end: { readonly text: string; readonly isError: boolean; readonly details?: unknown },
  ): void;
  approval(data: Readonly<Record<string, unknown>>): void;
  /** The last event of the run. */
  finish(end: RunEnd): void;
}

export interface ToolCallInfo {
  readonly toolCallId: string;
  readonly name: string;
  readonly args: unknown;
  readonly title: string;
}

export type RunEnd =
  | {
      readonly state: "final";
      readonly text: string;
      readonly stopReason: string;
      /** Files that went with it, and the number of the entry that tells of them. */
      readonly sent?: { readonly seq: number; readonly files: readonly SentFile[] };
    }
  | { readonly state: "aborted"; readonly text: string }
  | { readonly state: "error"; readonly errorMessage: string; readonly errorKind: string };

const deltaIntervalMs = 50;
/**
 * Each event holds the whole text so far. A longer text goes out less often, so that what a second brings does not grow
 * with it: at a megabyte, twenty times a second would be more than some clients read, and they would be cut off.
 */
const charsAtFullPace = 16_384;

/** Why a run failed, in the wire's few words. */
const errorKinds: Readonly<Record<string, ChatEvent["errorKind"]>> = {
  timeout: "timeout",
  rateLimit: "rate_limit",
  contextOverflow: "context_length",
};

export function createRunEvents(
  hub: Hub,
  clock: Clock,
  run: {
    readonly runId: string;
    readonly sessionKey: string;
    readonly agentId: string;
    readonly startedAt: number;
  },
): RunEvents {
  let seq = 0;
  let waitingDelta = "";
  let latestText = "";
  let lastDeltaAt = Number.NEGATIVE_INFINITY;
  let cancelTimer: (() => void) | undefined;
  const readers = { kind: "readers" } as const;

  function agent(stream: AgentEvent["stream"], data: Readonly<Record<string, unknown>>): void {
    if (!hub.wanted(readers)) return;
    seq += 1;
    const { runId, sessionKey, agentId } = run;
    const payload: AgentEvent = { runId, stream, data, sessionKey, agentId, seq, ts: clock.now() };
    hub.send("agent", readers, payload);
  }

  function chat(payload: Omit<ChatEvent, "runId" | "sessionKey" | "agentId" | "seq">): void {
    seq += 1;
    hub.send("chat", readers, {
      runId: run.runId,
      sessionKey: run.sessionKey,
      agentId: run.agentId,
      seq,
      ...payload,
    });
  }

  function flushDelta(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    if (waitingDelta === "") return;
    const delta = waitingDelta;
    waitingDelta = "";
    lastDeltaAt = clock.monotonic();
    agent("assistant", { text: latestText, delta, itemId: run.runId });
    chat({ state: "delta", deltaText: delta, message: messageOf(latestText) });
  }

  function messageOf(text: string, files: readonly AttachmentBlock[] = []) {
    return {
      role: "assistant" as const,
      content: [{ type: "text" as const, text }, ...files],
      timestamp: clock.now(),
    };
  }

  function item(call: ToolCallInfo, phase: string, more: Readonly<Record<string, unknown>>): void {
    const { toolCallId, name, title } = call;
    agent("item", { itemId: `tool:${toolCallId}`, toolCallId, name, kind: "tool", phase, title, ...more });
  }

  return {
    lifecycle: (data) => agent("lifecycle", data),
    status: (phase) => chat({ state: "status", phase }),
    delta(delta, text) {
      waitingDelta += delta;
      latestText = text;
      const intervalMs = deltaIntervalMs * Math.max(1, text.length / charsAtFullPace);
      const wait = lastDeltaAt + intervalMs - clock.monotonic();
      if (wait <= 0) flushDelta();
      else cancelTimer ??= clock.after(wait, flushDelta);
    },
    thinking: (delta) => agent("thinking", { delta }),
    retrying(data) {
      waitingDelta = "";
      latestText = "";
      agent("run_status", { phase: "retrying", ...data });
      agent("assistant", { text: "", delta: "", replace: true, itemId: run.runId });
      chat({ state: "delta", deltaText: "", replace: true, message: messageOf("") });
    },
    toolStart(call) {
      flushDelta();
      item(call, "start", { status: "running", startedAt: clock.now() });
      agent("tool", { phase: "start", name: call.name, toolCallId: call.toolCallId, args: call.args });
    },
    toolProgress(call, partial) {
      agent("tool", {
        phase: "update",
        name: call.name,
        toolCallId: call.toolCallId,
        partialResult: { content: [{ type: "text", text: partial }] },
      });
    },
    toolEnd(call, end) {
      item(call, "end", {
        status: end.isError ? "failed" : "completed",
        endedAt: clock.now(),
        ...(end.isError ? { error: end.text.slice(0, 300) } : {}),
      });
      agent("tool", {
        phase: "result",
        name: call.name,
        toolCallId: call.toolCallId,
        isError: end.isError,
        result: { content: [{ type: "text", text: end.text }], details: end.details ?? {} },
      });
    },
    approval: (data) => agent("approval", data),
    finish(end) {
      flushDelta();
      const endedAt = clock.now();
      const { startedAt } = run;
      if (end.state === "final") {
        agent("lifecycle", {
          phase: "end",
          startedAt,
          endedAt,
          aborted: false,
          stopReason: end.stopReason,
          executionSettled: true,
          terminalReply: { disposition: "visible", text: end.text },
        });
        const files = end.sent ? attachmentBlocks(end.sent.files, run.sessionKey, end.sent.seq) : [];
        chat({ state: "final", stopReason: end.stopReason, message: messageOf(end.text, files) });
      } else if (end.state === "aborted") {
        chat({ state: "aborted", stopReason: "rpc", message: messageOf(end.text) });
        agent("lifecycle", {
          phase: "end",
          startedAt,
          endedAt,
          status: "cancelled",
          aborted: true,
          stopReason: "rpc",
        });
      } else {
        agent("lifecycle", { phase: "error", startedAt, endedAt, error: end.errorMessage });
        chat({
          state: "error",
          errorMessage: end.errorMessage,
          errorKind: errorKinds[end.errorKind] ?? "unknown",
        });
      }
    },
  };
}
