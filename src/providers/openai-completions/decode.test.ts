import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelEvent } from "../../agent/model.ts";
import { ModelFault, systemClock, systemRandom } from "../../kernel/mod.ts";
import { Faults } from "../faults.ts";
import { CompletionDecoder } from "./decode.ts";

const settings = {
  id: "mock",
  api: "openai-completions" as const,
  baseUrl: "http://127.0.0.1/",
  headers: {},
  firstByteTimeoutMs: 1,
  stallTimeoutMs: 1,
  connectTimeoutMs: 1,
};

/** Decodes deltas, then the reason and [DONE]; ids that we made are told as "made". */
function decode(deltas: readonly object[], finish = "stop", known: readonly string[] = []): ModelEvent[] {
  const events: ModelEvent[] = [];
  const faults = new Faults(settings, systemClock, "http://127.0.0.1");
  const decoder = new CompletionDecoder(faults, systemRandom, (event) => events.push(event));
  for (const delta of deltas) decoder.event({ choices: [{ delta }] });
  decoder.event({ choices: [{ delta: {}, finish_reason: finish }] });
  decoder.doneMark();
  return events.map((event) =>
    event.type === "toolCall" && !known.includes(event.id) ? { ...event, id: "made" } : event,
  );
}

function fragment(
  index: number | undefined,
  id: string | undefined,
  name: string | undefined,
  args: unknown,
) {
  const called = { ...(name === undefined ? {} : { name }), arguments: args };
  return {
    tool_calls: [
      { ...(index === undefined ? {} : { index }), ...(id === undefined ? {} : { id }), function: called },
    ],
  };
}

function calls(...made: readonly (readonly [id: string, name: string, args: string])[]): ModelEvent[] {
  return made.map(([id, name, args]) => ({ type: "toolCall", id, name, arguments: args }));
}

const end: ModelEvent = { type: "end", reason: "toolUse" };

const dialects: readonly (readonly [string, readonly object[], readonly ModelEvent[]])[] = [
  [
    "fragments by index, id and name in the first only, interleaved",
    [
      fragment(0, "a", "one", ""),
      fragment(1, "b", "two", '{"y"'),
      fragment(0, undefined, undefined, '{"x":1}'),
      fragment(1, undefined, undefined, ":2}"),
    ],
    calls(["a", "one", '{"x":1}'], ["b", "two", '{"y":2}']),
  ],
  [
    "the name in each fragment",
    [fragment(0, "a", "one", '{"x"'), fragment(0, "a", "one", ":1}")],
    calls(["a", "one", '{"x":1}']),
  ],
  [
    "the name in each fragment, without ids",
    [fragment(0, "", "one", ""), fragment(0, "", "one", '{"x"'), fragment(0, "", "one", ":1}")],
    calls(["made", "one", '{"x":1}']),
  ],
  [
    "whole calls without index or id",
    [fragment(undefined, undefined, "one", '{"x":1}'), fragment(undefined, undefined, "one", '{"x":2}')],
    calls(["made", "one", '{"x":1}'], ["made", "one", '{"x":2}']),
  ],
  [
    "whole calls that all say index 0, with ids",
    [fragment(0, "a", "one", '{"x":1}'), fragment(0, "b", "one", '{"x":2}')],
    calls(["a", "one", '{"x":1}'], ["b", "one", '{"x":2}']),
  ],
  [
    "whole calls without arguments that all say index 0, without ids",
    [fragment(0, "", "one", ""), fragment(0, "", "two", "")],
    calls(["made", "one", "{}"], ["made", "two", "{}"]),
  ],
  ["arguments as an object", [fragment(0, "a", "one", { x: 1 })], calls(["a", "one", '{"x":1}'])],
  [
    "malformed arguments, passed on as they are",
    [fragment(0, "a", "one", '{"x"')],
    calls(["a", "one", '{"x"']),
  ],
];
for (const [what, deltas, expected] of dialects) {
  test(`providers (5): ${what}`, () => {
    assert.deepEqual(decode(deltas, "tool_calls", ["a", "b"]), [...expected, end]);
    // Some servers say "stop" all the same.
    assert.deepEqual(decode(deltas, "stop", ["a", "b"]), [...expected, end]);
  });
}

test("providers (5): a call cut off by the output limit is not told", () => {
  assert.deepEqual(decode([fragment(0, "a", "exec", '{"command":"rm -rf /tm')], "length"), [
    { type: "end", reason: "length" },
  ]);
});

test("providers (5): a call that a filter cut off is not told", () => {
  const events = decode([fragment(0, "a", "exec", '{"command":"ls"}')], "content_filter");
  assert.deepEqual(events, [{ type: "end", reason: "refusal" }]);
});

test("providers (2): calls without end, without name or too many are faults", () => {
  const faulty: readonly (readonly object[])[] = [
    [fragment(0, "a", "", "{}")],
    Array.from({ length: 129 }, (_, n) => fragment(n, `id${n}`, "exec", "{}")),
    Array.from({ length: 9 }, () => fragment(0, "a", "exec", "x".repeat(1_000_000))),
  ];
  for (const deltas of faulty) assert.throws(() => decode(deltas, "tool_calls"), ModelFault);
});

const reasons = {
  stop: "stop",
  length: "length",
  content_filter: "refusal",
  SAFETY: "refusal",
  eos: "stop",
  constructor: "stop",
};
for (const [finish, reason] of Object.entries(reasons)) {
  test(`completions: finish_reason ${finish} is ${reason}`, () => {
    assert.deepEqual(decode([{ content: "x" }], finish).at(-1), { type: "end", reason });
  });
}

test("completions: thinking is read under each of its names, and from parts", () => {
  const parts = [
    { type: "thinking", thinking: [{ type: "text", text: "c" }] },
    { type: "text", text: "d" },
  ];
  assert.deepEqual(decode([{ reasoning_content: "a" }, { reasoning: "b" }, { content: parts }]), [
    { type: "thinking", delta: "a" },
    { type: "thinking", delta: "b" },
    { type: "thinking", delta: "c" },
    { type: "text", delta: "d" },
    { type: "end", reason: "stop" },
  ]);
});

test("completions: a reason without [DONE] is a whole answer; neither is not", () => {
  const events: ModelEvent[] = [];
  const faults = new Faults(settings, systemClock, "http://127.0.0.1");
  const decoder = new CompletionDecoder(faults, systemRandom, (event) => events.push(event));
  decoder.event({ choices: [{ delta: { content: "x" } }] });
  assert.throws(() => decoder.bodyEnd(), ModelFault);
  decoder.event({ choices: [{ delta: {}, finish_reason: "stop" }] });
  decoder.bodyEnd();
  assert.deepEqual(events.at(-1), { type: "end", reason: "stop" });
});
