import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatPath, parsePath, valueAt } from "./config-path.ts";
import { byNearness, editDistance } from "./suggest.ts";

test("a path that was written reads as the same path", () => {
  const key = fc.oneof(
    fc.nat(1000),
    fc.string({ minLength: 1 }),
    fc.constantFrom("a.b", 'q"', "[0]", "ünï", "my-agent"),
  );
  fc.assert(
    fc.property(fc.array(key), (path) => {
      assert.deepEqual(parsePath(formatPath(path)), path);
    }),
  );
});

test("paths are read as people write them, and a bad one is refused with its place", () => {
  assert.deepEqual(parsePath(`agents.entries["my.agent"].x`), ["agents", "entries", "my.agent", "x"]);
  assert.deepEqual(parsePath("a['b c'][2]"), ["a", "b c", 2]);
  assert.deepEqual(parsePath("a.0.b"), ["a", "0", "b"]);
  assert.equal(valueAt({ a: [{ b: 1 }] }, parsePath("a.0.b")), 1);
  assert.equal(valueAt({}, ["constructor"]), undefined);
  for (const bad of ["a..b", "a.", ".a", "a[", "a[x]", "a b", 'a["\\q"]']) {
    assert.throws(() => parsePath(bad), /is not a config path: .* at character \d+/, bad);
  }
});

test("the nearest key is suggested only when it is a slip away", () => {
  assert.equal(editDistance("prot", "port"), 1);
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(byNearness("prot", ["mode", "port"]).nearest, "port");
  assert.equal(byNearness("zzzz", ["mode", "port"]).nearest, undefined);
});
