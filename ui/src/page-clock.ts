/** Time, passed in so that tests can hold it. */
export interface PageClock {
  /** Unix milliseconds. */
  nowMs(): number;
  /** Calls once after `delayMs`; the returned function calls it off. */
  after(delayMs: number, run: () => void): () => void;
}

export const browserClock: PageClock = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
