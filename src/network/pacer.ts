import type { Clock } from "../kernel/mod.ts";

/** A bucket of tokens for each key: `burst` at once, `perSecond` after that. */
export interface Pacer {
  /** False when the key has nothing left. */
  take(key: string): boolean;
  /** Gives one back: the caller turned out to be known. */
  giveBack(key: string): void;
  readonly size: number;
}

const maxKeys = 10_000;

export function createPacer(
  clock: Clock,
  limits: { readonly burst: number; readonly perSecond: number },
): Pacer {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(key) {
      const now = clock.monotonic();
      const old = buckets.get(key);
      buckets.delete(key);
      const earned = old ? ((now - old.at) / 1000) * limits.perSecond : 0;
      const tokens = old ? Math.min(limits.burst, old.tokens + earned) : limits.burst;
      const taken = tokens >= 1;
      // Put last again, so that what falls out first is what was quiet longest: its bucket is as good as full.
      buckets.set(key, { tokens: taken ? tokens - 1 : tokens, at: now });
      if (buckets.size > maxKeys) buckets.delete(buckets.keys().next().value as string);
      return taken;
    },
    giveBack(key) {
      const bucket = buckets.get(key);
      if (bucket) bucket.tokens = Math.min(limits.burst, bucket.tokens + 1);
    },
    get size() {
      return buckets.size;
    },
  };
}
