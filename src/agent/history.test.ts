import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Source } from "../kernel/mod.ts";
import type { Entry, EntryBody } from "../session/mod.ts";
import {
  emptyHistory,
  extendHistory,
  fitHistory,
  type History,
  lastTurns,
  unansweredCalls,
} from "./history.ts";

const owner: Source = { author: "operator", proof: "secret", trust: "owner", sensitivity: "private" };
const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0, costUsd: 0 };
const key = "key";

const user = (content: string, source = owner): EntryBody => ({
  type: "message",
  message: { role: "user", content, timestamp: 0, source },
});

function assistant(text: string, calls: readonly string[] = []): EntryBody {
  return {
    type: "message",
    message: {
      role: "assistant",
      content: [
        ...(text === "" ? [] : [{ type: "text" as const, text }]),
        ...calls.map((id) => ({ type: "toolCall" as const, id, name: "exec", arguments: { id } })),
      ],
      timestamp: 0,
      source: owner,
      provider: "p",
      model: "m",
      usage,
      stopReason: calls.length > 0 ? "toolUse" : "stop",
    },
  };
}

const result = (toolCallId: string, text = "ok", source = owner): EntryBody => ({
  type: "message",
  message: {
    role: "toolResult",
    toolCallId,
    toolName: "exec",
    content: [{ type: "text", text }],
    isError: false,
    timestamp: 0,
    source,
  },
});

function entries(bodies: readonly EntryBody[]): Entry[] {
  return bodies.map((body, n) => ({
    seq: n + 1,
    id: `e${n}`,
    parentId: null,
    timestamp: "2026-01-01T00:00:00Z",
    body,
  }));
}

const historyOf = (...bodies: EntryBody[]) => extendHistory(emptyHistory, entries(bodies), key);

/** A turn: what the user wrote, some rounds of calls with their results, an answer. */
const turn = fc
  .tuple(
    fc.string({ maxLength: 300 }),
    fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    fc.string({ maxLength: 300 }),
  )
  .map(([asked, rounds, answer]) => {
    const bodies: EntryBody[] = [user(asked)];
    rounds.forEach((calls, round) => {
      const ids = Array.from({ length: calls }, (_, n) => `call_${round}_${n}`);
      bodies.push(
        assistant("", ids),
        ...ids.flatMap((id) => [{ type: "tool_started" as const, toolCallId: id }, result(id)]),
      );
    });
    bodies.push(assistant(answer || "."));
    return bodies;
  });

function assertWhole(history: History): void {
  assert.equal(history.messages[0]?.role ?? "user", "user");
  let open = new Set<string>();
  for (const message of history.messages) {
    if (message.role === "tool") assert.ok(open.delete(message.toolCallId), "a result without its call");
    else {
      assert.equal(open.size, 0, "a call without its result");
      if (message.role === "assistant")
        open = new Set(message.content.flatMap((part) => (part.type === "toolCall" ? [part.id] : [])));
    }
  }
  assert.equal(open.size, 0);
}

test("no more than so many earlier turns are shown, each whole, and always the turn that runs", () => {
  fc.assert(
    fc.property(
      fc.array(turn, { minLength: 1, maxLength: 8 }),
      fc.nat({ max: 10 }),
      fc.nat({ max: 7 }),
      (turns, limit, back) => {
        const history = historyOf(...turns.flat());
        const users = history.messages.flatMap(({ role }, index) => (role === "user" ? [index] : []));
        const at = Math.max(0, users.length - 1 - back);
        const shown = lastTurns(history, history.seqs[users[at] as number], limit);
        assertWhole(shown);
        const first = users[Math.max(0, at - limit)] as number;
        assert.deepEqual(shown.messages, history.messages.slice(first));
        assert.deepEqual(shown.seqs, history.seqs.slice(first));
      },
    ),
  );
  const history = historyOf(user("one"), assistant("1"), user("two"), assistant("2"));
  for (const seq of [undefined, 99]) assert.deepEqual(lastTurns(history, seq, 0).seqs, [3, 4]);
  assert.equal(lastTurns(history, 3, 1).chars, history.chars);
  assert.deepEqual(lastTurns(emptyHistory, undefined, 2), emptyHistory);
});

test("however a history is cut, no call is parted from its result, and the newest message of the user stays", () => {
  fc.assert(
    fc.property(
      fc.array(turn, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 0, max: 4000 }),
      (turns, room) => {
        const history = historyOf(...turns.flat());
        const fitted = fitHistory(history, room);
        assertWhole(fitted);
        assert.equal(fitted.seqs.length, fitted.messages.length);
        const isLast = (message: History["messages"][number]) => message.role === "user";
        assert.deepEqual(fitted.messages.findLast(isLast), history.messages.findLast(isLast));
        assert.deepEqual(
          fitted.messages,
          history.messages.slice(history.messages.length - fitted.messages.length),
        );
        if (history.chars <= room) assert.equal(fitted, history);
        else if (fitted.messages.filter(isLast).length > 1) assert.ok(fitted.chars <= room * 0.6);
      },
    ),
  );
});

test("a history grows by what is added, whether at once or one by one", () => {
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 5 }), (turns) => {
      const all = entries(turns.flat());
      const stepwise = all.reduce((history, entry) => extendHistory(history, [entry], key), emptyHistory);
      assert.deepEqual(stepwise, extendHistory(emptyHistory, all, key));
    }),
  );
});

test("a reset clears; what failed before anything was said does not stand as an answer", () => {
  const history = historyOf(user("a"), assistant("b"), { type: "reset" }, user("c"), assistant(""));
  assert.deepEqual(
    history.messages.map((message) => message.role),
    ["user"],
  );
  assert.deepEqual(history.seqs, [4]);
});

test("untrusted words are fenced, whoever brought them, and the owner's are not", () => {
  const stranger: Source = { ...owner, author: "web:evil", trust: "untrusted" };
  const history = historyOf(
    user("mine"),
    user("theirs", stranger),
    assistant("", ["1"]),
    result("1", "page", stranger),
  );
  const texts = history.messages.map((message) => JSON.stringify(message));
  assert.doesNotMatch(texts[0] ?? "", /EXTERNAL_UNTRUSTED/);
  for (const index of [1, 3])
    assert.match(texts[index] ?? "", /EXTERNAL_UNTRUSTED_CONTENT.*Source: web:evil/);
});

test("calls that a stopped run left unanswered are found, and only those of the last answer", () => {
  const ids = (...bodies: EntryBody[]) => unansweredCalls(historyOf(...bodies)).map((call) => call.id);
  assert.deepEqual(ids(), []);
  assert.deepEqual(ids(user("a")), []);
  assert.deepEqual(ids(user("a"), assistant("b")), []);
  assert.deepEqual(ids(user("a"), assistant("", ["1", "2"])), ["1", "2"]);
  assert.deepEqual(ids(user("a"), assistant("", ["1", "2"]), result("1")), ["2"]);
  assert.deepEqual(ids(user("a"), assistant("", ["1"]), result("1"), assistant("", ["1"])), ["1"]);
});
