import type { Clock } from "../../src/kernel/mod.ts";

/** Where wall time stands at first, Unix ms. */
export const startMs = Date.UTC(2026, 0, 1);

/** A clock that stands until it is told to go on. */
export class StandingClock implements Clock {
  #time = 0;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();

  now(): number {
    return startMs + this.#time;
  }

  monotonic(): number {
    return this.#time;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#time + delayMs, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    this.#time += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at <= this.#time && this.#timers.delete(timer)) timer.action();
    }
  }

  get waiting(): number {
    return this.#timers.size;
  }
}
