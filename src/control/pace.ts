import type { Clock } from "../kernel/mod.ts";
import { unavailable } from "./frames.ts";
import type { Subscriber } from "./hub.ts";
import type { Method } from "./method.ts";
import type { WireError } from "./protocol.ts";

/** Counts writes to the control plane, per method, device and address. */
export interface Pace {
  /** Counts this request; the error when it is one too many. */
  take(row: Method, from: Pick<Subscriber, "principal" | "limitKey">): WireError | undefined;
}

const windowMs = 60_000;
const maxCallers = 10_000;

export function createPace(clock: Clock): Pace {
  /** When each of the last requests came, oldest first. */
  const taken = new Map<string, number[]>();

  function forgetIdle(now: number): void {
    for (const [key, times] of taken) if ((times.at(-1) ?? 0) <= now - windowMs) taken.delete(key);
  }

  return {
    take(row, from) {
      const { perMinute } = row;
      if (perMinute === undefined) return undefined;
      const now = clock.monotonic();
      const key = `${row.name}\n${from.principal.deviceId ?? ""}\n${from.limitKey}`;
      if (!taken.has(key) && taken.size >= maxCallers) forgetIdle(now);
      const times = (taken.get(key) ?? []).filter((at) => at > now - windowMs);
      const wait = times.length < perMinute ? 0 : (times[0] ?? now) + windowMs - now;
      // A book that is full of callers who are counted admits no further one: dropping one would let it start anew.
      const isFull = !taken.has(key) && taken.size >= maxCallers;
      if (wait > 0 || isFull) return tooMany(row.name, perMinute, isFull ? windowMs : wait);
      times.push(now);
      taken.set(key, times);
      return undefined;
    },
  };
}

function tooMany(name: string, perMinute: number, waitMs: number): WireError {
  const retryAfterMs = Math.ceil(waitMs);
  return unavailable(
    `rate limit exceeded for ${name}; retry after ${Math.ceil(retryAfterMs / 1000)}s`,
    { method: name, limit: `${perMinute} per 60s` },
    retryAfterMs,
  );
}
