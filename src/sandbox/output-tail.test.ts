import assert from "node:assert/strict";
import { test } from "node:test";
import { OutputTail } from "./output-tail.ts";

test("the last characters are kept and the rest is counted", () => {
  const tail = new OutputTail(10);
  for (let index = 0; index < 1000; index += 1) tail.add(`${index % 10}`);
  assert.deepEqual(tail.read(), { text: "0123456789", droppedChars: 990 });
});

test("a poll gives what is new, and says what it missed", () => {
  const tail = new OutputTail(10);
  tail.add("abc");
  assert.equal(tail.poll(), "abc");
  assert.equal(tail.poll(), "");
  tail.add("def");
  assert.equal(tail.poll(), "def");
  tail.add("0123456789ABC");
  assert.equal(tail.poll(), "[3 characters dropped]\n3456789ABC");
  assert.deepEqual(tail.read(), { text: "3456789ABC", droppedChars: 9 });
});

test("a cut never leaves half a character", () => {
  const tail = new OutputTail(3);
  tail.add("😀😀😀");
  assert.deepEqual(tail.read(), { text: "😀", droppedChars: 4 });
});
