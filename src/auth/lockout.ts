import { type Cancel, type Clock, schema } from "../kernel/mod.ts";

/** Counts wrong secrets per address. Missing secrets and successes are not failures. */
export interface Lockout {
  /** Milliseconds until this address may try again; 0 when it may now. */
  lockedForMs(address: string, isLoopback: boolean): number;
  /** How long the answer to this failure should wait: 250 ms, doubling, at most 5 s. */
  fail(address: string, isLoopback: boolean): number;
  succeed(address: string): void;
  /** Hands over what was not kept yet. */
  close(): void;
}

export interface LockoutLimits {
  readonly maxAttempts: number;
  readonly windowMs: number;
  readonly lockoutMs: number;
  readonly exemptLoopback: boolean;
}

/** Where the counters outlive the process: otherwise a restart would let a guesser begin anew. */
export interface LockoutMemory {
  /** What was kept last; anything else counts as nothing. */
  readonly kept: unknown;
  /** Called at most every five seconds, whatever the number of failures; at most a thousand entries. */
  keep(entries: readonly KeptFailures[]): void;
}

interface Record_ {
  failures: number[];
  consecutive: number;
  lockedUntil: number;
  /** The owner's own machine: slowed, never locked, not kept. */
  isExempt: boolean;
}

const { array, integer, object, string } = schema;
const time = integer({ minimum: 0 });
const keptSchema = object({
  address: string({ minLength: 1, maxLength: 200 }),
  /** Unix ms. */
  failuresAt: array(time, { maxItems: 1000 }),
  consecutive: integer({ minimum: 0 }),
  lockedUntil: time,
});
export type KeptFailures = schema.Static<typeof keptSchema>;

const maxAddresses = 10_000;
const maxKept = 1000;
const keepEveryMs = 5000;

export function createLockout(
  clock: Clock,
  limits: () => LockoutLimits,
  /** Absent where it is not worth remembering. */
  memory?: LockoutMemory,
): Lockout {
  const records = new Map<string, Record_>();
  let cancelKeep: Cancel | undefined;

  // Wall time is what outlives the process; while it runs, a clock that is set must neither open a lock nor close one.
  const toWall = (at: number) => Math.max(0, Math.round(clock.now() + at - clock.monotonic()));
  const fromWall = (at: number) => clock.monotonic() + at - clock.now();

  function of(address: string): Record_ {
    let record = records.get(address);
    if (!record) {
      // Bounded: an attacker with many addresses only pushes out the oldest, who has waited longest anyway.
      if (records.size >= maxAddresses) records.delete(records.keys().next().value as string);
      record = { failures: [], consecutive: 0, lockedUntil: 0, isExempt: false };
      records.set(address, record);
    }
    return record;
  }

  function recall(kept: unknown): void {
    const now = clock.monotonic();
    const { windowMs, lockoutMs } = limits();
    for (const entry of Array.isArray(kept) ? kept : []) {
      if (schema.check(keptSchema, entry).length > 0) continue;
      const { address, failuresAt, consecutive, lockedUntil } = entry as KeptFailures;
      const record = of(address);
      record.consecutive = consecutive;
      // A clock that was set back meanwhile must not lock anybody for longer than a lock lasts.
      record.lockedUntil = Math.min(fromWall(lockedUntil), now + lockoutMs);
      record.failures = failuresAt.map(fromWall).filter((at) => at > now - windowMs && at <= now);
    }
  }

  function entries(): KeptFailures[] {
    const now = clock.monotonic();
    const { windowMs } = limits();
    const worth = [...records].filter(
      ([, item]) =>
        !item.isExempt && (item.lockedUntil > now || item.failures.some((at) => at > now - windowMs)),
    );
    // Those that are locked first: theirs are the guesses that a restart must not give back.
    worth.sort(([, a], [, b]) => b.lockedUntil - a.lockedUntil);
    return worth.slice(0, maxKept).map(([address, { failures, consecutive, lockedUntil }]) => ({
      address,
      failuresAt: failures.map(toWall),
      consecutive,
      lockedUntil: lockedUntil > now ? toWall(lockedUntil) : 0,
    }));
  }

  function changed(): void {
    if (!memory) return;
    cancelKeep ??= clock.after(keepEveryMs, () => {
      cancelKeep = undefined;
      memory.keep(entries());
    });
  }

  recall(memory?.kept);

  return {
    lockedForMs(address, isLoopback) {
      if (isLoopback && limits().exemptLoopback) return 0;
      return Math.max(0, (records.get(address)?.lockedUntil ?? 0) - clock.monotonic());
    },
    fail(address, isLoopback) {
      const { maxAttempts, windowMs, lockoutMs, exemptLoopback } = limits();
      const now = clock.monotonic();
      const record = of(address);
      record.consecutive += 1;
      record.failures = record.failures.filter((at) => at > now - windowMs).slice(-maxAttempts);
      record.failures.push(now);
      record.isExempt = isLoopback && exemptLoopback;
      if (!record.isExempt && record.failures.length >= maxAttempts) {
        record.lockedUntil = now + lockoutMs;
        record.failures = [];
      }
      changed();
      return Math.min(5000, 250 * 2 ** Math.min(10, record.consecutive - 1));
    },
    succeed(address) {
      if (records.delete(address)) changed();
    },
    close() {
      if (!cancelKeep || !memory) return;
      cancelKeep();
      cancelKeep = undefined;
      memory.keep(entries());
    },
  };
}
