import { hash } from "node:crypto";
import { canonicalJson, InputError, schema, uuid } from "../../kernel/mod.ts";
import type { Approval, Question } from "../../policy/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { array, boolean, integer, object, oneOf, open, optional, record, string, union } = schema;

const id = string({ minLength: 1, maxLength: 256 });
const nullable = union([string({ maxLength: 4096 }), { type: "null" } as schema.Schema<null>]);
const nullableText = optional(nullable);
const planSchema = open(
  object({
    argv: array(string({ maxLength: 131_072 }), { minItems: 1, maxItems: 4096 }),
    cwd: nullableText,
    commandText: string({ maxLength: 131_072 }),
    agentId: nullableText,
    sessionKey: nullableText,
  }),
);
const maxWaiting = 500;
const longestWaitMs = 30 * 60_000;

/** exec.approval.request and waitDecision; approval.get, resolve and history, which know every kind of approval. */
export function approvalRequestMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "exec.approval.request",
      scope: "operator.approvals",
      maxBytes: 4_194_304,
      params: open(
        object({
          id: optional(id),
          command: optional(string({ maxLength: 100_000 })),
          commandArgv: optional(array(string(), { maxItems: 4096 })),
          cwd: nullableText,
          env: optional(record(string())),
          host: nullableText,
          nodeId: nullableText,
          agentId: nullableText,
          sessionKey: nullableText,
          timeoutMs: optional(integer({ minimum: 1, maximum: 86_400_000 })),
          twoPhase: optional(boolean()),
          systemRunPlan: optional(planSchema),
        }),
      ),
      admin: () => ({ action: "exec.approval.request" }),
      run: async (params, call) => {
        const { command, cwd, nodeId } = params.host === "node" ? onNode(parts, params) : onGateway(params);
        if (command.trim() === "") throw new MethodError(invalid("command or commandArgv required"));
        // An id that exists belongs to another question: joining it would show its answer as one to this command.
        const approvalId = params.id ?? uuid(parts.random);
        if (parts.approvals.get(approvalId)) throw new MethodError(invalid("approval id already in use"));
        const createdAtMs = parts.clock.now();
        const expiresAtMs = createdAtMs + Math.min(params.timeoutMs ?? longestWaitMs, longestWaitMs);
        const times = { id: approvalId, createdAtMs, expiresAtMs };
        if (!parts.hub.wanted({ kind: "approvers" }))
          return { ...times, decision: null, terminalReason: "no-route" };
        if (parts.approvals.pending().length >= maxWaiting)
          throw new MethodError(unavailable("too many approvals wait already", undefined, 60_000));
        const question = questionOf({ ...params, cwd, nodeId }, command, approvalId);
        const end = new AbortController();
        const cancel =
          params.timeoutMs === undefined ? () => {} : parts.clock.after(params.timeoutMs, () => end.abort());
        const answered = parts.approvals.ask(approvalId, question, end.signal).finally(cancel);
        if (params.twoPhase)
          call.answerAgain({ status: "accepted", deliveryRoute: "approval-client", ...times });
        return { ...times, decision: (await answered).decision ?? null };
      },
    }),
    method({
      name: "exec.approval.waitDecision",
      scope: "operator.approvals",
      params: open(object({ id })),
      run: async (params) => {
        const known = parts.approvals.get(params.id);
        if (!known)
          throw new MethodError(invalid("approval expired or not found", { reason: "APPROVAL_NOT_FOUND" }));
        const { host: _host, ...approval } = known.request;
        const question = { approval, request: callOf(known), effects: [] };
        const end = await parts.approvals.ask(known.id, question, new AbortController().signal);
        return {
          id: end.id,
          decision: end.decision ?? null,
          createdAtMs: end.createdAtMs,
          expiresAtMs: end.expiresAtMs,
          terminalReason: end.decision === undefined ? "timeout" : "user",
        };
      },
    }),
    method({
      name: "approval.get",
      scope: "operator.approvals",
      params: open(object({ id })),
      run: (params) => ({ approval: snapshot(parts, found(parts, params.id)) }),
    }),
    method({
      name: "approval.resolve",
      scope: "operator.approvals",
      params: open(
        object({
          id,
          kind: oneOf(["exec", "plugin", "system-agent"]),
          decision: oneOf(["allow-once", "allow-always", "deny"]),
        }),
      ),
      admin: (params) => ({
        action: "approval.resolve",
        facts: { id: params.id, decision: params.decision },
      }),
      run: async (params, call) => {
        const before = found(parts, params.kind === "exec" ? params.id : "");
        if (before.state !== "pending") return { applied: false, approval: snapshot(parts, before) };
        try {
          const after = await parts.approvals.resolve(params.id, params.decision, call.principal.id);
          return { applied: after.resolvedBy === call.principal.id, approval: snapshot(parts, after) };
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          const after = found(parts, params.id);
          // Somebody else was first: both see the same answer.
          if (after.state !== "pending") return { applied: false, approval: snapshot(parts, after) };
          throw new MethodError(invalid(error.message));
        }
      },
    }),
    method({
      name: "approval.history",
      scope: "operator.approvals",
      params: open(
        object({
          cursor: optional(string({ maxLength: 20 })),
          limit: optional(integer({ minimum: 1, maximum: 100 })),
          kind: optional(oneOf(["exec", "plugin", "system-agent"])),
        }),
      ),
      run: (params) => history(parts, params),
    }),
  ];
}

interface Asked {
  readonly command?: string;
  readonly commandArgv?: readonly string[];
  readonly cwd?: string | null;
  readonly nodeId?: string | null;
  readonly agentId?: string | null;
  readonly sessionKey?: string | null;
  readonly systemRunPlan?: schema.Static<typeof planSchema>;
}

function onGateway({ command, commandArgv, cwd }: Asked) {
  return { command: command ?? commandArgv?.join(" ") ?? "", cwd, nodeId: undefined };
}

/** A command on a node as its plan says it: what a person reads must be all that the plan would run, and where. */
function onNode({ nodeApprovals }: ControlParts, params: Asked) {
  const { systemRunPlan: plan, nodeId } = params;
  if (plan === undefined) throw new MethodError(invalid("systemRunPlan is required for host=node"));
  if (!nodeId) throw new MethodError(invalid("nodeId is required for host=node"));
  if (!nodeApprovals.isNode(nodeId)) throw new MethodError(invalid("unknown nodeId"));
  const command = nodeApprovals.commandText(plan.argv);
  const differs = (what: string) =>
    new MethodError(
      invalid(`systemRunPlan does not agree with the request: ${what}`, { reason: "PLAN_MISMATCH" }),
    );
  if (plan.commandText !== command) throw differs("commandText does not say what argv would run");
  if (params.command !== undefined && params.command !== command) throw differs("command");
  if (params.commandArgv && params.commandArgv.join("\0") !== plan.argv.join("\0"))
    throw differs("commandArgv");
  for (const key of ["cwd", "agentId", "sessionKey"] as const)
    if (params[key] && plan[key] && params[key] !== plan[key]) throw differs(key);
  return { command, cwd: plan.cwd ?? params.cwd, nodeId };
}

function found(parts: ControlParts, approvalId: string): Approval {
  const approval = parts.approvals.get(approvalId);
  if (!approval) throw new MethodError(invalid("approval not found", { reason: "APPROVAL_NOT_FOUND" }));
  return approval;
}

function questionOf(
  params: {
    readonly cwd?: string | null | undefined;
    readonly env?: Readonly<Record<string, string>>;
    readonly agentId?: string | null;
    readonly sessionKey?: string | null;
    readonly nodeId: string | undefined;
  },
  command: string,
  approvalId: string,
): Question {
  const agentId = params.agentId ?? "";
  const sessionKey = params.sessionKey ?? "";
  const asked = {
    id: approvalId,
    command,
    cwd: params.cwd ?? "",
    env: params.env ?? {},
    agentId,
    sessionKey,
    ...(params.nodeId === undefined ? {} : { nodeId: params.nodeId }),
  };
  return {
    approval: {
      ...(params.nodeId === undefined ? {} : { nodeId: params.nodeId }),
      binding: hash("sha256", canonicalJson(asked)),
      command,
      cwd: params.cwd ?? "",
      env: params.env ?? {},
      agentId,
      sessionKey,
      runId: "",
      toolCallId: approvalId,
      warningText: "Asked for by a client of the gateway, not by a run of its own.",
      // Never a standing rule: whoever may ask could otherwise have any command allowed for every later run.
      allowedDecisions: ["allow-once", "deny"],
      resolvedPath: null,
    },
    request: { id: approvalId, tool: "exec", arguments: { command }, agentId, sessionKey, runId: "" },
    effects: [],
  };
}

function callOf(approval: Approval): Question["request"] {
  const { command, agentId, sessionKey, runId, toolCallId } = approval.request;
  return { id: toolCallId, tool: "exec", arguments: { command }, agentId, sessionKey, runId };
}

/** An approval of any kind and state, as approval.get shows it. */
function snapshot({ shown }: ControlParts, approval: Approval) {
  const { command, host, agentId, sessionKey, allowedDecisions, warningText } =
    shown.approval(approval).request;
  const ended = {
    resolvedAtMs: approval.resolvedAtMs ?? approval.expiresAtMs,
    source: sourceOf(agentId, sessionKey),
  };
  return {
    id: approval.id,
    urlPath: `/approve/${encodeURIComponent(approval.id)}`,
    createdAtMs: approval.createdAtMs,
    expiresAtMs: approval.expiresAtMs,
    presentation: {
      kind: "exec",
      commandText: command,
      commandPreview: command.slice(0, 200),
      warningText,
      host,
      nodeId: approval.request.nodeId ?? null,
      agentId: agentId === "" ? null : agentId,
      allowedDecisions,
    },
    status: approval.state,
    ...(approval.state === "pending" ? {} : ended),
    ...(approval.state === "allowed" || approval.state === "denied"
      ? { decision: approval.decision, reason: "user", resolver: { kind: "device", id: approval.resolvedBy } }
      : {}),
    ...(approval.state === "expired" ? { reason: "timeout" } : {}),
    ...(approval.state === "cancelled" ? { reason: "run-aborted" } : {}),
  };
}

function sourceOf(agentId: string, sessionKey: string) {
  return { ...(agentId === "" ? {} : { agentId }), ...(sessionKey === "" ? {} : { sessionKey }) };
}

/** Those that are over, newest first: the record says which there were. */
function history(
  parts: ControlParts,
  params: { readonly cursor?: string; readonly limit?: number; readonly kind?: string },
) {
  if (params.kind !== undefined && params.kind !== "exec") return { items: [] };
  const beforeSeq = params.cursor === undefined ? undefined : Number(params.cursor);
  if (beforeSeq !== undefined && !(Number.isSafeInteger(beforeSeq) && beforeSeq > 0))
    throw new MethodError(invalid("invalid cursor; pass on nextCursor as it was given"));
  const limit = params.limit ?? 50;
  const before = beforeSeq === undefined ? {} : { beforeSeq };
  const rows = parts.audit.list({ stage: "policy", kind: "verdict", limit: 500, ...before });
  const items = [];
  let last = rows.at(-1)?.seq;
  let isMore = rows.length === 500;
  for (const row of rows) {
    const approval = row.action.startsWith("approval.") ? parts.approvals.get(idOf(row.facts)) : undefined;
    if (!approval || row.action !== `approval.${approval.state}` || approval.state === "pending") continue;
    items.push(snapshot(parts, approval));
    if (items.length < limit) continue;
    isMore = true;
    last = row.seq;
    break;
  }
  return { items, ...(isMore && last !== undefined ? { nextCursor: String(last) } : {}) };
}

function idOf(facts: unknown): string {
  const { id: approvalId } = (facts ?? {}) as { readonly id?: unknown };
  return typeof approvalId === "string" ? approvalId : "";
}
