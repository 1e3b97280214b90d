/** A short run of the comparison with real shells; `npm run fuzz` is the long one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, isNamed } from "./compare.ts";
import { judged } from "./shells.ts";

test("sandbox (7): lines from a seed call what was judged and nothing else, and come to what bash and dash make of them", async (t) => {
  const { differences, unnamed, ...counts } = await compare(7, 160);
  t.diagnostic(JSON.stringify(counts));
  assert.deepEqual(differences, []);
  assert.deepEqual(unnamed, []);
  assert.ok(counts.ran > 60 && counts.asked > 30 && counts.ranInDashToo > 20 && counts.calls > 80);
});

test("the comparison sees a call that no decision named", () => {
  const line = judged("alpha 'b c' *.txt && gamma 3");
  assert.ok(typeof line !== "string");
  assert.equal(isNamed("alpha\x1fb c\x1fa.txt\x1e\x1e", line), true);
  assert.equal(isNamed("gamma\x1f3\x1e", line), true);
  for (const call of [
    "alpha\x1fb\x1fc\x1fa.txt",
    "gamma\x1f4",
    "gamma\x1f3\x1f3",
    "gamma",
    "beta",
    "alpha\x1fb c",
  ])
    assert.equal(isNamed(`${call}\x1e`, line), false, call);
});
