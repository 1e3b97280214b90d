import assert from "node:assert/strict";
import { test } from "node:test";
import { makePrincipal } from "../auth/principal.ts";
import type { Clock } from "../kernel/mod.ts";
import { schema } from "../kernel/mod.ts";
import { MethodError } from "./frames.ts";
import { method } from "./method.ts";
import { createPace } from "./pace.ts";
import { createRepeats } from "./repeats.ts";

function standing() {
  let nowMs = 5000;
  const clock: Clock = { now: () => nowMs, monotonic: () => nowMs, after: () => () => {} };
  return {
    clock,
    forward(ms: number) {
      nowMs += ms;
    },
  };
}

const row = method({
  name: "config.patch",
  scope: "operator.admin",
  perMinute: 2,
  params: schema.object({}),
  run: () => undefined,
});
const caller = (limitKey: string, deviceId?: string) => ({
  limitKey,
  principal: makePrincipal("p", [], "token", deviceId === undefined ? {} : { deviceId }),
});

test("control (7): the pace is a window that moves on, apart for each device and address", () => {
  const { clock, forward } = standing();
  const pace = createPace(clock);
  assert.equal(pace.take(row, caller("a")), undefined);
  forward(20_000);
  assert.equal(pace.take(row, caller("a")), undefined);
  assert.equal(pace.take(row, caller("a"))?.retryAfterMs, 40_000);
  for (const other of [caller("b"), caller("a", "device")]) assert.equal(pace.take(row, other), undefined);
  assert.equal(pace.take({ ...row, name: "config.apply" }, caller("a")), undefined);
  const { perMinute: _perMinute, ...free } = row;
  assert.equal(pace.take(free, caller("a")), undefined);
  forward(40_000);
  // The first of the two is a minute old; what was refused in between did not count.
  assert.equal(pace.take(row, caller("a")), undefined);
  assert.notEqual(pace.take(row, caller("a")), undefined);
});

test("control (7): a crowd does not push out who is counted already", () => {
  const { clock, forward } = standing();
  const pace = createPace(clock);
  for (let turn = 0; turn < 2; turn += 1) pace.take(row, caller("a"));
  for (let index = 0; index < 9999; index += 1) assert.equal(pace.take(row, caller(`c${index}`)), undefined);
  assert.equal(pace.take(row, caller("one more"))?.retryAfterMs, 60_000);
  assert.notEqual(pace.take(row, caller("a")), undefined);
  forward(60_000);
  assert.equal(pace.take(row, caller("one more")), undefined);
});

test("control (7): a key is remembered for ten minutes, and never while what it began still runs", async () => {
  const { clock, forward } = standing();
  const repeats = createRepeats(clock);
  let runs = 0;
  const begin = () => {
    runs += 1;
    return runs;
  };
  assert.equal(await repeats.once("p", "k", { a: 1, b: 2 }, begin), 1);
  // The same input, however it is written down.
  assert.equal(await repeats.once("p", "k", { b: 2, a: 1 }, begin), 1);
  assert.throws(() => repeats.once("p", "k", { a: 2 }, begin), MethodError);
  forward(600_000);
  assert.equal(await repeats.once("p", "k", { a: 2 }, begin), 2);

  const slow = Promise.withResolvers<string>();
  const first = repeats.once("p", "slow", {}, () => slow.promise);
  forward(700_000);
  const second = repeats.once("p", "slow", {}, begin);
  slow.resolve("done");
  assert.deepEqual([await first, await second], ["done", "done"]);
  assert.equal(runs, 2);
});

test("control (7): the book of keys is bounded; one that is full of running work takes no more", async () => {
  const { clock } = standing();
  const repeats = createRepeats(clock);
  const never = () => new Promise<never>(() => {});
  await repeats.once("p", "first", {}, () => "kept");
  for (let index = 0; index < 999; index += 1) void repeats.once("p", `k${index}`, {}, never);
  // The oldest that is done makes room.
  void repeats.once("p", "one more", {}, never);
  assert.throws(
    () => repeats.once("p", "too many", {}, never),
    (error: MethodError) => error.wire.retryAfterMs === 1000,
  );
});
