/** What a client is told at its connect and kept up to date about; and what the wrong ones are not (reference A-019). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolSchemas } from "@openclaw/gateway-protocol/schema";
import { Value } from "typebox/value";
import { TestDevice } from "../support/device.ts";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import type { GatewayClient, Payload } from "../support/gateway-client.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

const auth = { token: gatewayToken };

/** Everything that a caller without read scope must not find in what it is sent. */
function secretsOf(gateway: GatewayProcess): readonly string[] {
  return [gateway.folder, gateway.stateFolder, "agent:", "secretary", "openclaw.json", "telegram", "Ada"];
}

function assertTellsNothing(gateway: GatewayProcess, frames: readonly Payload[], who: string): void {
  for (const frame of frames) {
    const { features: _features, ...payload } = frame.payload ?? {};
    const text = JSON.stringify({ ...frame, payload });
    for (const secret of secretsOf(gateway))
      assert.ok(!text.includes(secret), `${who} reads ${secret}: ${text}`);
  }
}

test("control (6): who may not read learns at connect, from health and from its events no path, session, agent, channel or name (A-019)", async (context) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  context.after(() => fake.close());
  const telegram = { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42"] };
  const gateway = await GatewayProcess.start(context, {
    config: {
      channels: { telegram },
      agents: { list: [{ id: "secretary", default: true, name: "Ada" }] },
    },
  });
  fake.deliver("hello");
  await fake.sentCount(1);
  const reader = await gateway.connect({ scopes: ["operator.admin"] });
  const node = await new TestDevice().connect(gateway, {
    auth,
    role: "node",
    mode: "node",
    clientId: "node-host",
  });
  assert.equal(node.answer.ok, true);
  const strangers: readonly (readonly [string, GatewayClient])[] = [
    ["a node", node.client],
    ["pairing only", await gateway.connect({ scopes: ["operator.pairing"] })],
    ["approvals only", await gateway.connect({ scopes: ["operator.approvals"] })],
    ["no scope", await gateway.connect({ scopes: [] })],
    ["a probe", await gateway.connect({ scopes: ["operator.read"], mode: "probe" })],
  ];
  for (const [who, client] of strangers) {
    for (const probe of [false, true]) assert.equal((await client.rpc("health", { probe })).ok, true, who);
  }
  // A channel that goes and comes is a change of health: everybody hears of it, in their own words.
  const heard = strangers.map(([, client]) => client.waitFor((event) => event.event === "health"));
  await reader.rpc("channels.stop", { channel: "telegram" });
  await reader.say("hello", "agent:secretary:main");
  await reader.rpc("channels.start", { channel: "telegram" });
  await Promise.all(heard);
  for (const [who, client] of strangers) {
    assert.ok(
      client.events.some((event) => event.event === "health"),
      who,
    );
    assertTellsNothing(gateway, client.frames, who);
    const hello = client.frames.find((frame) => frame.payload?.type === "hello-ok");
    assert.deepEqual(hello.payload.snapshot.presence, [], who);
  }
  // The same places do hold it for who may read: the test looks where there is something to see.
  await reader.rpc("agents.list");
  const told = JSON.stringify(reader.frames);
  for (const secret of secretsOf(gateway)) assert.ok(told.includes(secret), secret);
  for (const health of [reader.hello.snapshot.health, await reader.rpc("health")])
    assert.equal(health.defaultAgentId, "secretary");
});

test("control (wire): hello-ok is what the published schema says, for every kind of caller", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const hellos: [string, Payload][] = [];
  for (const scopes of [[], ["operator.read"], ["operator.admin"], ["operator.pairing"]])
    hellos.push([scopes.join(), (await gateway.connect({ scopes })).hello]);
  for (const role of ["operator", "node"]) {
    const scopes = role === "node" ? [] : ["operator.read"];
    const { answer } = await new TestDevice().connect(gateway, {
      auth,
      role,
      scopes,
      displayName: "my phone",
    });
    hellos.push([role, answer.payload]);
  }
  for (const [who, hello] of hellos) {
    // On the wire of the existing system, though its published schema does not name it.
    const { method, ...rest } = hello.auth;
    assert.equal(typeof method, "string");
    const problems = Value.Errors(ProtocolSchemas.HelloOk, { ...hello, auth: rest }).map(
      (problem) => `${problem.instancePath} ${problem.message}`,
    );
    assert.deepEqual(problems, [], who);
  }
  const [, admin] = hellos[2] ?? [];
  assert.deepEqual(
    [admin.snapshot.configPath, admin.snapshot.stateDir, admin.snapshot.authMode],
    [gateway.configFile, gateway.stateFolder, "token"],
  );
  for (const [who, hello] of hellos) {
    if (who === "operator.admin") continue;
    for (const key of ["configPath", "stateDir", "authMode"])
      assert.ok(!(key in hello.snapshot), `${who} ${key}`);
  }
});

test("control (6): readers see which devices are here and hear of each that comes and goes; nobody else does", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const reader = await gateway.connect({ scopes: ["operator.read"] });
  const blind = await gateway.connect({ scopes: ["operator.pairing"] });
  const phone = new TestDevice();
  const ids = (entries: readonly Payload[]) => entries.map((entry) => entry.deviceId ?? entry.mode);
  assert.deepEqual(ids(await reader.rpc("system-presence")), ["gateway"]);
  const scopes = ["operator.read"];
  const { client, answer } = await phone.connect(gateway, { auth, scopes, displayName: "my phone" });
  assert.deepEqual(ids(answer.payload.snapshot.presence), ["gateway", phone.id]);
  const came = await reader.waitFor((event) => event.event === "presence");
  assert.deepEqual(ids(came.payload.presence), ["gateway", phone.id]);
  assert.equal(came.payload.presence[1].host, "my phone");
  const before = came.stateVersion?.presence ?? 0;
  assert.ok(before > reader.hello.snapshot.stateVersion.presence);
  await client.close();
  const went = await reader.waitFor(
    (event) => event.event === "presence" && (event.stateVersion?.presence ?? 0) > before,
  );
  assert.deepEqual(ids(went.payload.presence), ["gateway"]);
  // Calls without a device come and go unseen.
  assert.deepEqual(ids(await reader.rpc("system-presence")), ["gateway"]);
  await blind.rpc("health");
  assert.deepEqual(
    blind.events.filter((event) => event.event === "presence"),
    [],
  );
});

test("control (6): a device that is gone before its connect is through does not stay in the list", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const admin = await gateway.connect({ scopes: ["operator.admin"] });
  const device = new TestDevice();
  const socket = await gateway.socket();
  const nonce = socket.events[0]?.payload.nonce;
  socket.sendRaw(
    JSON.stringify({
      type: "req",
      id: "1",
      method: "connect",
      params: device.params(nonce, { auth, scopes: ["operator.read"] }),
    }),
  );
  socket.abandon();
  const isPaired = async () =>
    (await admin.rpc("device.pair.list")).paired.some((row: Payload) => row.deviceId === device.id);
  for (let tries = 0; tries < 200 && !(await isPaired()); tries += 1);
  assert.ok(await isPaired());
  // Another device that comes afterwards, so that what is read is newer than the first one's connect.
  await new TestDevice().connect(gateway, { auth, scopes: ["operator.read"] });
  const present = await admin.rpc("system-presence");
  assert.equal(present.length, 2);
  assert.ok(present.every((entry: Payload) => entry.deviceId !== device.id));
});
