import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A message that could not be stored, as it came. */
export interface Unstored {
  readonly text: string;
  readonly eventId: string;
  readonly account?: string;
}

interface Saved {
  /** Unix ms by the server's clock: everything up to here was stored. */
  readonly storedUntilMs?: number;
  readonly unstored: readonly Unstored[];
}

const maxUnstored = 1_000;

/**
 * How far the account has come, kept over restarts: IRC itself keeps nothing for us. Where the server has a history,
 * it is asked for what came after `storedUntilMs`; what could not be stored on a server without one is kept here.
 */
export class Position {
  readonly #folder: string;
  /** Times of messages that are being stored now. */
  readonly #pending: number[] = [];
  #newestMs: number | undefined;
  #storedUntilMs: number | undefined;
  #unstored: readonly Unstored[];

  /** A file that cannot be read is one that is not there: the history then begins anew. */
  constructor(folder: string) {
    this.#folder = folder;
    const saved = read(join(folder, "position.json"));
    this.#storedUntilMs = saved.storedUntilMs;
    this.#newestMs = saved.storedUntilMs;
    this.#unstored = saved.unstored;
  }

  get storedUntilMs(): number | undefined {
    return this.#storedUntilMs;
  }

  /** The first connection of all begins here. */
  begin(atMs: number): void {
    if (this.#storedUntilMs !== undefined) return;
    this.#newestMs = atMs;
    this.#storedUntilMs = atMs;
    this.#save();
  }

  arrived(atMs: number): void {
    this.#pending.push(atMs);
  }

  /** What arrived at that time is stored: the position moves up to the oldest that is not. */
  stored(atMs: number): void {
    const index = this.#pending.indexOf(atMs);
    if (index >= 0) this.#pending.splice(index, 1);
    this.#newestMs = Math.max(this.#newestMs ?? 0, atMs);
    const limit = Math.min(...this.#pending) - 1;
    const until = Math.max(this.#storedUntilMs ?? 0, Math.min(this.#newestMs, limit));
    if (until === this.#storedUntilMs) return;
    this.#storedUntilMs = until;
    this.#save();
  }

  /** Takes what an earlier life could not store. It stays in the file until {@link keep} says otherwise. */
  left(): readonly Unstored[] {
    return this.#unstored;
  }

  keep(unstored: readonly Unstored[]): void {
    if (unstored.length === 0 && this.#unstored.length === 0) return;
    this.#unstored = unstored.slice(0, maxUnstored);
    this.#save();
  }

  #save(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const file = join(this.#folder, "position.json");
    const saved: Saved = {
      ...(this.#storedUntilMs === undefined ? {} : { storedUntilMs: this.#storedUntilMs }),
      unstored: this.#unstored,
    };
    writeFileSync(`${file}.new`, JSON.stringify(saved), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}

function read(file: string): Saved {
  try {
    const value = JSON.parse(readFileSync(file, "utf8")) as Partial<Saved> | null;
    const until = value?.storedUntilMs;
    return {
      ...(typeof until === "number" && Number.isSafeInteger(until) ? { storedUntilMs: until } : {}),
      unstored: Array.isArray(value?.unstored) ? value.unstored.filter(isUnstored) : [],
    };
  } catch {
    return { unstored: [] };
  }
}

function isUnstored(value: Partial<Unstored> | null): boolean {
  if (typeof value?.text !== "string" || typeof value.eventId !== "string") return false;
  return value.account === undefined || typeof value.account === "string";
}
