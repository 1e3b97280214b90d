import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelEvent } from "../../agent/model.ts";
import { ModelFault, systemClock, systemRandom } from "../../kernel/mod.ts";
import { Faults } from "../faults.ts";
import { MessageDecoder } from "./decode.ts";

const settings = {
  id: "mock",
  api: "anthropic-messages" as const,
  baseUrl: "http://127.0.0.1/",
  headers: {},
  firstByteTimeoutMs: 1,
  stallTimeoutMs: 1,
  connectTimeoutMs: 1,
};

function decode(...events: readonly object[]): ModelEvent[] {
  const told: ModelEvent[] = [];
  const faults = new Faults(settings, systemClock, "http://127.0.0.1");
  const decoder = new MessageDecoder(faults, systemRandom, (event) => told.push(event));
  for (const event of events) decoder.event({ ...event }, undefined);
  return told;
}

const opened = {
  type: "content_block_start",
  index: 0,
  content_block: { type: "tool_use", id: "toolu_1", name: "exec", input: {} },
};
const piece = (partial_json: string) => ({
  type: "content_block_delta",
  index: 0,
  delta: { type: "input_json_delta", partial_json },
});
const closed = { type: "content_block_stop", index: 0 };
const reason = (stop_reason: string) => ({ type: "message_delta", delta: { stop_reason } });
const stop = { type: "message_stop" };

const reasons = {
  end_turn: "stop",
  stop_sequence: "stop",
  pause_turn: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "toolUse",
  refusal: "refusal",
  constructor: "stop",
};
for (const [theirs, ours] of Object.entries(reasons)) {
  test(`messages: stop_reason ${theirs} is ${ours}`, () => {
    assert.deepEqual(decode(reason(theirs), stop), [{ type: "end", reason: ours }]);
  });
}

test("messages: an input sent at once is read", () => {
  const whole = { ...opened, content_block: { ...opened.content_block, input: { x: 1 } } };
  assert.deepEqual(decode(whole, closed, reason("tool_use"), stop), [
    { type: "toolCall", id: "toolu_1", name: "exec", arguments: '{"x":1}' },
    { type: "end", reason: "toolUse" },
  ]);
});

test("providers (5): a call that was cut off, or that a refusal follows, is not told", () => {
  const cut = [opened, piece('{"x"'), closed, reason("max_tokens"), stop];
  assert.deepEqual(decode(...cut), [{ type: "end", reason: "length" }]);
  const refused = [opened, piece("{}"), closed, reason("refusal"), stop];
  assert.deepEqual(decode(...refused), [{ type: "end", reason: "refusal" }]);
});

test("providers (2): a message that stops inside a call is a fault", () => {
  assert.throws(() => decode(opened, piece('{"x"'), reason("tool_use"), stop), ModelFault);
});

test("messages: counts of the cache come with the start, the rest with the end", () => {
  const usage = {
    input_tokens: 4,
    cache_read_input_tokens: 100,
    cache_creation_input_tokens: 20,
    output_tokens: 1,
  };
  const start = { type: "message_start", message: { usage } };
  const end = { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 9 } };
  assert.deepEqual(decode(start, end, stop)[0], {
    type: "usage",
    input: 4,
    output: 9,
    cacheRead: 100,
    cacheWrite: 20,
  });
});
