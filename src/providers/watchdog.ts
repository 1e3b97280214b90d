import type { Cancel, Clock } from "../kernel/mod.ts";

/**
 * One deadline that moves with every byte. Moving it costs no timer: the timer that runs looks, when it fires,
 * how far the deadline has moved meanwhile.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #bark: (phase: string, limitMs: number) => void;
  #phase = "";
  #limitMs = 0;
  #deadline = 0;
  #firesAt = Number.POSITIVE_INFINITY;
  #cancel: Cancel | undefined;

  /** `bark` is called once, when the deadline of `expect` has passed. */
  constructor(clock: Clock, bark: (phase: string, limitMs: number) => void) {
    this.#clock = clock;
    this.#bark = bark;
  }

  /** From now on `phase` may take `limitMs`. */
  expect(phase: string, limitMs: number): void {
    this.#phase = phase;
    this.#limitMs = limitMs;
    this.#deadline = this.#clock.monotonic() + limitMs;
    if (this.#deadline < this.#firesAt) this.#run(limitMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#firesAt = Number.POSITIVE_INFINITY;
  }

  #run(delayMs: number): void {
    this.#cancel?.();
    this.#firesAt = this.#clock.monotonic() + delayMs;
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#firesAt = Number.POSITIVE_INFINITY;
      this.#cancel = undefined;
      const left = this.#deadline - this.#clock.monotonic();
      // Timers may fire a fraction of a millisecond early.
      if (left >= 1) this.#run(left);
      else this.#bark(this.#phase, this.#limitMs);
    });
  }
}
