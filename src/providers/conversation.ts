import { createHash } from "node:crypto";
import type { ImagePart, ModelMessage, TextPart, ToolCallPart, ToolSpec } from "../agent/model.ts";
import { type Fields, isObject } from "./fields.ts";

/** A conversation that every provider accepts: what each wire encodes. */
export type SoundMessage =
  | { readonly role: "user"; readonly content: readonly (TextPart | ImagePart)[] }
  | { readonly role: "assistant"; readonly text: string; readonly calls: readonly SoundCall[] }
  /** One per call of the assistant message before it, in the order of the calls. */
  | { readonly role: "tool"; readonly callId: string; readonly text: string; readonly isError: boolean };

export interface SoundCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: Fields;
}

/** What a provider allows as the id of a tool call. */
export interface CallIdRule {
  readonly pattern: RegExp;
  readonly maxChars: number;
}

const missingResult = "No result was recorded for this call.";

/**
 * Repairs what compaction, crashes and a change of provider leave behind, since a provider refuses the whole
 * request for one flaw: empty texts go; each call gets exactly one result, right behind it; a result without a
 * call goes (as a user's message it would speak with the user's authority); ids fit the rule and are unique, names
 * are names; the first and the last word are not the assistant's.
 */
export function soundMessages(messages: readonly ModelMessage[], rule: CallIdRule): readonly SoundMessage[] {
  const out: SoundMessage[] = [];
  const usedIds = new Set<string>();
  for (let at = 0; at < messages.length; at++) {
    const message = messages[at];
    if (message === undefined || message.role === "tool") continue;
    const plain = plainMessage(message);
    if (plain !== undefined) {
      if (plain !== null) out.push(plain);
      continue;
    }
    const parts = message.content;
    const text = parts.map((part) => (part.type === "text" ? part.text : "")).join("");
    const calls = parts.filter((part) => part.type === "toolCall");
    if (isBlank(text) && calls.length === 0) continue;
    const ids = calls.map((call) => freshId(call.id, rule, usedIds));
    out.push({
      role: "assistant",
      text: isBlank(text) ? "" : text,
      calls: calls.map((call, n) => ({
        id: ids[n] ?? "",
        name: fitName(call.name),
        arguments: argumentsObject(call.arguments),
      })),
    });
    out.push(...resultsOf(calls, ids, messages, at + 1));
  }
  if (out[0]?.role !== "user") out.unshift(words("(The conversation so far is not shown.)"));
  if (out.at(-1)?.role === "assistant") out.push(words("Continue."));
  return out;
}

// What a message without calls becomes depends on nothing else, so it is worked out once per message: the same
// object each time also lets a wire remember how it is written.
const plainMessages = new WeakMap<ModelMessage, SoundMessage | null>();

/** Null for one that has nothing to say; undefined for one with calls, which need their results. */
function plainMessage(message: Exclude<ModelMessage, { role: "tool" }>): SoundMessage | null | undefined {
  const known = plainMessages.get(message);
  if (known !== undefined) return known;
  if (message.role === "assistant" && message.content.some((part) => part.type === "toolCall"))
    return undefined;
  const plain = message.role === "user" ? plainUser(message.content) : plainAssistant(message.content);
  plainMessages.set(message, plain);
  return plain;
}

function plainUser(parts: readonly (TextPart | ImagePart)[]): SoundMessage | null {
  const content = parts.filter((part) => part.type === "image" || !isBlank(part.text));
  return content.length > 0 ? { role: "user", content } : null;
}

function plainAssistant(parts: readonly (TextPart | ToolCallPart)[]): SoundMessage | null {
  const text = parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  return isBlank(text) ? null : { role: "assistant", text, calls: [] };
}

/** One result per call, looked for until the next assistant message. */
function resultsOf(
  calls: readonly ToolCallPart[],
  ids: readonly string[],
  messages: readonly ModelMessage[],
  from: number,
): SoundMessage[] {
  if (calls.length === 0) return [];
  const results: Extract<ModelMessage, { role: "tool" }>[] = [];
  for (let at = from; at < messages.length; at++) {
    const message = messages[at];
    if (message === undefined || message.role === "assistant") break;
    if (message.role === "tool") results.push(message);
  }
  return calls.map((call, n) => {
    const found = results.findIndex((result) => result.toolCallId === call.id);
    const [result] = found < 0 ? [] : results.splice(found, 1);
    return {
      role: "tool",
      callId: ids[n] ?? "",
      text: result === undefined ? missingResult : isBlank(result.text) ? "(no output)" : result.text,
      isError: result?.isError ?? true,
    };
  });
}

function freshId(id: string, rule: CallIdRule, used: Set<string>): string {
  let fitted = fitId(id, rule);
  for (let n = 2; used.has(fitted); n++) fitted = fitId(`${id}#${n}`, rule);
  used.add(fitted);
  return fitted;
}

/** The same id always gives the same one, so that a provider's cache of the conversation still matches. */
function fitId(id: string, rule: CallIdRule): string {
  if (id.length <= rule.maxChars && rule.pattern.test(id)) return id;
  return createHash("sha256").update(id).digest("hex").slice(0, Math.min(rule.maxChars, 32));
}

/** A name that no tool can have, once called, would make the provider refuse the conversation for ever. */
function fitName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_-]/g, "_").slice(0, 64) || "unnamed";
}

function words(text: string): SoundMessage {
  return { role: "user", content: [{ type: "text", text }] };
}

function isBlank(text: string): boolean {
  return text.trim() === "";
}

/** Providers take an object only; what a model wrote instead is kept for it to see. */
function argumentsObject(value: unknown): Fields {
  if (isObject(value)) return value;
  return value === undefined || value === null || value === "" ? {} : { malformed: value };
}

/** The tool's parameters as the JSON Schema object that every wire insists on. */
export function parametersOf(tool: ToolSpec): object {
  const { parameters } = tool;
  return parameters.type === "object" ? parameters : { type: "object", properties: {} };
}

export function dataUrl(image: ImagePart): string {
  return `data:${image.mimeType};base64,${image.base64}`;
}
