import { readFile } from "node:fs/promises";
import type { Conversation, OutboundFile, OutboundMessage, SendResult } from "../../delivery/channel.ts";
import { RpcFault } from "../line-rpc.ts";
import { isObject } from "../settings-reader.ts";
import { styledText } from "../styled-text.ts";
import type { Identities } from "./identities.ts";
import type { SignalLink } from "./link.ts";

export const maxFileBytes = 10 * 1024 * 1024;
const sendDeadlineMs = 60_000;
const retryAfterMs = 5_000;

/** Signal's rate limit without a time asks for a proof of a person, which only a person can give. */
const limitWaitMs = 60_000;

export interface Outbound {
  readonly link: SignalLink;
  readonly identities: Identities;
}

export function targetOf(conversation: Conversation, identities: Identities) {
  return conversation.kind === "direct"
    ? { recipient: [identities.recipientOf(conversation.id)] }
    : { groupId: conversation.id };
}

/** `messageId` as we hand it in: who wrote it, and when. */
export function messageOf(messageId: string): { readonly author: string; readonly at: number } | undefined {
  const [, at, author] = /^(\d{1,16}):(.+)$/.exec(messageId) ?? [];
  return at === undefined || author === undefined ? undefined : { author, at: Number(at) };
}

export async function sendMessage(message: OutboundMessage, out: Outbound): Promise<SendResult> {
  if (message.text.trim() === "" && !message.file) {
    return { outcome: "rejected", detail: "the message has no text" };
  }
  if (message.file && message.file.bytes > maxFileBytes) {
    return { outcome: "rejected", detail: `the file is larger than ${maxFileBytes} bytes` };
  }
  const { text, styles } = styledText(withChoices(message));
  let attachments: readonly string[] | undefined;
  try {
    if (message.file) attachments = [await dataUri(message.file)];
  } catch {
    return { outcome: "rejected", detail: "the file to send cannot be read" };
  }
  const answered = message.replyToMessageId === undefined ? undefined : messageOf(message.replyToMessageId);
  try {
    const sent = await out.link.call(
      "send",
      {
        ...targetOf(message.conversation, out.identities),
        message: text,
        ...(styles.length > 0 ? { textStyle: styles } : {}),
        ...(attachments ? { attachments } : {}),
        ...(answered ? { quoteTimestamp: answered.at, quoteAuthor: answered.author, quoteMessage: "" } : {}),
      },
      { deadlineMs: sendDeadlineMs },
    );
    return resultOf(sent);
  } catch (error) {
    return outcomeOf(error);
  }
}

/** Signal has no buttons: each choice is a line to type. */
function withChoices(message: OutboundMessage): string {
  const lines = (message.choices ?? []).map(({ label, command }) => `${label}: \`${command}\``);
  return [message.text, ...lines].join("\n");
}

/** As signal-cli takes a file that may not be on its own machine (RFC 2397 with a name). */
async function dataUri(file: OutboundFile): Promise<string> {
  const type = /^[\w.+-]+\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream";
  const name = file.name.replace(/[^\p{L}\p{N}._-]/gu, "_").slice(0, 100) || "file";
  return `data:${type};filename=${name};base64,${(await readFile(file.path)).toString("base64")}`;
}

/** A group's message is sent when it is sent to somebody: to send it again would tell those twice. */
function resultOf(sent: unknown): SendResult {
  const at = isObject(sent) ? sent.timestamp : undefined;
  const failures = failuresOf(sent);
  if (failures && !failures.some((item) => item.type === "SUCCESS")) return failureOf(failures);
  if (Number.isSafeInteger(at)) return { outcome: "sent", platformId: String(at) };
  return { outcome: "unknown", detail: "signal-cli's answer names no message" };
}

interface Failure {
  readonly type: unknown;
  readonly retryAfterSeconds: unknown;
}

function failuresOf(value: unknown): readonly Failure[] | undefined {
  const results = isObject(value) ? value.results : undefined;
  if (!Array.isArray(results) || results.length === 0) return undefined;
  return results
    .filter(isObject)
    .map((item) => ({ type: item.type, retryAfterSeconds: item.retryAfterSeconds }));
}

function failureOf(failures: readonly Failure[]): SendResult {
  const first = failures[0];
  if (first?.type === "RATE_LIMIT_FAILURE") return limited(first.retryAfterSeconds);
  if (first?.type === "UNREGISTERED_FAILURE")
    return { outcome: "rejected", detail: "nobody has this Signal account any more" };
  if (first?.type === "IDENTITY_FAILURE") return untrusted;
  return { outcome: "unknown", detail: "signal-cli could not confirm that it was sent" };
}

const untrusted: SendResult = {
  outcome: "rejected",
  detail:
    "the recipient's safety number changed: check who it is, then trust the new one with `signal-cli trust`",
};

function limited(seconds: unknown): SendResult {
  const isGiven = typeof seconds === "number" && seconds > 0 && seconds < 7 * 86_400;
  const detail = isGiven
    ? `Signal asks for ${seconds} s of pause`
    : "Signal's rate limit: signal-cli says how to lift it (submitRateLimitChallenge)";
  return { outcome: "retry", retryAfterMs: isGiven ? Math.ceil(seconds * 1000) : limitWaitMs, detail };
}

/** Codes of signal-cli: -1 the caller's fault, -3 input and output, -4 an untrusted key, -5 a rate limit. */
export function outcomeOf(error: unknown): SendResult {
  if (!(error instanceof RpcFault))
    return { outcome: "unknown", detail: "sending ended in an unexpected error" };
  const { refusal } = error;
  if (!refusal) {
    return error.reached
      ? { outcome: "unknown", detail: `signal-cli: ${error.message}` }
      : { outcome: "retry", retryAfterMs, detail: `signal-cli: ${error.message}` };
  }
  const response = isObject(refusal.data) ? refusal.data.response : undefined;
  const failures = failuresOf(response);
  if (failures) return failureOf(failures);
  if (refusal.code === -5) return limited(undefined);
  if (refusal.code === -4) return untrusted;
  if (refusal.code === -3 || refusal.code === -32603) {
    return { outcome: "unknown", detail: "signal-cli lost Signal's server while it sent" };
  }
  const isGone = /unregistered|not registered/i.test(refusal.message);
  const why = isGone
    ? "there is no such Signal account, or ours is not linked any more"
    : "signal-cli refused it";
  return { outcome: "rejected", detail: `${why} (${refusal.code})` };
}
