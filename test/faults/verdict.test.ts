import assert from "node:assert/strict";
import { test } from "node:test";
import type { Said } from "./carrier.ts";
import { judge, type Kept, type Written, wordOf } from "./verdict.ts";

const written: readonly Written[] = [
  { word: "w00001", conversation: "ada", place: 1 },
  { word: "w00002", conversation: "ada", place: 2 },
  { word: "w00003", conversation: "ben", place: 3 },
];
const inbox = written.map(({ word }) => ({ messageId: word, state: "done", detail: "" }));
const outbox = written.map(({ word }) => ({ messageId: word, state: "sent", word }));
const said: readonly Said[] = written.map(({ word, conversation }) => ({
  conversation,
  text: `re: ${word}`,
}));
const wrong = (seen: readonly Said[], kept: Partial<Kept> = {}, of = written) =>
  judge(of, seen, { inbox, outbox, ...kept }).wrong;
const first = <T>(list: readonly T[], change: Partial<T>) =>
  list.map((item, index) => (index === 0 ? { ...item, ...change } : item));

test("faults: each message done, each reply seen once and in order, is nothing wrong", () => {
  assert.deepEqual(wrong(said), []);
  assert.equal(wordOf("re: w00007."), "w00007");
  assert.equal(wordOf("re: w7"), undefined);
});

test("faults: what was lost, doubled, mixed up or left open is named", () => {
  assert.deepEqual(wrong(said.slice(1)), ["w00001 was sent, and never seen"]);
  assert.deepEqual(wrong([...said, ...said.slice(2)]), ["w00003 was answered 2 times (sent)"]);
  assert.deepEqual(wrong(first(said, { conversation: "ben" })), ["w00001: the wrong chat"]);
  assert.deepEqual(wrong([...said, { conversation: "ada", text: "?" }]), ['nobody asked for "?"']);
  assert.deepEqual(wrong(said, { outbox: outbox.slice(1) }), ["w00001 has 0 replies"]);
  assert.deepEqual(wrong(said, { outbox: first(outbox, { state: "pending" }) }), [
    "the reply to w00001 ended as pending",
  ]);
  assert.deepEqual(wrong(said, { inbox: first(inbox, { state: "running" }) }), [
    "message w00001 ended as running ",
  ]);
  assert.deepEqual(wrong(said, { inbox: inbox.slice(1) }), [
    "3 messages were written, 2 are known",
    "w00001: a reply to no message",
  ]);
});

test("faults: an answer after that of a later message is out of order, unless the two arrived swapped", () => {
  const swapped = [said[1], said[0], said[2]].filter((item) => item !== undefined);
  assert.deepEqual(wrong(swapped), ["w00001 was answered after what was written later"]);
  const samePlace = written.map((one) => (one.word === "w00002" ? { ...one, place: 1 } : one));
  assert.deepEqual(wrong(swapped, {}, samePlace), []);
  assert.deepEqual(wrong(swapped, {}, first(written, { isLate: true })), []);
});

test("faults: a reply in doubt may have been seen or not, and is counted", () => {
  const doubt = { inbox, outbox: first(outbox, { state: "unknown" }) };
  assert.deepEqual(judge(written, said.slice(1), doubt).wrong, []);
  assert.equal(judge(written, said.slice(1), doubt).unknownSeen, 0);
  assert.equal(judge(written, said, doubt).unknownSeen, 1);
});
