import type { Scope } from "../../auth/mod.ts";
import { schema, uuid } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { boolean, integer, object, oneOf, open, optional, string } = schema;

const id = string({ minLength: 1, maxLength: 256 });
const nothing = open(object({}));

/**
 * Methods whose subject is not here yet. What reads answers as the existing system does when there is nothing; what
 * would change something is refused in a sentence, so that nobody believes that it was done.
 */
export function notYetMethods(parts: ControlParts): Method[] {
  return [...askingMethods(parts), ...otherMethods()];
}

/** plugin.approval.*, exec.approval.grants.revoke. */
function askingMethods(parts: ControlParts): Method[] {
  const one = open(object({ id }));
  const noApproval = (name: string, text: string, params: schema.Schema) =>
    method({
      name,
      scope: "operator.approvals",
      params,
      run: (): never => {
        throw new MethodError(
          invalid(text, {
            reason: "APPROVAL_NOT_FOUND",
            remediation: "plugin.approval.list shows those that wait",
          }),
        );
      },
    });
  return [
    method({
      name: "plugin.approval.request",
      scope: "operator.approvals",
      params: open(
        object({
          title: string({ minLength: 1, maxLength: 512 }),
          description: string({ maxLength: 16_384 }),
          timeoutMs: optional(integer({ minimum: 1, maximum: 86_400_000 })),
        }),
      ),
      // There are no plugins, so nobody is shown their approvals: it ends at once, as where no client can review.
      run: (params) => {
        const createdAtMs = parts.clock.now();
        const expiresAtMs = createdAtMs + (params.timeoutMs ?? 0);
        return {
          id: uuid(parts.random),
          decision: null,
          createdAtMs,
          expiresAtMs,
          terminalReason: "no-route",
        };
      },
    }),
    noApproval("plugin.approval.waitDecision", "approval expired or not found", one),
    noApproval(
      "plugin.approval.resolve",
      "unknown or expired approval id",
      open(object({ id, decision: oneOf(["allow-once", "allow-always", "deny"]) })),
    ),
    method({
      name: "exec.approval.grants.revoke",
      scope: "operator.approvals",
      params: open(object({ grantId: id })),
      admin: (params) => ({ action: "exec.approval.grants.revoke", facts: { grantId: params.grantId } }),
      run: () => ({ outcome: "not-found" }),
    }),
  ];
}

/** voicewake.routing.get, users.self, doctor.memory.status, update.status, tasks.cancel. */
function otherMethods(): Method[] {
  const reads = (name: string, scope: Scope, answer: Readonly<Record<string, unknown>>) =>
    method({ name, scope, params: nothing, run: () => answer });
  return [
    reads("voicewake.routing.get", "operator.read", {
      config: { version: 1, defaultTarget: { mode: "current" }, routes: [], updatedAtMs: 0 },
    }),
    reads("users.self", "operator.read", { profile: null }),
    method({
      name: "update.status",
      scope: "operator.admin",
      params: open(object({ refreshCheckout: optional(boolean()) })),
      run: () => ({ sentinel: null, updateAvailable: null }),
    }),
    method({
      name: "doctor.memory.status",
      scope: "operator.read",
      params: open(object({ agentId: optional(string()) })),
      run: (params) => ({
        agentId: params.agentId ?? "main",
        provider: "none",
        embedding: { ok: false, error: "there is no memory index yet" },
        dreaming: { enabled: false },
      }),
    }),
    method({
      name: "tasks.cancel",
      scope: "operator.write",
      params: open(object({ taskId: id, reason: optional(string({ maxLength: 1000 })) })),
      run: () => ({ found: false, cancelled: false, reason: "there is no such task" }),
    }),
  ];
}
