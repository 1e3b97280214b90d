// What every part of the run is given, and the two bounded loops that all of them are made of.

import type { Results } from "./figures.ts";
import type { Workshop } from "./processes.ts";
import type { Model } from "./site.ts";
import type { Subject } from "./subject.ts";

export interface Bench {
  readonly subject: Subject;
  readonly model: Model;
  /** This part's own processes and folders; gone when the part ends, however it ends. */
  readonly workshop: Workshop;
  /** Filled as figures come in, so that a part that runs out of time keeps what it has. */
  readonly results: Results;
  say(progress: string): void;
}

export interface Bound {
  readonly count: number;
  /** The loop ends here even when the count is not reached. */
  readonly ms: number;
}

/** Runs `work` one after another; resolves to what each returned, in order. */
export async function inTurn<T>(bound: Bound, work: (index: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  const giveUpAt = performance.now() + bound.ms;
  for (let index = 0; index < bound.count && performance.now() < giveUpAt; index += 1)
    done.push(await work(index));
  return done;
}

export interface Rate {
  readonly count: number;
  readonly perSecond: number;
}

/** Keeps `width` pieces of `work` going at once; `lane` is 0..width-1 and runs its own in order. */
export async function atOnce(
  width: number,
  bound: Bound,
  work: (lane: number, index: number) => Promise<unknown>,
): Promise<Rate> {
  let next = 0;
  let count = 0;
  const startedAt = performance.now();
  const run = async (lane: number): Promise<void> => {
    while (next < bound.count && performance.now() - startedAt < bound.ms) {
      const index = next;
      next += 1;
      await work(lane, index);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, (_, lane) => run(lane)));
  return { count, perSecond: (count / (performance.now() - startedAt)) * 1_000 };
}

/** A note where a bound cut the count short; nothing where it did not. */
export function cutShort(count: number, wanted: number, what: string): string | undefined {
  return count < wanted ? `${count} of ${wanted} ${what}` : undefined;
}
