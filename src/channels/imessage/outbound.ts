import type { OutboundMessage, SendResult } from "../../delivery/channel.ts";
import { RpcFault } from "../line-rpc.ts";
import { isObject } from "../settings-reader.ts";
import { styledText } from "../styled-text.ts";
import type { IMessageAccount } from "./settings.ts";

export const maxFileBytes = 16 * 1024 * 1024;
const retryAfterMs = 5_000;
/** Messages is starting, or was restarted by the system. */
const messagesAwayMs = 10_000;

/** imsg's `send`; throws nothing. */
export async function sendMessage(
  message: OutboundMessage,
  settings: IMessageAccount,
  call: (method: string, params: object) => Promise<unknown>,
): Promise<SendResult> {
  if (message.text.trim() === "" && !message.file) {
    return { outcome: "rejected", detail: "the message has no text" };
  }
  if (message.file && (!settings.isLocal || message.file.bytes > maxFileBytes)) {
    const why = settings.isLocal
      ? `it is larger than ${maxFileBytes} bytes`
      : "Messages runs on another machine";
    return { outcome: "rejected", detail: `the file cannot be sent: ${why}` };
  }
  const chat = chatNumberOf(message.conversation.id);
  const { service, region } = settings;
  const target =
    chat === undefined
      ? { to: message.conversation.id, service, ...(region === undefined ? {} : { region }) }
      : { chat_id: chat };
  const text = textOf(message);
  const params = {
    ...target,
    ...(text === "" ? {} : { text }),
    ...(message.file ? { file: message.file.path } : {}),
  };
  try {
    const sent = await call("send", params);
    const given = isObject(sent) ? (sent.guid ?? sent.message_guid) : undefined;
    if (isObject(sent) && sent.ok === false)
      return { outcome: "unknown", detail: "imsg does not say that it was sent" };
    // Older versions of imsg name no message: ours then stands for it.
    return {
      outcome: "sent",
      platformId: typeof given === "string" && given !== "" ? given : `sent:${message.id}`,
    };
  } catch (error) {
    return outcomeOf(error);
  }
}

/** Of a group; undefined for a person. */
export function chatNumberOf(conversationId: string): number | undefined {
  const digits = /^chat_id:(\d+)$/.exec(conversationId)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** As Messages is given it. It has no buttons: each choice is a line to type. */
export function textOf(message: OutboundMessage): string {
  const lines = (message.choices ?? []).map(({ label, command }) => `${label}: ${command}`);
  return styledText([message.text, ...lines].join("\n")).text;
}

/** The numbers are AppleScript's: -600 and -609 no program there, -1712 no answer in time, -1728 no such recipient. */
function outcomeOf(error: unknown): SendResult {
  if (!(error instanceof RpcFault))
    return { outcome: "unknown", detail: "sending ended in an unexpected error" };
  const { refusal } = error;
  if (!refusal) {
    return error.reached
      ? { outcome: "unknown", detail: `imsg: ${error.message}` }
      : { outcome: "retry", retryAfterMs, detail: `imsg: ${error.message}` };
  }
  const said = `${refusal.message} ${typeof refusal.data === "string" ? refusal.data : ""}`;
  if (/\(-(?:600|609)\)/.test(said)) {
    return { outcome: "retry", retryAfterMs: messagesAwayMs, detail: "Messages is not running on the Mac" };
  }
  if (/\(-1743\)|not authori[sz]ed/i.test(said)) {
    return {
      outcome: "rejected",
      detail: "imsg may not control Messages: allow it in System Settings > Privacy & Security > Automation",
    };
  }
  if (/\(-1728\)/.test(said) || refusal.code === -32602) {
    return { outcome: "rejected", detail: "Messages knows no such recipient or chat" };
  }
  return { outcome: "unknown", detail: `imsg failed while it sent (${refusal.code})` };
}
