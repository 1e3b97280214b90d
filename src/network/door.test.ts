import assert from "node:assert/strict";
import { test } from "node:test";
import { createDoor, type Door } from "./door.ts";
import { defaultLimits } from "./limits.ts";
import { createPacer } from "./pacer.ts";

function clockAt(start = 0) {
  let now = start;
  return {
    now: () => now,
    monotonic: () => now,
    after: () => () => {},
    pass(ms: number) {
      now += ms;
    },
  };
}

const small = {
  ...defaultLimits,
  connectionsPerAddress: 2,
  connections: 3,
  socketsPerClient: 2,
  sockets: 3,
  burst: 4,
  perSecond: 1,
};

function newDoor(limits = small) {
  const clock = clockAt();
  return { clock, door: createDoor(limits, createPacer(clock, limits)) };
}

const stranger = (limitKey: string) => ({ limitKey, isKnownPath: false });

function sockets(door: Door, key: string, isProxied = false): () => void {
  const waiting = door.wait(key, isProxied);
  assert.ok(typeof waiting === "function", `${key}: ${waiting}`);
  return waiting;
}

test("network (9): an address has so many connections that have proved nothing, and no more", () => {
  const { door } = newDoor();
  const never = () => assert.fail("nobody had to make room");
  assert.equal(door.enter("1", stranger("a"), never), undefined);
  assert.equal(door.enter("2", stranger("a"), never), undefined);
  assert.equal(door.enter("3", stranger("a"), never), "network.too_many_unauthenticated");
  assert.equal(door.enter("4", stranger("b"), never), undefined);
  door.left("1");
  assert.equal(door.enter("5", stranger("a"), never), undefined);
  assert.equal(door.connections, 3);
});

test("network (9): those who proved themselves are not counted, and give back what they took of the pace", () => {
  const { door } = newDoor();
  for (let index = 0; index < 100; index += 1) {
    assert.equal(door.enter(`${index}`, stranger("a"), assert.fail), undefined);
    door.proved(`${index}`);
    door.left(`${index}`);
  }
  assert.equal(door.connections, 0);
  door.proved("never there");
  door.busy("never there", true);
});

test("network (9): an address that comes too often waits, however fast it leaves", () => {
  const { door, clock } = newDoor();
  const come = (key: string) => {
    const reason = door.enter(key, stranger("a"), assert.fail);
    door.left(key);
    return reason;
  };
  for (const key of ["1", "2", "3", "4"]) assert.equal(come(key), undefined);
  assert.equal(come("5"), "network.too_fast");
  clock.pass(1000);
  assert.equal(come("6"), undefined);
  assert.equal(come("7"), "network.too_fast");
  clock.pass(60_000);
  for (const key of ["8", "9", "10", "11"]) assert.equal(come(key), undefined);
  assert.equal(come("12"), "network.too_fast");
});

test("network (9): in all there are so many; the oldest that waits for nothing makes room", () => {
  const { door } = newDoor();
  const ended: string[] = [];
  const enter = (key: string) =>
    door.enter(key, { limitKey: "lo", isKnownPath: true }, () => void ended.push(key));
  for (const key of ["1", "2", "3"]) assert.equal(enter(key), undefined);
  door.busy("1", true);
  assert.equal(enter("4"), undefined);
  assert.deepEqual(ended, ["2"]);
  door.busy("3", true);
  door.busy("4", true);
  assert.equal(enter("5"), "network.too_many_unauthenticated");
  door.busy("1", false);
  assert.equal(enter("6"), undefined);
  assert.deepEqual(ended, ["2", "1"]);
  assert.equal(door.connections, 3);
  door.clear();
  assert.deepEqual(ended, ["2", "1", "6"]);
});

test("network (4): a client has so many sockets before connect, all together so many, and a place is free once", () => {
  const { door } = newDoor();
  const first = sockets(door, "a");
  sockets(door, "a");
  assert.equal(door.wait("a", false), "network.too_many_unauthenticated");
  sockets(door, "b");
  assert.equal(door.wait("c", false), "network.too_many_unauthenticated");
  first();
  first();
  assert.equal(door.sockets, 2);
  sockets(door, "a");
  assert.equal(door.wait("a", false), "network.too_many_unauthenticated");
});

test("network (9): clients of a proxy are paced one by one", () => {
  const { door } = newDoor();
  for (let index = 0; index < 4; index += 1) sockets(door, "a", true)();
  assert.equal(door.wait("a", true), "network.too_fast");
  sockets(door, "b", true);
  sockets(door, "a", false);
});

test("network (9): the pace of ten thousand addresses is remembered, and no more (A-189)", () => {
  const clock = clockAt();
  const pacer = createPacer(clock, { burst: 1, perSecond: 0 });
  for (let index = 0; index < 10_500; index += 1) assert.equal(pacer.take(`a${index}`), true);
  assert.equal(pacer.size, 10_000);
  assert.equal(pacer.take("a10499"), false);
  pacer.giveBack("a10499");
  pacer.giveBack("a0");
  assert.equal(pacer.take("a10499"), true);
});
