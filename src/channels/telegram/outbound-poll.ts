import type { OutboundMessage, Poll, SendResult } from "../../delivery/channel.ts";
import type { BotApi } from "./bot-api.ts";

const sendDeadlineMs = 30_000;

/**
 * Sends a poll of Telegram's own (https://core.telegram.org/bots/api#sendpoll). `place`: where it goes, as the calls
 * take it. Rejects as the call does.
 */
export async function sendPoll(
  api: BotApi,
  { conversation }: OutboundMessage,
  poll: Poll,
  place: object,
): Promise<SendResult> {
  const { question, durationSeconds, isAnonymous, maxSelections = 1 } = poll;
  const options = poll.options.map((text) => ({ text }));
  const other = {
    ...place,
    ...(maxSelections > 1 ? { allows_multiple_answers: true } : {}),
    ...(durationSeconds === undefined ? {} : { open_period: durationSeconds }),
    ...(isAnonymous === undefined ? {} : { is_anonymous: isAnonymous }),
  };
  const sent = await api.call("sendPoll", { deadlineMs: sendDeadlineMs }, (bot, signal) =>
    bot.sendPoll(conversation.id, question, options, other, signal),
  );
  return { outcome: "sent", platformId: String(sent.message_id) };
}
