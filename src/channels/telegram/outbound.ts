import type { Conversation, OutboundFile, OutboundMessage, SendResult } from "../../delivery/channel.ts";
import { type ApiFailure, ApiFault, type BotApi, failureText } from "./bot-api.ts";
import { maxCaptionChars, sendFile } from "./files.ts";
import { telegramHtml } from "./html.ts";
import { commandPrefix } from "./inbound.ts";
import { sendPoll } from "./outbound-poll.ts";
import type { TelegramAccount } from "./settings.ts";

/** Telegram's own limits. */
const maxTextChars = 4096;
const maxCallbackBytes = 64;
const maxLabelChars = 64;

const sendDeadlineMs = 30_000;
const retryAfterMs = 5_000;

/** Sends one message: formatted where that works, plain where Telegram cannot read our formatting. */
export async function sendMessage(
  api: BotApi,
  account: TelegramAccount,
  message: OutboundMessage,
): Promise<SendResult> {
  if (message.poll)
    return sendPoll(api, message, message.poll, placeOf(account, message, false)).catch(resultOf);
  const text = textOf(message);
  if (message.file) return sendWithFile(api, account, message, message.file, text);
  if (text.trim() === "") return { outcome: "rejected", detail: "the message has no text" };
  const html = telegramHtml(text);
  try {
    return await post(api, account, message, html ?? text, html !== undefined);
  } catch (error) {
    if (html === undefined || !isUnreadable(error)) return resultOf(error);
  }
  try {
    return await post(api, account, message, text, false);
  } catch (error) {
    return resultOf(error);
  }
}

/** The text is the file's caption. */
function sendWithFile(
  api: BotApi,
  account: TelegramAccount,
  message: OutboundMessage,
  file: OutboundFile,
  text: string,
): Promise<SendResult> {
  if (text.length > maxCaptionChars)
    return Promise.resolve({
      outcome: "rejected",
      detail: `a file's text has at most ${maxCaptionChars} characters`,
    });
  const caption = text.trim() === "" ? {} : { caption: text };
  return sendFile(api, message, file, { ...placeOf(account, message, false), ...caption }, resultOf);
}

/** Replaces the text of a message of ours, formatted where that works. Repeating it changes nothing. */
export async function editMessage(
  api: BotApi,
  account: TelegramAccount,
  conversation: Conversation,
  platformId: string,
  text: string,
): Promise<SendResult> {
  const preview = account.linkPreview ? {} : { link_preview_options: { is_disabled: true } };
  const edit = async (body: string, formatted: boolean): Promise<SendResult> => {
    const other = { ...preview, ...(formatted ? { parse_mode: "HTML" as const } : {}) };
    try {
      await api.call("editMessageText", { deadlineMs: sendDeadlineMs }, (bot, signal) =>
        bot.editMessageText(conversation.id, Number(platformId), body, other, signal),
      );
    } catch (error) {
      if (!isUnchanged(error)) throw error;
    }
    return { outcome: "sent", platformId };
  };
  const html = telegramHtml(text);
  try {
    return await edit(html ?? text, html !== undefined);
  } catch (error) {
    if (html === undefined || !isUnreadable(error)) return resultOf(error);
  }
  return edit(text, false).catch(resultOf);
}

function isUnchanged(error: unknown): boolean {
  if (!(error instanceof ApiFault) || error.failure.kind !== "answer") return false;
  return /message is not modified/i.test(error.failure.description);
}

/** Where a message goes and how it looks there. */
function placeOf(account: TelegramAccount, message: OutboundMessage, formatted: boolean) {
  const thread = threadOf(message.conversation.threadId);
  const replyTo = Number(message.replyToMessageId);
  return {
    ...(formatted ? { parse_mode: "HTML" as const } : {}),
    ...(account.linkPreview || message.file || message.poll
      ? {}
      : { link_preview_options: { is_disabled: true } }),
    ...(thread === undefined ? {} : { message_thread_id: thread }),
    // The message that is answered may be gone by now; the answer is still wanted.
    ...(Number.isSafeInteger(replyTo) && replyTo > 0
      ? { reply_parameters: { message_id: replyTo, allow_sending_without_reply: true } }
      : {}),
    ...keyboardOf(message),
  };
}

async function post(
  api: BotApi,
  account: TelegramAccount,
  message: OutboundMessage,
  text: string,
  formatted: boolean,
): Promise<SendResult> {
  const { conversation } = message;
  const other = placeOf(account, message, formatted);
  const sent = await api.call("sendMessage", { deadlineMs: sendDeadlineMs }, (bot, signal) =>
    bot.sendMessage(conversation.id, text, other, signal),
  );
  return { outcome: "sent", platformId: String(sent.message_id) };
}

/** Telegram refuses the number of a forum's General topic, which it leaves out of messages too. */
export function threadOf(threadId: string | undefined): number | undefined {
  const thread = Number(threadId);
  return threadId !== undefined && Number.isSafeInteger(thread) && thread > 1 ? thread : undefined;
}

type Choice = NonNullable<OutboundMessage["choices"]>[number];

function fitsButton(choice: Choice): boolean {
  return Buffer.byteLength(commandPrefix + choice.command) <= maxCallbackBytes && choice.label.trim() !== "";
}

/** The keyboard as the calls take it; nothing for a message without choices. */
export function keyboardOf(message: OutboundMessage) {
  const buttons = buttonsOf(message);
  return buttons.length > 0 ? { reply_markup: { inline_keyboard: buttons } } : {};
}

function buttonsOf(message: OutboundMessage): { text: string; callback_data: string }[][] {
  return (message.choices ?? [])
    .filter(fitsButton)
    .map((choice) => [
      { text: choice.label.slice(0, maxLabelChars), callback_data: commandPrefix + choice.command },
    ]);
}

/** The text, and a line to type for each choice that is too long for a button. */
function textOf(message: OutboundMessage): string {
  const typed = (message.choices ?? [])
    .filter((choice) => !fitsButton(choice))
    .map((choice) => `\n${choice.label}: \`${choice.command}\``)
    .join("");
  if (typed === "") return message.text;
  const room = Math.max(0, maxTextChars - typed.length - 1);
  const text = message.text.length > room ? `${message.text.slice(0, Math.max(0, room - 1))}…` : message.text;
  return `${text}\n${typed}`;
}

function isUnreadable(error: unknown): boolean {
  if (!(error instanceof ApiFault) || error.failure.kind !== "answer") return false;
  return error.failure.code === 400 && /can't parse entities|entit/i.test(error.failure.description);
}

function resultOf(error: unknown): SendResult {
  if (error instanceof ApiFault) return sendOutcome(error.failure);
  return { outcome: "unknown", detail: "sending ended in an unexpected error" };
}

/** What a failed send means for the outbox: sure that it was not sent, or not sure. */
export function sendOutcome(failure: ApiFailure): SendResult {
  const detail = failureText(failure);
  if (failure.kind === "network") {
    return failure.reached ? { outcome: "unknown", detail } : { outcome: "retry", retryAfterMs, detail };
  }
  const { code } = failure;
  if (code === 429) return { outcome: "retry", retryAfterMs: failure.retryAfterMs ?? retryAfterMs, detail };
  // A gateway in between gave up waiting: whoever stands behind it may have sent the message.
  if (code === 502 || code === 504) return { outcome: "unknown", detail };
  if (code >= 500) return { outcome: "retry", retryAfterMs, detail };
  return { outcome: "rejected", detail: rejectedText(code, failure, detail) };
}

function rejectedText(code: number, failure: ApiFailure, detail: string): string {
  if (code === 401) return `${detail}: the bot token was revoked or is wrong; get a new one from @BotFather`;
  if (code === 403) return `${detail}: the person or group has to start or re-add the bot`;
  if (failure.kind === "answer" && /upgraded to a supergroup/i.test(failure.description)) {
    return `${detail}: the chat has a new id; list that one in channels.telegram.groups`;
  }
  return detail;
}
