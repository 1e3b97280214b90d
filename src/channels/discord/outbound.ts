import { hash } from "node:crypto";
import type { OutboundMessage, Poll, SendResult } from "../../delivery/channel.ts";
import { formOf } from "./files.ts";
import { discordText } from "./format.ts";
import { commandPrefix } from "./inbound.ts";
import type { Places } from "./places.ts";
import { failureText, type Rest, type RestFailure, RestFault } from "./rest.ts";
import { isSnowflake } from "./wire.ts";

/** Discord's own limits. */
export const maxTextChars = 2000;
export const maxFileBytes = 10 * 1024 * 1024;
const maxLabelChars = 80;
const maxCommandChars = 100;
const maxButtons = 25;
const buttonsInRow = 5;

const sendDeadlineMs = 30_000;
const uploadDeadlineMs = 120_000;
const retryAfterMs = 5_000;
const suppressEmbedsFlag = 4;

export interface Outbound {
  readonly rest: Rest;
  readonly places: Places;
  readonly suppressEmbeds: boolean;
  /** Told of the nonce before it is sent: a message of ours without a known one was written by somebody else. */
  sending(nonce: string): void;
}

/**
 * What Discord takes to recognise a repeat: it answers a second message with the same nonce, within some minutes, with
 * the first one. At most 25 characters, so our id's digest stands for it.
 */
export function nonceOf(id: string): string {
  return hash("sha256", id, "base64url").slice(0, 24);
}

export async function sendMessage(message: OutboundMessage, out: Outbound): Promise<SendResult> {
  if (message.text.trim() === "" && !message.file) {
    return { outcome: "rejected", detail: "the message has no text" };
  }
  if (message.file && message.file.bytes > maxFileBytes) {
    return { outcome: "rejected", detail: `the file is larger than Discord's ${maxFileBytes} bytes` };
  }
  let channelId: string;
  try {
    channelId = await out.places.channelOf(message.conversation);
  } catch (error) {
    const result = resultOf(error);
    // Opening a direct channel shows nothing to anybody: whatever became of that, nothing was sent.
    return result.outcome === "unknown" ? { outcome: "retry", retryAfterMs, detail: result.detail } : result;
  }
  const nonce = nonceOf(message.id);
  const json = {
    ...bodyOf(contentOf(message), out),
    ...(message.poll ? { poll: pollOf(message.poll) } : {}),
    nonce,
    enforce_nonce: true,
    ...(isSnowflake(message.replyToMessageId)
      ? // The message that is answered may be gone by now; the answer is still wanted.
        { message_reference: { message_id: message.replyToMessageId, fail_if_not_exists: false } }
      : {}),
    ...buttonsOf(message),
  };
  const call = { method: "POST", path: `/channels/${channelId}/messages` } as const;
  let form: Awaited<ReturnType<typeof formOf>> | undefined;
  if (message.file) {
    try {
      form = await formOf(json, message.file, `openclaw-${nonce}`);
    } catch {
      return { outcome: "rejected", detail: "the file to send cannot be read" };
    }
  }
  out.sending(nonce);
  try {
    const sent = await out.rest.call(
      form ? { ...call, form, deadlineMs: uploadDeadlineMs } : { ...call, json, deadlineMs: sendDeadlineMs },
    );
    const id = (sent as { readonly id?: unknown } | undefined)?.id;
    if (isSnowflake(id)) return { outcome: "sent", platformId: id };
    return { outcome: "unknown", detail: "Discord's answer names no message" };
  } catch (error) {
    return resultOf(error);
  }
}

export async function editMessage(
  channelId: string,
  messageId: string,
  text: string,
  out: Pick<Outbound, "rest" | "suppressEmbeds">,
): Promise<SendResult> {
  if (!isSnowflake(messageId)) return { outcome: "rejected", detail: "this is no message of Discord's" };
  try {
    const path = `/channels/${channelId}/messages/${messageId}`;
    await out.rest.call({
      method: "PATCH",
      path,
      json: bodyOf(formatted(text), out),
      deadlineMs: sendDeadlineMs,
    });
    return { outcome: "sent", platformId: messageId };
  } catch (error) {
    const result = resultOf(error);
    // The same text twice is the same text: an edit is never in doubt, it is only done again.
    return result.outcome === "unknown" ? { outcome: "retry", retryAfterMs, detail: result.detail } : result;
  }
}

function bodyOf(content: string, out: Pick<Outbound, "suppressEmbeds">) {
  return {
    content,
    // Nobody is called by what a model was talked into writing.
    allowed_mentions: { parse: [], replied_user: false },
    ...(out.suppressEmbeds ? { flags: suppressEmbedsFlag } : {}),
  };
}

/** With Discord's formatting where that fits, as it is where the escapes make it too long. */
function formatted(text: string): string {
  const made = discordText(text);
  return made.length <= maxTextChars ? made : text.slice(0, maxTextChars);
}

type Choice = NonNullable<OutboundMessage["choices"]>[number];

function fitsButton(choice: Choice): boolean {
  return choice.label.trim() !== "" && commandPrefix.length + choice.command.length <= maxCommandChars;
}

/** https://docs.discord.com/developers/resources/poll#poll-create-request-object */
function pollOf({ question, options, maxSelections = 1, durationSeconds }: Poll) {
  return {
    question: { text: question },
    answers: options.map((text) => ({ poll_media: { text } })),
    allow_multiselect: maxSelections > 1,
    ...(durationSeconds === undefined ? {} : { duration: durationSeconds / 3600 }),
  };
}

/** The text as it is sent, with a line to type for each choice that is no button; none beside a poll. */
export function contentOf(message: OutboundMessage): string {
  if (message.poll) return "";
  const choices = message.choices ?? [];
  const pressed = new Set(choices.filter(fitsButton).slice(0, maxButtons));
  const typed = choices
    .filter((choice) => !pressed.has(choice))
    .map((choice) => `\n${choice.label}: \`${choice.command}\``)
    .join("");
  if (typed === "") return formatted(message.text);
  const room = Math.max(0, maxTextChars - typed.length - 1);
  const text = message.text.length > room ? `${message.text.slice(0, Math.max(0, room - 1))}…` : message.text;
  return formatted(`${text}\n${typed}`);
}

function buttonsOf(message: OutboundMessage) {
  const buttons = (message.choices ?? [])
    .filter(fitsButton)
    .slice(0, maxButtons)
    .map((choice) => ({
      type: 2,
      style: 2,
      label: choice.label.slice(0, maxLabelChars),
      custom_id: commandPrefix + choice.command,
    }));
  if (buttons.length === 0) return {};
  const rows = Array.from({ length: Math.ceil(buttons.length / buttonsInRow) }, (_, row) => ({
    type: 1,
    components: buttons.slice(row * buttonsInRow, (row + 1) * buttonsInRow),
  }));
  return { components: rows };
}

function resultOf(error: unknown): SendResult {
  if (error instanceof RestFault) return sendOutcome(error.failure);
  return { outcome: "unknown", detail: "sending ended in an unexpected error" };
}

/** What a failed send means for the outbox: sure that it was not sent, or not sure. */
export function sendOutcome(failure: RestFailure): SendResult {
  const detail = failureText(failure);
  if (failure.kind === "limited") return { outcome: "retry", retryAfterMs: failure.retryAfterMs, detail };
  if (failure.kind === "network") {
    return failure.reached ? { outcome: "unknown", detail } : { outcome: "retry", retryAfterMs, detail };
  }
  const { status, code } = failure;
  // A gateway in between gave up waiting: whoever stands behind it may have sent the message.
  if (status === 502 || status === 504) return { outcome: "unknown", detail };
  if (status >= 500) return { outcome: "retry", retryAfterMs, detail };
  return { outcome: "rejected", detail: `${detail}${advice(status, code)}` };
}

/** https://docs.discord.com/developers/topics/opcodes-and-status-codes#json */
function advice(status: number, code: number): string {
  if (status === 401) return ": the bot token was revoked or is wrong; reset it in the Developer Portal";
  if (code === 50007 || code === 50278) {
    return ": the person takes no direct messages from the bot, or shares no server with it";
  }
  if (code === 50001 || code === 50013) return ": the bot lacks the permission to write in this channel";
  return code === 10003 ? ": the channel is gone" : "";
}
