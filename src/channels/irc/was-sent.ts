import type { OutboundMessage } from "../../delivery/channel.ts";
import { after, hasHistory } from "./history.ts";
import type { Live } from "./inbox.ts";
import { outgoingLines } from "./outbound.ts";

const comparedChars = 40;

/**
 * Did this message arrive before a crash? The server's history tells, where there is one. `isKnown` says that a
 * message there is one that we know under another name. Rejects when the server cannot be asked now.
 */
export async function wasSent(
  live: Live,
  message: OutboundMessage,
  target: string,
  isKnown: (platformId: string) => boolean,
): Promise<"sent" | "absent" | "unknown"> {
  const { connection, session } = live;
  const afterMs = Number(message.afterMessageId);
  if (!hasHistory(session) || !Number.isSafeInteger(afterMs) || afterMs <= 0) return "unknown";
  const history = await after(connection, target, afterMs - 1);
  if (history === undefined) return "unknown";
  const own = history.lines.filter(
    (line) => session.isSelf(line.from?.nick ?? "") && !isKnown(line.tags.get("msgid") ?? ""),
  );
  const expected = outgoingLines(message, session, target);
  const last = expected.at(-1);
  if (own.some((line) => line.params[1] === last)) return "sent";
  // Some of it is there, perhaps cut in other places: neither is certain.
  const begins = expected.map((text) => text.slice(0, comparedChars));
  if (own.some((line) => begins.some((begin) => line.params[1]?.startsWith(begin)))) return "unknown";
  return history.isWhole ? "absent" : "unknown";
}
