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
  const ticket = sessions.issueTicket().reveal();
  await sessions.closeAll();
  assert.equal(sessions.check(third), undefined);
  assert.equal(sessions.redeem(ticket), false, "a ticket that was issued under what is over opens nothing");
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

/** A gateway that counts and keeps; `again` is the next one, `awayMs` later by a wall clock that may have been set. */
function keptBench() {
  const clock = new ManualClock();
  const limits = { maxAttempts: 10, windowMs: 60_000, lockoutMs: 300_000, exemptLoopback: true };
  const disk: { text: string; writes: number } = { text: "[]", writes: 0 };
  const open = () =>
    createLockout(clock, () => limits, {
      kept: JSON.parse(disk.text),
      keep(entries) {
        disk.text = JSON.stringify(entries);
        disk.writes += 1;
      },
    });
  const again = (awayMs: number) => {
    const now = clock.now() + awayMs;
    const since = clock.monotonic();
    clock.now = () => now + clock.monotonic() - since;
    return open();
  };
  return { clock, disk, lockout: open(), again };
}
const fails = (lockout: ReturnType<typeof createLockout>, address: string, times: number) => {
  for (let n = 0; n < times; n++) lockout.fail(address, address === "127.0.0.1");
};

test("auth (5): a restart gives nobody his guesses back", () => {
  const { disk, lockout, again } = keptBench();
  fails(lockout, "203.0.113.1", 10);
  fails(lockout, "203.0.113.2", 9);
  fails(lockout, "127.0.0.1", 50);
  lockout.close();
  lockout.close();
  assert.equal(disk.writes, 1);
  assert.ok(!disk.text.includes("127.0.0.1"), "the owner's own machine is never locked out");
  const next = again(10_000);
  assert.equal(next.lockedForMs("203.0.113.1", false), 290_000);
  assert.equal(next.lockedForMs("203.0.113.2", false), 0);
  fails(next, "203.0.113.2", 1);
  assert.equal(next.lockedForMs("203.0.113.2", false), 300_000);
});

test("auth (5): what is over is not kept, and a clock that was set locks nobody for longer", () => {
  const late = keptBench();
  fails(late.lockout, "203.0.113.1", 10);
  fails(late.lockout, "203.0.113.2", 9);
  late.lockout.close();
  const next = late.again(300_000);
  assert.equal(next.lockedForMs("203.0.113.1", false), 0);
  fails(next, "203.0.113.2", 1);
  assert.equal(next.lockedForMs("203.0.113.2", false), 0, "the nine lie too far back");
  next.succeed("203.0.113.2");
  next.close();
  assert.equal(late.disk.text, "[]");
  const back = keptBench();
  fails(back.lockout, "203.0.113.1", 10);
  back.lockout.close();
  assert.equal(back.again(-86_400_000).lockedForMs("203.0.113.1", false), 300_000);
});

test("auth (5): a flood of failures is one write in five seconds, of a thousand addresses at most, the locked ones first", () => {
  const { clock, disk, lockout } = keptBench();
  for (let n = 0; n < 3000; n++) lockout.fail(`2001:db8::${n.toString(16)}`, false);
  fails(lockout, "203.0.113.1", 10);
  assert.equal(disk.writes, 0);
  clock.advance(5000);
  assert.equal(disk.writes, 1);
  const kept = JSON.parse(disk.text);
  assert.equal(kept.length, 1000);
  assert.equal(kept[0].address, "203.0.113.1");
  clock.advance(60_000);
  assert.equal(disk.writes, 1, "nothing happened");
  lockout.succeed("203.0.113.9");
  lockout.close();
  assert.equal(disk.writes, 1);
});

test("auth (5): what was kept and cannot be understood counts as nothing, the rest counts", () => {
  const clock = new ManualClock();
  const limits = { maxAttempts: 2, windowMs: 60_000, lockoutMs: 300_000, exemptLoopback: true };
  const good = { address: "203.0.113.1", failuresAt: [], consecutive: 2, lockedUntil: clock.now() + 1000 };
  const open = (kept: unknown) => createLockout(clock, () => limits, { kept, keep: () => {} });
  assert.equal(open("x").lockedForMs("203.0.113.1", false), 0);
  assert.equal(open([null, { ...good, lockedUntil: "soon" }, good]).lockedForMs("203.0.113.1", false), 1000);
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
