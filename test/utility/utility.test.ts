/** Block rate has its other side here: what everyday tasks cost. `npm run utility` does all of them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { countOf, expected, isAs, page, tasks } from "./page.ts";
import { hasSandbox, missing, openScene, type Place } from "./scene.ts";

test("utility: with the first run's config everyday tasks run as docs/utility.md says, and their results are there", async (t) => {
  const scene = await openScene(t);
  const places: readonly Place[] = hasSandbox ? ["host", "sandbox"] : ["host"];
  const wrong: string[] = [];
  let done = 0;
  for (const task of tasks.filter((task) => task.slow !== true)) {
    const absent = missing(task);
    if (absent.length > 0) t.diagnostic(`${task.name}: left out, there is no ${absent.join(", ")} here`);
    else done += 1;
    for (const place of absent.length > 0 ? [] : places) {
      const found = await scene.run(task, place);
      if (!isAs(found, task[place])) wrong.push(`${task.name} (${place}): ${found}, not ${task[place]}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(done > 0);
  // The count can fail: what is not there is not done, and a refusal is told from that.
  const task = { name: "none", host: 0, sandbox: 0, isDone: () => false };
  const nothing = { ...task, calls: () => [["read", { path: "." }]] as const };
  const refused = { ...task, calls: () => [["web_fetch", { url: "http://127.0.0.1:1/" }]] as const };
  assert.equal(await scene.run(nothing, "host"), "no result");
  assert.equal(await scene.run(refused, "host"), "policy.url_refused");
  assert.equal(isAs("no result", "no result: why"), true);
  assert.equal(isAs("policy.tool_denied", "no result: why"), false);
  assert.equal(isAs(1, 0), false);
  if (hasSandbox) assert.equal(scene.entryApprovals, 1);
});

test("utility: of fifty tasks at least 45 need at most one approval, in each place", () => {
  assert.equal(tasks.length, 50);
  assert.equal(new Set(tasks.map(({ name }) => name)).size, 50);
  for (const place of ["host", "sandbox"] as const) {
    const { withoutAsking, withOneApproval } = countOf(expected(place));
    assert.ok(withoutAsking + withOneApproval >= 45, place);
  }
});

test("utility: docs/utility.md is what the tasks say (node scripts/utility.ts)", () => {
  assert.equal(readFileSync(join(import.meta.dirname, "../../docs/utility.md"), "utf8"), page());
});
