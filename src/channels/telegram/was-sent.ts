import type { OutboundMessage, WasSent } from "../../delivery/channel.ts";
import { ApiFault, type BotApi } from "./bot-api.ts";
import { keyboardOf } from "./outbound.ts";

const probeDeadlineMs = 15_000;
/**
 * So many message numbers after the newest one when it left are looked at. Private chats of one bot share a counter, so
 * messages of other people lie in between.
 */
const probedIds = 100;
/** And where more was written since, so many behind the newest; but never more than this in all. */
const beyondNewest = 20;
const maxProbedIds = 300;

/**
 * Did this message reach its chat before a crash? Telegram has no idempotency key and no way to read a chat, but it
 * answers an edit that would change nothing: "message is not modified" for a message of ours that has just this
 * keyboard, and an error for one that is not there, or not ours. Nobody sees such an edit.
 *
 * `isKnown` says that a message is one that we know under another name; `newest` is the highest number that we have
 * seen, and `isNewest` that there is no higher one now but for a few of our own. Rejects when Telegram cannot be asked
 * now. "unknown" wherever the answers leave a doubt: also where nothing is found behind the message that it answers,
 * and nobody knows how far the numbers had come, neither when it left nor now.
 */
export async function wasSent(
  api: BotApi,
  message: OutboundMessage,
  isKnown: (platformId: string) => boolean,
  newest: number,
  isNewest: boolean,
): Promise<WasSent> {
  const { sentAfterMessageId } = message;
  // It came after both: the newest that was known when it left may be older than what it answers.
  const after = Math.max(Number(message.afterMessageId ?? 0), Number(sentAfterMessageId ?? 0));
  const last = Math.max(after + probedIds, newest + beyondNewest);
  if (!Number.isSafeInteger(after) || after <= 0 || last > after + maxProbedIds) return "unknown";
  for (let id = after + 1; id <= last; id++) {
    if (isKnown(String(id))) continue;
    const found = await probe(api, message, id);
    if (found === "ours") return { platformId: String(id) };
    if (found === "noChat") return "absent";
    if (found === "unclear") return "unknown";
  }
  return sentAfterMessageId === undefined && !isNewest ? "unknown" : "absent";
}

async function probe(
  api: BotApi,
  message: OutboundMessage,
  id: number,
): Promise<"ours" | "notOurs" | "noChat" | "unclear"> {
  try {
    // With the very keyboard that it would have: without one, the edit would take the buttons away.
    await api.call("editMessageReplyMarkup", { deadlineMs: probeDeadlineMs }, (bot, signal) =>
      bot.editMessageReplyMarkup(message.conversation.id, id, keyboardOf(message), signal),
    );
    // It was changed, so it was another message of ours, one with a keyboard. We cannot tell more.
    return "unclear";
  } catch (error) {
    if (!(error instanceof ApiFault) || error.failure.kind !== "answer") throw error;
    const { code, description } = error.failure;
    if (code === 400 && /message is not modified/i.test(description)) return "ours";
    if (
      code === 400 &&
      /message to edit not found|message can't be edited|MESSAGE_ID_INVALID/i.test(description)
    )
      return "notOurs";
    if (code === 403 || (code === 400 && /chat not found/i.test(description))) return "noChat";
    if (code === 429 || code >= 500) throw error;
    return "unclear";
  }
}
