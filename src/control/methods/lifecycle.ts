import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { any, boolean, integer, object, oneOf, open, optional, string } = schema;

const id = string({ minLength: 1, maxLength: 128, pattern: "\\S" });
const retryAfterMs = 1000;
/** As the existing system tells its clients: how long a restart takes at most. */
export const restartExpectedMs = 1500;

/** gateway.restart.*, gateway.suspend.*. */
export function lifecycleMethods(parts: ControlParts): Method[] {
  return [...restartMethods(parts), ...suspendMethods(parts)];
}

function restartMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "gateway.restart.preflight",
      scope: "operator.read",
      params: open(object({})),
      run: () => {
        const { activeRuns } = parts.runs;
        return {
          safe: activeRuns === 0,
          counts: { queueSize: 0, pendingReplies: 0, embeddedRuns: 0, activeTasks: 0, activeRuns },
          blockers: blockers(parts),
          summary: activeRuns === 0 ? "nothing is being done" : `${activeRuns} replies are being written`,
        };
      },
    }),
    method({
      name: "gateway.restart.request",
      scope: "operator.admin",
      perMinute: 30,
      // Beside the reason what config.patch takes too: there is nothing to come back to, and no reason to wait.
      params: object({
        reason: optional(string({ maxLength: 1000 })),
        note: optional(string({ maxLength: 1000 })),
        sessionKey: optional(string({ maxLength: 512 })),
        deliveryContext: optional(any()),
        restartDelayMs: optional(integer({ minimum: 0 })),
      }),
      admin: ({ reason }) => ({
        action: "gateway.restart.request",
        facts: reason === undefined ? {} : { reason },
      }),
      run: async () => {
        // A config that would not load would end the gateway instead of restarting it.
        const problems = await parts.config.reload();
        if (problems.length > 0)
          throw new MethodError(
            invalid(`nothing was restarted: the configuration on disk is not valid: ${problems.join("; ")}`),
          );
        parts.lifecycle.restart();
        const { activeRuns } = parts.runs;
        return { ok: true, status: "scheduled", restartExpectedMs, activeCount: activeRuns };
      },
    }),
  ];
}

function suspendMethods(parts: ControlParts): Method[] {
  const work = () => ({ activeCount: parts.runs.activeRuns, blockers: blockers(parts) });
  const one = open(object({ suspensionId: id }));
  return [
    method({
      name: "gateway.suspend.prepare",
      scope: "operator.admin",
      params: open(
        object({
          requestId: id,
          terminalPolicy: optional(oneOf(["preserve", "terminate"])),
          drain: optional(boolean()),
        }),
      ),
      admin: ({ requestId }) => ({ action: "gateway.suspend.prepare", facts: { requestId } }),
      run: ({ requestId, drain }) => {
        const lease = parts.lifecycle.suspension.prepare(requestId, drain === true);
        if (typeof lease === "string") return { status: "busy", reason: lease, retryAfterMs, ...work() };
        return { ...lease, ...(lease.status === "draining" ? { retryAfterMs } : {}), ...work() };
      },
    }),
    method({
      name: "gateway.suspend.status",
      scope: "operator.read",
      params: one,
      run: ({ suspensionId }) => {
        const lease = parts.lifecycle.suspension.status(suspensionId);
        if (!lease) return { status: "running" };
        const { status, expiresAtMs } = lease;
        return status === "ready"
          ? { status, expiresAtMs }
          : { status, expiresAtMs, retryAfterMs, ...work() };
      },
    }),
    method({
      name: "gateway.suspend.resume",
      scope: "operator.admin",
      params: one,
      admin: ({ suspensionId }) => ({ action: "gateway.suspend.resume", facts: { suspensionId } }),
      run: ({ suspensionId }) => ({
        ok: true,
        status: "running",
        resumed: parts.lifecycle.suspension.resume(suspensionId),
      }),
    }),
  ];
}

function blockers({ runs }: ControlParts) {
  return runs.activeRuns === 0
    ? []
    : [{ kind: "chat-run", count: runs.activeRuns, message: "a reply is being written" }];
}
