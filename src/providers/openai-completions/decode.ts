import type { EndReason } from "../../agent/model.ts";
import type { Random } from "../../kernel/mod.ts";
import { type GrowingCall, GrowingCalls, isWholeObject } from "../call-fragments.ts";
import type { Decoder, Emit } from "../event-stream.ts";
import type { Faults } from "../faults.ts";
import { count, type Fields, fields, isObject, list, text } from "../fields.ts";

/** A map, since a provider may name a reason "constructor". */
const endReasons: ReadonlyMap<string, EndReason> = new Map([
  ["stop", "stop"],
  ["length", "length"],
  ["model_length", "length"],
  ["tool_calls", "toolUse"],
  ["function_call", "toolUse"],
  ["content_filter", "refusal"],
  ["safety", "refusal"],
  ["recitation", "refusal"],
]);

/** Chunks of a chat completion (`chat.completion.chunk`), as OpenAI sends them and as compatible servers vary them. */
export class CompletionDecoder implements Decoder {
  readonly #faults: Faults;
  readonly #emit: Emit;
  readonly #calls: GrowingCalls;
  /** In order of first appearance. */
  readonly #open: { readonly index: number | undefined; readonly call: GrowingCall }[] = [];
  #usage: Fields | undefined;
  #finish = "";
  #refused = false;

  constructor(faults: Faults, random: Random, emit: Emit) {
    this.#faults = faults;
    this.#emit = emit;
    this.#calls = new GrowingCalls(faults, random);
  }

  event(data: Fields): void {
    if (data.error !== undefined && data.error !== null) throw this.#faults.fromEvent(data.error);
    const usage = data.usage ?? fields(data.x_groq).usage;
    if (isObject(usage)) this.#usage = usage;
    const choice = fields(list(data.choices)[0]);
    const delta = choice.delta;
    if (isObject(delta)) this.#delta(delta);
    const finish = text(choice.finish_reason);
    if (finish !== "") this.#finish = finish.toLowerCase();
  }

  doneMark(): void {
    // "[DONE]" without a reason: a server that never gives one, or an answer cut off inside the provider.
    if (this.#finish === "" && !this.#open.every(({ call }) => isWholeObject(call.arguments || "{}"))) {
      throw this.#faults.make("protocol", "ended its answer in the middle of a tool call");
    }
    this.#end();
  }

  bodyEnd(): void {
    // The reason is the last thing but the usage: with it nothing of the answer can be missing.
    if (this.#finish === "") throw this.#faults.make("protocol", "ended its answer before it was complete");
    this.#end();
  }

  #delta(delta: Fields): void {
    const thinking = text(delta.reasoning_content) || text(delta.reasoning);
    if (thinking !== "") this.#emit({ type: "thinking", delta: thinking });
    const { content } = delta as { content?: unknown };
    if (typeof content === "string") {
      if (content !== "") this.#emit({ type: "text", delta: content });
    } else {
      for (const part of list(content)) this.#part(fields(part));
    }
    const refusal = text(delta.refusal);
    if (refusal !== "") {
      this.#refused = true;
      this.#emit({ type: "text", delta: refusal });
    }
    for (const fragment of list(delta.tool_calls)) this.#fragment(fields(fragment));
  }

  /** Content in parts, as Mistral's reasoning models send it. */
  #part(part: Fields): void {
    const said = text(part.text);
    if (said !== "") this.#emit({ type: "text", delta: said });
    const thoughts = list(part.thinking).map((thought) => text(fields(thought).text));
    const thinking = thoughts.join("") || text(part.thinking);
    if (thinking !== "") this.#emit({ type: "thinking", delta: thinking });
  }

  #fragment(fragment: Fields): void {
    const called = fields(fragment.function);
    const index = typeof fragment.index === "number" ? fragment.index : undefined;
    const id = text(fragment.id);
    const name = text(called.name);
    const rawArguments = called.arguments;
    const piece = isObject(rawArguments) ? JSON.stringify(rawArguments) : text(rawArguments);
    let call = this.#continued(index, id, name, piece);
    if (call === undefined) {
      call = this.#calls.open(id, name);
      this.#open.push({ index, call });
    }
    if (call.id === "") call.id = id;
    if (call.name === "") call.name = name;
    this.#calls.grow(call, piece);
  }

  /** The call that this fragment goes on with; undefined when it opens a new one. */
  #continued(index: number | undefined, id: string, name: string, piece: string): GrowingCall | undefined {
    const found =
      index === undefined
        ? (this.#open.findLast(({ call }) => id !== "" && call.id === id) ?? this.#open.at(-1))
        : this.#open.findLast((open) => open.index === index);
    const call = found?.call;
    if (call === undefined) return undefined;
    if (id !== "" && call.id !== "" && id !== call.id) return undefined;
    if (name !== "" && call.name !== "" && (id === "" || id !== call.id)) {
      // Whole calls one after the other under one index, or none, and without ids to tell them apart; unlike
      // a server that only repeats the name with each fragment.
      if (name !== call.name || (piece.startsWith("{") && isWholeObject(call.arguments))) return undefined;
    }
    return call;
  }

  #end(): void {
    const finish = this.#finish;
    if (finish === "error") throw this.#faults.make("server", "ended its answer with an error");
    if (finish === "insufficient_system_resource")
      throw this.#faults.make("overloaded", "ran out of resources");
    let reason: EndReason = this.#refused ? "refusal" : (endReasons.get(finish) ?? "stop");
    if (reason === "refusal") {
      // What was cut off by a filter is not a call that anybody stands behind.
      this.#open.length = 0;
    }
    for (const { call } of this.#open) {
      // Cut off by the output limit in the middle of its arguments.
      if (reason === "length" && !isWholeObject(call.arguments || "{}")) continue;
      this.#calls.emit(call, this.#emit);
    }
    if (reason === "stop" && this.#open.length > 0) reason = "toolUse";
    if (this.#usage !== undefined) this.#emit(usageOf(this.#usage));
    this.#emit({ type: "end", reason });
  }
}

function usageOf(usage: Fields) {
  const cacheRead =
    count(fields(usage.prompt_tokens_details).cached_tokens) || count(usage.prompt_cache_hit_tokens);
  return {
    type: "usage" as const,
    input: Math.max(0, count(usage.prompt_tokens) - cacheRead),
    output: count(usage.completion_tokens),
    cacheRead,
    cacheWrite: 0,
  };
}
