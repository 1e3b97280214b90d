import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, askOf, idOf, remote, setUpDevices } from "../../test/support/device-bench.ts";

test("auth (7): a wider ask takes the place of the narrower one, and asks for both", async () => {
  const { devices } = await setUpDevices();
  await devices.admit(askOf(remote), undefined);
  await devices.admit(askOf({ ...remote, role: "node", scopes: ["operator.admin"] }), undefined);
  await devices.admit(askOf({ ...remote, scopes: ["operator.write"] }), undefined);
  const { pending } = devices.list(admin);
  assert.equal(pending.length, 1);
  assert.deepEqual(pending[0]?.roles, ["operator", "node"]);
  assert.deepEqual(
    pending[0]?.scopes,
    ["operator.read", "operator.write"],
    "a node's claimed scopes are nothing",
  );
});

test("auth (7): a request is settled by what is granted without a question, when that is all it asks for", async () => {
  const { devices } = await setUpDevices();
  const waits = async () => devices.list(admin).pending.length;
  await devices.admit(askOf(remote), undefined);
  await devices.admit(askOf({ ...remote, role: "node" }), undefined);
  await devices.admit(askOf(), undefined);
  assert.equal(await waits(), 1, "it asks to be a node as well");
  await devices.admit(askOf({ role: "node" }), undefined);
  assert.equal(await waits(), 0);
  await devices.admit(askOf({ ...remote, scopes: ["operator.admin"] }), undefined);
  await devices.admit(askOf({ scopes: ["operator.write"] }), undefined);
  assert.equal(await waits(), 1, "it asks for more than was granted");
});

test("auth (12): a paired device that comes with a setup code gets what the code gives", async () => {
  const { devices, setupCodes, recorded } = await setUpDevices();
  const node = askOf({ ...remote, role: "node", scopes: [], credential: "setup-code" });
  await devices.admit({ ...node, credential: "shared", isLocal: true }, undefined);
  assert.equal((await devices.admit(node, setupCodes.issue("limited"))).state, "paired");
  assert.deepEqual(recorded, ["device.pair.auto", "device.pair.auto"]);
  assert.deepEqual(
    devices.tokens(idOf("a"), "node").map((item) => item.role),
    ["node", "operator"],
  );
});

test("auth (8): a node that an operator wrote by hand gets a token without a scope, and gets the same one again", async () => {
  const byHand = {
    deviceId: idOf("a"),
    publicKey: "key-a",
    roles: ["node"],
    scopes: [],
    approvedVia: "owner",
    createdAtMs: 1,
    approvedAtMs: 1,
    tokens: [],
  };
  const { devices, disk } = await setUpDevices({ paired: { devices: [byHand] } });
  const { platform: _, ...node } = askOf({ ...remote, role: "node", scopes: [] });
  assert.equal((await devices.admit(node, undefined)).state, "paired");
  const [issued] = devices.tokens(idOf("a"), "node");
  assert.deepEqual(issued?.scopes, []);
  const { writes } = disk;
  assert.equal((await devices.admit(node, undefined)).state, "paired");
  assert.equal(devices.tokens(idOf("a"), "node")[0]?.token.reveal(), issued?.token.reveal());
  assert.equal(disk.writes, writes, "nothing was lacking, so nothing is written");
});

test("when a device was seen is written at the latest when the gateway stops", async () => {
  const { devices, disk } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  devices.enter(askOf(), "device-token");
  await devices.close();
  const [entry] = (disk.paired as { devices: { lastSeenAtMs?: number }[] }).devices;
  assert.equal(entry?.lastSeenAtMs, 1_000_000);
});
