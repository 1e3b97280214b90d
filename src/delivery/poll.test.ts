import assert from "node:assert/strict";
import { test } from "node:test";
import { type Poll, type PollLimits, pollProblem, pollText } from "./poll.ts";

const limits: PollLimits = {
  questionChars: 10,
  optionChars: 5,
  maxOptions: 3,
  countsSelections: false,
  duration: { leastSeconds: 3600, mostSeconds: 7200, stepSeconds: 3600 },
  hidesVoters: false,
};
const inSeconds = { leastSeconds: 5, mostSeconds: 600, stepSeconds: 1 };
const { duration: _, ...endless } = limits;

const cases: readonly (readonly [
  change: Partial<Poll>,
  problem: RegExp | undefined,
  limits?: Partial<PollLimits>,
])[] = [
  [{}, undefined],
  [{ question: "q".repeat(10), options: ["aaaaa", "b", "c"] }, undefined],
  [{ question: "" }, /must not be empty/],
  [{ options: ["a", ""] }, /must not be empty/],
  [{ question: "q".repeat(11) }, /^It: a poll's question has at most 10 characters; this one has 11$/],
  [{ options: ["a"] }, /^It: a poll has 2 to 3 options; this one has 1$/],
  [{ options: ["a", "b", "c", "d"] }, /2 to 3 options; this one has 4/],
  [{ options: ["a", "bbbbbb"] }, /^It: a poll's option has at most 5 characters; one has 6$/],
  [{ options: ["a", "b", "a"] }, /two options of the poll are the same/],
  [{ maxSelections: 1 }, undefined],
  [{ maxSelections: 2 }, undefined],
  [{ maxSelections: 3 }, /nobody can choose 3 of 2/],
  [{ options: ["a", "b", "c"], maxSelections: 2 }, /maxSelections must be 1 or 3/],
  [{ options: ["a", "b", "c"], maxSelections: 2 }, undefined, { countsSelections: true }],
  [{ isAnonymous: true }, /cannot be anonymous/],
  [{ isAnonymous: false }, undefined],
  [{ isAnonymous: true }, undefined, { hidesVoters: true }],
  [{ durationSeconds: 3600 }, undefined],
  [{ durationSeconds: 7200 }, undefined],
  [{ durationSeconds: 10_800 }, /1 to 2 whole hours; this one asks for 10800 seconds/],
  [{ durationSeconds: 1800 }, /1 to 2 whole hours/],
  [{ durationSeconds: 5400 }, /1 to 2 whole hours/],
  [{ durationSeconds: 4 }, /5 to 600 seconds/, { duration: inSeconds }],
  [{ durationSeconds: 600 }, undefined, { duration: inSeconds }],
];

test("delivery (9): a poll that its platform cannot have is named with the limit that it passes", () => {
  for (const [change, problem, more] of cases) {
    const poll: Poll = { question: "q?", options: ["a", "b"], ...change };
    const found = pollProblem(poll, { ...limits, ...more }, "It");
    if (problem === undefined) assert.equal(found, undefined, JSON.stringify(change));
    else assert.match(found ?? "", problem, JSON.stringify(change));
  }
  const timed = { question: "q?", options: ["a", "b"], durationSeconds: 60 };
  assert.match(pollProblem(timed, endless, "It") ?? "", /does not end by itself/);
});

test("a poll in words has its question and each option", () => {
  assert.equal(pollText({ question: "q?", options: ["a", "b"] }), "q?\n- a\n- b");
});
