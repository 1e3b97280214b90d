import { approvalInfo, type Hub, type ShownPort } from "../control/mod.ts";
import type { Clock, Commit } from "../kernel/mod.ts";
import { type Approval, type Approvals, createApprovals } from "../policy/mod.ts";
import type { Store } from "../store/mod.ts";

/** How long a question waits for its answer. */
const lifetimeMs = 30 * 60 * 1000;

/** Questions to the approvers: kept in the store, recorded as verdicts, told to whoever may answer. */
export function composeApprovals(parts: {
  readonly store: Store;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly redact: (text: string) => string;
  readonly shown: Pick<ShownPort, "approval">;
  readonly remember: Parameters<typeof createApprovals>[0]["remember"];
  /** Told of each new question, beside the clients that are connected. */
  readonly notify: (approval: Approval) => void;
}): Approvals {
  const { store, clock, hub, redact, shown } = parts;
  const commit: Commit = store.commit;
  return createApprovals({
    store: store.approvals,
    commit,
    clock,
    lifetimeMs,
    remember: parts.remember,
    record: ({ id, state, request, resolvedBy, decision }) =>
      store.ledger.append({
        stage: "policy",
        kind: "verdict",
        action: `approval.${state}`,
        runId: request.runId,
        sessionKey: request.sessionKey,
        ...(resolvedBy === undefined ? {} : { actor: resolvedBy }),
        facts: { id, command: redact(request.command), decision: decision ?? null },
      }),
    holdsSecret: (command) => redact(command) !== command,
    changed(found) {
      const approval = shown.approval(found);
      const approvers = { kind: "approvers" } as const;
      if (approval.state === "pending") {
        hub.send("exec.approval.requested", approvers, approvalInfo(approval));
        parts.notify(approval);
        return;
      }
      hub.send("exec.approval.resolved", approvers, {
        id: approval.id,
        decision: approval.decision ?? "deny",
        resolvedBy: approval.resolvedBy ?? null,
        ts: clock.now(),
        request: approval.request,
      });
    },
  });
}
