import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { textFlow } from "./text-flow.ts";
import { widthOf } from "./visible.ts";

function flow(width: number, deltas: readonly string[]): string[] {
  const flowing = textFlow(width);
  return [...deltas.flatMap((delta) => flowing.push(delta)), ...flowing.end()];
}

test("text breaks at spaces, a long word where it must", () => {
  assert.deepEqual(flow(10, ["one two three"]), ["one two", "three"]);
  assert.deepEqual(flow(10, ["abcdefghijkl"]), ["abcdefghij", "kl"]);
  assert.deepEqual(flow(10, ["a\n\nb"]), ["a", "", "b"]);
});

test("how a text is cut into deltas changes nothing, and no row is too wide", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary", maxLength: 80 }),
      fc.integer({ min: 10, max: 30 }),
      fc.integer({ min: 1, max: 7 }),
      (text, width, step) => {
        const pieces: string[] = [];
        for (let at = 0; at < text.length; at += step) pieces.push(text.slice(at, at + step));
        const rows = flow(width, pieces);
        assert.deepEqual(rows, flow(width, [text]));
        for (const row of rows) assert.ok(widthOf(row) <= Math.max(width, 10), row);
      },
    ),
  );
});

test("how a text ends makes no row too wide either", () => {
  assert.deepEqual(flow(12, ["\0\0\0\r"]), ["\\x00\\x00\\x00", "\\x0d"]);
});

test("cli (5): an escape sequence that comes in pieces stays visible", () => {
  assert.deepEqual(flow(40, ["a\x1b", "[2J\x9b", "1m"]), ["a\\x1b[2J\\x9b1m"]);
});
