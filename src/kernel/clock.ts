/** Stops a timer. Calling it twice, or after the timer fired, does nothing. */
export type Cancel = () => void;

/** Time, passed in so that the whole gateway can run on a simulated clock. */
export interface Clock {
  /** Wall time, Unix milliseconds. May jump; never use it to measure a duration. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /** Runs `action` once after `delayMs` (at least). The timer does not keep the process alive. */
  after(delayMs: number, action: () => void): Cancel;
}

/** Resolves after `delayMs`, or as soon as `signal` aborts (it never rejects). */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Keeps the process alive until it is cancelled: the clock's own timers do not. */
export function keepAlive(): Cancel {
  const timer = setInterval(() => {}, 60_000);
  return () => clearInterval(timer);
}
