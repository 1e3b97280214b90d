import assert from "node:assert/strict";
import { test } from "node:test";
import { Lanes } from "./lanes.ts";

test("channels (3): jobs of one key run in order, even behind one that failed", async () => {
  const lanes = new Lanes(4);
  const log: string[] = [];
  const job =
    (name: string, fails = false) =>
    async () => {
      log.push(`${name} in`);
      await new Promise(setImmediate);
      log.push(`${name} out`);
      if (fails) throw new Error(name);
    };
  const results = await Promise.allSettled([
    lanes.run("a", job("1", true)),
    lanes.run("a", job("2")),
    lanes.run("a", job("3")),
  ]);
  assert.deepEqual(log, ["1 in", "1 out", "2 in", "2 out", "3 in", "3 out"]);
  assert.deepEqual(
    results.map((result) => result.status),
    ["rejected", "fulfilled", "fulfilled"],
  );
});

test("jobs of different keys run side by side, never more than the limit", async () => {
  const lanes = new Lanes(3);
  let running = 0;
  let most = 0;
  const jobs = Array.from({ length: 20 }, (_, index) =>
    lanes.run(`key ${index}`, async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
    }),
  );
  await lanes.idle();
  assert.equal(most, 3);
  assert.equal(running, 0);
  await Promise.all(jobs);
});
