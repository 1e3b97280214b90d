import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { OutboundMessage, SendResult } from "../../delivery/channel.ts";
import type { HttpCalls } from "../http-calls.ts";
import { slackUrl } from "./files.ts";
import { actionPrefix } from "./inbound.ts";
import { slackText } from "./mrkdwn.ts";
import { type Places, threadOf } from "./places.ts";
import { type ApiFailure, ApiFault, failureText, type WebApi } from "./web-api.ts";
import { isTimestamp } from "./wire.ts";

/** Slack's own limits. */
const maxSectionChars = 3_000;
const maxSections = 40;
const maxLabelChars = 75;
const maxCommandChars = 2_000;
const maxButtons = 25;
export const maxFileBytes = 20 * 1024 * 1024;

const sendDeadlineMs = 30_000;
const uploadDeadlineMs = 120_000;
const retryAfterMs = 5_000;

export interface Outbound {
  readonly api: WebApi;
  readonly http: HttpCalls;
  readonly places: Places;
  readonly nearbyHost?: string;
}

/** What a message of ours is known by: Slack keeps it beside the text, where people do not see it. */
export function metadataOf(id: string) {
  return { event_type: "openclaw_message", event_payload: { id: hash("sha256", id).slice(0, 32) } };
}

export async function sendMessage(message: OutboundMessage, out: Outbound): Promise<SendResult> {
  if (message.text.trim() === "" && !message.file) {
    return { outcome: "rejected", detail: "the message has no text" };
  }
  if (message.file && message.file.bytes > maxFileBytes) {
    return { outcome: "rejected", detail: `the file is larger than ${maxFileBytes} bytes` };
  }
  const before = await notYetSent(() => out.places.channelOf(message.conversation));
  if (!("value" in before)) return before.result;
  const channel = before.value;
  if (message.file) return sendFile(message, message.file, channel, out);
  const text = slackText(message.text);
  const blocks = blocksOf(message, text);
  try {
    const args = {
      channel,
      text,
      thread_ts: threadOf(message.conversation),
      // No preview is fetched from an address that the model was talked into writing (attack A-202).
      unfurl_links: "false",
      unfurl_media: "false",
      metadata: metadataOf(message.id),
      blocks,
    };
    const { ts } = await out.api.call("chat.postMessage", args, { deadlineMs: sendDeadlineMs });
    if (isTimestamp(ts)) return { outcome: "sent", platformId: ts };
    return { outcome: "unknown", detail: "Slack's answer names no message" };
  } catch (error) {
    return resultOf(error);
  }
}

/** In three steps, of which only the last shows anything to anybody. */
async function sendFile(
  message: OutboundMessage,
  file: NonNullable<OutboundMessage["file"]>,
  channel: string,
  out: Outbound,
): Promise<SendResult> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file.path);
  } catch {
    return { outcome: "rejected", detail: "the file to send cannot be read" };
  }
  const uploaded = await notYetSent(async () => {
    const args = { filename: file.name, length: String(bytes.length) };
    const { upload_url, file_id } = await out.api.call("files.getUploadURLExternal", args);
    const url = slackUrl(upload_url, out.nearbyHost);
    if (url === undefined || typeof file_id !== "string") {
      throw new ApiFault("files.getUploadURLExternal", { kind: "answer", error: "foreign_upload_url" });
    }
    const headers = { "content-type": "application/octet-stream" };
    const call = { method: "POST", headers, body: bytes, deadlineMs: uploadDeadlineMs } as const;
    const { status } = await out.http(url, call);
    if (status !== 200) throw new ApiFault("upload", { kind: "http", status });
    return file_id;
  });
  if (!("value" in uploaded)) return uploaded.result;
  const id = uploaded.value;
  try {
    await out.api.call(
      "files.completeUploadExternal",
      {
        files: [{ id, title: file.name }],
        channel_id: channel,
        thread_ts: threadOf(message.conversation),
        ...(message.text.trim() === "" ? {} : { initial_comment: slackText(message.text) }),
      },
      { deadlineMs: sendDeadlineMs },
    );
    // Slack shares the file a little later, and does not say as which message.
    return { outcome: "sent", platformId: id };
  } catch (error) {
    return resultOf(error);
  }
}

/** A step before anything is sent: when it has no answer, surely nothing was. */
async function notYetSent<T>(
  step: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly result: SendResult }> {
  try {
    return { value: await step() };
  } catch (error) {
    const result = resultOf(error);
    if (result.outcome !== "unknown") return { result };
    return { result: { outcome: "retry", retryAfterMs, detail: result.detail } };
  }
}

export async function editMessage(
  channel: string,
  ts: string,
  text: string,
  api: WebApi,
): Promise<SendResult> {
  try {
    await api.call("chat.update", { channel, ts, text: slackText(text) }, { deadlineMs: sendDeadlineMs });
    return { outcome: "sent", platformId: ts };
  } catch (error) {
    const result = resultOf(error);
    // The same text twice is the same text: an edit is never in doubt, it is only done again.
    return result.outcome === "unknown" ? { outcome: "retry", retryAfterMs, detail: result.detail } : result;
  }
}

/** Undefined for a message without choices: its text alone is shown then. */
function blocksOf(message: OutboundMessage, text: string): readonly object[] | undefined {
  const choices = (message.choices ?? [])
    .filter((choice) => choice.label.trim() !== "" && choice.command.length <= maxCommandChars)
    .slice(0, maxButtons);
  if (choices.length === 0) return undefined;
  const sections = sectionsOf(text).map((part) => ({
    type: "section",
    text: { type: "mrkdwn", text: part },
  }));
  const elements = choices.map((choice, at) => ({
    type: "button",
    text: { type: "plain_text", text: choice.label.slice(0, maxLabelChars) },
    action_id: `${actionPrefix}${at}`,
    value: choice.command,
  }));
  return [...sections, { type: "actions", elements }];
}

/** By lines, where they fit; the escapes are never cut in the middle. */
function sectionsOf(text: string): readonly string[] {
  const parts: string[] = [];
  for (const line of text.split("\n").flatMap((whole) => whole.match(/(?:&\w+;|[\s\S]){1,2900}/g) ?? [""])) {
    const last = parts.at(-1);
    if (last !== undefined && last.length + line.length < maxSectionChars) {
      parts[parts.length - 1] = `${last}\n${line}`;
    } else parts.push(line);
  }
  return parts.filter((part) => part.trim() !== "").slice(0, maxSections);
}

function resultOf(error: unknown): SendResult {
  if (error instanceof ApiFault) return sendOutcome(error.failure);
  return { outcome: "unknown", detail: "sending ended in an unexpected error" };
}

/** https://docs.slack.dev/reference/methods/chat.postMessage#errors: of these, something may have been done. */
const unsure: ReadonlySet<string> = new Set(["fatal_error", "internal_error", "unknown_error"]);
const passing: ReadonlySet<string> = new Set([
  "ratelimited",
  "rate_limited",
  "message_limit_exceeded",
  "service_unavailable",
  "request_timeout",
  "team_added_to_org",
]);

/** What a failed send means for the outbox: sure that it was not sent, or not sure. */
export function sendOutcome(failure: ApiFailure): SendResult {
  const detail = failureText(failure);
  switch (failure.kind) {
    case "limited":
      return { outcome: "retry", retryAfterMs: failure.retryAfterMs, detail };
    case "network":
      return failure.reached ? { outcome: "unknown", detail } : { outcome: "retry", retryAfterMs, detail };
    case "http":
      // Only a 503 says that nobody took the request.
      if (failure.status === 503) return { outcome: "retry", retryAfterMs, detail };
      return failure.status >= 500
        ? { outcome: "unknown", detail }
        : {
            outcome: "rejected",
            detail: `${detail}: Slack did not answer this itself; check apiRoot and the proxy`,
          };
    case "answer":
      if (unsure.has(failure.error)) return { outcome: "unknown", detail };
      if (passing.has(failure.error)) return { outcome: "retry", retryAfterMs, detail };
      return { outcome: "rejected", detail: `${detail}${advice(failure.error)}` };
  }
}

function advice(error: string): string {
  switch (error) {
    case "not_in_channel":
    case "channel_not_found":
      return ": invite the app to the channel (/invite)";
    case "missing_scope":
      return ": add the scope to the app, and install it again";
    case "invalid_auth":
    case "account_inactive":
    case "token_revoked":
    case "token_expired":
      return ": the bot token was revoked or is wrong; install the app again";
    case "is_archived":
      return ": the channel is archived";
    default:
      return "";
  }
}
