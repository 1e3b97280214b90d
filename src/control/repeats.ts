import { hash } from "node:crypto";
import { type Clock, canonicalJson, type Json } from "../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "./frames.ts";

/** Makes an idempotency key mean something for methods that keep no book of their own: one key, one run, one answer. */
export interface Repeats {
  /**
   * What was begun by this caller under this key, now or before; `begin` when nothing was. Throws a MethodError when
   * the key was used for other parameters, or when more runs are under way than are kept apart.
   */
  once(caller: string, key: string, params: unknown, begin: () => unknown): Promise<unknown>;
}

const maxKeys = 1000;
const lifetimeMs = 10 * 60_000;

export function createRepeats(clock: Clock): Repeats {
  interface Entry {
    readonly digest: string;
    readonly at: number;
    readonly answer: Promise<unknown>;
    done: boolean;
  }
  const entries = new Map<string, Entry>();

  function makeRoom(): void {
    const now = clock.monotonic();
    for (const [key, entry] of entries) {
      if (now - entry.at < lifetimeMs && entries.size < maxKeys) return;
      // What still runs is kept, however old: its key is all that keeps it from a second start.
      if (entry.done) entries.delete(key);
    }
    if (entries.size >= maxKeys)
      throw new MethodError(
        unavailable("too many requests with an idempotency key run at once", undefined, 1000),
      );
  }

  return {
    once(caller, key, params, begin) {
      const name = `${caller}\n${key}`;
      const digest = hash("sha256", canonicalJson(params as Json));
      const known = entries.get(name);
      if (known && (!known.done || clock.monotonic() - known.at < lifetimeMs)) {
        if (known.digest === digest) return known.answer;
        throw new MethodError(
          invalid(
            "this idempotency key was already used for different input; use a new key for a new request",
            {
              reason: "idempotency-conflict",
            },
          ),
        );
      }
      entries.delete(name);
      makeRoom();
      const answer = (async () => begin())();
      const entry: Entry = { digest, at: clock.monotonic(), answer, done: false };
      entries.set(name, entry);
      answer.then(
        () => {
          entry.done = true;
        },
        // What was refused did not run: the same key may ask again.
        () => void entries.delete(name),
      );
      return answer;
    },
  };
}
