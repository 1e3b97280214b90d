import { hash } from "node:crypto";
import type { Clock } from "../kernel/mod.ts";

/** Makes an idempotency key mean something: what was begun under it is never begun again. */
export interface Repeats<T> {
  /**
   * What was begun under this key by this owner, now or before; `begin` when nothing was. "conflict": the key was
   * used for other input. "forgotten": it was done, and its result was too large to keep.
   */
  once(key: string, input: string, begin: () => Promise<T>): Promise<T | "conflict" | "forgotten">;
}

const maxKeys = 10_000;
const maxKept = 500;
const maxKeptChars = 65_536;
const lifetimeMs = 60 * 60 * 1000;

export function createRepeats<T>(ports: {
  readonly clock: Clock;
  /** Undefined: the thing never happened, so the key may be used again. Otherwise how much memory the result takes. */
  readonly sizeOf: (result: T) => number | undefined;
}): Repeats<T> {
  interface Entry {
    readonly digest: string;
    readonly at: number;
    outcome: Promise<T> | undefined;
    done: boolean;
  }
  const entries = new Map<string, Entry>();
  const kept = new Set<Entry>();

  function forgetOld(): void {
    for (const [key, entry] of entries) {
      const isOld = ports.clock.monotonic() - entry.at >= lifetimeMs || entries.size >= maxKeys;
      if (!isOld) return;
      // What still runs is held on to, however old: its key is the only thing that keeps it from a second start.
      if (!entry.done) continue;
      entries.delete(key);
      kept.delete(entry);
    }
  }

  return {
    async once(key, input, begin) {
      const digest = hash("sha256", input);
      const known = entries.get(key);
      if (known) {
        if (known.digest !== digest) return "conflict";
        return known.outcome ?? "forgotten";
      }
      forgetOld();
      const outcome = begin();
      const entry: Entry = { digest, at: ports.clock.monotonic(), outcome, done: false };
      entries.set(key, entry);
      const result = await outcome.catch((error: unknown) => {
        entries.delete(key);
        throw error;
      });
      entry.done = true;
      const size = ports.sizeOf(result);
      if (size === undefined) entries.delete(key);
      else if (size > maxKeptChars) entry.outcome = undefined;
      else {
        kept.add(entry);
        const [oldest] = kept.size > maxKept ? kept : [];
        if (oldest) {
          oldest.outcome = undefined;
          kept.delete(oldest);
        }
      }
      return result;
    },
  };
}
