import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openChat } from "../src/chat.ts";
import { AnswerLost, GatewayRefusal } from "../src/link.ts";
import type { Memory } from "../src/memory.ts";
import { firstState } from "../src/state.ts";
import { Store } from "../src/store.ts";
import { FakePageClock } from "./fake-page-clock.ts";

const key = "agent:main:main";

interface Asked {
  readonly params: Record<string, unknown>;
  answer(payload: unknown): Promise<void>;
  lose(): Promise<void>;
  refuse(message: string): Promise<void>;
}

function mapMemory(kept = new Map<string, unknown>()): Memory {
  return {
    read: (name) => structuredClone(kept.get(name) ?? null),
    write: (name, value) => void kept.set(name, structuredClone(value)),
  };
}

function chatUnderTest(memory = mapMemory()) {
  const store = new Store(firstState(key));
  const asked: Asked[] = [];
  const notices: string[] = [];
  let ids = 0;
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  const chat = openChat({
    store,
    memory,
    clock: new FakePageClock(),
    newId: () => {
      ids += 1;
      return `id-${ids}`;
    },
    notify: (_tone, text) => void notices.push(text),
    call: (_method, params = {}) =>
      new Promise((resolve, reject) => {
        const after = (end: () => void) => {
          end();
          return settled();
        };
        asked.push({
          params,
          answer: (payload) => after(() => resolve(payload)),
          lose: () => after(() => reject(new AnswerLost("lost"))),
          refuse: (message) => after(() => reject(new GatewayRefusal({ code: "INVALID_REQUEST", message }))),
        });
      }),
  });
  const draft = () => store.state.drafts.get(key) ?? "";
  const write = (words: string) => {
    chat.setDraft(key, words);
    chat.send(key);
  };
  return { chat, store, asked, notices, draft, write, memory };
}

describe("sending", () => {
  it("clears the draft only when the gateway has answered", async () => {
    const { asked, draft, write, store } = chatUnderTest();
    write("  hello ");
    assert.equal(draft(), "  hello ");
    assert.deepEqual(asked[0]!.params, { sessionKey: key, message: "hello", idempotencyKey: "id-1" });
    await asked[0]!.answer({ runId: "id-1", status: "started" });
    assert.equal(draft(), "");
    assert.equal(store.state.conversation.items.length, 1);
  });

  it("sends once however often Enter is pressed", () => {
    const { asked, chat, write } = chatUnderTest();
    write("hello");
    chat.send(key);
    chat.send(key);
    assert.equal(asked.length, 1);
  });

  it("sends again under the same key what got no answer", async () => {
    const { asked, chat, draft, write } = chatUnderTest();
    write("hello");
    await asked[0]!.lose();
    assert.equal(draft(), "hello");
    chat.resend();
    assert.equal(asked[1]!.params.idempotencyKey, "id-1");
    await asked[1]!.answer({ status: "in_flight" });
    assert.equal(draft(), "");
    chat.resend();
    assert.equal(asked.length, 2);
  });

  it("keeps the text when the gateway refuses it, and asks anew under another key", async () => {
    const { asked, draft, write, notices, chat } = chatUnderTest();
    write("hello");
    await asked[0]!.refuse("too long");
    assert.equal(draft(), "hello");
    assert.match(notices[0] ?? "", /too long.*still in the box/);
    chat.send(key);
    assert.equal(asked[1]!.params.idempotencyKey, "id-2");
  });

  it("does not double a message that was given up and then sent again", async () => {
    const { asked, chat, write } = chatUnderTest();
    write("hello");
    await asked[0]!.lose();
    chat.cancel(key);
    chat.send(key);
    assert.equal(asked[1]!.params.idempotencyKey, "id-1");
    await asked[1]!.answer({ status: "in_flight" });
    write("hello");
    assert.equal(asked[2]!.params.idempotencyKey, "id-2");
  });

  it("goes on after a reload of the tab", async () => {
    const before = chatUnderTest();
    before.write("hello");
    const after = chatUnderTest(before.memory);
    assert.equal(after.draft(), "hello");
    after.chat.resend();
    assert.equal(after.asked[0]!.params.idempotencyKey, "id-1");
    await after.asked[0]!.answer({ status: "ok" });
    assert.equal(after.draft(), "");
    assert.equal(chatUnderTest(before.memory).store.state.sending.size, 0);
  });

  it("survives spoiled memory", () => {
    for (const spoiled of [7, "x", [[1, 2]], [["k", { text: 3 }]], { a: 1 }]) {
      const kept = new Map<string, unknown>([
        ["drafts", spoiled],
        ["sending", spoiled],
      ]);
      assert.equal(chatUnderTest(mapMemory(kept)).store.state.sending.size, 0);
    }
  });
});

describe("loading", () => {
  it("applies what happened during the fetch on top of what it brings", async () => {
    const { asked, chat, store } = chatUnderTest();
    const opened = chat.open(key);
    const reply = { role: "assistant", content: [{ type: "text", text: "Done." }] };
    chat.event({ name: "chat", payload: { sessionKey: key, runId: "r", state: "final", message: reply } });
    await asked[0]!.answer({ subscribed: true });
    await asked[1]!.answer({
      messages: [{ role: "user", content: "go" }],
      inFlightRun: { runId: "r", text: "Do" },
    });
    await opened;
    const { items, runs } = store.state.conversation;
    assert.deepEqual(
      items.map((item) => item.kind),
      ["user", "assistant"],
    );
    assert.equal(runs.length, 0);
  });

  it("drops the answer for a conversation that is no longer open", async () => {
    const { asked, chat, store } = chatUnderTest();
    void chat.open("agent:main:one");
    void chat.open("agent:main:two");
    await asked[1]!.answer({ messages: [{ role: "user", content: "of one" }] });
    await asked[0]!.answer({});
    assert.equal(store.state.conversation.key, "agent:main:two");
    assert.equal(store.state.conversation.items.length, 0);
  });

  it("fetches once what a run answers to that was started elsewhere", async () => {
    const { asked, chat } = chatUnderTest();
    const began = (runId: string) =>
      chat.event({
        name: "agent",
        payload: { sessionKey: key, runId, stream: "lifecycle", data: { phase: "start" } },
      });
    began("from-telegram");
    began("from-telegram");
    assert.equal(asked.filter((one) => one.params.sessionKey === key).length, 1);
  });

  it("fetches nothing for a run of its own, even when that is faster than the answer", () => {
    const { asked, chat, write } = chatUnderTest();
    write("hello");
    chat.event({ name: "chat", payload: { sessionKey: key, runId: "id-1", state: "status", phase: "x" } });
    assert.equal(asked.length, 1);
  });
});
