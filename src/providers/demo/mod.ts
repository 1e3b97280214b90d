/** The built-in model: no network, no key, no intelligence. It shows that the path works, and tries its guards. */

import type { Model, ModelEvent, ModelMessage, ModelRequest } from "../../agent/model.ts";
import { canonicalJson, type Json, ModelFault } from "../../kernel/mod.ts";
import type { ProviderSettings } from "../settings.ts";
import { readWishes, type Wish } from "./instructions.ts";

const label = "[demo model] ";
/** Calls that one message of the user can lead to. */
const maxCallsPerTurn = 5;
const maxQuotedChars = 1500;
const maxReadChars = 20_000;
const deltaChars = 24;

const introduction = `I am the built-in demo model: I run without a network and understand only a few plain requests, such as
- list the files here
- read notes.md
- write "buy milk" to notes.md
- run \`date\`
- fetch https://example.com/

To talk to a real model, set up a provider: openclaw onboard.`;

export function openDemo(settings: ProviderSettings): Model {
  return {
    provider: settings.id,
    stream: (request) => answer(settings.id, request),
    list: async () => [{ id: "demo", contextWindow: 32_000 }],
  };
}

async function* answer(provider: string, request: ModelRequest): AsyncGenerator<ModelEvent> {
  const stop = () => {
    if (request.signal.aborted) throw new ModelFault("aborted", `${provider}: the call was stopped.`);
  };
  stop();
  const turn = readTurn(request);
  let output: string;
  if (turn.next !== undefined) {
    output = JSON.stringify(turn.next.arguments);
    const id = `demo_call_${turn.callsEver + 1}`;
    yield { type: "toolCall", id, name: turn.next.tool, arguments: output };
  } else {
    const reply = label + replyTo(turn);
    output = reply.slice(0, request.maxOutputTokens * 4);
    for (const delta of [label.slice(0, output.length), ...pieces(output.slice(label.length))]) {
      if (delta === "") continue;
      yield { type: "text", delta };
      stop();
    }
    if (output.length < reply.length) {
      yield usage(request, output);
      yield { type: "end", reason: "length" };
      return;
    }
  }
  yield usage(request, output);
  yield { type: "end", reason: turn.next === undefined ? "stop" : "toolUse" };
}

type Call = Extract<Wish, { kind: "call" }>;
type ToolMessage = Extract<ModelMessage, { role: "tool" }>;

interface Turn {
  readonly userText: string;
  readonly results: readonly ToolMessage[];
  readonly next: Call | undefined;
  readonly otherWishes: readonly Wish[];
  readonly callsEver: number;
}

/** What was said since the newest user message, and which of the things asked for in it was not tried yet. */
function readTurn({ messages, tools }: ModelRequest): Turn {
  const from = messages.findLastIndex((message) => message.role === "user");
  const userText = messages
    .slice(from, from + 1)
    .flatMap((message) => (message.role === "user" ? message.content : []))
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("\n");
  const results = messages.slice(from + 1).filter((message) => message.role === "tool");
  const made = callsIn(messages.slice(from + 1)).map((call) => spelling(call.name, call.arguments));
  const wishes = [userText, ...results.map((result) => result.text)].flatMap((text) =>
    readWishes(text.slice(0, maxReadChars), tools),
  );
  const open = wishes.filter(
    (wish): wish is Call => wish.kind === "call" && !made.includes(spelling(wish.tool, wish.arguments)),
  );
  return {
    userText,
    results,
    next: made.length < maxCallsPerTurn ? open[0] : undefined,
    otherWishes: wishes.filter((wish) => wish.kind !== "call"),
    callsEver: callsIn(messages).length,
  };
}

function callsIn(messages: readonly ModelMessage[]) {
  return messages
    .flatMap((message) => (message.role === "assistant" ? message.content : []))
    .filter((part) => part.type === "toolCall");
}

function spelling(tool: string, args: unknown): string {
  return `${tool} ${canonicalJson(args as Json)}`;
}

function replyTo({ userText, results, otherWishes }: Turn): string {
  const parts = results.map(reportOf);
  for (const wish of otherWishes) {
    if (wish.kind === "say") parts.push(wish.words);
    if (wish.kind === "missing")
      parts.push(`I would need the tool ${wish.need} for that, and it is not offered to me.`);
  }
  if (parts.length > 0) return parts.join("\n\n");
  const said = userText.trim();
  if (/^\W*(hi|hello|hey|hallo|good (morning|evening|day)|help|who are you|what can you do)\b/i.test(said)) {
    return `Hello! ${introduction}`;
  }
  return said === "" ? introduction : `You said: ${shortened(said, 500)}`;
}

function reportOf(result: ToolMessage): string {
  const said = quoted(shortened(unfenced(result.text).trim(), maxQuotedChars));
  if (result.isError) return `The tool ${result.toolName} did not do it: ${said}`;
  return said === ""
    ? `The tool ${result.toolName} is done.`
    : `The tool ${result.toolName} answered:\n${said}`;
}

/** What stands between the gateway's markers of untrusted text, without their banner. */
function unfenced(text: string): string {
  const found =
    /^<<<EXTERNAL_UNTRUSTED_CONTENT [^\n]*\n[\s\S]*?\n---\n([\s\S]*)\n<<<END_EXTERNAL_UNTRUSTED_CONTENT/.exec(
      text,
    );
  return found?.[1] ?? text;
}

/** Several lines are shown as they are, in a block. */
function quoted(text: string): string {
  return text.includes("\n") ? `\`\`\`\n${text}\n\`\`\`` : text;
}

function shortened(text: string, maxChars: number): string {
  return text.length <= maxChars
    ? text
    : `${text.slice(0, maxChars)}… (${text.length - maxChars} more characters)`;
}

/** Cut behind white space, so that a stream of them reads like writing. */
function pieces(text: string): readonly string[] {
  return text.match(new RegExp(`[\\s\\S]{1,${deltaChars}}(?:(?<=\\s)|(?=\\s)|$)|\\S{1,400}`, "g")) ?? [];
}

/** Four characters for a token: nothing is billed by it. */
function usage(request: ModelRequest, output: string): ModelEvent {
  const input = JSON.stringify(request.messages).length + request.system.length;
  return {
    type: "usage",
    input: Math.ceil(input / 4),
    output: Math.ceil(output.length / 4),
    cacheRead: 0,
    cacheWrite: 0,
  };
}
