import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../kernel/mod.ts";
import { MethodError } from "./frames.ts";
import type { Question, QuestionRecord } from "./protocol.ts";
import { createQuestions, questionLimits } from "./questions.ts";

/** Time that moves only when a test says so. */
function standing() {
  let nowMs = 5000;
  let timers: { readonly atMs: number; readonly act: () => void }[] = [];
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    after(delayMs, act) {
      const timer = { atMs: nowMs + delayMs, act };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  return {
    clock,
    waiting: () => timers.length,
    forward(ms: number) {
      nowMs += ms;
      const due = timers.filter(({ atMs }) => atMs <= nowMs);
      timers = timers.filter(({ atMs }) => atMs > nowMs);
      for (const { act } of due) act();
    },
  };
}

const color: Question = {
  questionId: "color",
  header: "Color",
  question: "Which color?",
  options: [{ label: "Red" }, { label: "Blue", description: "as the sky" }],
};
const key: Question = { questionId: "key", header: "Key", question: "The key?", options: [], isSecret: true };
const bot = { id: "token:bot", deviceId: undefined };
const page = { id: "browser:1", deviceId: undefined };
const phone = { id: "device:p", deviceId: "p" };
const place = { agentId: "main", sessionKey: "agent:main:main" };

function start() {
  const time = standing();
  const told: QuestionRecord[] = [];
  let next = 0;
  const questions = createQuestions({
    clock: time.clock,
    random: { bytes: (count) => Buffer.alloc(count, ++next) },
    changed: (record) => void told.push(record),
  });
  const ask = (
    more: Partial<Parameters<typeof questions.ask>[1]> = {},
    asker: typeof bot | typeof phone = bot,
  ) => questions.ask(asker, { questions: [color], ...place, ...more });
  return { ...time, told, questions, ask };
}

/** The details of the MethodError that it throws. */
function refusal(act: () => unknown): { readonly message: string; readonly reason: unknown } {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof MethodError, String(error));
    return { message: error.message, reason: error.wire.details?.reason };
  }
  assert.fail("it was not refused");
}

const red = { answers: { color: ["Red"] } };
const blue = { answers: { color: ["Blue"] } };

test("control (9): the first answer counts; a second one that differs is told so, the same one agrees", async () => {
  const { questions, ask, told } = start();
  const { id } = ask();
  const waiting = questions.wait(id, undefined, bot);
  assert.equal(questions.answer(id, red, page).status, "answered");
  assert.deepEqual((await waiting).answers, red);
  assert.deepEqual(questions.answer(id, red, phone).answers, red);
  const second = refusal(() => questions.answer(id, blue, phone));
  assert.deepEqual(second, {
    message: "this question is over: answered by browser:1",
    reason: "QUESTION_ALREADY_RESOLVED",
  });
  assert.equal(refusal(() => questions.cancel(id, phone)).reason, "QUESTION_ALREADY_RESOLVED");
  assert.deepEqual(
    told.map(({ status }) => status),
    ["pending", "answered"],
  );
});

test("control (9): a secret answer is shown to its asker and to nobody else, nor is a guess confirmed", async () => {
  const { questions, ask, told } = start();
  const { id } = ask({ questions: [color, key] });
  const [own, other] = [questions.wait(id, undefined, bot), questions.wait(id, undefined, phone)];
  const given = { answers: { color: ["Red"], key: ["s3cret"] } };
  questions.answer(id, given, page);
  const hidden = { answers: { color: ["Red"], key: [] } };
  assert.deepEqual((await own).answers, given);
  assert.deepEqual((await other).answers, hidden);
  assert.deepEqual(questions.get(id, bot).answers, given);
  // The same credential on another device is another client.
  for (const reader of [page, phone, { ...bot, deviceId: "d" }])
    assert.deepEqual(questions.get(id, reader).answers, hidden);
  assert.ok(!JSON.stringify(told).includes("s3cret"));
  assert.equal(refusal(() => questions.answer(id, given, phone)).reason, "QUESTION_ALREADY_RESOLVED");
  // Whose answer to the answer was lost may send it again.
  assert.equal(questions.answer(id, given, page).status, "answered");
});

test("control (9): an answer is among the options, or in own words where those are asked for; a refusal does not repeat it", () => {
  const rows: readonly (readonly [Partial<Question>, readonly string[], RegExp | "taken"])[] = [
    [{}, ["Red"], "taken"],
    [{}, ["Green"], /must be among "Red", "Blue"$/],
    [{}, [], /must not be empty; cancel/],
    [{}, ["Red", "Blue"], /must be one$/],
    [{ multiSelect: true }, ["Red", "Blue"], "taken"],
    [{ multiSelect: true }, ["Red", "Red"], /name nothing twice/],
    [{ multiSelect: true }, ["Red", "Green"], /must be among/],
    [{ isOther: true }, ["Green"], "taken"],
    [{ isOther: true, multiSelect: true }, ["Red", "Green"], "taken"],
    [{ isOther: true, multiSelect: true }, ["Green", "Pink"], /must be one text, or among "Red", "Blue"/],
    [{ isOther: true }, [" "], /must not be blank/],
    [{ options: [] }, ["Green"], "taken"],
    [{ options: [], multiSelect: true }, ["Green", "Pink"], /must be one text$/],
  ];
  for (const [change, words, expected] of rows) {
    const { questions, ask } = start();
    const { id } = ask({ questions: [{ ...color, ...change }] });
    const answer = () => questions.answer(id, { answers: { color: words } }, page);
    if (expected === "taken") assert.deepEqual(answer().answers, { answers: { color: words } });
    else {
      const { message } = refusal(answer);
      assert.match(message, expected);
      assert.doesNotMatch(message, /Green|Pink/);
      assert.equal(questions.get(id, page).status, "pending");
    }
  }
  const { questions, ask } = start();
  const { id } = ask({ questions: [color, { ...color, questionId: "constructor" }] });
  assert.match(refusal(() => questions.answer(id, red, page)).message, /"constructor" must not be empty/);
  const stray = { answers: { ...red.answers, toString: ["Red"] } };
  assert.match(refusal(() => questions.answer(id, stray, page)).message, /there is no question "toString"/);
});

test("control (9): whatever is answered, what comes out was offered or asked for", () => {
  const words = fc.array(fc.oneof(fc.constantFrom("Red", "Blue", "__proto__"), fc.string()), {
    maxLength: 4,
  });
  const flags = fc.record({ multiSelect: fc.boolean(), isOther: fc.boolean() });
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom("color", "__proto__", "x"), words), flags, (answers, how) => {
      const { questions, ask } = start();
      const { id } = ask({ questions: [{ ...color, ...how }] });
      try {
        questions.answer(id, { answers }, page);
      } catch (error) {
        assert.ok(error instanceof MethodError);
        assert.equal(questions.get(id, bot).status, "pending");
        return;
      }
      const got = questions.get(id, bot).answers?.answers ?? {};
      assert.deepEqual(Object.keys(got), ["color"]);
      const own = (got.color ?? []).filter((word) => word !== "Red" && word !== "Blue");
      assert.ok(own.length <= (how.isOther ? 1 : 0));
      assert.ok(how.multiSelect || got.color?.length === 1);
    }),
  );
});

test("control (9): a question ends when its time is over, and is forgotten some minutes later", async () => {
  const { questions, ask, told, forward, waiting } = start();
  const { id, expiresAtMs } = ask({ timeoutMs: 1000 });
  assert.equal(expiresAtMs, 6000);
  const short = questions.wait(id, 400, bot);
  const long = questions.wait(id, undefined, bot);
  forward(400);
  assert.equal((await short).status, "pending");
  forward(600);
  assert.equal((await long).status, "expired");
  assert.equal(told.at(-1)?.status, "expired");
  assert.deepEqual(questions.pending(), []);
  assert.equal(refusal(() => questions.answer(id, red, page)).reason, "QUESTION_ALREADY_RESOLVED");
  assert.equal((await questions.wait(id, undefined, bot)).status, "expired");
  forward(300_000);
  assert.equal(refusal(() => questions.get(id, bot)).reason, "QUESTION_NOT_FOUND");
  assert.equal(waiting(), 0);
});

test("control (9): a caller has eight questions waiting, all together sixty-four; an end makes room", () => {
  const { questions, ask } = start();
  const first = ask();
  for (let n = 1; n < questionLimits.perAsker; n++) ask();
  assert.equal(refusal(() => ask()).reason, "TOO_MANY_QUESTIONS");
  questions.cancel(first.id, bot);
  ask();
  for (let n = questionLimits.perAsker; n < questionLimits.inAll; n++)
    ask({}, { id: `device:${n}`, deviceId: undefined });
  assert.match(refusal(() => ask({}, phone)).message, /^64 questions wait already/);
});

test("control (9): what is over is kept for the last hundred and twenty-eight, not for ever", () => {
  const { questions, ask, waiting } = start();
  const ids = Array.from({ length: 130 }, () => {
    const { id } = ask();
    questions.answer(id, red, page);
    return id;
  });
  assert.equal(refusal(() => questions.get(ids[1] ?? "", bot)).reason, "QUESTION_NOT_FOUND");
  assert.equal(questions.get(ids[2] ?? "", bot).status, "answered");
  assert.equal(waiting(), 128);
});

test("control (9): of those who wait for one answer at most thirty-two are kept; the longest-waiting is told to ask again", async () => {
  const { questions, ask } = start();
  const { id } = ask();
  const waits = Array.from({ length: 33 }, () => questions.wait(id, undefined, bot));
  assert.equal((await waits[0])?.status, "pending");
  questions.answer(id, red, page);
  for (const wait of waits.slice(1)) assert.equal((await wait).status, "answered");
});

test("control (9): an id stands for one question of one asker, which may be asked again when the answer was lost", () => {
  const { questions, ask, told } = start();
  const first = ask({ id: "q", runId: "r" });
  assert.deepEqual(ask({ id: "q", runId: "r" }), first);
  assert.equal(told.length, 1);
  const taken = /already in use/;
  assert.match(refusal(() => ask({ id: "q", runId: "r" }, page)).message, taken);
  assert.match(refusal(() => ask({ id: "q", runId: "other" })).message, taken);
  assert.match(refusal(() => ask({ id: "q", runId: "r", questions: [key] })).message, taken);
  questions.answer("q", red, page);
  assert.match(refusal(() => ask({ id: "q", runId: "r" })).message, taken);
  assert.match(refusal(() => ask({ questions: [color, color] })).message, /two questions are called "color"/);
  const twice = { ...color, options: [{ label: "A" }, { label: "A" }] };
  assert.match(refusal(() => ask({ questions: [twice] })).message, /offers one option twice/);
});

test("control (9): the end of an asker's rights cancels what he asked, and nothing else", async () => {
  const { questions, ask, told } = start();
  const [own, other] = [ask(), ask({}, page)];
  const wait = questions.wait(own.id, undefined, phone);
  questions.cancelOf((id) => id === "token:bot");
  assert.equal((await wait).status, "cancelled");
  assert.deepEqual(
    questions.pending().map(({ id }) => id),
    [other.id],
  );
  // Cancelled twice is cancelled.
  assert.equal(questions.cancel(own.id, page).status, "cancelled");
  assert.equal(told.filter(({ status }) => status === "cancelled").length, 1);
});

test("control (9): a gateway that stops tells who waits that the question expired, and takes no other", async () => {
  const { questions, ask, forward, waiting } = start();
  const { id } = ask();
  const wait = questions.wait(id, undefined, bot);
  const closed = questions.close();
  assert.equal((await wait).status, "expired");
  forward(0);
  await closed;
  assert.equal(waiting(), 0);
  assert.match(refusal(() => ask()).message, /the gateway stops/);
  await questions.close();
});
