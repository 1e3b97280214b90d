import type { Duplex } from "node:stream";
import type { Clock } from "../kernel/mod.ts";

/** What one sandbox may use of the proxy. */
export interface EgressLimits {
  readonly maxConnections: number;
  /** Requests and tunnels; more are answered 429 until the minute has passed. */
  readonly maxRequestsPerMinute: number;
  /** Of one request's body, of one answer's, and of each direction of a tunnel. */
  readonly maxBytes: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** Of one exchange, or one tunnel, however busy. */
  readonly totalMs: number;
}

export const defaultEgressLimits: EgressLimits = Object.freeze({
  maxConnections: 128,
  maxRequestsPerMinute: 3000,
  maxBytes: 2 * 1024 ** 3,
  idleMs: 120_000,
  totalMs: 3_600_000,
});

/** Calls `onEnd` once, with why, when nothing moved for too long, or when the whole time is over. */
export function watchTime(
  clock: Clock,
  limits: Pick<EgressLimits, "idleMs" | "totalMs">,
  onEnd: (why: string) => void,
): { moved(): void; stop(): void } {
  const started = clock.monotonic();
  let last = started;
  let cancel = () => {};
  const look = () => {
    const now = clock.monotonic();
    if (now - started >= limits.totalMs) return onEnd(`it took longer than ${limits.totalMs / 1000} s`);
    if (now - last >= limits.idleMs) return onEnd(`nothing moved for ${limits.idleMs / 1000} s`);
    cancel = clock.after(Math.min(last + limits.idleMs, started + limits.totalMs) - now, look);
  };
  look();
  return {
    moved() {
      last = clock.monotonic();
    },
    stop: () => cancel(),
  };
}

/** Both directions, until one ends badly, too much went through, or time is over. Resolves when both are closed. */
export function joinStreams(a: Duplex, b: Duplex, clock: Clock, limits: EgressLimits): Promise<void> {
  const both = Promise.withResolvers<void>();
  const end = () => {
    watch.stop();
    a.destroy();
    b.destroy();
    both.resolve();
  };
  const watch = watchTime(clock, limits, end);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    let bytes = 0;
    from.on("data", (chunk: Buffer) => {
      watch.moved();
      bytes += chunk.length;
      if (bytes > limits.maxBytes) end();
    });
    from.on("error", end).on("close", end);
    from.pipe(to);
  }
  return both.promise;
}

/** So many in any minute. Gives "first" for the first one too many of a minute, which is the one to put on record. */
export function createPace(clock: Clock, perMinute: number): () => "ok" | "first" | "over" {
  let begun = clock.monotonic();
  let count = 0;
  return () => {
    if (clock.monotonic() - begun >= 60_000) {
      begun = clock.monotonic();
      count = 0;
    }
    count += 1;
    if (count <= perMinute) return "ok";
    return count === perMinute + 1 ? "first" : "over";
  };
}
