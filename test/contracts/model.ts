/** What every wire of the Model port promises, whoever is at the other end. Numbers cite src/providers/mod.ts. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { Model, ModelEvent, ModelRequest } from "../../src/agent/model.ts";
import { ModelFault, type ModelFaultKind, Secret, systemRandom } from "../../src/kernel/mod.ts";
import type { ProviderDeps, ProviderSettings } from "../../src/providers/mod.ts";
import { type Script, startModelServer, type Wire } from "../support/model-servers/mod.ts";
import { checkConversation } from "./model-conversation.ts";
import { StandingClock, startMs } from "./standing-clock.ts";

type Open = (settings: ProviderSettings, deps: ProviderDeps) => Promise<Model>;

const key = "sk-contract-0123456789abcdef";

interface Setting {
  readonly model: Model;
  readonly server: Awaited<ReturnType<typeof startModelServer>>;
  readonly clock: StandingClock;
}

function ask(more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    model: "mock-1",
    system: "Be brief.",
    messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
    tools: [
      {
        name: "exec",
        description: "Runs a command.",
        parameters: { type: "object", properties: { command: { type: "string" } }, required: ["command"] },
      },
    ],
    maxOutputTokens: 1000,
    signal: new AbortController().signal,
    ...more,
  };
}

/** All events of a call, and the fault that ended it, if one did. */
async function collect(stream: AsyncIterable<ModelEvent>) {
  const events: ModelEvent[] = [];
  try {
    for await (const event of stream) events.push(event);
  } catch (thrown) {
    assert.ok(thrown instanceof ModelFault, `(1) threw ${String(thrown)}`);
    return { events, fault: thrown };
  }
  return { events, fault: undefined };
}

function said(events: readonly ModelEvent[]): string {
  return events.map((event) => (event.type === "text" ? event.delta : "")).join("");
}

export function modelContract(wire: Wire, open: Open): void {
  const scenario = (name: string, script: Script, body: (setting: Setting) => Promise<void>) =>
    test(`${wire}: ${name}`, async () => {
      const server = await startModelServer({ wire, script });
      try {
        const clock = new StandingClock();
        const model = await open(
          {
            id: "mock",
            api: wire,
            baseUrl: server.url,
            apiKey: new Secret(key),
            headers: { "x-extra": "extra-header-secret" },
            firstByteTimeoutMs: 3000,
            stallTimeoutMs: 2000,
            connectTimeoutMs: 1000,
          },
          { clock, random: systemRandom },
        );
        await body({ model, server, clock });
      } finally {
        await server.close();
      }
    });

  const faultOf = async ({ model }: Setting): Promise<ModelFault> => {
    const { events, fault } = await collect(model.stream(ask()));
    assert.ok(fault, `no fault, but ${JSON.stringify(events)}`);
    assert.ok(!fault.message.includes(key), "(3) the key must not show");
    assert.match(fault.message, /^mock: /);
    return fault;
  };

  scenario(
    "(1) text comes in deltas, then the usage, then one end",
    () => [
      { text: "Hel" },
      { text: "lo — ✓" },
      { usage: { input: 7, output: 3, cacheRead: 5 } },
      { end: "stop" },
    ],
    async ({ model, server }) => {
      const { events, fault } = await collect(model.stream(ask()));
      assert.equal(fault, undefined);
      assert.deepEqual(events, [
        { type: "text", delta: "Hel" },
        { type: "text", delta: "lo — ✓" },
        { type: "usage", input: 7, output: 3, cacheRead: 5, cacheWrite: 0 },
        { type: "end", reason: "stop" },
      ]);
      const [request] = server.requests;
      assert.equal(request?.body.model, "mock-1");
      assert.equal(request?.body.stream, true);
      assert.equal(request?.headers["x-extra"], "extra-header-secret");
      assert.ok(JSON.stringify(request?.headers).includes(key));
      assert.ok(!JSON.stringify(request?.body).includes(key));
    },
  );

  scenario(
    "(5) tool calls in fragments come whole, in order, with their ids",
    () => [
      { text: "I look." },
      { call: { id: "call_a", name: "exec", arguments: '{"command":"ls -la"}', fragments: 7 } },
      { call: { id: "call_b", name: "exec", arguments: "{}", fragments: 1 } },
    ],
    async ({ model }) => {
      const { events } = await collect(model.stream(ask()));
      assert.deepEqual(
        events.filter((event) => event.type !== "text" && event.type !== "usage"),
        [
          { type: "toolCall", id: "call_a", name: "exec", arguments: '{"command":"ls -la"}' },
          { type: "toolCall", id: "call_b", name: "exec", arguments: "{}" },
          { type: "end", reason: "toolUse" },
        ],
      );
    },
  );

  scenario(
    "(5) two calls under one id get two ids",
    () => [
      { call: { id: "call_0", name: "exec", arguments: '{"command":"a"}' } },
      { call: { id: "call_0", name: "exec", arguments: '{"command":"b"}' } },
    ],
    async ({ model }) => {
      const { events } = await collect(model.stream(ask()));
      const calls = events.filter((event) => event.type === "toolCall");
      assert.deepEqual(
        // The chat completions wire tells calls apart by index, the others by block or item.
        calls.map((call) => call.arguments),
        ['{"command":"a"}', '{"command":"b"}'],
      );
      assert.equal(new Set(calls.map((call) => call.id)).size, 2);
    },
  );

  scenario(
    "thinking is told apart from text",
    () => [{ thinking: "Hm." }, { text: "Yes." }],
    async ({ model }) => {
      const { events } = await collect(model.stream(ask()));
      assert.deepEqual(
        events.filter((event) => event.type === "thinking"),
        [{ type: "thinking", delta: "Hm." }],
      );
      assert.equal(said(events), "Yes.");
    },
  );

  scenario(
    "a refusal ends with refusal, and its words are text",
    () => [{ refusal: "I cannot do that." }, { end: "refusal" }],
    async ({ model }) => {
      const { events } = await collect(model.stream(ask()));
      assert.equal(said(events), "I cannot do that.");
      assert.deepEqual(events.at(-1), { type: "end", reason: "refusal" });
    },
  );

  scenario(
    "the output limit ends with length",
    () => [{ text: "Once upon" }, { end: "length" }],
    async ({ model }) => {
      const { events } = await collect(model.stream(ask()));
      assert.deepEqual(events.at(-1), { type: "end", reason: "length" });
    },
  );

  scenario(
    "(2) five thousand deltas pass a slow reader whole and in order",
    () => [{ raw: "" }, ...Array.from({ length: 5000 }, (_, n) => ({ text: `${n},` }))],
    async ({ model }) => {
      let text = "";
      for await (const event of model.stream(ask())) {
        if (event.type === "text") text += event.delta;
        await new Promise(setImmediate);
      }
      assert.equal(text, Array.from({ length: 5000 }, (_, n) => `${n},`).join(""));
    },
  );

  const statuses: readonly (readonly [number, unknown, ModelFaultKind])[] = [
    [400, { error: { message: "no such field" } }, "badRequest"],
    [
      400,
      { error: { code: "context_length_exceeded", message: "maximum context length is 8192" } },
      "contextOverflow",
    ],
    [
      400,
      { type: "error", error: { type: "invalid_request_error", message: "prompt is too long: 9 > 8" } },
      "contextOverflow",
    ],
    [400, { error: { message: "Your credit balance is too low" } }, "billing"],
    [401, { error: { message: `Incorrect API key provided: ${key}` } }, "auth"],
    [402, "", "billing"],
    [403, "<html>no</html>", "auth"],
    [404, { error: "model not found" }, "badRequest"],
    [408, "", "timeout"],
    [422, { detail: [{ msg: "Extra inputs" }] }, "badRequest"],
    [429, { error: { message: "slow down" } }, "rateLimit"],
    [429, { error: { code: "insufficient_quota", message: "You exceeded your quota" } }, "billing"],
    [500, { error: { message: "oops" } }, "server"],
    [502, "bad gateway", "server"],
    [503, "", "overloaded"],
    [504, "", "timeout"],
    [529, { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, "overloaded"],
    [302, "", "badRequest"],
  ];
  scenario(
    "each HTTP status becomes its kind of fault",
    (_, n) => [{ status: statuses[n - 1]?.[0] ?? 599, body: statuses[n - 1]?.[1] }],
    async (setting) => {
      for (const [status, body, kind] of statuses) {
        const fault = await faultOf(setting);
        assert.equal(fault.kind, kind, `${status} ${JSON.stringify(body)}: ${fault.message}`);
        assert.equal(fault.status, status);
        assert.match(fault.message, new RegExp(String(status)));
        assert.doesNotMatch(fault.message, /html/);
      }
    },
  );

  scenario(
    "Retry-After is read in seconds, as a date and in milliseconds",
    (_, n) => {
      const date = new Date(startMs + 90_000).toUTCString();
      const headers = [{ "retry-after": "7" }, { "retry-after": date }, { "retry-after-ms": "1500" }, {}][
        n - 1
      ] as Record<string, string>;
      return [{ status: 429, headers }];
    },
    async (setting) => {
      for (const expected of [7000, 90_000, 1500, undefined]) {
        assert.equal((await faultOf(setting)).retryAfterMs, expected);
      }
    },
  );

  scenario(
    "(3) words that hold the key, or a secret header, are cut out of the message",
    () => [
      {
        status: 400,
        body: { error: { message: `x${key}y and "extra-header-secret" ${"z".repeat(900)}\n\u001b[31m` } },
      },
    ],
    async (setting) => {
      const { message } = await faultOf(setting);
      assert.match(message, /\[removed\] and \[removed\]/);
      assert.ok(message.length < 600);
      assert.doesNotMatch(message, /\p{Cc}/u);
    },
  );

  scenario(
    "(2) an error in the middle of the stream is a fault of its kind",
    (_, n) => {
      const codes = ["overloaded_error", "rate_limit_exceeded", "server_error", "context_length_exceeded"];
      return [{ text: "Wel" }, { error: { code: codes[n - 1] ?? "", message: `gone ${key}` } }];
    },
    async (setting) => {
      for (const kind of ["overloaded", "rateLimit", "server", "contextOverflow"]) {
        const fault = await faultOf(setting);
        assert.equal(fault.kind, kind);
        assert.match(fault.message, /gone \[removed\]/);
      }
    },
  );

  const broken: readonly (readonly [string, Awaited<ReturnType<Script>>, ModelFaultKind])[] = [
    ["a stream that ends early", [{ text: "Wel" }, { close: true }], "protocol"],
    ["an empty stream", [{ raw: "" }, { close: true }], "protocol"],
    ["a socket that closes in the middle", [{ text: "Wel" }, { cut: true }], "network"],
    ["a socket that closes before the answer", [{ drop: true }], "network"],
    ["an event that is not JSON", [{ text: "Wel" }, { raw: "data: {\n\n" }, { end: "stop" }], "protocol"],
    ["an event that is a list", [{ raw: "data: [1]\n\n" }, { end: "stop" }], "protocol"],
    [
      "an event of nine megabytes",
      [{ raw: `data: "${"x".repeat(9_000_000)}` }, { wait: new Promise(() => {}) }],
      "protocol",
    ],
    [
      "a whole JSON answer",
      [{ status: 200, body: { choices: [{ message: { content: "hi" } }] } }],
      "protocol",
    ],
    [
      "an error under status 200",
      [{ status: 200, body: { error: { code: 429, message: "slow" } } }],
      "rateLimit",
    ],
    ["a page", [{ status: 200, body: "<p>hi</p>", headers: { "content-type": "text/html" } }], "protocol"],
    ["plain text", [{ status: 200, body: "hello" }], "protocol"],
    [
      "a compressed stream",
      [{ status: 200, body: "x", headers: { "content-encoding": "gzip" } }],
      "protocol",
    ],
    [
      "a tool call without its end",
      [{ call: { name: "exec", arguments: '{"command":"rm' } }, { close: true }],
      "protocol",
    ],
  ];
  for (const [what, steps, kind] of broken) {
    scenario(
      `(2) ${what} is a fault`,
      () => steps,
      async (setting) => {
        const { events, fault } = await collect(setting.model.stream(ask()));
        assert.equal(fault?.kind, kind, fault?.message ?? JSON.stringify(events));
        assert.deepEqual(
          events.filter((event) => event.type === "end" || event.type === "toolCall"),
          [],
        );
      },
    );
  }

  scenario(
    "(6) a stall between bytes ends as a timeout, and its socket is closed",
    () => [{ text: "Wel" }, { stall: true }],
    async ({ model, clock, server }) => {
      const stream = model.stream(ask())[Symbol.asyncIterator]();
      assert.deepEqual((await stream.next()).value, { type: "text", delta: "Wel" });
      const [socket] = server.sockets;
      const rest = collect({ [Symbol.asyncIterator]: () => stream });
      clock.advance(1999);
      clock.advance(1);
      assert.equal((await rest).fault?.kind, "timeout");
      if (socket !== undefined && !socket.destroyed) await once(socket, "close");
      assert.equal(clock.waiting, 0);
    },
  );

  let reached: () => void = () => {};
  const arrival = new Promise<void>((resolve) => {
    reached = resolve;
  });
  scenario(
    "(6) silence before the first byte ends as a timeout",
    () => {
      reached();
      return [{ wait: new Promise(() => {}) }];
    },
    async ({ model, clock }) => {
      const result = collect(model.stream(ask()));
      await arrival;
      clock.advance(3000);
      const { fault } = await result;
      assert.equal(fault?.kind, "timeout");
      assert.match(fault.message, /3000 ms/);
    },
  );

  scenario(
    "(6) abort ends a running call and closes its socket",
    () => [{ text: "Wel" }, { stall: true }],
    async ({ model, server, clock }) => {
      const stop = new AbortController();
      const stream = model.stream(ask({ signal: stop.signal }))[Symbol.asyncIterator]();
      await stream.next();
      const [socket] = server.sockets;
      const pending = stream.next();
      stop.abort();
      await assert.rejects(pending, (fault) => fault instanceof ModelFault && fault.kind === "aborted");
      if (socket !== undefined && !socket.destroyed) await once(socket, "close");
      assert.equal((await stream.next()).done, true);
      assert.equal(clock.waiting, 0);
    },
  );

  scenario(
    "(6) a call whose signal is aborted already is not sent",
    () => [{ text: "no" }],
    async ({ model, server }) => {
      const { fault } = await collect(model.stream(ask({ signal: AbortSignal.abort() })));
      assert.equal(fault?.kind, "aborted");
      assert.equal(server.connections, 0);
    },
  );

  scenario(
    "leaving the loop closes the socket",
    () => [{ text: "Wel" }, { stall: true }],
    async ({ model, server }) => {
      let socket: { destroyed: boolean } | undefined;
      for await (const _event of model.stream(ask())) {
        [socket] = server.sockets;
        break;
      }
      assert.ok(socket);
      while (!socket.destroyed) await new Promise(setImmediate);
    },
  );

  scenario(
    "calls one after the other share a connection, and leave nothing behind",
    () => [{ text: "ok" }],
    async ({ model, server, clock }) => {
      const stop = new AbortController();
      for (let n = 0; n < 5; n++) {
        await collect(model.stream(ask({ signal: stop.signal })));
        // The end of the body is its own event, a moment after the last word.
        while (clock.waiting > 0) await new Promise(setImmediate);
      }
      assert.equal(server.connections, 1);
    },
  );

  scenario(
    "(6) a server that never ends its body does not hold up the answer, nor keep the socket",
    () => [{ text: "ok" }, { end: "stop", open: true }],
    async ({ model, server, clock }) => {
      const { events } = await collect(model.stream(ask()));
      assert.equal(said(events), "ok");
      const [socket] = server.sockets;
      assert.ok(socket && !socket.destroyed);
      clock.advance(1000);
      if (!socket.destroyed) await once(socket, "close");
    },
  );

  scenario(
    "an idle connection that the server has closed is replaced once, unseen",
    (_, n) => (n === 2 ? [{ drop: true }] : [{ text: "ok" }]),
    async ({ model, server, clock }) => {
      await collect(model.stream(ask()));
      while (clock.waiting > 0) await new Promise(setImmediate);
      const { events, fault } = await collect(model.stream(ask()));
      assert.equal(fault, undefined);
      assert.equal(said(events), "ok");
      assert.equal(server.connections, 2);
      assert.equal(server.requests.length, 3);
    },
  );

  scenario(
    "a new connection that breaks is not tried again: the agent decides about that",
    () => [{ drop: true }],
    async (setting) => {
      assert.equal((await faultOf(setting)).kind, "network");
      assert.equal(setting.server.requests.length, 1);
    },
  );

  test(`${wire}: (3) a redirect is not followed: the key stays home`, async () => {
    const elsewhere = await startModelServer({ wire, script: () => [{ text: "stolen" }] });
    const server = await startModelServer({
      wire,
      script: () => [{ status: 307, headers: { location: `${elsewhere.url}/chat/completions` } }],
    });
    try {
      const model = await open(
        {
          id: "mock",
          api: wire,
          baseUrl: server.url,
          apiKey: new Secret(key),
          headers: {},
          firstByteTimeoutMs: 3000,
          stallTimeoutMs: 2000,
          connectTimeoutMs: 1000,
        },
        { clock: new StandingClock(), random: systemRandom },
      );
      const { fault } = await collect(model.stream(ask()));
      assert.equal(fault?.kind, "badRequest");
      assert.equal(elsewhere.connections, 0);
    } finally {
      await server.close();
      await elsewhere.close();
    }
  });

  scenario(
    "(4) empty texts, orphan results and missing results never reach the wire",
    (body) => {
      checkConversation(wire, body);
      return [{ text: "ok" }];
    },
    async ({ model, server }) => {
      const call = (id: string) => ({
        type: "toolCall" as const,
        id,
        name: "exec",
        arguments: { command: id },
      });
      const result = (toolCallId: string, text = "done") => ({
        role: "tool" as const,
        toolCallId,
        toolName: "exec",
        text,
        isError: false,
      });
      const { fault } = await collect(
        model.stream(
          ask({
            system: " ",
            tools: [],
            messages: [
              result("lost", "orphan"),
              { role: "user", content: [{ type: "text", text: " \n" }] },
              { role: "assistant", content: [{ type: "text", text: "" }] },
              { role: "assistant", content: [{ type: "text", text: "" }, call("a"), call("b/ü"), call("c")] },
              result("b/ü"),
              { role: "user", content: [{ type: "text", text: "in between" }] },
              result("a", ""),
              result("unknown", "orphan"),
              { role: "user", content: [] },
              { role: "assistant", content: [call("a")] },
            ],
          }),
        ),
      );
      assert.equal(fault, undefined, fault?.message);
      assert.ok(!JSON.stringify(server.requests[0]?.body).includes("orphan"));
    },
  );

  scenario(
    "(4) a picture that a tool read is part of the request, once, and the request stays one that is accepted",
    (body) => {
      checkConversation(wire, body);
      return [{ text: "ok" }];
    },
    async ({ model, server }) => {
      const picture = { type: "image" as const, mimeType: "image/png", base64: "UElDVFVSRQ==" };
      const call = (id: string) => ({ type: "toolCall" as const, id, name: "read", arguments: {} });
      const result = (id: string, isError = false) => ({
        role: "tool" as const,
        toolCallId: id,
        toolName: "read",
        text: `result ${id}`,
        isError,
        pictures: [picture],
      });
      const messages = [
        { role: "user" as const, content: [{ type: "text" as const, text: "go" }] },
        { role: "assistant" as const, content: [call("a"), call("b")] },
        result("a"),
        result("b", true),
        { role: "user" as const, content: [{ type: "text" as const, text: "and?" }] },
      ];
      const { fault } = await collect(model.stream(ask({ system: " ", tools: [], messages })));
      assert.equal(fault, undefined, fault?.message);
      const sent = JSON.stringify(server.requests[0]?.body);
      assert.equal(sent.split(picture.base64).length - 1, 1);
      assert.match(sent, /image\/png/);
      assert.match(sent, /result a.*result b.*and\?/);
    },
  );

  scenario(
    "(4) half a character is mended, and brackets without end are a fault of the request",
    () => [{ text: "ok" }],
    async ({ model, server }) => {
      const say = (text: string) => [{ role: "user" as const, content: [{ type: "text" as const, text }] }];
      await collect(model.stream(ask({ messages: say("a\ud83d and \ud83d\ude00") })));
      assert.match(JSON.stringify(server.requests[0]?.body), /a\ufffd and \u{1f600}/u);
      let deep: unknown = [];
      for (let n = 0; n < 100_000; n++) deep = [deep];
      const call = { type: "toolCall" as const, id: "a", name: "exec", arguments: { deep } };
      const messages = [...say("go"), { role: "assistant" as const, content: [call] }];
      const { fault } = await collect(model.stream(ask({ messages })));
      assert.equal(fault?.kind, "badRequest");
      assert.equal(server.requests.length, 1);
    },
  );

  scenario(
    "the provider's models are listed, with the key",
    () => [],
    async ({ model, server }) => {
      assert.deepEqual(await model.list(new AbortController().signal), [{ id: "mock-1" }]);
      assert.equal(server.requests[0]?.method, "GET");
      assert.ok(JSON.stringify(server.requests[0]?.headers).includes(key));
      await assert.rejects(model.list(AbortSignal.abort()), ModelFault);
    },
  );
}
