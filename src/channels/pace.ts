import type { Clock } from "../kernel/mod.ts";

const maxRemembered = 1_000;

/** Says at most once per period and key that something is due, such as a platform's note that somebody types. */
export class Pace {
  readonly #clock: Clock;
  readonly #everyMs: number;
  /** Monotonic time of the last one; oldest first, because a repeated key is moved to the end. */
  readonly #lastAt = new Map<string, number>();

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  isDue(key: string): boolean {
    const now = this.#clock.monotonic();
    const last = this.#lastAt.get(key);
    if (last !== undefined && now - last < this.#everyMs) return false;
    this.#lastAt.delete(key);
    this.#lastAt.set(key, now);
    for (const [old, at] of this.#lastAt) {
      if (now - at < this.#everyMs && this.#lastAt.size <= maxRemembered) break;
      this.#lastAt.delete(old);
    }
    return true;
  }
}
