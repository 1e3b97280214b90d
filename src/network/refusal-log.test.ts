import assert from "node:assert/strict";
import { test } from "node:test";
import { refuse } from "../kernel/mod.ts";
import { createRefusalLog } from "./refusal-log.ts";

test("network (9): a flood of refusals is two lines, and each reason has its own", () => {
  let now = 0;
  const lines: unknown[] = [];
  const clock = { now: () => now, monotonic: () => now, after: () => () => {} };
  const say = createRefusalLog(clock, (_level, _message, fields) => void lines.push(fields));
  const host = refuse("network.host_refused", "a");
  for (let index = 0; index < 5; index += 1) say(host, "192.0.2.1");
  say(refuse("network.origin_refused", "b"), "192.0.2.2");
  now = 60_000;
  say(host, "192.0.2.3");
  now = 120_000;
  say(host, "192.0.2.4");
  assert.deepEqual(lines, [
    { reason: "network.host_refused", detail: "a", peer: "192.0.2.1" },
    { reason: "network.origin_refused", detail: "b", peer: "192.0.2.2" },
    { reason: "network.host_refused", detail: "a", peer: "192.0.2.3", more: 4 },
    { reason: "network.host_refused", detail: "a", peer: "192.0.2.4" },
  ]);
});
