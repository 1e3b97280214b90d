import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelEvent } from "../../agent/model.ts";
import { ModelFault, systemClock, systemRandom } from "../../kernel/mod.ts";
import { Faults } from "../faults.ts";
import { ResponseDecoder } from "./decode.ts";

const settings = {
  id: "mock",
  api: "openai-responses" as const,
  baseUrl: "http://127.0.0.1/",
  headers: {},
  firstByteTimeoutMs: 1,
  stallTimeoutMs: 1,
  connectTimeoutMs: 1,
};

function decode(...events: readonly (readonly [type: string, fields: object])[]): ModelEvent[] {
  const told: ModelEvent[] = [];
  const faults = new Faults(settings, systemClock, "http://127.0.0.1");
  const decoder = new ResponseDecoder(faults, systemRandom, (event) => told.push(event));
  for (const [type, fields] of events) decoder.event({ type, ...fields }, undefined);
  return told;
}

const call = { type: "function_call", id: "fc_1", call_id: "call_1", name: "exec" };
const told: ModelEvent = { type: "toolCall", id: "call_1", name: "exec", arguments: '{"x":1}' };
const completed = ["response.completed", { response: { status: "completed" } }] as const;

test("responses: a call told by its last event alone is read", () => {
  const done = ["response.output_item.done", { item: { ...call, arguments: '{"x":1}' } }] as const;
  assert.deepEqual(decode(done, completed), [told, { type: "end", reason: "toolUse" }]);
});

test("responses: what is only in the final response is read, once", () => {
  const response = {
    status: "completed",
    output: [
      { type: "reasoning", id: "rs_1" },
      { type: "message", id: "msg_1", content: [{ type: "output_text", text: "Hi." }] },
      { ...call, arguments: '{"x":1}' },
    ],
  };
  const end: ModelEvent = { type: "end", reason: "toolUse" };
  assert.deepEqual(decode(["response.completed", { response }]), [{ type: "text", delta: "Hi." }, told, end]);
  const told1 = decode(
    ["response.output_text.delta", { item_id: "msg_1", delta: "Hi." }],
    ["response.output_item.done", { item: { ...call, id: "fc_other", arguments: '{"x":1}' } }],
    ["response.completed", { response }],
  );
  assert.deepEqual(told1, [{ type: "text", delta: "Hi." }, told, end]);
});

test("providers (5): a call cut off by the output limit is not told", () => {
  const events = decode(
    ["response.output_item.added", { output_index: 0, item: { ...call, arguments: "" } }],
    ["response.function_call_arguments.delta", { item_id: "fc_1", delta: '{"x"' }],
    ["response.output_item.done", { item: { ...call, status: "incomplete", arguments: '{"x"' } }],
    [
      "response.incomplete",
      { response: { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } } },
    ],
  );
  assert.deepEqual(events, [{ type: "end", reason: "length" }]);
});

test("providers (2): a failed response is a fault of its kind", () => {
  const failed = (code: string) =>
    ["response.failed", { response: { status: "failed", error: { code, message: "no" } } }] as const;
  const kinds = { rate_limit_exceeded: "rateLimit", server_error: "server", invalid_prompt: "badRequest" };
  for (const [code, kind] of Object.entries(kinds)) {
    assert.throws(
      () => decode(failed(code)),
      (thrown) => thrown instanceof ModelFault && thrown.kind === kind,
    );
  }
});
