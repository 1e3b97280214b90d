import type { LedgerStore } from "../../audit/mod.ts";
import {
  admit,
  admitted,
  type Commit,
  type Json,
  type Random,
  type Reason,
  refuse,
  uuid,
  type Verdict,
} from "../../kernel/mod.ts";
import { decide, effectFacts, type Permit, type PolicyContext } from "../../policy/mod.ts";
import type { Outcome } from "../../sandbox/mod.ts";
import type { InvokeTool, ToolCall, ToolResult } from "./parts.ts";

export interface ToolInvoker {
  readonly invoke: InvokeTool;
  /** Stops the calls that these actors began. */
  cancelOf(isOver: (actor: string) => boolean): void;
}

/**
 * A tool call that no model made, through the same stages as one that a model made: ToolRequest -> Permit -> Outcome,
 * each recorded before it happens. Where policy would ask an operator it refuses: nobody waits at the other end for
 * minutes, and an approval must say which conversation it is for.
 */
export function createToolInvoker(ports: {
  readonly random: Random;
  readonly commit: Commit;
  readonly ledger: Pick<LedgerStore, "append">;
  readonly policyFor: (
    agentId: string,
    tool: string,
    author: string,
    sessionKey: string,
  ) => Promise<PolicyContext>;
  readonly execute: (
    permit: Permit,
    signal: AbortSignal,
    progress: (text: string) => void,
  ) => Promise<Outcome>;
  readonly redact: (text: string) => string;
}): ToolInvoker {
  const running = new Map<AbortController, string>();

  async function invoke(call: ToolCall, signal: AbortSignal): Promise<Verdict<ToolResult>> {
    const { agentId, sessionKey, tool, args, actor } = call;
    const runId = `http_${uuid(ports.random)}`;
    const record = (
      stage: string,
      kind: "verdict" | "effect.start" | "effect.end",
      action: string,
      facts: Json,
      outcome?: Reason | "ok" | "error",
    ) =>
      ports.ledger.append({
        stage,
        kind,
        action,
        runId,
        sessionKey,
        actor,
        facts,
        ...(outcome === undefined ? {} : { outcome }),
      });

    const request = { id: runId, tool, arguments: args, agentId, sessionKey, runId };
    const decision = decide(request, await ports.policyFor(agentId, tool, actor, sessionKey));
    const verdict =
      decision.ok === "ask" ? refuse("http.approval_needed", decision.question.approval.command) : decision;
    if (!admitted(verdict)) {
      await ports.commit([record("policy", "verdict", "refuse", { tool }, verdict.reason)]);
      return verdict;
    }
    const permit = verdict.value;
    await ports.commit([
      record("policy", "verdict", "permit", { tool }),
      record("sandbox", "effect.start", `tool.${tool}`, {
        effects: effectFacts(permit.effects, ports.redact),
      }),
    ]);
    const revoked = new AbortController();
    running.set(revoked, actor);
    const outcome = await ports
      .execute(permit, AbortSignal.any([signal, revoked.signal]), () => {})
      .finally(() => running.delete(revoked));
    await ports.commit([
      record("sandbox", "effect.end", `tool.${tool}`, {}, outcome.isError ? "error" : "ok"),
    ]);
    const { text, isError, details } = outcome;
    return admit({ text, isError, ...(details === undefined ? {} : { details }) });
  }

  return {
    invoke,
    cancelOf(isOver) {
      for (const [call, actor] of running) if (isOver(actor)) call.abort();
    },
  };
}
