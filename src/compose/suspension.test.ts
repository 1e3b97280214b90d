import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { silentLog, systemRandom } from "../kernel/mod.ts";
import { createSuspension, type Lease } from "./suspension.ts";

function scene() {
  const clock = new ManualClock();
  const told: string[] = [];
  const state = { runs: 0 };
  const suspension = createSuspension({
    clock,
    random: systemRandom,
    log: silentLog,
    activeRuns: () => state.runs,
    hold: () => void told.push("hold"),
    letGo: () => void told.push("let go"),
    settle: () => void told.push("settle"),
  });
  const prepare = (requestId: string, drain = false) => {
    const lease = suspension.prepare(requestId, drain);
    assert.ok(typeof lease === "object", String(lease));
    return lease as Lease;
  };
  return { clock, told, state, suspension, prepare };
}

test("suspension: an idle gateway is held still at once, its files whole, until it is told to go on", () => {
  const { clock, told, suspension, prepare } = scene();
  const lease = prepare("r");
  assert.equal(lease.status, "ready");
  assert.equal(lease.expiresAtMs, clock.now() + 120_000);
  assert.deepEqual(told, ["hold", "settle"]);
  assert.deepEqual(prepare("r"), lease, "the same request, the same lease");
  assert.equal(suspension.prepare("another", true), "gateway-draining");
  assert.equal(suspension.status("another"), undefined);
  assert.equal(suspension.resume("another"), false);
  assert.deepEqual(told, ["hold", "settle"]);
  assert.equal(suspension.resume(lease.suspensionId), true);
  assert.deepEqual(told, ["hold", "settle", "let go"]);
  assert.equal(suspension.status(lease.suspensionId), undefined);
  assert.deepEqual(clock.waiting, []);
});

test("suspension: what runs is waited for only when asked; files are whole once it has ended", () => {
  const { told, state, suspension, prepare } = scene();
  state.runs = 1;
  assert.equal(suspension.prepare("r", false), "active-work");
  assert.deepEqual(told, []);
  const { suspensionId, status } = prepare("r", true);
  assert.equal(status, "draining");
  assert.deepEqual(told, ["hold"]);
  state.runs = 0;
  assert.equal(suspension.status(suspensionId)?.status, "ready");
  assert.equal(suspension.status(suspensionId)?.status, "ready");
  assert.deepEqual(told, ["hold", "settle"]);
});

test("suspension: one that is forgotten ends by itself, and another one can begin", () => {
  const { clock, told, suspension, prepare } = scene();
  const { suspensionId } = prepare("r");
  clock.advance(119_999);
  assert.equal(suspension.status(suspensionId)?.status, "ready");
  clock.advance(1);
  assert.equal(suspension.status(suspensionId), undefined);
  assert.deepEqual(told, ["hold", "settle", "let go"]);
  assert.notEqual(prepare("r").suspensionId, suspensionId);
  suspension.close();
  assert.deepEqual(clock.waiting, []);
  assert.deepEqual(told.slice(3), ["hold", "settle"], "a gateway that stops is not let go");
});
