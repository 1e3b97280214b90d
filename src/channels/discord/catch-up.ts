import { isGone } from "./places.ts";
import type { Rest } from "./rest.ts";
import { newest } from "./was-sent.ts";
import { isSnowflake, snowflakeAt, snowflakeTime, type WireMessage } from "./wire.ts";

const pageSize = 100;
const maxPages = 10;
/** Servers of Discord's number messages by their own clocks, and deliver across channels in no strict order. */
const overlapMs = 60_000;

/** Where to read the history from, so that none after `newestMessageId` is missed. */
export function catchUpFrom(newestMessageId: string): string {
  return snowflakeAt(snowflakeTime(newestMessageId) - overlapMs);
}

/**
 * Hands in what was written in a channel after the message number `from`, oldest first. Resolves with false when there
 * was more than a thousand messages: the rest is skipped. Rejects when the history cannot be read now, or `handle` does.
 */
export async function catchUp(
  channelId: string,
  from: string,
  ports: { readonly rest: Rest; readonly signal: AbortSignal; handle(message: WireMessage): Promise<void> },
): Promise<boolean> {
  let after = from;
  for (let page = 0; page < maxPages; page++) {
    let answer: unknown;
    try {
      const path = `/channels/${channelId}/messages?after=${after}&limit=${pageSize}`;
      answer = await ports.rest.call({ method: "GET", path, signal: ports.signal });
    } catch (error) {
      if (isGone(error)) return true;
      throw error;
    }
    const messages = (Array.isArray(answer) ? (answer as WireMessage[]) : []).filter((item) =>
      isSnowflake(item?.id),
    );
    messages.sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1));
    for (const message of messages) await ports.handle(message);
    if (messages.length < pageSize) return true;
    after = newest(messages);
  }
  return false;
}
