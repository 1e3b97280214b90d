import type { Clock } from "../kernel/mod.ts";

/** Counts wrong secrets per address. Missing secrets and successes are not failures. */
export interface Lockout {
  /** Milliseconds until this address may try again; 0 when it may now. */
  lockedForMs(address: string, isLoopback: boolean): number;
  /** How long the answer to this failure should wait: 250 ms, doubling, at most 5 s. */
  fail(address: string, isLoopback: boolean): number;
  succeed(address: string): void;
}

interface Record_ {
  failures: number[];
  consecutive: number;
  lockedUntil: number;
}

const maxAddresses = 10_000;

export function createLockout(
  clock: Clock,
  limits: () => { maxAttempts: number; windowMs: number; lockoutMs: number; exemptLoopback: boolean },
): Lockout {
  const records = new Map<string, Record_>();

  function of(address: string): Record_ {
    let record = records.get(address);
    if (!record) {
      // Bounded: an attacker with many addresses only pushes out the oldest, who has waited longest anyway.
      if (records.size >= maxAddresses) records.delete(records.keys().next().value as string);
      record = { failures: [], consecutive: 0, lockedUntil: 0 };
      records.set(address, record);
    }
    return record;
  }

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
      const exempt = isLoopback && exemptLoopback;
      if (!exempt && record.failures.length >= maxAttempts) {
        record.lockedUntil = now + lockoutMs;
        record.failures = [];
      }
      return Math.min(5000, 250 * 2 ** Math.min(10, record.consecutive - 1));
    },
    succeed(address) {
      records.delete(address);
    },
  };
}
