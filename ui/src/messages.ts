import { type Attachment, readAttachment } from "./attachments.ts";
import { amount, type Fields, fields, firstText, items, text } from "./untrusted.ts";

export type Part =
  | { readonly kind: "words"; readonly text: string }
  | { readonly kind: "call"; readonly id: string; readonly name: string; readonly args: unknown };

/** One transcript message, every field present; "" where the gateway said nothing. */
export interface ReadMessage {
  readonly role: "user" | "assistant" | "tool" | "notice";
  readonly id: string;
  readonly runId: string;
  readonly sendKey: string;
  readonly sender: string;
  /** All its words. */
  readonly text: string;
  readonly parts: readonly Part[];
  /** How many pictures a person sent along. */
  readonly attachments: number;
  /** Those of a reply. */
  readonly files: readonly Attachment[];
  readonly callId: string;
  readonly toolName: string;
  readonly isError: boolean;
  readonly stopped: boolean;
  readonly problem: string;
  readonly provider: string;
  readonly model: string;
  /** Unix milliseconds; 0 when unknown. */
  readonly atMs: number;
}

export function readMessage(raw: Fields, fallbackId: string): ReadMessage {
  const own = fields(raw.__openclaw);
  const parts = readParts(raw.content);
  const failed = raw.stopReason === "error" || text(raw.errorMessage) !== "";
  return {
    role: roleOf(raw.role),
    id: firstText(own.id, raw.messageId, raw.id, fallbackId),
    runId: text(own.runId),
    sendKey: text(raw.idempotencyKey).replace(/:user$/, ""),
    sender: firstText(raw.senderName, fields(raw.sender).name, own.senderName),
    text: parts
      .map((part) => (part.kind === "words" ? part.text : ""))
      .filter(Boolean)
      .join("\n\n"),
    parts,
    attachments: items(raw.content).filter((block) => fields(block).type === "image").length,
    files: items(raw.content).flatMap((block) => readAttachment(block) ?? []),
    callId: text(raw.toolCallId),
    toolName: text(raw.toolName),
    isError: raw.isError === true,
    stopped: raw.stopReason === "aborted",
    problem: failed ? text(raw.errorMessage) || "The run failed and the gateway gave no reason." : "",
    provider: text(raw.provider),
    model: text(raw.model),
    atMs: amount(raw.timestamp) ?? 0,
  };
}

function roleOf(role: unknown): ReadMessage["role"] {
  if (role === "user" || role === "assistant") return role;
  return role === "toolResult" || role === "tool" ? "tool" : "notice";
}

/** Thinking and kinds of block that are not known are left out. */
function readParts(content: unknown): Part[] {
  if (typeof content === "string") return content === "" ? [] : [{ kind: "words", text: content }];
  const parts: Part[] = [];
  for (const raw of items(content)) {
    const block = fields(raw);
    if (block.type === "text" && text(block.text).trim() !== "")
      parts.push({ kind: "words", text: text(block.text) });
    if (block.type === "toolCall" && text(block.id) !== "")
      parts.push({ kind: "call", id: text(block.id), name: text(block.name), args: block.arguments });
  }
  return parts;
}
