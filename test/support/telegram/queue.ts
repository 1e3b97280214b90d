import type { Update } from "grammy/types";

/** Updates that Telegram keeps for a bot until they are confirmed. */
export class UpdateQueue {
  #kept: Update[] = [];
  /** Delivered once more whatever was confirmed. */
  #repeats: Update[] = [];
  readonly #all = new Map<number, Update>();
  #wake: (() => void) | undefined;

  add(update: Update): void {
    this.#all.set(update.update_id, update);
    this.#kept.push(update);
    this.#wake?.();
  }

  /** Delivers it `times` more, one per batch. */
  repeat(updateId: number, times: number): void {
    const update = this.#all.get(updateId);
    if (!update) throw new Error(`update ${updateId} was never delivered`);
    for (let count = 0; count < times; count += 1) this.#repeats.push(update);
    this.#wake?.();
  }

  /** The newest two arrive in the other order. */
  swap(): void {
    this.#kept.push(...this.#kept.splice(-2).reverse());
  }

  /** Forgets everything before `offset`. */
  confirm(offset: number): void {
    this.#kept = this.#kept.filter((update) => update.update_id >= offset);
  }

  /** Forgets one. */
  drop(updateId: number): void {
    this.#kept = this.#kept.filter((update) => update.update_id !== updateId);
  }

  take(limit: number): Update[] {
    const repeat = this.#repeats.shift();
    // A batch that is not full means that nothing else waits: a repeat hides nothing.
    return [...(repeat ? [repeat] : []), ...this.#kept].slice(0, limit);
  }

  /** Calls back at the next change; a later call replaces an earlier one. */
  onChange(action: (() => void) | undefined): void {
    this.#wake = action;
  }

  /** The last that was added. */
  get newest(): Update {
    return this.#kept.at(-1) as Update;
  }

  get pending(): readonly number[] {
    return this.#kept.map((update) => update.update_id);
  }
}
