import type { ToolRequest } from "../agent/mod.ts";
import type { NodeCommandPort } from "../control/mod.ts";
import {
  admitted,
  type Clock,
  InputError,
  type Json,
  type Random,
  reasonText,
  schema,
  uuid,
} from "../kernel/mod.ts";
import { commandText, createRepeats, type Invoked, type Nodes } from "../nodes/mod.ts";
import { type Approvals, decide, type PolicyContext, settle } from "../policy/mod.ts";
import { onNode, type SystemRun } from "./node-system-run.ts";

const { array, object, open, optional, record, string } = schema;

const operatorSchema = open(
  object({
    command: array(string({ maxLength: 131_072 }), { minItems: 1, maxItems: 4096 }),
    rawCommand: optional(string()),
    cwd: optional(string({ minLength: 1, maxLength: 4096 })),
    env: optional(record(string())),
  }),
);

export interface OperatorRunParts {
  readonly nodes: Nodes;
  readonly approvals: () => Pick<Approvals, "ask">;
  /** Policy for commands that an operator asks for himself. */
  readonly policyFor: () => Promise<PolicyContext>;
  readonly defaultAgentId: () => string;
  readonly record: (action: "effect.start" | "effect.end", facts: Json, actor: string) => Promise<void>;
  readonly redact: (text: string) => string;
  readonly clock: Clock;
  readonly random: Random;
}

/** Commands that operators run on nodes themselves: judged as an agent's would be, and recorded. */
export function createOperatorRuns(
  parts: OperatorRunParts,
  { prepare, run }: Pick<SystemRun, "prepare" | "run">,
) {
  const { nodes, clock } = parts;
  const operating = new Map<AbortController, string>();
  const repeats = createRepeats<Invoked>({
    clock,
    sizeOf: (invoked) =>
      !invoked.sent ? undefined : invoked.outcome.ok ? (invoked.outcome.payloadJSON?.length ?? 0) : 0,
  });

  async function operatorRun(
    nodeId: string,
    params: unknown,
    asked: Parameters<NodeCommandPort["run"]>[2],
  ): Promise<Invoked> {
    const no = (reason: string, message: string): Invoked => ({
      sent: false,
      why: "refused",
      reason,
      message,
    });
    const [problem] = schema.check(operatorSchema, params);
    if (problem) return no("invalid-params", `invalid system.run params: ${schema.problemText(problem)}`);
    // Of what came only this counts; approved, approvalId, security and the like are decided here (CVE-2026-28466).
    const { command: argv, cwd, env = {}, rawCommand } = params as schema.Static<typeof operatorSchema>;
    if (rawCommand !== undefined && rawCommand !== commandText(argv))
      return no("command-mismatch", "rawCommand does not say what command would run");
    const context = await parts.policyFor();
    const node = nodes.find(nodeId);
    if (!node) return { sent: false, why: "pairing-changed" };
    const runId = uuid(parts.random);
    const request: ToolRequest = {
      id: `node-${runId}`,
      tool: "exec",
      arguments: { command: commandText(argv), host: "node" },
      agentId: parts.defaultAgentId(),
      sessionKey: asked.sessionKey,
      runId,
    };
    const end = new AbortController();
    operating.set(end, asked.owner);
    const cancel = clock.after(asked.timeoutMs, () => end.abort());
    try {
      const { mode } = context.settings.exec;
      const made = await prepare(node, request, {
        ...{ argv, cwd, env, mode },
        timeoutMs: asked.timeoutMs,
        waitMs: asked.timeoutMs,
      });
      const decision = decide(request, onNode(context, made));
      const verdict =
        decision.ok === "ask"
          ? settle(
              decision.question,
              (await parts.approvals().ask(runId, decision.question, end.signal)).decision,
            )
          : decision;
      if (!admitted(verdict)) return no(verdict.reason, `${reasonText(verdict.reason)} (${verdict.detail})`);
      verdict.value.spend();
      const facts = { nodeId, command: parts.redact(commandText(argv)), cwd: made.plan.cwd };
      await parts.record("effect.start", facts, asked.owner);
      const invoked = await run(made, request, end.signal, () => {});
      const isOk = invoked.sent && invoked.outcome.ok;
      await parts.record("effect.end", { nodeId, outcome: isOk ? "ok" : "error" }, asked.owner);
      return invoked;
    } catch (error) {
      if (error instanceof InputError) return no("not-prepared", error.message);
      throw error;
    } finally {
      cancel();
      operating.delete(end);
    }
  }

  const port: NodeCommandPort = {
    run: async (nodeId, params, asked) => {
      const refused = nodes.whyNot(nodeId, "system.run") ?? nodes.whyNot(nodeId, "system.run.prepare");
      if (refused) return { sent: false, ...refused };
      const key = JSON.stringify([asked.owner, nodeId, asked.idempotencyKey]);
      const done = await repeats.once(key, JSON.stringify(params ?? null), () =>
        operatorRun(nodeId, params, asked),
      );
      return typeof done === "string" ? { sent: false, why: done } : done;
    },
  };

  return {
    port,
    cancelOf(isOver: (owner: string) => boolean): void {
      for (const [end, owner] of operating) if (isOver(owner)) end.abort();
    },
  };
}
