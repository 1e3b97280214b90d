import type { Random } from "../../kernel/mod.ts";
import { type GrowingCall, GrowingCalls, isWholeObject } from "../call-fragments.ts";
import type { Decoder, Emit } from "../event-stream.ts";
import type { Faults } from "../faults.ts";
import { count, type Fields, fields, isObject, list, text } from "../fields.ts";

/** Events of the Responses API. The stream ends with response.completed, .incomplete or .failed; nothing else ends it. */
export class ResponseDecoder implements Decoder {
  readonly #faults: Faults;
  readonly #emit: Emit;
  readonly #calls: GrowingCalls;
  /** Calls that are not whole yet, by item id, or by output index where a server leaves the id out. */
  readonly #open = new Map<string, GrowingCall>();
  /** Whole ones, in order, told only at the end: a stream that breaks off leaves no call behind. */
  readonly #whole = new Map<string, GrowingCall>();
  #spoke = false;
  #refused = false;

  constructor(faults: Faults, random: Random, emit: Emit) {
    this.#faults = faults;
    this.#emit = emit;
    this.#calls = new GrowingCalls(faults, random);
  }

  event(data: Fields, name: string | undefined): void {
    switch (text(data.type) || name) {
      case "response.output_text.delta":
        this.#say(text(data.delta));
        return;
      case "response.refusal.delta":
        this.#refused = true;
        this.#say(text(data.delta));
        return;
      case "response.reasoning_text.delta":
      case "response.reasoning_summary_text.delta":
        this.#think(text(data.delta));
        return;
      case "response.output_item.added":
        this.#added(keyOf(data), fields(data.item));
        return;
      case "response.function_call_arguments.delta":
        this.#grow(keyOf(data), text(data.delta));
        return;
      case "response.function_call_arguments.done":
        this.#replace(keyOf(data), data.arguments);
        return;
      case "response.output_item.done":
        this.#itemDone(keyOf(data), fields(data.item));
        return;
      case "response.completed":
      case "response.incomplete":
        this.#ended(fields(data.response));
        return;
      case "response.failed":
        throw this.#faults.fromEvent(fields(data.response).error);
      case "error":
        throw this.#faults.fromEvent(data.error ?? data);
      default:
        // Some compatible servers send an error without a type.
        if (isObject(data.error)) throw this.#faults.fromEvent(data.error);
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

  #say(delta: string): void {
    if (delta === "") return;
    this.#spoke = true;
    this.#emit({ type: "text", delta });
  }

  #think(delta: string): void {
    if (delta !== "") this.#emit({ type: "thinking", delta });
  }

  #added(key: string, item: Fields): void {
    if (item.type !== "function_call" || this.#open.has(key) || this.#whole.has(key)) return;
    const call = this.#calls.open(text(item.call_id) || text(item.id), text(item.name));
    this.#calls.grow(call, text(item.arguments));
    this.#open.set(key, call);
  }

  #grow(key: string, fragment: string): void {
    const call = this.#open.get(key);
    if (call !== undefined) this.#calls.grow(call, fragment);
  }

  /** The done events repeat the arguments; they win over what was collected. */
  #replace(key: string, whole: unknown): void {
    const call = this.#open.get(key);
    if (call === undefined || typeof whole !== "string" || whole === call.arguments) return;
    call.arguments = "";
    this.#calls.grow(call, whole);
  }

  #itemDone(key: string, item: Fields): void {
    if (item.type !== "function_call" || this.#whole.has(key)) return;
    this.#added(key, item);
    this.#replace(key, item.arguments);
    const call = this.#open.get(key);
    if (call === undefined) return;
    // Cut off by the output limit: its arguments are not what the model meant.
    if (item.status !== "incomplete") this.#whole.set(key, call);
    this.#open.delete(key);
  }

  #ended(response: Fields): void {
    const status = text(response.status);
    if (status === "failed") throw this.#faults.fromEvent(response.error);
    const why = text(fields(response.incomplete_details).reason);
    const incomplete = status === "incomplete" || why !== "";
    if (!incomplete) this.#catchUp(response);
    const refused = this.#refused || why === "content_filter";
    if (!refused) for (const call of this.#whole.values()) this.#calls.emit(call, this.#emit);
    if (isObject(response.usage)) this.#emit(usageOf(response.usage));
    const finished = this.#whole.size > 0 ? "toolUse" : "stop";
    this.#emit({ type: "end", reason: refused ? "refusal" : incomplete ? "length" : finished });
  }

  /** What a server put into the final response only, without events of its own. */
  #catchUp(response: Fields): void {
    for (const [key, call] of this.#open) {
      if (isWholeObject(call.arguments || "{}")) this.#whole.set(key, call);
    }
    // Ids may differ between the events and the final response, so it is read only where no event told of a call.
    const noCalls = this.#whole.size === 0;
    list(response.output).forEach((entry, index) => {
      const item = fields(entry);
      const key = text(item.id) || String(index);
      if (item.type === "function_call" && noCalls) this.#itemDone(key, item);
      if (item.type !== "message" || this.#spoke) return;
      const said = list(item.content).map((part) => text(fields(part).text) || text(fields(part).refusal));
      if (list(item.content).some((part) => fields(part).type === "refusal")) this.#refused = true;
      const whole = said.join("");
      if (whole !== "") this.#emit({ type: "text", delta: whole });
    });
  }
}

function keyOf(data: Fields): string {
  const index = data.output_index;
  return text(data.item_id) || text(fields(data.item).id) || (typeof index === "number" ? String(index) : "");
}

function usageOf(usage: Fields) {
  const cacheRead = count(fields(usage.input_tokens_details).cached_tokens);
  return {
    type: "usage" as const,
    input: Math.max(0, count(usage.input_tokens) - cacheRead),
    output: count(usage.output_tokens),
    cacheRead,
    cacheWrite: 0,
  };
}
