import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, askOf, handClock, idOf, own, remote, setUpDevices } from "../../test/support/device-bench.ts";
import { systemRandom } from "../kernel/mod.ts";
import type { DeviceEvent } from "./device-registry.ts";
import { makePrincipal } from "./principal.ts";
import { createSetupCodes } from "./setup-codes.ts";

const kinds = (events: readonly DeviceEvent[]) =>
  events.map((event) => (event.kind === "resolved" ? event.decision : event.kind));

test("auth (7): a request lives five minutes after the last retry, and survives a restart", async () => {
  const { devices, open, forward, events, disk, recorded } = await setUpDevices();
  const first = await devices.admit(askOf(remote), undefined);
  assert.equal(first.state, "waiting");
  assert.deepEqual(recorded, ["device.pair.ask"]);
  forward(299_000);
  const second = await devices.admit(askOf(remote), undefined);
  assert.equal(
    second.state === "waiting" && second.request.requestId,
    first.state === "waiting" && first.request.requestId,
  );
  forward(299_000);
  assert.equal(devices.list(admin).pending.length, 1);
  await devices.close();
  const after = await open();
  assert.equal(after.list(admin).pending.length, 1);
  forward(1_000);
  await after.reload();
  assert.deepEqual(after.list(admin).pending, []);
  assert.deepEqual((disk.pending as { requests: unknown }).requests, []);
  assert.deepEqual(kinds(events), ["requested", "expired"]);
});

test("auth (7): a device that waits becomes paired only by what was asked, and once", async () => {
  const { devices } = await setUpDevices();
  const waiting = await devices.admit(askOf(remote), undefined);
  assert.ok(waiting.state === "waiting");
  assert.equal(devices.enter(askOf(remote), "token"), undefined);
  const { requestId } = waiting.request;
  const both = await Promise.all([devices.approve(admin, requestId), devices.approve(admin, requestId)]);
  assert.deepEqual(
    both.map((verdict) => verdict.ok),
    [true, false],
  );
  const principal = devices.enter(askOf(remote), "token");
  assert.deepEqual(principal?.scopes, ["operator.read"]);
  assert.equal(principal?.id, `device:${idOf("a")}`);
  assert.equal(devices.enter(askOf({ ...remote, scopes: ["operator.write"] }), "token"), undefined);
});

test("auth (7): no more than a hundred devices wait", async () => {
  const { devices } = await setUpDevices();
  for (let index = 0; index < 100; index++) {
    const deviceId = index.toString(16).padStart(64, "0");
    await devices.admit(askOf({ ...remote, deviceId, publicKey: deviceId }), undefined);
  }
  assert.equal((await devices.admit(askOf(remote), undefined)).state, "full");
});

test("auth (9): an entry that disappears or shrinks in the file ends its device, and only that", async () => {
  const { devices, disk, ended } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  await devices.admit(askOf({ deviceId: idOf("b"), publicKey: "key-b", clientId: "test" }), undefined);
  await devices.reload();
  assert.deepEqual(ended, [], "our own writes end nobody");
  const file = disk.paired as { devices: { deviceId: string; scopes: string[] }[] };
  disk.paired = { devices: file.devices.map((item) => ({ ...item, operatorLabel: "mine" })) };
  await devices.reload();
  assert.deepEqual(ended, [], "a name is no right");
  disk.paired = {
    devices: file.devices.map((item) => (item.deviceId === idOf("b") ? { ...item, scopes: [] } : item)),
  };
  await devices.reload();
  assert.deepEqual(ended, ["b and its runs"]);
  disk.paired = { devices: file.devices.filter((item) => item.deviceId === idOf("b")) };
  await devices.reload();
  assert.deepEqual(ended, ["b and its runs", "a and its runs", "b and its runs"]);
  assert.equal(devices.enter(askOf(), "token"), undefined);
  assert.deepEqual(devices.tokens(idOf("a"), "operator"), []);
});

test("auth (11): a file that cannot be read pairs nobody, is said once, and is never overwritten", async () => {
  const { devices, disk, ended, logged } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  const good = disk.paired;
  for (const broken of [
    new Error("not JSON"),
    [],
    { devices: [{ deviceId: "x" }] },
    { devices: [...(good as { devices: unknown[] }).devices, ...(good as { devices: unknown[] }).devices] },
  ]) {
    disk.paired = broken;
    await devices.reload();
    await devices.reload();
    assert.deepEqual(devices.list(admin).paired, []);
    await assert.rejects(devices.admit(askOf(), undefined), /paired\.json/);
    assert.equal(disk.paired, broken);
  }
  assert.equal(logged.filter((line) => line.startsWith("nobody is paired")).length, 4);
  assert.deepEqual(ended, ["a and its runs"]);
  disk.paired = good;
  await devices.reload();
  assert.equal(devices.list(admin).paired.length, 1);
});

test("auth (9): a change that cannot be written does not count", async () => {
  const { devices, disk, ended, setupCodes } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  const [before] = devices.tokens(idOf("a"), "operator");
  disk.failsToWrite = true;
  await assert.rejects(devices.remove(admin, idOf("a")), /disk full/);
  await assert.rejects(devices.rotate(admin, idOf("a"), "operator", undefined), /disk full/);
  assert.deepEqual(ended, []);
  assert.equal(devices.tokens(idOf("a"), "operator")[0]?.token.reveal(), before?.token.reveal());
  const issued = setupCodes.issue("full");
  const node = askOf({ deviceId: idOf("b"), role: "node", scopes: [], credential: "setup-code" });
  await assert.rejects(devices.admit(node, issued), /disk full/);
  // Once, whatever happens: whether the device got anything is not known, so the code is spent.
  assert.equal(setupCodes.find(issued.token.reveal()), undefined);
  assert.equal(setupCodes.status(issued.setupId).deliveryUncertain?.deviceId, idOf("b"));
});

test("auth (12): a setup code is spent by the first device, and worth nothing after ten minutes", async () => {
  const { devices, setupCodes, forward } = await setUpDevices();
  const issued = setupCodes.issue("limited");
  const node = (letter: string) =>
    askOf({
      ...remote,
      deviceId: idOf(letter),
      publicKey: letter,
      role: "node",
      scopes: [],
      credential: "setup-code",
    });
  const outcomes = await Promise.all([devices.admit(node("b"), issued), devices.admit(node("c"), issued)]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.state),
    ["paired", "code-used"],
  );
  const roles = devices
    .tokens(idOf("b"), "node")
    .map((item) => [item.role, item.scopes.includes("operator.admin")]);
  assert.deepEqual(roles, [
    ["node", false],
    ["operator", false],
  ]);
  assert.deepEqual(devices.tokens(idOf("c"), "node"), []);
  const late = setupCodes.issue("node");
  forward(600_000);
  assert.equal(setupCodes.find(late.token.reveal()), undefined);
  assert.equal(setupCodes.take(late), false);
  const last = setupCodes.issue("full");
  setupCodes.revokeAll();
  assert.equal(setupCodes.find(last.token.reveal()), undefined);
  assert.equal(setupCodes.take(last), false);
});

test("auth (7): a new identity of one program retires its old one, unless that is in use", async () => {
  const { devices, forward, connected } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  await devices.admit(askOf({ deviceId: idOf("b"), publicKey: "b" }), undefined);
  assert.equal(devices.list(admin).paired.length, 2, "a minute has not passed");
  forward(61_000);
  connected.add(idOf("b"));
  await devices.admit(askOf({ deviceId: idOf("c"), publicKey: "c" }), undefined);
  assert.deepEqual(
    devices.list(admin).paired.map((item) => item.deviceId),
    [idOf("b"), idOf("c")],
  );
});

test("when a device was seen is written later, and not for each connection", async () => {
  const { devices, disk, forward } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  const { writes } = disk;
  for (let index = 0; index < 100; index++) devices.enter(askOf(), "device-token");
  assert.equal(disk.writes, writes);
  assert.equal(devices.list(admin).paired[0]?.lastSeenAtMs, 1_000_000);
  forward(30_000);
  await devices.reload();
  assert.equal(disk.writes, writes + 1);
  const [entry] = (disk.paired as { devices: { tokens: { lastUsedAtMs: number }[] }[] }).devices;
  assert.equal(entry?.tokens[0]?.lastUsedAtMs, 1_000_000);
  await devices.close();
});

test("auth (8): an entry that an operator wrote by hand gets a token; one of another key is replaced", async () => {
  const byHand = {
    deviceId: idOf("a"),
    publicKey: "key-a",
    platform: "linux",
    roles: ["operator"],
    scopes: ["operator.read"],
    approvedVia: "owner",
    createdAtMs: 1,
    approvedAtMs: 1,
    tokens: [{ role: "operator", scopes: [], hash: "0".repeat(64), generation: "g", createdAtMs: 1 }],
  };
  const { devices } = await setUpDevices({ paired: { devices: [byHand] } });
  assert.equal((await devices.admit(askOf(remote), undefined)).state, "paired");
  const [issued] = devices.tokens(idOf("a"), "operator");
  const value = issued?.token.reveal() ?? "";
  assert.deepEqual(devices.checkToken(idOf("a"), "operator", value)?.scopes, ["operator.read"]);
  assert.equal(devices.checkToken(idOf("a"), "node", value), undefined);
  assert.equal(devices.checkToken(idOf("b"), "operator", value), undefined);
});

test("auth (9): a revoked token is worth nothing, whatever its hash says", async () => {
  const { devices, ended } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  const value = devices.tokens(idOf("a"), "operator")[0]?.token.reveal() ?? "";
  assert.ok(devices.checkToken(idOf("a"), "operator", value));
  assert.equal((await devices.revoke(admin, idOf("a"), "operator")).ok, true);
  assert.equal(devices.checkToken(idOf("a"), "operator", value), undefined);
  assert.deepEqual(devices.tokens(idOf("a"), "operator"), []);
  assert.deepEqual(ended, ["a and its runs"]);
  assert.equal((await devices.revoke(admin, idOf("a"), "operator")).ok, false);
  assert.equal((await devices.admit(askOf(), undefined)).state, "waiting");
});

test("auth (3): a node holds no operator's scope, whatever it claims", async () => {
  const { devices } = await setUpDevices();
  const node = askOf({ role: "node", scopes: ["operator.admin"] });
  await devices.admit(node, undefined);
  assert.deepEqual(devices.enter(node, "token")?.scopes, []);
  assert.deepEqual(devices.list(admin).paired[0]?.scopes, []);
});

test("auth (9): a later approval of less does not bring back what was revoked", async () => {
  const { devices } = await setUpDevices();
  await devices.admit(askOf({ scopes: ["operator.admin"] }), undefined);
  await devices.revoke(admin, idOf("a"), "operator");
  const waiting = await devices.admit(askOf(), undefined);
  assert.ok(waiting.state === "waiting");
  await devices.approve(admin, waiting.request.requestId);
  assert.deepEqual(devices.list(admin).paired[0]?.scopes, ["operator.read"]);
  assert.equal(devices.enter(askOf({ scopes: ["operator.admin"] }), "token"), undefined);
});

const reader = makePrincipal("operator", ["operator.read", "operator.pairing"], "token");

test("auth (9): a device that signed in with its own token sees and manages itself only", async () => {
  const { devices } = await setUpDevices();
  await devices.admit(askOf({ displayName: "laptop", deviceFamily: "Linux" }), undefined);
  await devices.admit(askOf({ deviceId: idOf("b"), publicKey: "key-b" }), undefined);
  await devices.admit(askOf({ ...remote, deviceId: idOf("c"), publicKey: "key-c" }), undefined);
  assert.deepEqual(
    devices.list(own("a")).paired.map((item) => item.deviceId),
    [idOf("a")],
  );
  assert.deepEqual(devices.list(own("a")).pending, []);
  assert.equal(devices.list(own("a", ["operator.admin"])).paired.length, 2);
  assert.equal(devices.list(admin).pending.length, 1);
  assert.doesNotMatch(JSON.stringify(devices.list(admin)), /hash|generation/);
  for (const done of [
    await devices.remove(own("a"), idOf("b")),
    await devices.rename(own("a"), idOf("b"), "mine"),
    await devices.approve(own("a"), devices.list(admin).pending[0]!.requestId),
    await devices.reject(own("a"), devices.list(admin).pending[0]!.requestId),
    await devices.rotate(own("a"), idOf("b"), "operator", undefined),
  ])
    assert.equal(done.ok, false);
  assert.equal((await devices.rename(own("a"), idOf("a"), "mine")).ok, true);
  assert.equal(devices.list(admin).paired[0]?.operatorLabel, "mine");
});

test("auth (9): nobody approves what he does not hold; a node needs an admin", async () => {
  const { devices } = await setUpDevices();
  const wide = await devices.admit(askOf({ ...remote, scopes: ["operator.write"] }), undefined);
  assert.ok(wide.state === "waiting");
  assert.equal((await devices.approve(reader, wide.request.requestId)).ok, false);
  assert.equal((await devices.approve(admin, "no-such-request")).ok, false);
  assert.equal((await devices.reject(admin, "no-such-request")).ok, false);
  assert.equal((await devices.approve(admin, wide.request.requestId)).ok, true);
  const node = await devices.admit(
    askOf({ ...remote, deviceId: idOf("b"), publicKey: "key-b", role: "node", scopes: [] }),
    undefined,
  );
  assert.ok(node.state === "waiting");
  assert.equal((await devices.approve(reader, node.request.requestId)).ok, false);
  assert.equal((await devices.approve(admin, node.request.requestId)).ok, true);
});

test("auth (9): removing a device ends it and its request; an unknown one is said to be so", async () => {
  const { devices, ended } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  const wider = await devices.admit(askOf({ ...remote, scopes: ["operator.admin"] }), undefined);
  assert.equal(wider.state, "waiting");
  assert.equal((await devices.remove(admin, idOf("a"))).ok, true);
  assert.deepEqual(devices.list(admin), { pending: [], paired: [] });
  assert.deepEqual(ended, ["a and its runs"]);
  assert.equal((await devices.remove(admin, idOf("a"))).ok, false);
  assert.equal((await devices.rename(admin, idOf("a"), "x")).ok, false);
});

test("auth (9): a token is rotated by who holds all of it, narrower at most, and shown to its own device only", async () => {
  const { devices, ended } = await setUpDevices();
  await devices.admit(askOf({ scopes: ["operator.read", "operator.write"] }), undefined);
  const before = devices.tokens(idOf("a"), "operator")[0]?.token.reveal();
  const rotate = (caller: typeof admin, role = "operator", scopes?: readonly string[]) =>
    devices.rotate(caller, idOf("a"), role, scopes);
  assert.equal((await rotate(reader)).ok, false);
  assert.equal((await rotate(admin, "node")).ok, false);
  assert.equal((await rotate(admin, "operator", ["operator.admin"])).ok, false);
  assert.equal((await devices.rotate(admin, idOf("z"), "operator", undefined)).ok, false);
  const byAdmin = await rotate(admin);
  assert.ok(byAdmin.ok && byAdmin.value.token === undefined);
  const bySelf = await rotate(own("a", ["operator.read", "operator.write"]), "operator", ["operator.read"]);
  assert.ok(bySelf.ok);
  assert.deepEqual(bySelf.value.scopes, ["operator.read"]);
  assert.notEqual(bySelf.value.token, before);
  assert.equal(bySelf.value.token, devices.tokens(idOf("a"), "operator")[0]?.token.reveal());
  assert.equal(devices.checkToken(idOf("a"), "operator", before ?? ""), undefined);
  assert.deepEqual(ended, ["a", "a"]);
});

test("auth (9): more scopes are asked for by the device itself, and its answer goes to nobody else", async () => {
  const { devices, forward } = await setUpDevices();
  await devices.admit(askOf({ displayName: "laptop", deviceFamily: "Linux" }), undefined);
  assert.equal((await devices.requestUpgrade(admin, ["operator.admin"])).ok, false);
  const node = makePrincipal("node", [], "device-token", { role: "node", deviceId: idOf("a") });
  assert.equal((await devices.requestUpgrade(node, ["operator.admin"])).ok, false);

  const asked = await devices.requestUpgrade(own("a"), ["operator.write"]);
  assert.ok(asked.ok);
  const answer = devices.waitUpgrade(own("a"), asked.value.requestId);
  assert.equal((await devices.waitUpgrade(own("b"), asked.value.requestId)).ok, false);
  assert.equal((await devices.waitUpgrade(admin, asked.value.requestId)).ok, false);
  await devices.approve(admin, asked.value.requestId);
  const approved = await answer;
  assert.ok(approved.ok && approved.value.status === "approved");
  assert.deepEqual([...approved.value.scopes].sort(), ["operator.read", "operator.write"]);

  const again = await devices.requestUpgrade(own("a"), ["operator.admin"]);
  assert.ok(again.ok);
  await devices.reject(admin, again.value.requestId);
  const rejected = await devices.waitUpgrade(own("a"), again.value.requestId);
  assert.ok(rejected.ok && rejected.value.status === "rejected");

  const late = await devices.requestUpgrade(own("a"), ["operator.admin"]);
  assert.ok(late.ok);
  const expired = devices.waitUpgrade(own("a"), late.value.requestId);
  forward(301_000);
  const outcome = await expired;
  assert.ok(outcome.ok && outcome.value.status === "expired");
});

test("auth (12): codes end by time and number, and say who came with them", () => {
  const { clock, forward } = handClock();
  const codes = createSetupCodes({ clock, random: systemRandom });
  const first = codes.issue("full");
  for (let count = 0; count < 32; count++) codes.issue("node");
  assert.equal(codes.find(first.token.reveal()), undefined);
  const late = codes.issue("limited");
  const found = codes.find(late.token.reveal());
  assert.ok(found);
  forward(601_000);
  assert.equal(codes.find(late.token.reveal()), undefined);
  assert.equal(codes.take(found), false);
  assert.equal(codes.take({ ...found, setupId: "none" }), false);
  codes.issue("full");
  assert.deepEqual(codes.status("none"), {});
  assert.ok(codes.settle(found, idOf("a"), undefined, false).deviceName === undefined);
  assert.ok(codes.status(found.setupId).deliveryUncertain);
  for (let count = 0; count < 33; count++)
    codes.settle({ ...found, setupId: `s${count}` }, idOf("a"), "phone", true);
  assert.deepEqual(codes.status(found.setupId), {});
  assert.equal(codes.status("s32").completion?.deviceName, "phone");
});
