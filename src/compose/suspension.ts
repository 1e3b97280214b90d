import { type Cancel, type Clock, type Log, type Random, uuid } from "../kernel/mod.ts";

/** How far a lease is. `draining`: no turn begins any more, and some still run. */
export interface Lease {
  readonly suspensionId: string;
  readonly status: "draining" | "ready";
  /** Unix ms. */
  readonly expiresAtMs: number;
}

/** Holds the gateway still for a moment, so that its files can be copied: what comes in waits on disk. */
export interface Suspension {
  /** The lease of this request, a new one, or why there is none now. The same request gets the same lease. */
  prepare(requestId: string, drain: boolean): Lease | "active-work" | "gateway-draining";
  status(suspensionId: string): Lease | undefined;
  /** True when there was such a lease. */
  resume(suspensionId: string): boolean;
  close(): void;
}

interface Held {
  readonly requestId: string;
  readonly id: string;
  readonly expiresAtMs: number;
}

/** Nobody who forgets to resume keeps the gateway still for longer. */
const leaseMs = 120_000;

export function createSuspension(ports: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly activeRuns: () => number;
  /** From now on no turn begins; and they do again. */
  readonly hold: () => void;
  readonly letGo: () => void;
  /** What is written is in the database file itself. */
  readonly settle: () => void;
}): Suspension {
  const { clock, log } = ports;
  let current: Held | undefined;
  let isSettled = false;
  let cancelExpiry: Cancel = () => {};

  function leaseOf({ id: suspensionId, expiresAtMs }: Held): Lease {
    const isReady = ports.activeRuns() === 0;
    // Once: what begins after this is what nobody holds back (an operator's own changes).
    if (isReady && !isSettled) ports.settle();
    isSettled ||= isReady;
    return { suspensionId, status: isReady ? "ready" : "draining", expiresAtMs };
  }

  function end(): void {
    cancelExpiry();
    current = undefined;
    isSettled = false;
    ports.letGo();
  }

  return {
    prepare(requestId, drain) {
      if (current) return current.requestId === requestId ? leaseOf(current) : "gateway-draining";
      if (ports.activeRuns() > 0 && !drain) return "active-work";
      current = { requestId, id: uuid(ports.random), expiresAtMs: clock.now() + leaseMs };
      ports.hold();
      cancelExpiry = clock.after(leaseMs, () => {
        log("warn", "the gateway was suspended for too long, and goes on");
        end();
      });
      return leaseOf(current);
    },
    status: (suspensionId) => (current?.id === suspensionId ? leaseOf(current) : undefined),
    resume(suspensionId) {
      if (current?.id !== suspensionId) return false;
      end();
      return true;
    },
    close: () => cancelExpiry(),
  };
}
