import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  addSent,
  applyEvent,
  type Conversation,
  emptyConversation,
  fromHistory,
  type Item,
} from "../src/conversation.ts";

const key = "agent:main:main";
const start = emptyConversation(key, "ready");

type Payload = Record<string, unknown>;

function play(events: readonly (readonly [string, Payload])[], from: Conversation = start): Conversation {
  return events.reduce(
    (conversation, [name, payload]) =>
      applyEvent(conversation, { name, payload: { sessionKey: key, runId: "r1", ...payload } }),
    from,
  );
}

const said = (text: string) => ({ role: "assistant", content: [{ type: "text", text }], timestamp: 5 });
const delta = (text: string) => ["chat", { state: "delta", deltaText: "", message: said(text) }] as const;
const final = (text: string) => ["chat", { state: "final", message: said(text) }] as const;
const tool = (data: Payload) => ["agent", { stream: "tool", data: { toolCallId: "c1", ...data } }] as const;
const message = (body: Payload, messageId = "m1") =>
  ["session.message", { message: body, messageId }] as const;

/** One line for each item, such as "assistant done: Hello". */
function lines(conversation: Conversation): string[] {
  return conversation.items.map((item: Item) => {
    if (item.kind === "tool") return `tool ${item.status}: ${item.name} ${item.output}`.trim();
    return item.kind === "assistant" ? `assistant ${item.state}: ${item.text}` : `${item.kind}: ${item.text}`;
  });
}

describe("conversation (1): a message that arrives twice is shown once", () => {
  const reply = { ...said("Hello there"), model: "m", __openclaw: { runId: "r1", id: "m1" } };
  const cases: Record<string, readonly (readonly [string, Payload])[]> = {
    "deltas, message, final": [delta("Hel"), delta("Hello there"), message(reply), final("Hello there")],
    "message before a late delta": [delta("Hel"), message(reply), delta("Hello there"), final("Hello there")],
    "final, then message": [delta("Hel"), final("Hello there"), message(reply)],
    "a message that reads otherwise than its deltas": [
      delta("Helo the"),
      message(reply),
      final("Hello there"),
    ],
    "no delta at all": [message(reply), final("Hello there")],
    "everything twice": [
      delta("Hello there"),
      message(reply),
      message(reply),
      final("Hello there"),
      final("Hello there"),
    ],
  };
  for (const [name, events] of Object.entries(cases)) {
    it(name, () => assert.deepEqual(lines(play(events)), ["assistant done: Hello there"]));
  }

  it("the own message: sent, and told by the gateway, in both orders", () => {
    const own = message({ role: "user", content: "hi", idempotencyKey: "k1:user" }, "m0");
    const sent = { key: "k1", text: "hi", atMs: 1 };
    assert.deepEqual(lines(play([own], addSent(start, sent))), ["user: hi"]);
    assert.deepEqual(lines(addSent(play([own]), sent)), ["user: hi"]);
  });

  it("the own message stands above a reply that was faster than the answer to the send", () => {
    const fast = play([["chat", { runId: "k1", state: "delta", message: said("Hello") }]]);
    assert.deepEqual(lines(addSent(fast, { key: "k1", text: "hi", atMs: 1 })), [
      "user: hi",
      "assistant streaming: Hello",
    ]);
  });

  it("two equal messages of the same person are two", () => {
    const one = message({ role: "user", content: "again", idempotencyKey: "k1:user" }, "m1");
    const two = message({ role: "user", content: "again", idempotencyKey: "k2:user" }, "m2");
    assert.deepEqual(lines(play([one, two])), ["user: again", "user: again"]);
  });

  it("history with a run in flight, whose text counts from the start of the run or of the step", () => {
    const messages = [
      {
        role: "assistant",
        content: [
          { type: "text", text: "First." },
          { type: "toolCall", id: "c1", name: "exec", arguments: {} },
        ],
        __openclaw: { id: "m1", runId: "r1" },
      },
      {
        role: "toolResult",
        toolCallId: "c1",
        content: [{ type: "text", text: "ok" }],
        __openclaw: { id: "m2", runId: "r1" },
      },
    ];
    const expected = ["assistant done: First.", "tool done: exec ok", "assistant streaming: Second"];
    for (const text of ["First.Second", "First.\n\nSecond", "Second"]) {
      const shown = fromHistory(key, { messages, inFlightRun: { runId: "r1", text } });
      assert.deepEqual(lines(shown), expected);
      assert.deepEqual(lines(play([final(text)], shown)), [
        ...expected.slice(0, 2),
        "assistant done: Second",
      ]);
    }
  });
});

describe("conversation (2): a reply that has ended is never put back", () => {
  it("by a late delta", () => {
    assert.deepEqual(lines(play([delta("Hello there"), final("Hello there"), delta("Hello")])), [
      "assistant done: Hello there",
    ]);
  });
  it("but a retry of the model takes back what was not kept", () => {
    const retried = play([
      delta("Hel"),
      ["chat", { state: "delta", deltaText: "", replace: true, message: said("") }],
      delta("Bye"),
    ]);
    assert.deepEqual(lines(retried), ["assistant streaming: Bye"]);
  });
  it("a lost delta is healed by the next, and pieces alone are joined", () => {
    const pieces = play([
      ["chat", { state: "delta", deltaText: "Hel" }],
      ["chat", { state: "delta", deltaText: "lo" }],
    ]);
    assert.deepEqual(lines(pieces), ["assistant streaming: Hello"]);
  });
  it("a stopped run says so, also when it had said nothing", () => {
    assert.deepEqual(lines(play([delta("Hel"), ["chat", { state: "aborted", message: said("Hel") }]])), [
      "assistant stopped: Hel",
    ]);
    assert.deepEqual(lines(play([["chat", { state: "aborted", message: said("") }]])), ["notice: Stopped."]);
  });
  it("a failed run shows why and is over", () => {
    const failed = play([delta("Hel"), ["chat", { state: "error", errorMessage: "no key" }]]);
    assert.deepEqual(lines(failed), ["assistant failed: Hel"]);
    assert.equal(failed.runs.length, 0);
  });
});

describe("conversation (3): a tool call keeps its one card", () => {
  it("from start to result, whoever tells it", () => {
    const shown = play([
      delta("Looking."),
      [
        "agent",
        {
          stream: "item",
          data: { itemId: "tool:c1", toolCallId: "c1", name: "exec", kind: "tool", phase: "start" },
        },
      ],
      tool({ phase: "start", name: "exec", args: { command: "ls" } }),
      tool({ phase: "update", partialResult: { content: [{ type: "text", text: "a" }] } }),
      [
        "agent",
        { stream: "item", data: { toolCallId: "c1", kind: "tool", phase: "end", status: "completed" } },
      ],
      [
        "session.tool",
        {
          stream: "tool",
          data: { toolCallId: "c1", phase: "result", result: { content: [{ type: "text", text: "a\nb" }] } },
        },
      ],
      message({
        role: "assistant",
        content: [
          { type: "text", text: "Looking." },
          { type: "toolCall", id: "c1", name: "exec", arguments: {} },
        ],
        __openclaw: { runId: "r1", id: "m1" },
      }),
      delta("Looking.Found."),
      final("Found."),
    ]);
    assert.deepEqual(lines(shown), [
      "assistant done: Looking.",
      "tool done: exec a\nb",
      "assistant done: Found.",
    ]);
  });
  it("the same call id in another run is another card", () => {
    const first = play([
      tool({ phase: "start", name: "exec" }),
      tool({ phase: "result", result: "one" }),
      final("x"),
    ]);
    const second = play(
      [
        ["agent", { runId: "r2", stream: "tool", data: { toolCallId: "c1", phase: "start", name: "exec" } }],
        message({
          role: "toolResult",
          toolCallId: "c1",
          content: "two",
          __openclaw: { runId: "r2", id: "m9" },
        }),
      ],
      first,
    );
    assert.deepEqual(lines(second), ["tool done: exec one", "assistant done: x", "tool done: exec two"]);
    assert.equal(new Set(second.items.map((item) => item.id)).size, 3);
  });
  it("no card runs on when its run is over", () => {
    assert.deepEqual(lines(play([tool({ phase: "start", name: "exec" }), final("x")])), [
      "tool stopped: exec",
      "assistant done: x",
    ]);
  });
});

describe("conversation (4): what is not known changes nothing", () => {
  const cases: Record<string, readonly [string, Payload]> = {
    "another event": ["execute", { code: "x" }],
    "another stream": ["agent", { stream: "html", data: { html: "<b>" } }],
    "another state": ["chat", { state: "eval", message: said("x") }],
    "another conversation": ["chat", { sessionKey: "agent:main:other", state: "final", message: said("x") }],
    "no fields at all": ["session.message", { message: 7 }],
    "a tool call without an id": ["agent", { stream: "tool", data: { phase: "start", name: "exec" } }],
  };
  for (const [name, event] of Object.entries(cases)) {
    it(name, () => assert.equal(play([event]), start));
  }
});

describe("conversation (5): a reply's files are shown once, below its words", () => {
  const block = {
    type: "attachment",
    fileName: "a.png",
    mimeType: "image/png",
    sizeBytes: 70,
    url: "/chat/files?a",
  };
  const withFile = (text: string) => {
    const content = [...(text === "" ? [] : [{ type: "text", text }]), block];
    return { role: "assistant", content, timestamp: 5 };
  };
  const entry = (text: string) => ({ ...withFile(text), __openclaw: { runId: "r1", id: "m1" } });
  const ends = (text: string) => ["chat", { state: "final", message: withFile(text) }] as const;
  /** The text of each reply, and how many files stand below it. */
  const replies = (conversation: Conversation) =>
    conversation.items.flatMap((item) =>
      item.kind === "assistant" ? `${item.state} "${item.text}" ${item.files?.length ?? 0}` : [],
    );
  const cases: Record<string, readonly (readonly [string, Payload])[]> = {
    "deltas, message, final": [delta("Look"), message(entry("Look")), ends("Look")],
    "final, then message": [delta("Look"), ends("Look"), message(entry("Look"))],
    "final alone": [delta("Look"), ends("Look")],
    "message, final, a late delta": [message(entry("Look")), ends("Look"), delta("Look")],
    "everything twice": [message(entry("Look")), message(entry("Look")), ends("Look"), ends("Look")],
  };
  for (const [name, events] of Object.entries(cases))
    it(name, () => assert.deepEqual(replies(play(events)), ['done "Look" 1']));

  it("without words they stand alone", () => {
    for (const events of [[message(entry("")), ends("")], [ends(""), message(entry(""))], [ends("")]])
      assert.deepEqual(replies(play(events)), ['done "" 1']);
  });

  it("stands below the words that the run ended with, not below what it said before a tool call", () => {
    const events = [
      delta("Let me see."),
      tool({ phase: "start", name: "exec" }),
      tool({ phase: "result", result: "ok" }),
      delta("Look"),
      ends("Look"),
    ];
    assert.deepEqual(replies(play(events)), ['done "Let me see." 0', 'done "Look" 1']);
  });

  it("history shows the same", () => {
    const history = { messages: [{ ...said("Hi"), __openclaw: { id: "m0" } }, entry("Look")] };
    assert.deepEqual(replies(fromHistory(key, history)), ['done "Hi" 0', 'done "Look" 1']);
  });

  it("an address that is not the gateway's own is none (A-027)", () => {
    for (const url of [
      "https://a.example/x.png",
      "//a.example/chat/files?a",
      "/chat/filesx",
      "javascript:1",
      7,
      undefined,
    ]) {
      const [item] = fromHistory(key, { messages: [{ ...entry("x"), content: [{ ...block, url }] }] }).items;
      assert.equal(item?.kind === "assistant" && item.files?.[0]?.url, "");
    }
  });
});
