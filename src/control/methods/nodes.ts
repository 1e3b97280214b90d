import { type Refusal, reasonText, schema, type Verdict } from "../../kernel/mod.ts";
import type { Invocation, Nodes, NotSent } from "../../nodes/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Call, type Method, method } from "../method.ts";
import type { WireError } from "../protocol.ts";

const { any, integer, number, object, oneOf, optional, string, union } = schema;

/** Commands and their approvals on nodes: who may run what is decided on this side before the node is asked. */
export interface NodeCommandPort {
  /** Runs a command as an operator asked, after his approval where policy or the node wants one. */
  run(
    nodeId: string,
    params: unknown,
    request: {
      readonly timeoutMs: number;
      readonly idempotencyKey: string;
      readonly owner: string;
      readonly sessionKey: string;
    },
  ): ReturnType<Nodes["invoke"]>;
}

export interface NodeControlParts {
  readonly nodes: Nodes;
  readonly commands: NodeCommandPort;
}

const nodeId = string({ minLength: 1, maxLength: 128 });
const requestId = string({ minLength: 1, maxLength: 128 });
const source = optional(string({ maxLength: 512 }));

const defaultTimeoutMs = 30_000;
const maxTimeoutMs = 24 * 60 * 60 * 1000;
const maxParamsChars = 1024 * 1024;

/** What controls a whole browser or file system through one command: an administrator's, on every path to it. */
const adminOnly =
  /^(?:browser\.proxy(?:\..*)?|fs\.listDir|terminal\.upload|system\.run(?:\..*)?|system\.execApprovals\..*)$/;

/** node.list, node.describe, node.invoke and node.pair.*, for operators. */
export function nodeMethods(parts: NodeControlParts): Method[] {
  const { nodes } = parts;
  return [
    method({
      name: "node.list",
      scope: "operator.read",
      params: object({}),
      run: () => ({ ts: nodes.now(), nodes: nodes.list() }),
    }),
    method({
      name: "node.describe",
      scope: "operator.read",
      params: object({ nodeId }),
      run: (params) => {
        const found = nodes.find(params.nodeId);
        if (!found) throw new MethodError(invalid("unknown nodeId"));
        return { ts: nodes.now(), ...found };
      },
    }),
    method({
      name: "node.rename",
      scope: "operator.pairing",
      params: object({ nodeId, displayName: string({ minLength: 1, maxLength: 64 }) }),
      admin: (params) => ({ action: "node.rename", facts: { ...params } }),
      run: async (params, call) => {
        granted(await nodes.rename(call.principal, params.nodeId, params.displayName));
        return { nodeId: params.nodeId, displayName: params.displayName };
      },
    }),
    method({
      name: "node.invoke",
      maxBytes: 4_194_304,
      repeats: "own",
      scope: "operator.write",
      scopeFor: (params) => (adminOnly.test(params.command) ? "operator.admin" : undefined),
      params: object({
        nodeId,
        command: string({ minLength: 1, maxLength: 128 }),
        params: optional(any()),
        timeoutMs: optional(integer({ minimum: 0 })),
        idempotencyKey: string({ minLength: 1, maxLength: 256 }),
        sessionKey: optional(string({ minLength: 1, maxLength: 512 })),
        turnSourceChannel: source,
        turnSourceTo: source,
        turnSourceAccountId: source,
        turnSourceThreadId: optional(union([string({ maxLength: 512 }), number()])),
      }),
      admin: (params) => ({
        action: "node.invoke",
        facts: { nodeId: params.nodeId, command: params.command },
      }),
      run: (params, call) => invoke(parts, params, call),
    }),
    method({
      name: "node.pair.list",
      scope: "operator.pairing",
      params: object({}),
      run: (_params, call) => nodes.pairList(call.principal),
    }),
    method({
      name: "node.pair.approve",
      scope: "operator.pairing",
      params: object({ requestId }),
      admin: (params) => ({ action: "node.pair.approve", facts: { requestId: params.requestId } }),
      run: async (params, call) => ({
        requestId: params.requestId,
        node: granted(await nodes.approve(call.principal, params.requestId)),
      }),
    }),
    method({
      name: "node.pair.reject",
      scope: "operator.pairing",
      params: object({ requestId }),
      admin: (params) => ({ action: "node.pair.reject", facts: { requestId: params.requestId } }),
      run: async (params, call) => ({
        requestId: params.requestId,
        nodeId: granted(await nodes.reject(call.principal, params.requestId)).nodeId,
      }),
    }),
    method({
      name: "node.pair.remove",
      scope: "operator.pairing",
      params: object({ nodeId }),
      admin: (params) => ({ action: "node.pair.remove", facts: { nodeId: params.nodeId } }),
      run: async (params, call) => granted(await nodes.remove(call.principal, params.nodeId)),
    }),
    method({
      name: "node.pending.enqueue",
      scope: "operator.write",
      params: object({
        nodeId,
        type: oneOf(["status.request", "location.request"]),
        priority: optional(oneOf(["normal", "high"])),
        expiresInMs: optional(integer({ minimum: 1000, maximum: 86_400_000 })),
        wake: optional(schema.boolean()),
      }),
      admin: (params) => ({
        action: "node.pending.enqueue",
        facts: { nodeId: params.nodeId, type: params.type },
      }),
      run: (params) => {
        if (!nodes.find(params.nodeId)) throw new MethodError(invalid("unknown nodeId"));
        const done = nodes.work.enqueue(params.nodeId, params);
        if (!done) throw new MethodError(unavailable("too much work waits for nodes", undefined, 60_000));
        // Nothing here can wake a sleeping phone; it finds this when it next comes.
        return { nodeId: params.nodeId, ...done, wakeTriggered: false };
      },
    }),
  ];
}

async function invoke(
  { nodes, commands }: NodeControlParts,
  params: {
    readonly nodeId: string;
    readonly command: string;
    readonly params?: unknown;
    readonly timeoutMs?: number;
    readonly idempotencyKey: string;
    readonly sessionKey?: string;
  },
  call: Call,
) {
  const { command, idempotencyKey } = params;
  // A caller who could replace the node's own rules here would decide for the node what it may run (CVE-2026-28466).
  if (command.startsWith("system.execApprovals."))
    throw new MethodError(
      invalid("node.invoke does not allow system.execApprovals.*; use exec.approvals.node.*", {
        reason: "command not allowed here",
        command,
      }),
    );
  if (command === "system.run.prepare")
    throw new MethodError(
      invalid("node.invoke does not allow system.run.prepare; the gateway prepares each system.run itself", {
        reason: "command not allowed here",
        command,
      }),
    );
  const timeoutMs = Math.min(params.timeoutMs || defaultTimeoutMs, maxTimeoutMs);
  const owner = call.principal.id;
  if (command === "system.run") {
    const sessionKey = params.sessionKey ?? "main";
    const invoked = await commands.run(params.nodeId, params.params, {
      timeoutMs,
      idempotencyKey,
      owner,
      sessionKey,
    });
    return answered(invoked, params.nodeId, command);
  }
  const paramsJSON = params.params === undefined ? undefined : JSON.stringify(params.params);
  if (paramsJSON !== undefined && paramsJSON.length > maxParamsChars)
    throw new MethodError(
      invalid(
        `invalid node.invoke params: at /params: must have at most ${maxParamsChars} characters of JSON`,
      ),
    );
  const invocation: Invocation = { command, paramsJSON, timeoutMs, idempotencyKey, owner };
  return answered(await nodes.invoke(params.nodeId, invocation), params.nodeId, command);
}

/** The result for the operator, or the documented error. */
export function answered(invoked: Awaited<ReturnType<Nodes["invoke"]>>, id: string, command: string) {
  if (!invoked.sent) throw new MethodError(notSent(invoked));
  const { outcome } = invoked;
  if (outcome.ok) {
    const { payload = null, payloadJSON = null } = outcome;
    return { ok: true, nodeId: id, command, payload, payloadJSON };
  }
  const nodeError = { code: outcome.code, message: outcome.message };
  if (!outcome.dispatched)
    throw new MethodError(
      unavailable(
        outcome.message,
        { code: outcome.code, nodeError, nodeCommandDispatched: false },
        outcome.code === "BUSY" ? 1000 : undefined,
      ),
    );
  throw new MethodError(
    unavailable(`${outcome.code}: ${outcome.message}`, { nodeError, nodeCommandDispatched: true }),
  );
}

function notSent(refused: NotSent): WireError {
  switch (refused.why) {
    case "pairing-changed":
      return pairingChanged();
    case "not-connected":
      return unavailable("node not connected", {
        code: "NOT_CONNECTED",
        nodeError: { code: "NOT_CONNECTED", message: "node not connected" },
        nodeCommandDispatched: false,
      });
    case "not-declared":
      return invalid(
        `node command not allowed: the node (platform: ${refused.platform}) does not support ${JSON.stringify(refused.command)}`,
        { reason: "command not declared by node", command: refused.command },
      );
    case "not-allowed":
      return invalid(
        `node command not allowed: ${JSON.stringify(refused.command)} is not in the allowlist for platform ${JSON.stringify(refused.platform)}`,
        { reason: "command not allowlisted", command: refused.command },
      );
    case "not-approved":
      return invalid(
        `node command not allowed: ${JSON.stringify(refused.command)} waits for an operator's approval`,
        {
          reason: "command not approved",
          command: refused.command,
          remediation: "See it with: openclaw nodes pending",
        },
      );
    case "refused":
      return invalid(refused.message, { reason: refused.reason });
    case "conflict":
      return invalid("this idempotencyKey was already used for different input; use a new one", {
        reason: "node-invoke-conflict",
      });
    default:
      return unavailable("this idempotencyKey was used before, and its result is no longer kept", {
        reason: "node-invoke-forgotten",
        nodeCommandDispatched: true,
      });
  }
}

export function pairingChanged(): WireError {
  return {
    ...unavailable("node pairing changed while invocation was active", { code: "PAIRING_CHANGED" }),
    retryable: true,
  };
}

function granted<T>(verdict: Verdict<T>): T {
  if (verdict.ok) return verdict.value;
  throw new MethodError(refusalError(verdict));
}

function refusalError(refusal: Refusal): WireError {
  switch (refusal.reason) {
    case "auth.scope_missing":
      return {
        code: "FORBIDDEN",
        message: `missing scope: ${refusal.detail}`,
        details: {
          code: "MISSING_SCOPE",
          missingScope: refusal.detail,
          requiredScopes: [...new Set(["operator.pairing", refusal.detail])],
        },
      };
    case "auth.pairing_request_unknown":
      return invalid("unknown requestId");
    case "auth.device_unknown":
      return invalid("unknown nodeId");
    default:
      return invalid(reasonText(refusal.reason));
  }
}
