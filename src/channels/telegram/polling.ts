import type { Update } from "grammy/types";
import { type Clock, type Log, type Random, sleep } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { Lanes } from "../lanes.ts";
import { ApiFault, type BotApi } from "./bot-api.ts";

/** What we ask Telegram for. Edits, reactions and member changes are not even delivered. */
export const allowedUpdates = ["message", "callback_query"] as const;

/** Chats whose messages are handed in side by side. */
export const maxConcurrentChats = 16;

const pollSeconds = 30;
const batchSize = 100;
/** An answer that is later than this never comes: the connection is dead. */
const deadlineMs = (pollSeconds + 10) * 1000;
const quickAnswerMs = 1_000;
const confirmDeadlineMs = 3_000;

export interface PollOptions {
  readonly api: BotApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Resolves when the update's outcome is on disk; rejects when it is not, and Telegram must keep it. */
  handle(update: Update): Promise<void>;
  /** Called with each batch, before any of it is handed in. `isAll`: Telegram has no more for now. */
  fetched(updates: readonly Update[], isAll: boolean): void;
  /** Called after each answered poll, unless what it brought cannot be stored. */
  answered(): void;
  /** Called before waiting because an update could not be stored. */
  notStored(): void;
}

/**
 * Fetches updates until the signal aborts (resolves) or a poll fails (rejects with an ApiFault). `position` outlives
 * the call, so that polling goes on where it was.
 *
 * An update is confirmed to Telegram (by asking for the ones behind it) only after `handle` resolved for it and for
 * all before it; until then Telegram keeps it, for a day, through our crashes.
 */
export async function poll(position: PollPosition, options: PollOptions): Promise<void> {
  const { clock, random, signal } = options;
  let failures = 0;
  // The first answer is asked for at once: it tells whether we are connected.
  let timeout = 0;
  while (!signal.aborted) {
    const began = clock.monotonic();
    const updates = await fetchUpdates(position, timeout, options);
    if (updates === undefined) break;
    // After a message could not be stored, an answer alone does not mean that all is well again.
    if (failures === 0) options.answered();
    const stored = await handIn(position, updates, options);
    if (stored && failures > 0) options.answered();
    failures = stored ? 0 : failures + 1;
    if (signal.aborted) break;
    if (!stored) {
      options.notStored();
      await sleep(clock, backoffMs(failures, random), signal);
    } else if (timeout > 0 && updates.length === 0 && clock.monotonic() - began < quickAnswerMs) {
      // A proxy that does not hold the request open would otherwise be asked thousands of times a second.
      await sleep(clock, quickAnswerMs, signal);
    }
    timeout = pollSeconds;
  }
  await confirm(position, options.api);
}

/** One batch, in the platform's order; undefined when the signal aborted meanwhile. */
async function fetchUpdates(
  position: PollPosition,
  timeout: number,
  options: PollOptions,
): Promise<readonly Update[] | undefined> {
  const { api, signal } = options;
  const { offset } = position;
  const query = {
    ...(offset === undefined ? {} : { offset }),
    timeout,
    limit: batchSize,
    allowed_updates: [...allowedUpdates],
  };
  try {
    const updates = await api.call("getUpdates", { deadlineMs, signal }, (bot, abort) =>
      bot.getUpdates(query, abort),
    );
    position.confirmed = offset;
    const numbered = updates.filter((update) => Number.isSafeInteger(update?.update_id));
    options.fetched(numbered, updates.length < batchSize);
    return numbered;
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

/** Where polling stands. */
export interface PollPosition {
  /** The first update that is not handed in; undefined before the first batch. */
  offset: number | undefined;
  /** The offset that Telegram was last asked with. */
  confirmed: number | undefined;
  /** Updates behind `offset` that are stored already: not handed in again when they are delivered again. */
  ahead: ReadonlySet<number>;
}

export function startPosition(): PollPosition {
  return { offset: undefined, confirmed: undefined, ahead: new Set() };
}

/** Hands a batch in, each chat in order. True when all of it is stored. */
async function handIn(
  position: PollPosition,
  updates: readonly Update[],
  options: PollOptions,
): Promise<boolean> {
  const stored = new Set<number>();
  const blocked = new Set<string>();
  const lanes = new Lanes(maxConcurrentChats);
  await Promise.all(
    updates.map((update) => {
      const chat = chatOf(update);
      return lanes.run(chat, async () => {
        const id = update.update_id;
        // What comes after a message that could not be stored must wait for it.
        if (blocked.has(chat) || options.signal.aborted) return;
        try {
          if (!position.ahead.has(id)) await options.handle(update);
          stored.add(id);
        } catch {
          blocked.add(chat);
        }
      });
    }),
  );
  let all = true;
  for (const { update_id: id } of updates) {
    if (!stored.has(id)) all = false;
    // In the order of delivery: after a week without updates Telegram starts a new, perhaps lower, series.
    if (all) {
      position.offset = id + 1;
      stored.delete(id);
    }
  }
  position.ahead = stored;
  return all;
}

/** Updates of one chat keep their order; all that belong to no chat share one lane. */
export function chatOf(update: Update): string {
  return String(update.message?.chat?.id ?? update.callback_query?.message?.chat?.id ?? "");
}

/** Tells Telegram at the end what is stored, so that a restart does not begin with repeats. */
async function confirm(position: PollPosition, api: BotApi): Promise<void> {
  const { offset } = position;
  if (offset === undefined || offset === position.confirmed) return;
  try {
    await api.call("getUpdates", { deadlineMs: confirmDeadlineMs }, (bot, signal) =>
      bot.getUpdates({ offset, timeout: 0, limit: 1, allowed_updates: [...allowedUpdates] }, signal),
    );
  } catch (error) {
    // The repeats are recognised by their event id; only an error of our own must not hide.
    if (!(error instanceof ApiFault)) throw error;
  }
}
