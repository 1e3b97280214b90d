import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "./failure.ts";
import { parseOptions } from "./options.ts";

const spec = { name: "text", count: "integer", json: "flag" } as const;

test("options are read in both spellings, and what follows -- is words", () => {
  const options = parseOptions(["a", "--name=x=y", "--count", "3", "--json", "--", "--b"], spec);
  assert.deepEqual({ ...options }, { rest: ["a", "--b"], name: "x=y", count: 3, json: true });
});

const wrong: readonly (readonly string[])[] = [
  ["--nope"],
  ["--constructor"],
  ["--count", "x"],
  ["--count", "-1"],
  ["--name"],
];
for (const args of wrong) {
  test(`cli (1): ${args.join(" ")} is wrong usage`, () => {
    assert.throws(() => parseOptions(args, spec), UsageError);
  });
}

test("what may be given several times is a list, in order", () => {
  const { set } = parseOptions(["--set", "a=1", "--set=b=2"], { set: "texts" });
  assert.deepEqual(set, ["a=1", "b=2"]);
  assert.equal(parseOptions([], { set: "texts" }).set, undefined);
});
