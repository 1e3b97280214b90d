import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, askOf, idOf, remote, setUpDevices } from "../../test/support/device-bench.ts";
import { admit } from "../kernel/mod.ts";
import { mayCall } from "./limits.ts";
import { makePrincipal } from "./principal.ts";
import type { Identity } from "./proxy-caller.ts";

const wide = { ...remote, scopes: ["operator.admin", "operator.write", "operator.talk.secrets"] };

async function waiting(bench: Awaited<ReturnType<typeof setUpDevices>>, change = {}): Promise<string> {
  const admission = await bench.devices.admit(askOf({ ...wide, ...change }), undefined);
  assert.ok(admission.state === "waiting");
  return admission.request.requestId;
}

test("auth (10): a device that is approved for a role holds that much of what it asks for, then and later", async () => {
  const bench = await setUpDevices();
  const { devices } = bench;
  const approved = await devices.approve(admin, await waiting(bench), "viewer");
  assert.ok(approved.ok);
  assert.deepEqual(approved.value.scopes, ["operator.read"]);
  assert.equal((await devices.admit(askOf(wide), undefined)).state, "paired");
  assert.deepEqual(devices.enter(askOf(wide), "token")?.scopes, ["operator.read"]);
  const talks = askOf({ ...remote, scopes: ["operator.talk.secrets"] });
  assert.equal((await devices.admit(talks, undefined)).state, "paired");
  assert.deepEqual(devices.enter(talks, "token")?.scopes, []);
  // A program on this machine, which is let in without a question, gets no more by that.
  const third = { deviceId: idOf("c"), publicKey: "c" };
  const none = await waiting(bench, { ...third, scopes: ["operator.approvals"] });
  assert.deepEqual((await devices.approve(admin, none, "viewer")).ok, true);
  const asks = askOf({ ...third, scopes: ["operator.write", "operator.read"] });
  assert.equal((await devices.admit(asks, undefined)).state, "paired");
  assert.deepEqual(devices.tokens(idOf("c"), "operator")[0]?.scopes, ["operator.read"]);
  const local = askOf({ scopes: ["operator.read", "operator.admin"] });
  assert.equal((await devices.admit(local, undefined)).state, "paired");
  assert.deepEqual(devices.enter(local, "token")?.scopes, ["operator.read"]);
  assert.equal(devices.checkToken(idOf("a"), "operator", "x"), undefined);
  assert.deepEqual(devices.tokens(idOf("a"), "operator")[0]?.scopes, ["operator.read"]);
});

test("auth (10): an admin's device is kept from what only an owner does, and by its identity's scopes gets no more", async () => {
  const bench = await setUpDevices();
  const { devices } = bench;
  assert.ok((await devices.approve(admin, await waiting(bench), "admin")).ok);
  const identity: Identity = {
    user: "me",
    method: "trusted-proxy",
    isNamed: true,
    scopes: ["operator.write"],
    limit: undefined,
    autoApproveScopes: undefined,
  };
  const entered = devices.enter(askOf({ ...wide, identity, credential: "identity" }), "trusted-proxy");
  assert.ok(entered);
  assert.deepEqual(entered.scopes, wide.scopes);
  const call = (name: string) =>
    mayCall(entered.limits, { name, handsOutRights: false, reach: () => undefined }).ok;
  assert.deepEqual(
    [call("config.set"), call("sessions.delete"), call("device.pair.approve")],
    [true, false, false],
  );
  const viewer = { deviceId: idOf("b"), publicKey: "b", scopes: ["operator.read"] };
  assert.ok((await devices.approve(admin, await waiting(bench, viewer), "viewer")).ok);
  const reads = askOf({ ...remote, ...viewer, identity, credential: "identity" });
  assert.deepEqual(devices.enter(reads, "trusted-proxy")?.scopes, ["operator.read"]);
});

test("auth (10): nobody approves for a role what he does not hold, nor a node for one", async () => {
  const bench = await setUpDevices();
  const { devices } = bench;
  const reader = makePrincipal("reader", ["operator.pairing", "operator.read"], "token");
  const requestId = await waiting(bench, { scopes: ["operator.read", "operator.admin"] });
  const refused = await devices.approve(reader, requestId, "admin");
  assert.equal(refused.ok === false && refused.reason, "auth.scope_missing");
  const narrowed = await devices.approve(reader, requestId, "viewer");
  assert.deepEqual(narrowed.ok && narrowed.value.scopes, ["operator.read"]);
  const node = await waiting(bench, { deviceId: idOf("b"), publicKey: "b", role: "node", scopes: [] });
  const asNode = await devices.approve(admin, node, "viewer");
  assert.equal(asNode.ok === false && asNode.reason, "auth.role_invalid");
  assert.ok((await devices.approve(admin, node)).ok);
  assert.deepEqual(
    devices.enter(askOf({ ...remote, deviceId: idOf("b"), publicKey: "b", role: "node" }), "token")?.limits,
    {},
  );
});

test("auth (9, 10): another role ends what is open; without one the device is kept to its scopes alone", async () => {
  const bench = await setUpDevices();
  const { devices, ended } = bench;
  assert.ok((await devices.approve(admin, await waiting(bench))).ok);
  assert.deepEqual(ended, [], "a new device has nothing open");
  const me = devices.enter(askOf(wide), "token");
  assert.ok(me);
  const upgrade = async () => {
    const asked = await devices.requestUpgrade(me, ["operator.approvals"]);
    assert.ok(asked.ok);
    return asked.value.requestId;
  };
  const less = await devices.approve(admin, await upgrade(), "viewer");
  assert.deepEqual(less.ok && less.value.scopes, ["operator.read"]);
  assert.deepEqual(ended, ["a"]);
  const all = await devices.approve(admin, await upgrade());
  assert.deepEqual(all.ok && all.value.scopes, ["operator.read", "operator.approvals"]);
  assert.deepEqual(ended, ["a", "a"]);
  assert.ok((await devices.approve(admin, await upgrade())).ok);
  assert.deepEqual(ended, ["a", "a"], "the same again takes nothing");
});

test("auth (9): a role that a hand takes away ends what is open", async () => {
  const bench = await setUpDevices();
  const { devices, disk, ended } = bench;
  assert.ok((await devices.approve(admin, await waiting(bench), "owner")).ok);
  assert.deepEqual(admit(devices.enter(askOf(wide), "token")?.limits).value, {});
  const document = structuredClone(disk.paired) as { devices: { operatorRole?: string }[] };
  for (const device of document.devices) device.operatorRole = "viewer";
  disk.paired = document;
  await devices.reload();
  assert.deepEqual(ended, ["a and its runs"]);
});
