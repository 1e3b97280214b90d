import type { Clock } from "../../kernel/mod.ts";
import type { DeliveryLog } from "./credentials.ts";
import { ApiFault, type Rest } from "./rest.ts";
import { isId, type WireDelivery } from "./wire.ts";

/** GitHub keeps what it posted for three days, and posts nothing twice by itself. */
const keptForMs = 3 * 24 * 3_600_000;
/** What GitHub was still posting when it was last asked. */
const overlapMs = 600_000;
/** Of a hundred deliveries each, in one round; what is older is read in the rounds after it. */
const maxPages = 20;
const maxPerRound = 50;
const firstPauseMs = 60_000;
const longestPauseMs = 3_600_000;

const events: ReadonlySet<string | undefined> = new Set([
  "issues",
  "issue_comment",
  "pull_request",
  "pull_request_review",
  "pull_request_review_comment",
  "discussion",
  "discussion_comment",
]);

interface Missed {
  readonly log: string;
  readonly id: number;
  readonly attempts: number;
  /** Unix ms. */
  readonly notedAtMs: number;
  /** Monotonic. */
  readonly nextAtMs: number;
}

/** Has GitHub post again what did not arrive. Its own log is the record: nothing is kept here over a restart. */
export class MissedDeliveries {
  readonly #rest: Rest;
  readonly #clock: Clock;
  readonly #missed = new Map<string, Missed>();
  /** Unix ms, by log: up to here it was read, but for what {@link #older} names. */
  readonly #readUntil = new Map<string, number>();
  /** By log: where reading goes on, towards the past, and how far (Unix ms). */
  readonly #older = new Map<string, { readonly next: string; readonly since: number }>();

  constructor(rest: Rest, clock: Clock) {
    this.#rest = rest;
    this.#clock = clock;
  }

  /** How many were asked for again, and did not arrive either. */
  get lost(): number {
    return [...this.#missed.values()].filter(({ attempts }) => attempts > 1).length;
  }

  /** Rejects with an {@link ApiFault}. */
  async makeUp(logs: readonly DeliveryLog[], signal: AbortSignal): Promise<void> {
    const longAgoMs = this.#clock.now() - keptForMs;
    for (const [guid, { notedAtMs }] of this.#missed) if (notedAtMs < longAgoMs) this.#missed.delete(guid);
    for (const log of logs) {
      const startedAtMs = this.#clock.now();
      await this.#readOlder(log, signal);
      if (await this.#read(log, signal)) this.#readUntil.set(log.path, startedAtMs);
      await this.#askAgain(log, signal);
    }
  }

  /** The log is newest first. False when too much came at once to remember where reading has to go on. */
  async #read(log: DeliveryLog, signal: AbortSignal): Promise<boolean> {
    const { path } = log;
    const since = Math.max(this.#clock.now() - keptForMs, (this.#readUntil.get(path) ?? 0) - overlapMs);
    const next = await this.#readPages(log, `${path}?per_page=100`, since, signal);
    if (next === undefined) return true;
    if (this.#older.has(path)) return false;
    this.#older.set(path, { next, since });
    return true;
  }

  async #readOlder(log: DeliveryLog, signal: AbortSignal): Promise<void> {
    const older = this.#older.get(log.path);
    if (!older) return;
    // A place that GitHub does not know any more: all of it is read again, from the newest.
    this.#older.delete(log.path);
    const readUntil = this.#readUntil.get(log.path);
    this.#readUntil.delete(log.path);
    const since = Math.max(this.#clock.now() - keptForMs, older.since);
    const next = await this.#readPages(log, older.next, since, signal);
    if (readUntil !== undefined) this.#readUntil.set(log.path, readUntil);
    if (next !== undefined) this.#older.set(log.path, { next, since });
  }

  /** Where to go on; undefined when what is older than `since` was reached. */
  async #readPages(
    { path, token }: DeliveryLog,
    from: string,
    since: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const seen: WireDelivery[] = [];
    let next: string | undefined = from;
    for (let page = 0; next !== undefined && page < maxPages; page++) {
      const answer = await this.#rest.call({ method: "GET", path: next, token, signal });
      const items = Array.isArray(answer.value) ? (answer.value as WireDelivery[]) : [];
      seen.push(...items.filter((item) => Date.parse(item.delivered_at ?? "") >= since));
      const oldest = Date.parse(items.at(-1)?.delivered_at ?? "");
      next = oldest < since ? undefined : answer.next;
    }
    this.#note(path, seen.reverse());
    return next;
  }

  /** Oldest first. One attempt that arrived is enough. */
  #note(log: string, deliveries: readonly WireDelivery[]): void {
    for (const { guid, id, event, status_code: status } of deliveries) {
      if (typeof guid !== "string" || !isId(id) || !events.has(event)) continue;
      if (typeof status === "number" && status >= 200 && status < 300) this.#missed.delete(guid);
      else if (!this.#missed.has(guid)) {
        this.#missed.set(guid, { log, id, attempts: 0, notedAtMs: this.#clock.now(), nextAtMs: 0 });
      }
    }
  }

  async #askAgain({ path, token }: DeliveryLog, signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    const due = [...this.#missed].filter(([, { log, nextAtMs }]) => log === path && nextAtMs <= now);
    for (const [guid, missed] of due.slice(0, maxPerRound)) {
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(missed.attempts, 10));
      this.#missed.set(guid, { ...missed, attempts: missed.attempts + 1, nextAtMs: now + pauseMs });
      try {
        await this.#rest.call({ method: "POST", path: `${path}/${missed.id}/attempts`, token, signal });
      } catch (error) {
        if (!(error instanceof ApiFault) || error.failure.kind !== "answer") throw error;
        // GitHub does not have it any more, though it stays in the log for a while.
        this.#missed.set(guid, { ...missed, nextAtMs: Number.POSITIVE_INFINITY });
      }
    }
  }
}
