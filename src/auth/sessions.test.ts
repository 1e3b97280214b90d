import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { systemRandom, type Write } from "../kernel/mod.ts";
import { type BrowserSessionStore, createBrowserSessions } from "./browser.ts";
import { createLockout } from "./lockout.ts";

function sessionsBench() {
  const clock = new ManualClock();
  const rows = new Map<string, { readonly expiresAtMs: number }>();
  const write = (action: () => void) => action as unknown as Write;
  const store: BrowserSessionStore = {
    find: (hash) => rows.get(hash),
    put: (hash, _created, expiresAtMs) => write(() => void rows.set(hash, { expiresAtMs })),
    remove: (hash) => write(() => void rows.delete(hash)),
    removeAll: () => write(() => rows.clear()),
  };
  const commit = async (writes: readonly Write[]) => {
    for (const item of writes) (item as unknown as () => void)();
  };
  return { clock, rows, sessions: createBrowserSessions({ store, commit, clock, random: systemRandom }) };
}

test("auth (4): a ticket works once, for ten minutes, and no guess works", () => {
  const { clock, sessions } = sessionsBench();
  const ticket = sessions.issueTicket().reveal();
  assert.equal(sessions.redeem(""), false);
  assert.equal(sessions.redeem(ticket.slice(0, -1)), false);
  assert.equal(sessions.redeem(ticket), true);
  assert.equal(sessions.redeem(ticket), false);
  const late = sessions.issueTicket().reveal();
  clock.advance(10 * 60 * 1000);
  assert.equal(sessions.redeem(late), false);
});

test("tickets do not pile up: the oldest goes, and those that expired", () => {
  const { clock, sessions } = sessionsBench();
  const tickets = Array.from({ length: 33 }, () => sessions.issueTicket().reveal());
  assert.equal(sessions.redeem(tickets[0] as string), false);
  assert.equal(sessions.redeem(tickets[1] as string), true);
  clock.advance(10 * 60 * 1000);
  const fresh = sessions.issueTicket().reveal();
  assert.equal(sessions.redeem(fresh), true);
});

test("a session is known by its cookie until it expires or is closed, and the cookie itself is not kept", async () => {
  const { clock, rows, sessions } = sessionsBench();
  const cookie = (await sessions.open()).reveal();
  const other = (await sessions.open()).reveal();
  assert.ok(![...rows.keys()].some((key) => key.includes(cookie)));
  const id = sessions.check(cookie);
  assert.match(id ?? "", /^[0-9a-f]{12}$/);
  assert.notEqual(sessions.check(other), id);
  for (const wrong of ["", "x", `${cookie}x`, id ?? ""]) assert.equal(sessions.check(wrong), undefined);
  await sessions.close(cookie);
  assert.equal(sessions.check(cookie), undefined);
  assert.ok(sessions.check(other));
  clock.advance(30 * 24 * 3600 * 1000);
  assert.equal(sessions.check(other), undefined);
  const third = (await sessions.open()).reveal();
  await sessions.closeAll();
  assert.equal(sessions.check(third), undefined);
});

function lockoutBench(more = {}) {
  const clock = new ManualClock();
  const limits = { maxAttempts: 10, windowMs: 60_000, lockoutMs: 300_000, exemptLoopback: true, ...more };
  return { clock, lockout: createLockout(clock, () => limits) };
}

test("auth (5): ten wrong secrets in 60 s lock an address out for its time, and nobody else", () => {
  const { clock, lockout } = lockoutBench();
  for (let n = 0; n < 9; n++) lockout.fail("203.0.113.1", false);
  assert.equal(lockout.lockedForMs("203.0.113.1", false), 0);
  lockout.fail("203.0.113.1", false);
  assert.equal(lockout.lockedForMs("203.0.113.1", false), 300_000);
  assert.equal(lockout.lockedForMs("203.0.113.2", false), 0);
  clock.advance(300_000);
  assert.equal(lockout.lockedForMs("203.0.113.1", false), 0);
});

test("auth (5): failures that lie further apart than the window do not add up", () => {
  const { clock, lockout } = lockoutBench();
  for (let n = 0; n < 30; n++) {
    lockout.fail("203.0.113.1", false);
    clock.advance(7000);
  }
  assert.equal(lockout.lockedForMs("203.0.113.1", false), 0);
});

test("auth (5): loopback is slowed and not locked, unless the config says so", () => {
  const { lockout } = lockoutBench();
  const delays = Array.from({ length: 20 }, () => lockout.fail("127.0.0.1", true));
  assert.deepEqual(delays.slice(0, 6), [250, 500, 1000, 2000, 4000, 5000]);
  assert.equal(delays.at(-1), 5000);
  assert.equal(lockout.lockedForMs("127.0.0.1", true), 0);
  lockout.succeed("127.0.0.1");
  assert.equal(lockout.fail("127.0.0.1", true), 250);
  const strict = lockoutBench({ exemptLoopback: false }).lockout;
  for (let n = 0; n < 10; n++) strict.fail("127.0.0.1", true);
  assert.equal(strict.lockedForMs("127.0.0.1", true), 300_000);
});

test("a clock that jumps neither opens a lock nor closes one", () => {
  const { clock, lockout } = lockoutBench();
  for (let n = 0; n < 10; n++) lockout.fail("203.0.113.1", false);
  clock.now = () => 0;
  assert.equal(lockout.lockedForMs("203.0.113.1", false), 300_000);
});

test("ten thousand addresses push out the oldest and never grow without end", () => {
  const { lockout } = lockoutBench();
  for (let n = 0; n < 10; n++) lockout.fail("203.0.113.1", false);
  for (let n = 0; n < 10_000; n++) lockout.fail(`2001:db8::${n.toString(16)}`, false);
  assert.equal(lockout.lockedForMs("203.0.113.1", false), 0);
});
