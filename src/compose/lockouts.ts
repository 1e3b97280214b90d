import { createLockout, type Lockout, type LockoutLimits } from "../auth/mod.ts";
import type { Clock, Commit, Log } from "../kernel/mod.ts";
import type { MetaStore } from "../store/mod.ts";

const key = "lockouts";

/** The counters of wrong secrets, kept in the store's own small table. */
export function composeLockout(parts: {
  readonly meta: MetaStore;
  readonly commit: Commit;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: () => LockoutLimits;
}): Lockout {
  const { meta, commit, clock, log } = parts;
  return createLockout(clock, parts.limits, {
    kept: parsed(meta.get(key)),
    keep: (entries) =>
      void commit([meta.put(key, JSON.stringify(entries))]).catch((error: Error) =>
        log("warn", "the counters of wrong secrets could not be kept", { error: error.message }),
      ),
  });
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
