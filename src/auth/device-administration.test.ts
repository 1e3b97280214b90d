import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, askOf, idOf, own, remote, setUpDevices } from "../../test/support/device-bench.ts";

test("auth (10): what operators see of a token tells when it was made, rotated, used and revoked", async () => {
  const { devices } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  devices.enter(askOf(), "device-token");
  await devices.rotate(admin, idOf("a"), "operator", undefined);
  await devices.revoke(admin, idOf("a"), "operator");
  const at = 1_000_000;
  assert.deepEqual(devices.list(admin).paired[0]?.tokens, [
    {
      role: "operator",
      scopes: ["operator.read"],
      createdAtMs: at,
      rotatedAtMs: at,
      lastUsedAtMs: at,
      revokedAtMs: at,
    },
  ]);
});

test("auth (10): one role's token changes, the other role and its scopes stay", async () => {
  const { devices } = await setUpDevices();
  await devices.admit(askOf({ scopes: ["operator.write"] }), undefined);
  await devices.admit(askOf({ role: "node" }), undefined);
  const operatorToken = () => devices.tokens(idOf("a"), "operator")[0]?.token.reveal();
  const before = operatorToken();
  assert.equal((await devices.rotate(admin, idOf("a"), "node", undefined)).ok, true);
  assert.equal((await devices.revoke(admin, idOf("a"), "node")).ok, true);
  assert.equal(operatorToken(), before);
  assert.deepEqual(devices.list(admin).paired[0]?.scopes, ["operator.write"]);
  const narrower = await devices.rotate(admin, idOf("a"), "operator", ["operator.read"]);
  assert.ok(narrower.ok);
  assert.deepEqual(
    devices.list(admin).paired[0]?.scopes,
    ["operator.read"],
    "write covers read, and is gone",
  );
});

test("auth (7): a hundred devices wait: an upgrade has to wait for room too, and survives a restart", async () => {
  const { devices, open, disk, logged } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  const asked = await devices.requestUpgrade(own("a"), ["operator.admin"]);
  assert.ok(asked.ok && asked.value.remoteIp === undefined);
  const again = await open();
  assert.equal(again.list(admin).pending[0]?.requestId, asked.value.requestId);
  assert.deepEqual(logged, [], "what we wrote we can read");
  await again.reject(admin, asked.value.requestId);
  for (let index = 0; index < 100; index++) {
    const deviceId = index.toString(16).padStart(64, "0");
    await again.admit(askOf({ ...remote, deviceId, publicKey: deviceId }), undefined);
  }
  const full = await again.requestUpgrade(own("a"), ["operator.admin"]);
  assert.equal(!full.ok && full.reason, "auth.pairing_full");
  assert.equal((disk.pending as { requests: unknown[] }).requests.length, 100);
});

test("auth (10): how an upgrade ended is kept for a thousand requests, and given once the device has its token", async () => {
  const { devices } = await setUpDevices();
  await devices.admit(askOf(), undefined);
  const first = await devices.requestUpgrade(own("a"), ["operator.admin"]);
  assert.ok(first.ok);
  await devices.approve(admin, first.value.requestId);
  await devices.remove(admin, idOf("a"));
  const removed = await devices.waitUpgrade(own("a"), first.value.requestId);
  assert.ok(removed.ok && removed.value.status === "rejected", "a removed device gets no token");
  for (let index = 0; index < 1000; index++) {
    const other = askOf({ ...remote, deviceId: idOf("b"), publicKey: "key-b" });
    const waiting = await devices.admit(other, undefined);
    assert.ok(waiting.state === "waiting");
    await devices.reject(admin, waiting.request.requestId);
  }
  assert.equal((await devices.waitUpgrade(own("a"), first.value.requestId)).ok, false);
  await devices.admit(askOf(), undefined);
  const second = await devices.requestUpgrade(own("a"), ["operator.admin"]);
  assert.ok(second.ok);
  await devices.reject(admin, second.value.requestId);
  for (let index = 0; index < 1000; index++) {
    const more = await devices.requestUpgrade(own("a"), ["operator.admin"]);
    assert.ok(more.ok);
    await devices.reject(admin, more.value.requestId);
  }
  assert.equal((await devices.waitUpgrade(own("a"), second.value.requestId)).ok, false);
});
