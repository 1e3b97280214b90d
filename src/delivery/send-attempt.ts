import { sleep } from "../kernel/mod.ts";
import type { Channel, OutboundMessage, SendResult, WasSent } from "./channel.ts";
import type { OutboxRow } from "./queue.ts";
import { backoffMs, createSendOutcomes, maxAttempts, maxWaitMs, type SenderPorts } from "./send-outcome.ts";

/** So often a platform that cannot be reached is asked whether it got a message, before the doubt is shown. */
const maxAsks = 8;
/**
 * A request whose answer was lost may be on its way for so long: what the platform lacks before that it may get after,
 * and would then show twice.
 */
const onItsWayMs = 3000;
/** So often it is looked whether a connection stands again. */
const lookEveryMs = 500;
export const storeRetryMs = 5000;

/** Hands a row to its channel, and finds out what became of it where no answer came. */
export function createSendAttempts(
  ports: SenderPorts,
  stopSignal: AbortSignal,
): (row: OutboxRow) => Promise<OutboxRow | undefined> {
  const { settle, move, isEdit, firstOf } = createSendOutcomes(ports);

  /** One try. Returns the row to try again, or undefined when it reached a final state. */
  async function attempt(row: OutboxRow): Promise<OutboxRow | undefined> {
    // Bounded, because the wall clock may have been set back since the time was written.
    const wait = Math.min(row.notBefore - ports.clock.now(), maxWaitMs);
    if (wait > 0) await sleep(ports.clock, wait, stopSignal);
    const channel = await channelOf(row);
    if (stopSignal.aborted) return row;
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
        await sleep(ports.clock, storeRetryMs, stopSignal);
        if (stopSignal.aborted) return sending;
      }
    }
  }

  /** Waits until its connection stands, however long: an outage is no failed attempt. */
  async function channelOf(row: OutboxRow): Promise<Channel | undefined> {
    for (;;) {
      // Another one, where the settings changed meanwhile.
      const channel = ports.channel(row.channel, row.account);
      if (channel?.isConnected !== false || stopSignal.aborted) return channel;
      await sleep(ports.clock, lookEveryMs, stopSignal);
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
    if (stopSignal.aborted) return row;
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
      await sleep(ports.clock, waitMs, stopSignal);
      channel = await channelOf(row);
      // Still `sending` on disk: the next start asks again.
      if (stopSignal.aborted) return row;
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

  return attempt;
}

/** Where the channel would look for it later. */
function placeOf(message: OutboundMessage, channel: Channel): { readonly sentAfterMessageId?: string } {
  const newest = channel.newestMessageId?.(message.conversation);
  return newest === undefined ? {} : { sentAfterMessageId: newest };
}
