import { type Clock, type EndReason, ModelFault, sleep, type Usage } from "../kernel/mod.ts";
import type { ImagePart, Model, ModelMessage, TextPart, ToolCallPart, ToolSpec } from "./model.ts";
import { boundPictures, withoutToolPictures } from "./tool-pictures.ts";

/** A call that the model wants made. */
export interface ToolRequest {
  /** The model's id of the call; unique within the run. */
  readonly id: string;
  readonly tool: string;
  readonly arguments: unknown;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly runId: string;
}

/** What the map answers to a ToolRequest. */
export interface ToolAnswer {
  readonly text: string;
  readonly isError: boolean;
  /** The text as the model shall see it (fenced when it is untrusted). */
  readonly modelText: string;
  /** Shown to the model beside the text, until the run ends. */
  readonly pictures?: readonly ImagePart[];
}

export interface RunInput {
  readonly runId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly model: Model;
  readonly modelId: string;
  readonly system: string;
  readonly messages: readonly ModelMessage[];
  readonly tools: readonly ToolSpec[];
  /** Calls to make before the model is asked: what a stopped gateway left unanswered. */
  readonly unanswered: readonly ToolCallPart[];
  readonly maxOutputTokens: number;
  readonly maxRounds: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** What the run tells the map. For `model` and `assistant` the map answers once it is on disk; for `tool`, with the outcome. */
export type Step =
  | { readonly type: "model"; readonly round: number; readonly attempt: number }
  | { readonly type: "modelEnd"; readonly outcome: string; readonly usage: Usage }
  | { readonly type: "delta"; readonly delta: string; readonly text: string }
  | { readonly type: "thinking"; readonly delta: string }
  /** What was streamed so far in this round does not count. */
  | { readonly type: "retry"; readonly attempt: number; readonly delayMs: number; readonly reason: string }
  | {
      readonly type: "assistant";
      readonly content: readonly (TextPart | ToolCallPart)[];
      readonly stopReason: EndReason;
      readonly usage: Usage;
      readonly final: boolean;
    }
  | { readonly type: "tool"; readonly request: ToolRequest }
  /** Before the model is asked again: did somebody say more meanwhile? */
  | { readonly type: "hear" };

/** What the map answers: to `tool` the outcome, to `hear` what was said. */
export type StepAnswer = ToolAnswer | Heard;

export interface Heard {
  readonly heard: readonly string[];
}

export type RunResult =
  | { readonly status: "done"; readonly text: string; readonly stopReason: EndReason }
  | { readonly status: "aborted"; readonly text: string }
  | { readonly status: "failed"; readonly text: string; readonly fault: ModelFault };

const maxAttempts = 4;
const maxDelayMs = 60_000;
/** Of a call's arguments; no tool takes more than a few. */
const maxDepth = 100;
const noUsage: Usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

/** The loop. It holds no power: every effect is a step that the map carries out, or does not. */
export async function* run(input: RunInput): AsyncGenerator<Step, RunResult, StepAnswer | undefined> {
  const messages = [...input.messages];
  let text = "";
  yield* answerCalls(input, messages, input.unanswered);
  for (let round = 1; ; round++) {
    if (input.signal.aborted) return { status: "aborted", text };
    const offered = round < input.maxRounds ? input.tools : [];
    let reply = yield* ask(input, messages, offered, round);
    // A model that was thought to read pictures and does not refuses the whole request for one.
    if ("fault" in reply && isRefusal(reply.fault, input.signal) && withoutToolPictures(messages))
      reply = yield* ask(input, messages, offered, round);
    if ("fault" in reply) {
      if (reply.fault.kind === "aborted") return { status: "aborted", text: reply.text };
      return { status: "failed", text: reply.text, fault: reply.fault };
    }
    text = textOf(reply.content);
    const calls = reply.content.filter((part) => part.type === "toolCall");
    const final = calls.length === 0 || offered.length === 0;
    const content = final ? reply.content.filter((part) => part.type === "text") : reply.content;
    yield { type: "assistant", content, stopReason: reply.stopReason, usage: reply.usage, final };
    if (final) return { status: "done", text, stopReason: reply.stopReason };
    messages.push({ role: "assistant", content });
    yield* answerCalls(input, messages, calls);
    const answer = yield { type: "hear" };
    if (answer && "heard" in answer) {
      for (const text of answer.heard) messages.push({ role: "user", content: [{ type: "text", text }] });
    }
  }
}

function isRefusal(fault: ModelFault, signal: AbortSignal): boolean {
  return fault.kind === "badRequest" && !signal.aborted;
}

async function* answerCalls(
  input: RunInput,
  messages: ModelMessage[],
  calls: readonly ToolCallPart[],
): AsyncGenerator<Step, void, StepAnswer | undefined> {
  for (const call of calls) {
    // An aborted run still needs a result for each call (the wire demands it), but makes none.
    const { runId, agentId, sessionKey } = input;
    const given = yield {
      type: "tool",
      request: { id: call.id, tool: call.name, arguments: call.arguments, runId, agentId, sessionKey },
    };
    const answer = given && "modelText" in given ? given : undefined;
    messages.push({
      role: "tool",
      toolCallId: call.id,
      toolName: call.name,
      text: answer?.modelText ?? "The call was not made.",
      isError: answer?.isError ?? true,
      ...(answer?.pictures === undefined ? {} : { pictures: answer.pictures }),
    });
    boundPictures(messages);
  }
}

interface Reply {
  readonly content: readonly (TextPart | ToolCallPart)[];
  readonly stopReason: EndReason;
  readonly usage: Usage;
}

async function* ask(
  input: RunInput,
  messages: readonly ModelMessage[],
  tools: readonly ToolSpec[],
  round: number,
): AsyncGenerator<
  Step,
  Reply | { readonly fault: ModelFault; readonly text: string },
  StepAnswer | undefined
> {
  for (let attempt = 1; ; attempt++) {
    yield { type: "model", round, attempt };
    const tried = yield* stream(input, messages, tools);
    if (!("fault" in tried)) return tried;
    const { fault } = tried;
    yield { type: "modelEnd", outcome: fault.kind, usage: noUsage };
    const delayMs = Math.max(fault.retryAfterMs ?? 0, 500 * 2 ** attempt);
    if (!fault.retryable || attempt >= maxAttempts || delayMs > maxDelayMs || input.signal.aborted)
      return tried;
    yield { type: "retry", attempt, delayMs, reason: fault.message };
    await sleep(input.clock, delayMs, input.signal);
    if (input.signal.aborted)
      return { fault: new ModelFault("aborted", "the run was stopped"), text: tried.text };
  }
}

async function* stream(
  input: RunInput,
  messages: readonly ModelMessage[],
  tools: readonly ToolSpec[],
): AsyncGenerator<
  Step,
  Reply | { readonly fault: ModelFault; readonly text: string },
  StepAnswer | undefined
> {
  let text = "";
  let usage: Usage = noUsage;
  let stopReason: EndReason = "stop";
  const calls: ToolCallPart[] = [];
  try {
    const events = input.model.stream({
      model: input.modelId,
      system: input.system,
      messages,
      tools,
      maxOutputTokens: input.maxOutputTokens,
      signal: input.signal,
    });
    for await (const event of events) {
      if (event.type === "text") {
        text += event.delta;
        yield { type: "delta", delta: event.delta, text };
      } else if (event.type === "thinking") yield event;
      else if (event.type === "toolCall") calls.push(callOf(event, calls.length, input.runId));
      else if (event.type === "usage") {
        usage = {
          input: event.input,
          output: event.output,
          cacheRead: event.cacheRead,
          cacheWrite: event.cacheWrite,
        };
      } else stopReason = event.reason;
    }
  } catch (error) {
    const fault =
      error instanceof ModelFault
        ? error
        : new ModelFault("protocol", `the provider failed: ${(error as Error).message}`);
    return { fault, text };
  }
  yield { type: "modelEnd", outcome: stopReason, usage };
  const content: (TextPart | ToolCallPart)[] = [
    ...(text === "" ? [] : [{ type: "text" as const, text }]),
    ...calls,
  ];
  return { content, stopReason, usage };
}

/** Malformed or too deep argument text is kept as it is: the schema check refuses it, and the model is told. */
function callOf(
  event: { readonly id: string; readonly name: string; readonly arguments: string },
  index: number,
  runId: string,
): ToolCallPart {
  let parsed: unknown;
  try {
    parsed = event.arguments.trim() === "" ? {} : JSON.parse(event.arguments);
    if (isDeep(parsed)) parsed = event.arguments;
  } catch {
    parsed = event.arguments;
  }
  return {
    type: "toolCall",
    id: event.id || `call_${runId.slice(0, 8)}_${index}`,
    name: event.name,
    arguments: parsed,
  };
}

/** Deeper than {@link maxDepth}: JSON.parse takes such values, whatever walks them later runs out of stack. */
function isDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return true;
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
  }
  return false;
}

function textOf(content: readonly (TextPart | ToolCallPart)[]): string {
  return content
    .filter((part) => part.type === "text")
    .map((part) => part.text)
    .join("");
}
