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

  note(channel: string, ts: string): void {
    const known = this.#of.get(channel);
    this.#of.delete(channel);
    this.#of.set(channel, known !== undefined && Number(known) > Number(ts) ? known : ts);
    for (const old of this.#of.keys()) {
      if (this.#of.size <= maxConversations) break;
      this.#of.delete(old);
    }
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

/**
 * Hands in what was written in these conversations after the messages that are known, oldest first: what Slack offered
 * while nobody listened does not come again. Answers in threads are not in a conversation's history, and are not found.
 */
export async function catchUp(
  since: readonly (readonly [channel: string, ts: string])[],
  ports: CatchUpPorts,
): Promise<void> {
  for (const [channel, ts] of since) {
    const messages = await history(channel, String(Number(ts) - overlapS), ports);
    for (const message of messages.reverse()) {
      if (ports.signal.aborted) return;
      await ports.take(channel, message);
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
