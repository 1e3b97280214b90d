import { type Clock, type Random, sleep } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { ApiFault, type WebApi } from "./web-api.ts";
import { isConversationId, isTimestamp, type MessageEvent } from "./wire.ts";

const pageSize = 200;
const maxPages = 5;
/** What Slack offers again may be older than what came after it. */
const overlapS = 600;
export const maxConversations = 500;

/** The newest message of each conversation that is dealt with; the one that was written in last comes last. */
export class Newest {
  readonly #of = new Map<string, string>();

  constructor(kept: unknown = []) {
    for (const pair of Array.isArray(kept) ? (kept as unknown[]) : []) {
      const [channel, ts] = Array.isArray(pair) ? (pair as unknown[]) : [];
      if (isConversationId(channel) && isTimestamp(ts)) this.#of.set(channel, ts);
    }
  }

  /** True for a conversation that was not known. */
  note(channel: string, ts: string): boolean {
    const known = this.#of.get(channel);
    this.#of.delete(channel);
    this.#of.set(channel, known !== undefined && Number(known) > Number(ts) ? known : ts);
    for (const old of this.#of.keys()) {
      if (this.#of.size <= maxConversations) break;
      this.#of.delete(old);
    }
    return known === undefined;
  }

  all(): readonly (readonly [channel: string, ts: string])[] {
    return [...this.#of];
  }
}

export interface CatchUpPorts {
  readonly api: WebApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Resolves when the message is dealt with. */
  take(channel: string, message: MessageEvent): Promise<unknown>;
  /** Told of a conversation whose history cannot be read, or holds more than is read. */
  missed(channel: string, why: string): void;
}

interface Behind {
  readonly since: string;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  /** More was missed since it was begun. */
  isBegunAgain: boolean;
}

/**
 * Hands in what was written in conversations after the messages that are known, oldest first: what Slack offered while
 * nobody listened does not come again. What is written now waits for that. Answers in threads are not in a
 * conversation's history, and are not found.
 */
export class CatchUp {
  readonly #ports: CatchUpPorts;
  readonly #behind = new Map<string, Behind>();
  /** Somebody has just written there: they are next. */
  readonly #wanted = new Set<string>();
  #isRunning = false;

  constructor(ports: CatchUpPorts) {
    this.#ports = ports;
  }

  begin(since: readonly (readonly [channel: string, ts: string])[]): void {
    for (const [channel, ts] of since) {
      const known = this.#behind.get(channel);
      if (known) known.isBegunAgain = true;
      else {
        const { promise: done, resolve } = Promise.withResolvers<void>();
        this.#behind.set(channel, { since: ts, done, resolve, isBegunAgain: false });
      }
    }
    if (!this.#isRunning) void this.#run();
  }

  /** Resolves once the conversation's past is handed in; undefined where that is so. */
  before(channel: string): Promise<void> | undefined {
    const behind = this.#behind.get(channel);
    if (behind) this.#wanted.add(channel);
    return behind?.done;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const { signal, missed } = this.#ports;
    for (;;) {
      const [channel] = this.#wanted.size > 0 ? this.#wanted : this.#behind.keys();
      const behind = channel === undefined ? undefined : this.#behind.get(channel);
      if (channel === undefined || !behind) break;
      behind.isBegunAgain = false;
      await this.#one(channel, behind).catch(() => missed(channel, "an error of our own"));
      if (behind.isBegunAgain && !signal.aborted) continue;
      this.#behind.delete(channel);
      this.#wanted.delete(channel);
      behind.resolve();
    }
    this.#isRunning = false;
  }

  async #one(channel: string, { since }: Behind): Promise<void> {
    const messages = await history(channel, String(Number(since) - overlapS), this.#ports);
    for (const message of messages.reverse()) {
      if (this.#ports.signal.aborted) return;
      await this.#ports.take(channel, message);
    }
  }
}

/** Newest first, as Slack gives it. */
async function history(channel: string, oldest: string, ports: CatchUpPorts): Promise<MessageEvent[]> {
  const found: MessageEvent[] = [];
  let cursor: string | undefined;
  for (let page = 0, attempt = 1; page < maxPages && !ports.signal.aborted; ) {
    try {
      const args = { channel, oldest, limit: String(pageSize), cursor };
      const answer = await ports.api.call("conversations.history", args, { signal: ports.signal });
      found.push(...(Array.isArray(answer.messages) ? (answer.messages as MessageEvent[]) : []));
      const next = (answer.response_metadata as { readonly next_cursor?: unknown } | undefined)?.next_cursor;
      if (answer.has_more !== true || typeof next !== "string" || next === "") return found;
      cursor = next;
      page += 1;
      if (page === maxPages) ports.missed(channel, "more was written than is read");
    } catch (error) {
      const failure = error instanceof ApiFault ? error.failure : undefined;
      if (failure?.kind === "answer") {
        ports.missed(channel, failure.error);
        return found;
      }
      const waitMs = failure?.kind === "limited" ? failure.retryAfterMs : backoffMs(attempt, ports.random);
      attempt += 1;
      await sleep(ports.clock, waitMs, ports.signal);
    }
  }
  return found;
}
