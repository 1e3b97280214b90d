import { type Clock, type Commit, type Log, sleep, type Write } from "../kernel/mod.ts";
import type { Channel, OutboundMessage, SendResult, WasSent } from "./channel.ts";
import type { OutboxRow, OutboxState, OutboxStore } from "./queue.ts";

/** Carries outbox rows to their platforms, one conversation at a time, in order. */
export interface Sender {
  /** Rows that were just committed as pending. Until {@link resume} they wait behind what a stopped gateway left. */
  offer(rows: readonly OutboxRow[]): void;
  /**
   * Begins. First what a stopped gateway left when this sender was made: `sending` rows are asked about or become
   * `unknown`, the rest is sent; then what was offered meanwhile.
   */
  resume(): void;
  /** Resolves when nothing is being sent; what waits stays pending on disk. */
  stop(): Promise<void>;
}

export interface SenderPorts {
  readonly store: OutboxStore;
  readonly commit: Commit;
  readonly clock: Clock;
  readonly log: Log;
  readonly channel: (id: string, account: string) => Channel | undefined;
  /** What the record says about a step of this row; committed together with the step. */
  readonly record: (row: OutboxRow, step: "start" | OutboxState, detail: string | undefined) => Write;
  /** Told once a final state is on disk. */
  readonly settled: (row: OutboxRow, state: OutboxState) => void;
}

const maxAttempts = 12;
/** So often a platform that cannot be reached is asked whether it got a message, before the doubt is shown. */
const maxAsks = 8;
/**
 * A request whose answer was lost may be on its way for so long: what the platform lacks before that it may get after,
 * and would then show twice.
 */
const onItsWayMs = 3000;
const storeRetryMs = 5000;
/** So often it is looked whether a connection stands again. */
const lookEveryMs = 500;
const maxWaitMs = 300_000;

export function createOutboxSender(ports: SenderPorts): Sender {
  // One queue per conversation; a conversation that waits for a retry holds only itself up.
  const queues = new Map<string, OutboxRow[]>();
  const active = new Set<Promise<void>>();
  const stopSignal = new AbortController();
  // Read before anything new can be offered: a row that is in both would be sent twice, or, being on its way, be
  // taken for one that a crash interrupted.
  const left = ports.store.open();
  let held: OutboxRow[] | undefined = [];

  function conversationOf(row: OutboxRow): string {
    const { conversation } = row.message;
    return [row.channel, row.account, conversation.id, conversation.threadId ?? ""].join("\n");
  }

  function offer(rows: readonly OutboxRow[]): void {
    if (held) held.push(...rows);
    else begin(rows);
  }

  function begin(rows: readonly OutboxRow[]): void {
    for (const row of rows) {
      const key = conversationOf(row);
      const queue = queues.get(key);
      if (queue) queue.push(row);
      else {
        queues.set(key, [row]);
        const work = drain(key).finally(() => active.delete(work));
        active.add(work);
      }
    }
  }

  async function drain(key: string): Promise<void> {
    const queue = queues.get(key) ?? [];
    while (queue.length > 0 && !stopSignal.signal.aborted) {
      const row = queue[0] as OutboxRow;
      try {
        const next = await attempt(row);
        if (next === undefined) queue.shift();
        else queue[0] = next;
      } catch (error) {
        // The store refused (disk full): the row stays pending on disk, and is tried again later.
        ports.log("error", "outbox: the store refused a step", {
          id: row.id,
          error: (error as Error).message,
        });
        await sleep(ports.clock, storeRetryMs, stopSignal.signal);
      }
    }
    queues.delete(key);
  }

  /** One try. Returns the row to try again, or undefined when it reached a final state. */
  async function attempt(row: OutboxRow): Promise<OutboxRow | undefined> {
    // Bounded, because the wall clock may have been set back since the time was written.
    const wait = Math.min(row.notBefore - ports.clock.now(), maxWaitMs);
    if (wait > 0) await sleep(ports.clock, wait, stopSignal.signal);
    const channel = await channelOf(row);
    if (stopSignal.signal.aborted) return row;
    // An edit that is repeated changes nothing: there is nothing to ask about.
    if (row.state === "sending" && !isEdit(row)) {
      return askAbout(row, row.updatedAt, "the gateway stopped while this was being sent");
    }
    if (!channel) {
      return settle(row, {
        outcome: "retry",
        retryAfterMs: 30_000,
        detail: `channel ${row.channel} is not running`,
      });
    }
    const attempts = row.attempts + 1;
    const now = ports.clock.now();
    const place = placeOf(row.message, channel);
    await ports.commit([
      ports.store.move(row.id, { state: "sending", attempts, notBefore: 0, at: now, ...place }),
      ports.record(row, "start", undefined),
    ]);
    const { sentAfterMessageId: _, ...unplaced } = row.message;
    const message = { ...unplaced, ...place };
    const sending: OutboxRow = { ...row, state: "sending", attempts, message };
    let result: SendResult;
    try {
      result = await (isEdit(row) ? editOf(row, channel) : channel.send(message));
    } catch (error) {
      result = { outcome: "unknown", detail: `the channel failed in mid-send: ${(error as Error).message}` };
    }
    // Still `sending` on disk meanwhile: after a crash the next start asks.
    const { outcome } = result;
    const isAsked = outcome === "unknown" && !isEdit(row) && channel.wasSent !== undefined;
    const lostAt = ports.clock.now();
    // What was done is done: when the store refuses to note it (disk full), it is noted later, never sent again.
    for (;;) {
      try {
        if (outcome === "unknown" && isAsked) return await askAbout(sending, lostAt, result.detail);
        return await settle(sending, result);
      } catch (error) {
        ports.log("error", "outbox: the outcome of a send could not be stored yet", {
          id: row.id,
          error: (error as Error).message,
        });
        await sleep(ports.clock, storeRetryMs, stopSignal.signal);
        if (stopSignal.signal.aborted) return sending;
      }
    }
  }

  const firstOf = ({ message }: OutboxRow) =>
    message.edits === undefined ? undefined : ports.store.byId(message.edits);

  /** What would replace a mere sign of work that never came, or nobody knows where, is a message of its own. */
  function isEdit(row: OutboxRow): boolean {
    const first = firstOf(row);
    return row.message.edits !== undefined && !(first?.message.isStatus && first.platformId === undefined);
  }

  /** Waits until its connection stands, however long: an outage is no failed attempt. */
  async function channelOf(row: OutboxRow): Promise<Channel | undefined> {
    for (;;) {
      // Another one, where the settings changed meanwhile.
      const channel = ports.channel(row.channel, row.account);
      if (channel?.isConnected !== false || stopSignal.signal.aborted) return channel;
      await sleep(ports.clock, lookEveryMs, stopSignal.signal);
    }
  }

  /** The message that it completes came before it in the same queue, so its fate is known. */
  async function editOf(row: OutboxRow, channel: Channel): Promise<SendResult> {
    const first = firstOf(row);
    if (first?.platformId === undefined || !channel.edit) {
      const detail = first?.detail ?? "the message that this completes has no id";
      return { outcome: first?.state === "rejected" ? "rejected" : "unknown", detail };
    }
    const result = await channel.edit(row.message.conversation, first.platformId, row.message.text);
    if (result.outcome !== "unknown") return result;
    return { outcome: "retry", retryAfterMs: 0, detail: result.detail };
  }

  /**
   * A row whose fate is not known since `since` (unix ms), after a crash or a lost answer. Sent again only where the
   * platform surely lacks it.
   */
  async function askAbout(row: OutboxRow, since: number, doubt: string): Promise<OutboxRow | undefined> {
    let seen: WasSent = "unknown";
    let channel = await channelOf(row);
    const askedSince = Math.max(since, ports.clock.now());
    if (stopSignal.signal.aborted) return row;
    for (let asked = 1; channel?.wasSent && asked <= maxAsks; ) {
      let waitMs: number;
      try {
        seen = await channel.wasSent(row.message, (id) => ports.store.hasPlatformId(row, id));
        const isOpen = seen === "absent" || (seen === "unknown" && channel.newestMessageId !== undefined);
        // A channel that has just come back may not know yet how far the numbers have come.
        const from = seen === "unknown" ? askedSince : since;
        // Bounded, because the wall clock may have been set back since.
        waitMs = isOpen ? Math.min(from + onItsWayMs - ports.clock.now(), onItsWayMs) : 0;
        if (waitMs <= 0) break;
      } catch {
        seen = "unknown";
        waitMs = backoffMs(asked);
        asked += 1;
      }
      await sleep(ports.clock, waitMs, stopSignal.signal);
      channel = await channelOf(row);
      // Still `sending` on disk: the next start asks again.
      if (stopSignal.signal.aborted) return row;
    }
    if (seen === "absent") {
      if (row.attempts < maxAttempts) return { ...row, state: "pending" };
      return settle(row, { outcome: "rejected", detail: doubt });
    }
    // What was found may as well be the other one, whose fate nobody knows.
    if (typeof seen === "object" && !seen.isExact && ports.store.hasDoubtBeside(row)) seen = "unknown";
    if (seen === "unknown") {
      const detail = `${doubt}; it may have been seen`;
      ports.log("warn", "a reply was not delivered (unknown)", { id: row.id, channel: row.channel, detail });
      const newest = channel?.newestMessageId?.(row.message.conversation);
      await move(row, seen, ports.clock.now(), detail, undefined, newest);
      return undefined;
    }
    const platformId = seen === "sent" ? undefined : seen.platformId;
    await move(row, "sent", ports.clock.now(), `found on the platform: ${doubt}`, platformId);
    return undefined;
  }

  async function settle(row: OutboxRow, result: SendResult): Promise<OutboxRow | undefined> {
    const at = ports.clock.now();
    if (result.outcome === "sent") {
      await move(row, "sent", at, undefined, result.platformId);
      return undefined;
    }
    // The connection went between the look at it and the send: an outage, and no failed attempt.
    const isOutage = ports.channel(row.channel, row.account)?.isConnected === false;
    if (result.outcome === "retry" && (isOutage || row.attempts < maxAttempts)) {
      const attempts = row.attempts - (isOutage ? 1 : 0);
      const notBefore = isOutage ? at : at + Math.max(result.retryAfterMs, backoffMs(attempts));
      const { detail } = result;
      await ports.commit([ports.store.move(row.id, { state: "pending", attempts, notBefore, detail, at })]);
      return { ...row, state: "pending", attempts, notBefore };
    }
    const state = result.outcome === "unknown" ? "unknown" : "rejected";
    // Somebody took the message away that this was to complete, or it is too old: the reply is wanted all the same.
    if (result.outcome === "rejected" && isEdit(row) && firstOf(row)?.platformId !== undefined)
      return sendInstead(row, result.detail, at);
    ports.log("warn", `a reply was not delivered (${state})`, {
      id: row.id,
      channel: row.channel,
      detail: result.detail,
    });
    await move(row, state, at, result.detail);
    return undefined;
  }

  /** A row of its own, in the commit that ends the edit: a crash leaves one or the other. */
  async function sendInstead(row: OutboxRow, detail: string, at: number): Promise<OutboxRow> {
    const id = `${row.id}n`;
    const { edits: _, ...message } = row.message;
    const own: OutboxRow = {
      ...row,
      id,
      message: { ...message, id },
      state: "pending",
      attempts: 0,
      notBefore: 0,
      createdAt: at,
      updatedAt: at,
    };
    await ports.commit([
      ports.store.move(row.id, { state: "dismissed", attempts: row.attempts, notBefore: 0, detail, at }),
      ports.record(row, "dismissed", detail),
      ports.store.insert(own),
    ]);
    ports.settled(row, "dismissed");
    return own;
  }

  async function move(
    row: OutboxRow,
    state: OutboxState,
    at: number,
    detail?: string,
    platformId?: string,
    givenUpAfterMessageId?: string,
  ): Promise<void> {
    await ports.commit([
      ports.store.move(row.id, {
        state,
        attempts: row.attempts,
        notBefore: 0,
        at,
        ...(detail === undefined ? {} : { detail }),
        ...(platformId === undefined ? {} : { platformId }),
        ...(givenUpAfterMessageId === undefined ? {} : { givenUpAfterMessageId }),
      }),
      ports.record(row, state, detail),
    ]);
    ports.settled(row, state);
  }

  return {
    offer,
    resume() {
      const waiting = held ?? [];
      held = undefined;
      begin([...left.splice(0), ...waiting]);
    },
    async stop() {
      stopSignal.abort();
      await Promise.all([...active]);
    },
  };
}

/** Where the channel would look for it later. */
function placeOf(message: OutboundMessage, channel: Channel): { readonly sentAfterMessageId?: string } {
  const newest = channel.newestMessageId?.(message.conversation);
  return newest === undefined ? {} : { sentAfterMessageId: newest };
}

/** 1 s, 2 s, 4 s ... at most 5 minutes. */
function backoffMs(attempts: number): number {
  return Math.min(maxWaitMs, 1000 * 2 ** Math.max(0, attempts - 1));
}
