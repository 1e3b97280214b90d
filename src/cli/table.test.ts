import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, amount, duration, table } from "./table.ts";

test("columns are aligned, the last is cut to the terminal, and a pipe gets all of it", () => {
  const rows = [
    ["a", "日本", "long text here"],
    ["bcd", "x", "y"],
  ];
  assert.equal(table(["ID", "N", "T"], rows, 0), "ID   N     T\na    日本  long text here\nbcd  x     y\n");
  assert.equal(table(["ID", "N", "T"], rows, 16).split("\n")[1], "a    日本  long…");
  assert.equal(table(["ID"], [], 80), "");
});

test("cli (5): a cell cannot break out of its row", () => {
  assert.equal(table(["A"], [["x\n\x1b[2Jy"]], 0), "A\nx\\n\\x1b[2Jy\n");
});

test("times are told as people tell them", () => {
  const now = 10_000_000_000;
  const cases: readonly (readonly [number, string])[] = [
    [now - 1000, "just now"],
    [now - 20_000, "20 s ago"],
    [now - 185_000, "3 min ago"],
    [now - 7_300_000, "2 h ago"],
    [now - 5 * 86_400_000, "5 days ago"],
    [now + 600_000, "in 10 min"],
  ];
  for (const [at, text] of cases) assert.equal(ago(at, now), text);
  assert.equal(duration(59_999), "59 s");
  assert.equal(amount(999), "999");
  assert.equal(amount(12_345), "12.3k");
  assert.equal(amount(4_500_000), "4.5M");
});
