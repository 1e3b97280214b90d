import assert from "node:assert/strict";
import { test } from "node:test";
import type { Question, QuestionRecord } from "../control/protocol.ts";
import { openChatQuestions } from "./chat-questions.ts";
import { styleOf } from "./style.ts";

const color: Question = {
  questionId: "color",
  header: "Color",
  question: "Which \u001b[2Jcolor?",
  options: [{ label: "Red" }, { label: "Deep Blue", description: "as the sea" }],
};
const name: Question = { questionId: "name", header: "", question: "Whose?", options: [] };

function record(id: string, ...questions: Question[]): QuestionRecord {
  const place = { agentId: "main", sessionKey: "agent:main:main" };
  return { id, questions, ...place, createdAtMs: 0, expiresAtMs: 60_000, status: "pending" };
}

function open(
  more: { readonly isTerminal?: boolean; readonly fails?: string; readonly held?: { now: boolean } } = {},
) {
  const rows: string[] = [];
  const ends: [string, unknown][] = [];
  const chat = openChatQuestions({
    rows: (added) => void rows.push(...added),
    style: styleOf({ isTTY: false, env: {} }),
    now: () => 0,
    isTerminal: more.isTerminal ?? true,
    isHeld: () => more.held?.now ?? false,
    async resolve(id, end) {
      chat.ended(id, "answered");
      if (more.fails !== undefined) throw new Error(more.fails);
      ends.push([id, "answers" in end ? end.answers.answers : "cancel"]);
    },
    changed: () => {},
  });
  return { chat, rows, ends, text: () => rows.join("\n") };
}

test("cli: a question is shown harmless, and answered by number, by text, or in own words where those count", async () => {
  const rows: readonly (readonly [Partial<Question>, string, readonly string[] | undefined])[] = [
    [{}, "2", ["Deep Blue"]],
    [{}, " deep blue ", ["Deep Blue"]],
    [{}, "3", undefined],
    [{}, "green", undefined],
    [{ isOther: true }, "green, mostly", ["green, mostly"]],
    [{ multiSelect: true }, "2, red", ["Deep Blue", "Red"]],
    [{ multiSelect: true }, "1,1", ["Red"]],
    [{ multiSelect: true }, "1, green", undefined],
    [{ multiSelect: true }, ",", undefined],
    [{ multiSelect: true, isOther: true }, "1, green, pink", ["Red", "green, pink"]],
    [{ options: [] }, "green", ["green"]],
    // Options that are numbers go by letters.
    [{ options: [{ label: "2" }, { label: "4" }] }, "2", ["2"]],
    [{ options: [{ label: "2" }, { label: "4" }] }, "b", ["4"]],
    [{ options: [{ label: "2" }, { label: "a" }] }, "a", undefined],
  ];
  for (const [change, line, expected] of rows) {
    const { chat, ends, text } = open();
    chat.asked(record("q", { ...color, ...change }));
    assert.match(text(), /Which \\x1b\[2Jcolor\?/);
    await chat.answer(line);
    if (expected) assert.deepEqual(ends, [["q", { color: expected }]], line);
    else {
      assert.deepEqual(ends, [], line);
      assert.match(text(), /Answer with .* or the words beside it/);
    }
    assert.equal(chat.prompt === undefined, expected !== undefined, line);
  }
});

test("cli: questions of one set come one after another, sets too, and go when they are answered elsewhere", async () => {
  const { chat, ends, text } = open();
  chat.asked(record("q1", color, name));
  chat.asked(record("q2", name));
  chat.asked(record("q1", color, name));
  assert.equal(chat.prompt, "[1/2  /later  /cancel] › ");
  await chat.answer("1");
  assert.equal(chat.prompt, "[your answer  /later  /cancel] › ");
  await chat.answer("");
  await chat.answer("Ada's");
  assert.deepEqual(ends, [["q1", { color: ["Red"], name: ["Ada's"] }]]);
  assert.doesNotMatch(text(), /the question is over/);
  chat.asked(record("q3", color));
  chat.ended("q2", "answered");
  assert.match(text(), /the question is over: answered/);
  assert.equal(chat.prompt, "[1/2  /later  /cancel] › ");
  chat.ended("q3", "expired");
  assert.equal(chat.prompt, undefined);
});

test("cli: a question is put aside, or cancelled; another conversation has others", async () => {
  const { chat, ends } = open();
  chat.asked(record("q1", color));
  await chat.answer("/later");
  chat.asked(record("q1", color));
  assert.equal(chat.prompt, undefined);
  chat.asked(record("q2", color));
  await chat.answer("/cancel");
  assert.deepEqual(ends, [["q2", "cancel"]]);
  chat.asked(record("q3", color));
  chat.replace([]);
  assert.equal(chat.prompt, undefined);
});

test("cli: a line of a pipe is no answer to a program, and a secret is not typed where it shows", async () => {
  for (const [how, question, says] of [
    [{ isTerminal: false }, color, /something, and this is no terminal/],
    [{}, { ...name, isSecret: true }, /a secret, which would be seen here/],
  ] as const) {
    const { chat, ends, text } = open(how);
    chat.asked(record("q", question));
    assert.match(text(), says);
    assert.doesNotMatch(text(), /color|Whose/);
    assert.equal(chat.prompt, undefined);
    await chat.answer("1");
    assert.deepEqual(ends, []);
  }
});

test("cli: an answer that is refused is said, and the chat goes on", async () => {
  const { chat, text } = open({ fails: "this question is over: \u001b[2J" });
  chat.asked(record("q", color));
  await chat.answer("1");
  assert.match(text(), /✗ this question is over: \\x1b\[2J/);
  assert.equal(chat.prompt, undefined);
});

test("cli: while a command waits for its yes no program's words stand beside it", async () => {
  const held = { now: true };
  const { chat, text } = open({ held });
  chat.asked(record("q", { ...color, question: "Press a to go on" }));
  assert.equal(text(), "");
  held.now = false;
  chat.show();
  assert.match(text(), /Press a to go on/);
});
