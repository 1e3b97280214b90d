import type { ModelEvent } from "../agent/model.ts";
import { type Random, token } from "../kernel/mod.ts";
import { type Emit, maxEventChars } from "./event-stream.ts";
import type { Faults } from "./faults.ts";

/** A model that calls more tools than this at once is looping. */
const maxCalls = 128;

/** A tool call as it grows. */
export interface GrowingCall {
  id: string;
  name: string;
  arguments: string;
}

/** The tool calls of one answer, put together from fragments. */
export class GrowingCalls {
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #ids = new Set<string>();
  #count = 0;
  #chars = 0;

  constructor(faults: Faults, random: Random) {
    this.#faults = faults;
    this.#random = random;
  }

  open(id: string, name: string): GrowingCall {
    if (++this.#count > maxCalls)
      throw this.#faults.make("protocol", `called over ${maxCalls} tools at once`);
    return { id, name, arguments: "" };
  }

  /** Without a bound, an endpoint gone wild would fill our memory fragment by fragment. */
  grow(call: GrowingCall, fragment: string): void {
    this.#chars += fragment.length;
    if (this.#chars > maxEventChars) throw this.#faults.make("protocol", "sent over 8 MB of tool arguments");
    call.arguments += fragment;
  }

  /** Tells the agent about a whole call. Some servers give no id, or the same one twice: then it gets one of ours. */
  emit(call: GrowingCall, emit: Emit): void {
    if (call.name === "") throw this.#faults.make("protocol", "called a tool without naming it");
    let { id } = call;
    while (id === "" || this.#ids.has(id)) id = `call_${token(this.#random, 12)}`;
    this.#ids.add(id);
    const event: ModelEvent = {
      type: "toolCall",
      id,
      name: call.name,
      arguments: call.arguments.trim() === "" ? "{}" : call.arguments,
    };
    emit(event);
  }
}

/** True for the text of one whole JSON object. */
export function isWholeObject(text: string): boolean {
  if (!text.trimStart().startsWith("{")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
