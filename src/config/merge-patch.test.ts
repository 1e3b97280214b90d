import assert from "node:assert/strict";
import { test } from "node:test";
import { mergePatch } from "./merge-patch.ts";

const current = {
  a: { b: 1, c: 2 },
  allowFrom: ["1", "2"],
  list: [
    { id: "x", n: 1, tags: ["p"] },
    { id: "y", n: 2 },
  ],
};

const table: [string, unknown, readonly string[], unknown][] = [
  ["null removes", { a: { b: null } }, [], { ...current, a: { c: 2 } }],
  ["objects merge", { a: { d: { e: 1, f: null } } }, [], { ...current, a: { b: 1, c: 2, d: { e: 1 } } }],
  ["a longer list replaces", { allowFrom: ["1", "2", "3"] }, [], { ...current, allowFrom: ["1", "2", "3"] }],
  ["a shorter list is refused", { allowFrom: ["1"] }, [], undefined],
  ["a removed list is refused", { allowFrom: null }, [], undefined],
  ["the exact path permits it", { allowFrom: ["1"] }, ["allowFrom"], { ...current, allowFrom: ["1"] }],
  ["another path does not", { allowFrom: ["1"] }, ["a"], undefined],
  [
    "entries with ids merge",
    { list: [{ id: "y", n: 3 }, { id: "z" }] },
    [],
    { ...current, list: [current.list[0], { id: "y", n: 3 }, { id: "z" }] },
  ],
  ["a list inside an entry is guarded too", { list: [{ id: "x", tags: [] }] }, [], undefined],
  [
    "with its path it goes",
    { list: [{ id: "x", tags: [] }] },
    ["list[0].tags"],
    { ...current, list: [{ id: "x", n: 1, tags: [] }, current.list[1]] },
  ],
  ["replacing a list of entries", { list: [{ id: "y" }] }, ["list"], { ...current, list: [{ id: "y" }] }],
];
for (const [name, patch, replacePaths, expected] of table) {
  test(`a patch: ${name}`, () => {
    const merged = mergePatch(current, patch, replacePaths);
    if (expected === undefined) assert.equal(merged.ok, false);
    else assert.deepEqual(merged, { ok: true, value: expected });
  });
}
