import type { EndReason, Usage } from "../../agent/model.ts";
import type { Random } from "../../kernel/mod.ts";
import { type GrowingCall, GrowingCalls, isWholeObject } from "../call-fragments.ts";
import type { Decoder, Emit } from "../event-stream.ts";
import type { Faults } from "../faults.ts";
import { count, type Fields, fields, isObject, text } from "../fields.ts";

/** A map, since a provider may name a reason "constructor". */
const endReasons: ReadonlyMap<string, EndReason> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  // Given only for the provider's own server-side tools, which we never offer.
  ["pause_turn", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["tool_use", "toolUse"],
  ["refusal", "refusal"],
]);

/** Events of the Messages API: message_start, content blocks, message_delta, message_stop. */
export class MessageDecoder implements Decoder {
  readonly #faults: Faults;
  readonly #emit: Emit;
  readonly #calls: GrowingCalls;
  readonly #open = new Map<number, GrowingCall>();
  readonly #whole: GrowingCall[] = [];
  #usage: Usage | undefined;
  #stopReason = "";

  constructor(faults: Faults, random: Random, emit: Emit) {
    this.#faults = faults;
    this.#emit = emit;
    this.#calls = new GrowingCalls(faults, random);
  }

  event(data: Fields, name: string | undefined): void {
    switch (text(data.type) || name) {
      case "message_start":
        this.#count(fields(data.message).usage);
        return;
      case "content_block_start":
        this.#blockStart(count(data.index), fields(data.content_block));
        return;
      case "content_block_delta":
        this.#blockDelta(count(data.index), fields(data.delta));
        return;
      case "content_block_stop":
        this.#blockStop(count(data.index));
        return;
      case "message_delta":
        this.#count(data.usage);
        this.#stopReason = text(fields(data.delta).stop_reason) || this.#stopReason;
        return;
      case "message_stop":
        this.#end();
        return;
      case "error":
        throw this.#faults.fromEvent(data.error ?? data);
    }
  }

  doneMark(): void {
    throw this.#incomplete();
  }

  bodyEnd(): void {
    throw this.#incomplete();
  }

  #incomplete() {
    return this.#faults.make("protocol", "ended its answer before it was complete");
  }

  #blockStart(index: number, block: Fields): void {
    if (block.type === "text") this.#say(text(block.text));
    if (block.type === "thinking") this.#think(text(block.thinking));
    if (block.type !== "tool_use") return;
    const call = this.#calls.open(text(block.id), text(block.name));
    // Empty here, unless a compatible server sends the whole input at once.
    if (isObject(block.input) && Object.keys(block.input).length > 0) {
      this.#calls.grow(call, JSON.stringify(block.input));
    }
    this.#open.set(index, call);
  }

  #blockDelta(index: number, delta: Fields): void {
    if (delta.type === "text_delta") this.#say(text(delta.text));
    if (delta.type === "thinking_delta") this.#think(text(delta.thinking));
    const call = this.#open.get(index);
    if (delta.type === "input_json_delta" && call !== undefined) {
      this.#calls.grow(call, text(delta.partial_json));
    }
  }

  #blockStop(index: number): void {
    const call = this.#open.get(index);
    this.#open.delete(index);
    if (call !== undefined) this.#whole.push(call);
  }

  #say(delta: string): void {
    if (delta !== "") this.#emit({ type: "text", delta });
  }

  #think(delta: string): void {
    if (delta !== "") this.#emit({ type: "thinking", delta });
  }

  /** Counts are running totals; a later event may leave out what an earlier one said. */
  #count(usage: unknown): void {
    if (!isObject(usage)) return;
    const before = this.#usage;
    this.#usage = {
      input: count(usage.input_tokens) || (before?.input ?? 0),
      output: count(usage.output_tokens) || (before?.output ?? 0),
      cacheRead: count(usage.cache_read_input_tokens) || (before?.cacheRead ?? 0),
      cacheWrite: count(usage.cache_creation_input_tokens) || (before?.cacheWrite ?? 0),
    };
  }

  #end(): void {
    if (this.#open.size > 0 && this.#stopReason !== "max_tokens") throw this.#incomplete();
    let reason: EndReason = endReasons.get(this.#stopReason) ?? "stop";
    for (const call of reason === "refusal" ? [] : this.#whole) {
      // Cut off by the output limit in the middle of its arguments.
      if (reason === "length" && !isWholeObject(call.arguments || "{}")) continue;
      this.#calls.emit(call, this.#emit);
      if (reason === "stop") reason = "toolUse";
    }
    if (this.#usage !== undefined) this.#emit({ type: "usage", ...this.#usage });
    this.#emit({ type: "end", reason });
  }
}
