import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { ModelFault } from "../kernel/mod.ts";
import type { Model, ModelEvent } from "./model.ts";
import { type RunInput, run, type Step, type ToolAnswer } from "./run.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));
const end = (reason: "stop" | "toolUse" = "stop"): ModelEvent => ({ type: "end", reason });
const call = (name: string, args = "{}", id = name): ModelEvent => ({
  type: "toolCall",
  id,
  name,
  arguments: args,
});

type Turn = readonly ModelEvent[] | Error;

function bench(turns: readonly Turn[], more: Partial<RunInput> = {}) {
  const clock = new ManualClock();
  const abort = new AbortController();
  const requests: Parameters<Model["stream"]>[0][] = [];
  const model = {
    async *stream(request: Parameters<Model["stream"]>[0]) {
      requests.push({ ...request, messages: [...request.messages] });
      const turn = turns[requests.length - 1] ?? new Error("asked too often");
      if (turn instanceof Error) throw turn;
      yield* turn;
    },
  } as unknown as Model;
  const input: RunInput = {
    runId: "run-0123456789",
    agentId: "main",
    sessionKey: "agent:main:main",
    model,
    modelId: "m",
    system: "",
    messages: [{ role: "user", content: [{ type: "text", text: "go" }] }],
    tools: [{ name: "read", description: "", parameters: {} }],
    unanswered: [],
    maxOutputTokens: 100,
    maxRounds: 5,
    signal: abort.signal,
    clock,
    ...more,
  };
  return { clock, abort, requests, input };
}

/** Runs to the end, answering calls with `answer`; gives the steps and the result. */
async function finish(
  input: RunInput,
  clock: ManualClock,
  answer: (step: Step) => ToolAnswer | undefined = () => undefined,
) {
  const steps: Step[] = [];
  const loop = run(input);
  let given: ToolAnswer | undefined;
  for (;;) {
    const next = loop.next(given);
    await settled();
    clock.advance(60_000);
    const { value, done } = await next;
    if (done) return { steps, result: value };
    steps.push(value);
    given =
      value.type === "tool" ? (answer(value) ?? { text: "ok", isError: false, modelText: "ok" }) : undefined;
  }
}

test("a plain answer: asked once, told as it comes, final", async () => {
  const at = bench([
    [{ type: "thinking", delta: "hm" }, { type: "text", delta: "Hel" }, { type: "text", delta: "lo" }, end()],
  ]);
  const { steps, result } = await finish(at.input, at.clock);
  assert.deepEqual(
    steps.map((step) => step.type),
    ["model", "thinking", "delta", "delta", "modelEnd", "assistant"],
  );
  assert.deepEqual(result, { status: "done", text: "Hello", stopReason: "stop" });
});

test("each call is a step of its own, and the model reads what the map answered, not what the tool said", async () => {
  const at = bench([
    [call("read", '{"path":"a"}'), call("nope", "{broken"), end("toolUse")],
    [{ type: "text", delta: "done" }, end()],
  ]);
  const { steps, result } = await finish(at.input, at.clock, () => ({
    text: "raw",
    isError: false,
    modelText: "fenced",
  }));
  const calls = steps.filter((step) => step.type === "tool").map((step) => step.request);
  assert.deepEqual(
    calls.map((item) => [item.tool, item.arguments]),
    [
      ["read", { path: "a" }],
      ["nope", "{broken"],
    ],
  );
  assert.equal(result.text, "done");
  const told = at.requests[1]?.messages.filter((message) => message.role === "tool");
  assert.deepEqual(
    told?.map((message) => message.text),
    ["fenced", "fenced"],
  );
});

test("a call without an id gets one; empty arguments are an empty object", async () => {
  const at = bench([[call("read", " ", ""), end("toolUse")], [end()]]);
  const { steps } = await finish(at.input, at.clock);
  const made = steps.find((step) => step.type === "tool");
  assert.deepEqual([made?.request.id, made?.request.arguments], ["call_run-0123_0", {}]);
});

test("faults that may pass are tried again, at most four times; what was streamed before does not count", async () => {
  const fault = new ModelFault("overloaded", "busy");
  const passing = bench([fault, [{ type: "text", delta: "ok" }, end()]]);
  const passed = await finish(passing.input, passing.clock);
  assert.equal(passed.result.status, "done");
  assert.equal(passed.steps.filter((step) => step.type === "retry").length, 1);
  const staying = bench([fault, fault, fault, fault, fault]);
  const failed = await finish(staying.input, staying.clock);
  assert.equal(failed.result.status, "failed");
  assert.equal(staying.requests.length, 4);
});

for (const [name, error] of [
  ["final by its kind", new ModelFault("auth", "bad key")],
  ["a pause longer than a minute", new ModelFault("rateLimit", "later", { retryAfterMs: 61_000 })],
] as const) {
  test(`a fault that is not tried again: ${name}`, async () => {
    const at = bench([error]);
    const { result } = await finish(at.input, at.clock);
    assert.ok(result.status === "failed" && result.fault === error);
    assert.equal(at.requests.length, 1);
  });
}

test("an error that is no fault is one of the protocol's, and names itself", async () => {
  const at = bench([new TypeError("x is not a function"), [end()]]);
  const { steps } = await finish(at.input, at.clock);
  const retry = steps.find((step) => step.type === "retry");
  assert.match(retry?.reason ?? "", /the provider failed: x is not a function/);
});

test("the last round offers no tools, and calls that come all the same are not made", async () => {
  const at = bench(
    [
      [call("read"), end("toolUse")],
      [{ type: "text", delta: "so far" }, call("read"), end("toolUse")],
    ],
    { maxRounds: 2 },
  );
  const { steps, result } = await finish(at.input, at.clock);
  assert.deepEqual(at.requests[1]?.tools, []);
  assert.equal(steps.filter((step) => step.type === "tool").length, 1);
  assert.equal(result.text, "so far");
  const last = steps.at(-1);
  assert.ok(last?.type === "assistant" && last.final && last.content.every((part) => part.type === "text"));
});

test("a stopped run asks the model nothing more, in whatever it was", async () => {
  const before = bench([]);
  before.abort.abort();
  assert.deepEqual((await finish(before.input, before.clock)).result, { status: "aborted", text: "" });
  assert.equal(before.requests.length, 0);
  const between = bench([[{ type: "text", delta: "first" }, call("read"), end("toolUse")]]);
  const stopped = await finish(between.input, between.clock, () => {
    between.abort.abort();
    return undefined;
  });
  assert.deepEqual(stopped.result, { status: "aborted", text: "first" });
  const within = bench([new ModelFault("aborted", "stopped")]);
  assert.equal((await finish(within.input, within.clock)).result.status, "aborted");
});

test("stopped while it waits for another try: aborted at once", async () => {
  const at = bench([new ModelFault("overloaded", "busy")]);
  const loop = run(at.input);
  for (let step = await loop.next(); !step.done && step.value.type !== "retry"; ) step = await loop.next();
  const next = loop.next();
  at.abort.abort();
  const { value, done } = await next;
  assert.equal(done, true);
  assert.equal((value as { status: string }).status, "aborted");
});

test("what a stopped gateway left unanswered is called before the model is asked", async () => {
  const at = bench([[end()]], {
    unanswered: [{ type: "toolCall", id: "left", name: "read", arguments: {} }],
  });
  const { steps } = await finish(at.input, at.clock);
  assert.deepEqual(
    steps.slice(0, 2).map((step) => step.type),
    ["tool", "model"],
  );
  assert.equal(at.requests[0]?.messages.at(-1)?.role, "tool");
});

test("a map that gives no answer to a call: the model is told that it was not made", async () => {
  const at = bench([[call("read"), end("toolUse")], [end()]]);
  const loop = run(at.input);
  for (let step = await loop.next(); !step.done; step = await loop.next(undefined));
  const told = at.requests[1]?.messages.at(-1);
  assert.ok(told?.role === "tool" && told.isError && told.text === "The call was not made.");
});

// --- pictures --------------------------------------------------------------------------------------------------------

const toolCalls = (count: number) =>
  Array.from({ length: count }, (_, n) => [call("read", "{}", `c${n}`), end("toolUse")]);
const shows = (bytes: number) => (): ToolAnswer => ({
  text: "a picture",
  isError: false,
  modelText: "a picture",
  pictures: [{ type: "image", mimeType: "image/png", base64: "A".repeat((bytes * 4) / 3) }],
});
const picturesIn = (request: Parameters<Model["stream"]>[0] | undefined) =>
  (request?.messages ?? []).flatMap((message) =>
    message.role === "tool" ? [(message.pictures ?? []).length] : [],
  );

test("agent (8): pictures of tools stay with the run until there are too many; then the oldest half is text", async () => {
  const at = bench([...toolCalls(9), [end()]], { maxRounds: 20 });
  await finish(at.input, at.clock, shows(300));
  assert.deepEqual(picturesIn(at.requests[8]), [1, 1, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual(picturesIn(at.requests[9]), [0, 0, 0, 0, 0, 1, 1, 1, 1]);
  const texts = at.requests[9]?.messages.flatMap((message) =>
    message.role === "tool" ? [message.text] : [],
  );
  assert.deepEqual(texts, Array(9).fill("a picture"));
});

test("agent (8): large ones give way sooner, and the newest always stays", async () => {
  const at = bench([...toolCalls(4), [end()]], { maxRounds: 20 });
  await finish(at.input, at.clock, shows(3_900_000));
  assert.deepEqual(picturesIn(at.requests[2]), [1, 1]);
  assert.deepEqual(picturesIn(at.requests[3]), [0, 0, 1]);
  assert.deepEqual(picturesIn(at.requests[4]), [0, 0, 1, 1]);
  const alone = bench([...toolCalls(2), [end()]], { maxRounds: 20 });
  await finish(alone.input, alone.clock, shows(30_000_000));
  assert.deepEqual(picturesIn(alone.requests[2]), [0, 1]);
});

test("agent (8): a model that refuses a request with pictures of tools is asked once more without them", async () => {
  const refusal = new ModelFault("badRequest", "mock: image input is not supported");
  const at = bench([...toolCalls(1), refusal, [{ type: "text", delta: "fine" }, end()]]);
  const { result } = await finish(at.input, at.clock, shows(300));
  assert.deepEqual(result, { status: "done", text: "fine", stopReason: "stop" });
  assert.deepEqual(at.requests.map(picturesIn), [[], [1], [0]]);
  assert.match(JSON.stringify(at.requests[2]?.messages), /This model took no picture/);
  const twice = bench([...toolCalls(1), refusal, refusal, [end()]]);
  assert.equal((await finish(twice.input, twice.clock, shows(300))).result.status, "failed");
  assert.equal(twice.requests.length, 3);
  const without = bench([...toolCalls(1), refusal, [end()]]);
  assert.equal((await finish(without.input, without.clock)).result.status, "failed");
  assert.equal(without.requests.length, 2);
});
