import { isDeepStrictEqual } from "node:util";
import { type Clock, type Commit, InputError, type Write } from "../kernel/mod.ts";
import type { Approval, ApprovalDecision, ApprovalStore } from "./approval.ts";
import { approvalDecisions } from "./approval.ts";
import { proposalFor } from "./proposal.ts";
import type { Question } from "./question.ts";

/** Questions that wait for an operator; the first answer wins. */
export interface Approvals {
  /**
   * Asks, and waits for the answer, the expiry, or the end of the run. Asking again with the same id (a run that
   * was taken up after a restart) joins the question that still waits, or gets the answer that was given.
   */
  ask(id: string, question: Question, signal: AbortSignal): Promise<Approval>;
  pending(): readonly Approval[];
  get(id: string): Approval | undefined;
  /**
   * Throws an InputError: unknown, answered already with something else (it says what, and by whom), or a decision
   * that is not offered. `keep` says which of the rules that were shown an allow-always keeps.
   */
  resolve(id: string, decision: string, by: string, keep?: "standing" | "proposal"): Promise<Approval>;
}

interface Waiter {
  approval: Approval;
  readonly answered: ((approval: Approval) => void)[];
  readonly cancelExpiry: () => void;
}

export function createApprovals(ports: {
  readonly store: ApprovalStore;
  readonly commit: Commit;
  readonly clock: Clock;
  readonly lifetimeMs: number;
  readonly changed: (approval: Approval) => void;
  /** Of a command with a secret in it no lasting yes is offered: what is kept of one is written down as it is. */
  readonly holdsSecret: (command: string) => boolean;
  /** What the record says, committed with the change. */
  readonly record: (approval: Approval) => Write;
  /** Keeps a standing rule; called for allow-always before the answer is given. */
  readonly remember: (approval: Approval) => Promise<void>;
}): Approvals {
  const waiting = new Map<string, Waiter>();
  // Answers that are being written: whoever answers meanwhile comes second.
  const finishing = new Map<string, Approval>();

  function watch(approval: Approval): Waiter {
    const left = Math.max(0, approval.expiresAtMs - ports.clock.now());
    const waiter: Waiter = {
      approval,
      answered: [],
      cancelExpiry: ports.clock.after(left, () => {
        if (waiting.get(approval.id) === waiter) void finish(waiter, { state: "expired" });
      }),
    };
    waiting.set(approval.id, waiter);
    return waiter;
  }

  async function finish(waiter: Waiter, change: Partial<Approval>): Promise<Approval> {
    const approval: Approval = { ...waiter.approval, ...change, resolvedAtMs: ports.clock.now() };
    // Taken out first: a second answer that arrives while this one is being written must not win.
    waiting.delete(approval.id);
    finishing.set(approval.id, approval);
    try {
      if (approval.decision === "allow-always") await ports.remember(approval);
      await ports.commit([ports.store.put(approval), ports.record(approval)]);
    } catch (error) {
      // A yes that is not on disk is none, and the question goes on waiting; a no needs no disk to hold.
      if (approval.state === "allowed" || approval.state === "denied") {
        waiting.set(approval.id, waiter);
        throw error;
      }
    } finally {
      finishing.delete(approval.id);
    }
    waiter.cancelExpiry();
    ports.changed(approval);
    for (const answer of waiter.answered) answer(approval);
    return approval;
  }

  function requestOf(asked: Question["approval"]): Approval["request"] {
    const proposal = proposalFor(asked, ports.store.allowed(asked.agentId, maxRecent));
    const request = { ...asked, host: hostOf(asked), ...(proposal ? { proposal } : {}) };
    return asked.sandboxEntry === undefined && ports.holdsSecret(asked.command) ? onceOnly(request) : request;
  }

  return {
    async ask(id, question, signal) {
      const known = ports.store.get(id);
      // The caller's ids must tell calls apart; if they ever did not, an answer must not pass to another command.
      if (known && !sameCall(known.request, question.approval))
        throw new Error(`approval ${id} was asked for another call`);
      // A program, script or folder is another than the one that the question was about: the answer is not for it.
      if (known && known.request.binding !== question.approval.binding) {
        // Whoever still reads the old question would answer for something that is no longer there.
        if (known.state === "pending") void finish(waiting.get(id) ?? watch(known), { state: "expired" });
        return unanswered(known);
      }
      // A yes that nothing came of in its time was for then, not for now.
      if (known?.state === "allowed" && known.expiresAtMs <= ports.clock.now()) return unanswered(known);
      if (known && known.state !== "pending") return known;
      let waiter = waiting.get(id);
      if (!waiter) {
        const now = ports.clock.now();
        const approval: Approval = known ?? {
          id,
          kind: "exec",
          request: requestOf(question.approval),
          createdAtMs: now,
          expiresAtMs: now + ports.lifetimeMs,
          state: "pending",
        };
        if (!known) await ports.commit([ports.store.put(approval), ports.record(approval)]);
        waiter = watch(approval);
        ports.changed(approval);
      }
      const current = waiter;
      return new Promise<Approval>((resolve) => {
        const onAbort = () => {
          if (waiting.get(id) === current) void finish(current, { state: "cancelled" });
        };
        current.answered.push((approval) => {
          signal.removeEventListener("abort", onAbort);
          resolve(approval);
        });
        if (signal.aborted) onAbort();
        else signal.addEventListener("abort", onAbort, { once: true });
      });
    },
    pending: () => ports.store.pending().filter((item) => item.expiresAtMs > ports.clock.now()),
    get: (id) => ports.store.get(id),
    async resolve(id, decision, by, keep = "standing") {
      if (!(approvalDecisions as readonly string[]).includes(decision))
        throw new InputError("invalid decision");
      const stored = finishing.get(id) ?? waiting.get(id)?.approval ?? ports.store.get(id);
      if (!stored) throw new InputError("unknown or expired approval id");
      if (stored.state !== "pending") {
        if (stored.decision === decision) return stored;
        throw new InputError(`approval already resolved: ${endText(stored)}`);
      }
      if (stored.expiresAtMs <= ports.clock.now()) throw new InputError("unknown or expired approval id");
      if (!stored.request.allowedDecisions.includes(decision as ApprovalDecision)) {
        throw new InputError(
          `invalid decision: this approval offers ${stored.request.allowedDecisions.join(", ")}`,
        );
      }
      const keeps = decision === "allow-always" ? stored.request[keep] : undefined;
      if (keep === "proposal" && !keeps)
        throw new InputError("invalid decision: no rule is proposed that allow-always could keep");
      const waiter = waiting.get(id) ?? watch(stored);
      return finish(waiter, {
        state: decision === "deny" ? "denied" : "allowed",
        decision: decision as ApprovalDecision,
        resolvedBy: by,
        ...(keeps ? { keeps } : {}),
      });
    },
  };
}

/** Of those that were answered, so many are looked at for a rule to propose. */
const maxRecent = 60;

function onceOnly({ standing: _, proposal: __, ...request }: Approval["request"]): Approval["request"] {
  return {
    ...request,
    allowedDecisions: request.allowedDecisions.filter((decision) => decision !== "allow-always"),
  };
}

function unanswered({ decision: _, ...approval }: Approval): Approval {
  return { ...approval, state: "expired" };
}

/** How it ended, for whoever came second. */
function endText({ state, decision, resolvedBy }: Approval): string {
  return decision === undefined ? `it is ${state}` : `${resolvedBy} answered ${decision}`;
}

function hostOf({ nodeId, sandboxEntry }: Question["approval"]): Approval["request"]["host"] {
  if (nodeId !== undefined) return "node";
  return sandboxEntry === undefined ? "gateway" : "sandbox";
}

function sameCall(a: Question["approval"], b: Question["approval"]): boolean {
  return (
    a.nodeId === b.nodeId &&
    a.sandboxEntry === b.sandboxEntry &&
    a.command === b.command &&
    a.cwd === b.cwd &&
    isDeepStrictEqual({ ...a.env }, { ...b.env })
  );
}
