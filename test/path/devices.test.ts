/** Devices on their whole way: identity, pairing, tokens, revocation; and the attacks on it (reference A-0xx). */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GatewayClient as PublishedClient } from "@openclaw/gateway-client";
import { ProtocolSchemas } from "@openclaw/gateway-protocol/schema";
import { Value } from "typebox/value";
import { WebSocket } from "ws";
import { nonceOf, TestDevice } from "../support/device.ts";
import { GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import type { Payload } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { programFile } from "../support/program.ts";

const auth = { token: gatewayToken };

/** As a config's `gateway`: no device comes in without a person's yes. */
const asking = {
  gateway: {
    mode: "local",
    bind: "loopback",
    auth: { mode: "token", token: gatewayToken },
    nodes: { pairing: { autoApproveLocal: false } },
  },
};

function pairedFile(gateway: GatewayProcess): string {
  return join(gateway.stateFolder, "nodes", "paired.json");
}

/** Replaces the file the way an editor does. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The published client with a device's identity: connects, or rejects with the gateway's error. */
function published(context: TestContext, port: number, device: TestDevice, options: Payload) {
  const hello = Promise.withResolvers<Payload>();
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  const client = new PublishedClient({
    url: `ws://127.0.0.1:${port}`,
    minProtocol: 4,
    maxProtocol: 4,
    platform: "linux",
    deviceIdentity: device.identity,
    hostDeps: device.hostDeps,
    ...options,
    onHelloOk: (payload) => hello.resolve(payload),
    onConnectError: (error) => hello.reject(error),
    onClose: (code, reason) => {
      closed.resolve({ code, reason });
      client.stop();
    },
  });
  context.after(() => client.stop());
  client.start();
  return { client, hello: hello.promise, closed: closed.promise };
}

/** Fails with what the published schema does not accept. */
function assertValid(name: keyof typeof ProtocolSchemas, value: unknown): void {
  const problems = Value.Errors(ProtocolSchemas[name], value).map(
    (problem) => `${problem.instancePath} ${problem.message}`,
  );
  assert.deepEqual(problems, [], `${name}: ${JSON.stringify(value)}`);
}

/** The part of hello-ok that is about devices; `method` is on the wire, though the published schema lacks it. */
function assertValidAuth(hello: Payload): void {
  const { method: _method, ...auth_ } = hello.auth;
  const problems = Value.Errors(ProtocolSchemas.HelloOk.properties.auth, auth_);
  assert.deepEqual([...problems], [], JSON.stringify(hello.auth));
}

async function pairedDevice(
  gateway: GatewayProcess,
  device: TestDevice,
  scopes: readonly string[],
  role = "operator",
): Promise<string> {
  const { client, answer } = await device.connect(gateway, { auth, scopes, role });
  assert.equal(answer.ok, true, JSON.stringify(answer.error));
  await client.close();
  return answer.payload.auth.deviceToken;
}

test("auth (7, 8): the published client pairs on this machine, comes back with its token, and is removed", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const device = new TestDevice();
  const scopes = ["operator.read", "operator.write"];
  const first = published(t, gateway.port, device, { token: gatewayToken, scopes });
  const hello = await first.hello;
  assertValidAuth(hello);
  assert.equal(hello.auth.method, "token");
  assert.deepEqual(hello.auth.scopes, scopes);
  assert.match(hello.auth.deviceToken, /^[\w-]{43}$/);
  first.client.stop();

  const { deviceToken } = hello.auth;
  const second = published(t, gateway.port, device, { deviceToken, scopes });
  const again = await second.hello;
  assert.equal(again.auth.method, "device-token");
  assert.equal(again.auth.deviceToken, deviceToken, "the same until it is rotated");
  const admin = await gateway.connect();
  const { paired } = await admin.rpc("device.pair.list");
  assert.equal(paired[0].connected, true);
  assert.equal(paired[0].approvedVia, "silent");
  assert.doesNotMatch(JSON.stringify(paired), /hash|generation/);

  // Nothing at rest can be presented.
  const text = await readFile(pairedFile(gateway), "utf8");
  assert.ok(!text.includes(deviceToken));
  assert.equal((await stat(pairedFile(gateway))).mode & 0o777, 0o600);

  await admin.rpc("device.pair.remove", { deviceId: device.id });
  assert.deepEqual(await second.closed, { code: 4001, reason: "device removed" });
  const refused = await device.connect(gateway, { auth: { deviceToken }, scopes });
  assert.equal(refused.answer.error.details.code, "AUTH_DEVICE_TOKEN_MISMATCH");
  // A stolen token stays worthless when its device is paired anew.
  assert.notEqual(await pairedDevice(gateway, device, scopes), deviceToken);
  assert.equal(
    (await device.connect(gateway, { auth: { deviceToken }, scopes })).answer.error.details.code,
    "AUTH_DEVICE_TOKEN_MISMATCH",
  );
});

test("auth (7): without a yes a device waits; a retry keeps the request, a wider ask replaces it", async (t) => {
  const gateway = await GatewayProcess.start(t, { config: asking });
  const admin = await gateway.connect();
  const device = new TestDevice();
  const ask = (scopes: readonly string[]) => device.connect(gateway, { auth, scopes, displayName: "phone" });
  const { client, answer } = await ask(["operator.read"]);
  assert.equal(answer.error.code, "NOT_PAIRED");
  assert.equal(answer.error.message, "pairing required: device is not approved yet");
  const { requestId, ...details } = answer.error.details;
  assert.deepEqual(details, {
    code: "PAIRING_REQUIRED",
    reason: "not-paired",
    remediationHint: "Approve this device from the pending pairing requests.",
    deviceId: device.id,
    requestedRole: "operator",
    requestedScopes: ["operator.read"],
  });
  const { code, reason } = await client.closed;
  assert.equal(code, 1008);
  assert.equal(
    reason,
    `pairing required: device is not approved yet (requestId: ${requestId})`.slice(0, 123),
  );
  const requested = await admin.waitFor((event) => event.event === "device.pair.requested");
  assertValid("DevicePairRequestedEvent", requested.payload);

  assert.equal((await ask([])).answer.error.details.requestId, requestId, "narrower");
  const wider = (await ask(["operator.write"])).answer.error.details.requestId;
  assert.notEqual(wider, requestId);
  const resolved = await admin.waitFor((event) => event.event === "device.pair.resolved");
  assertValid("DevicePairResolvedEvent", resolved.payload);
  assert.deepEqual([resolved.payload.requestId, resolved.payload.decision], [requestId, "rejected"]);
  assert.equal((await admin.ask("device.pair.approve", { requestId })).error.message, "unknown requestId");
  const { pending } = await admin.rpc("device.pair.list");
  assert.deepEqual(pending[0].scopes, ["operator.read", "operator.write"]);

  const approved = await admin.rpc("device.pair.approve", { requestId: wider });
  assert.deepEqual(approved.device.scopes, ["operator.read", "operator.write"]);
  assert.equal(approved.device.approvedVia, "owner");
  const granted = await ask(["operator.write"]);
  assert.equal(granted.answer.ok, true);
  assert.deepEqual(granted.answer.payload.auth.scopes, ["operator.write"]);

  const more = (await ask(["operator.admin"])).answer.error;
  assert.equal(more.message, "pairing required: device is asking for more scopes than currently approved");
  assert.deepEqual(more.details.approvedScopes, ["operator.read", "operator.write"]);
  await admin.rpc("device.pair.reject", { requestId: more.details.requestId });
  assert.deepEqual((await admin.rpc("device.pair.list")).pending, []);

  // The record says what was decided, and by whom.
  const { rows } = await admin.rpc("audit.list", { limit: 100 });
  const actions = rows.map((row: Payload) => row.action);
  for (const action of ["device.pair.ask", "device.pair.approve", "device.pair.reject"])
    assert.ok(actions.includes(action), action);
});

test("auth (8): a device token gives exactly its grant, to its own device, in its own role", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const device = new TestDevice();
  const other = new TestDevice();
  const deviceToken = await pairedDevice(gateway, device, ["operator.read"]);
  await pairedDevice(gateway, other, ["operator.admin"]);
  const code = async (who: TestDevice, options: Payload) =>
    (await who.connect(gateway, options)).answer.error?.details?.code;
  assert.equal(await code(device, { auth: { deviceToken }, scopes: ["operator.read"] }), undefined);
  assert.equal(await code(device, { auth: { token: deviceToken }, scopes: ["operator.read"] }), undefined);
  assert.equal(
    await code(device, { auth: { deviceToken }, scopes: ["operator.admin"] }),
    "AUTH_SCOPE_MISMATCH",
  );
  assert.equal(await code(device, { auth: { deviceToken }, role: "node" }), "AUTH_DEVICE_TOKEN_MISMATCH");
  assert.equal(await code(other, { auth: { deviceToken }, scopes: [] }), "AUTH_DEVICE_TOKEN_MISMATCH");
  assert.equal(
    await code(device, { auth: { token: "wrong", deviceToken }, scopes: [] }),
    "AUTH_DEVICE_TOKEN_MISMATCH",
  );
  const wrong = (await device.connect(gateway, { auth: { token: "wrong" } })).answer.error;
  assert.equal(wrong.details.code, "AUTH_TOKEN_MISMATCH");
  assert.equal(wrong.details.recommendedNextStep, "retry_with_device_token");
  assert.equal(await code(device, {}), "AUTH_TOKEN_MISSING");
  // Asking for nothing gives nothing.
  const { answer } = await device.connect(gateway, { auth: { deviceToken } });
  assert.deepEqual(answer.payload.auth.scopes, []);
  // Without the device the token is nothing.
  await assert.rejects(gateway.connect({ token: deviceToken }), /mismatch/);
});

test("auth (9): removing an entry by hand ends the device's connections and runs, live", async (t) => {
  const started = Promise.withResolvers<void>();
  const model = await startModelServer({
    wire: "openai-completions",
    script: () => {
      started.resolve();
      return [{ text: "thinking" }, { wait: new Promise(() => {}) }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const admin = await gateway.connect();
  const device = new TestDevice();
  const kept = new TestDevice();
  const { client } = await device.connect(gateway, { auth, scopes: ["operator.write"] });
  const { client: other } = await kept.connect(gateway, {
    auth,
    scopes: ["operator.read"],
    displayName: "kept",
  });
  await client.rpc("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: "run-1" });
  await started.promise;
  const document = JSON.parse(await readFile(pairedFile(gateway), "utf8"));
  document.devices = document.devices.filter((item: Payload) => item.deviceId !== device.id);
  await replace(pairedFile(gateway), JSON.stringify(document));
  assert.deepEqual(await client.closed, { code: 4001, reason: "device removed" });
  assert.equal((await admin.chatEnd("run-1")).state, "aborted");
  assert.equal((await other.rpc("health", {})).ok, true, "the other device stays");

  // A file that nobody can read pairs nobody, and is not overwritten.
  await replace(pairedFile(gateway), "{ broken");
  assert.equal((await other.closed).code, 4001);
  const { answer } = await kept.connect(gateway, { auth, scopes: ["operator.read"] });
  assert.equal(answer.error.code, "UNAVAILABLE");
  assert.equal(await readFile(pairedFile(gateway), "utf8"), "{ broken");
  await replace(pairedFile(gateway), JSON.stringify(document));
  assert.equal((await kept.connect(gateway, { auth, scopes: ["operator.read"] })).answer.ok, true);
});

test("auth (8, 9): rotating ends the old token, revoking lasts until a new approval", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const admin = await gateway.connect();
  const device = new TestDevice();
  const scopes = ["operator.pairing"];
  const deviceToken = await pairedDevice(gateway, device, scopes);
  const own = await device.connect(gateway, { auth: { deviceToken }, scopes });
  const rotated = await own.client.rpc("device.token.rotate", { deviceId: device.id, role: "operator" });
  assertValid("DeviceTokenRotateResult", rotated);
  assert.equal(rotated.tokenDelivery, "in-band");
  assert.notEqual(rotated.token, deviceToken);
  assert.equal((await own.client.closed).code, 4001);
  const code = async (candidate: string) =>
    (await device.connect(gateway, { auth: { deviceToken: candidate }, scopes })).answer.error?.details.code;
  assert.equal(await code(deviceToken), "AUTH_DEVICE_TOKEN_MISMATCH");
  assert.equal(await code(rotated.token), undefined);

  const across = await admin.rpc("device.token.rotate", { deviceId: device.id, role: "operator" });
  assertValid("DeviceTokenRotateResult", across);
  assert.equal(across.tokenDelivery, "withheld-cross-device");
  assert.equal(across.token, undefined);

  await admin.rpc("device.token.revoke", { deviceId: device.id, role: "operator" });
  // Even with the shared secret on this machine.
  const { answer } = await device.connect(gateway, { auth, scopes });
  assert.equal(answer.error.details.reason, "role-upgrade");
  const denied = await admin.ask("device.token.rotate", { deviceId: device.id, role: "operator" });
  assert.equal(denied.error.code, "FORBIDDEN");
  await admin.rpc("device.pair.approve", { requestId: answer.error.details.requestId });
  assert.equal((await device.connect(gateway, { auth, scopes })).answer.ok, true);
});

test("auth (7): a device asks for more scopes, waits, and gets its token for them", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const admin = await gateway.connect();
  const device = new TestDevice();
  const deviceToken = await pairedDevice(gateway, device, ["operator.read"]);
  const session = published(t, gateway.port, device, { deviceToken, scopes: ["operator.read"] });
  await session.hello;
  const upgrade = async () =>
    (await session.client.request<Payload>("device.scopes.requestUpgrade", { scopes: ["operator.write"] }))
      .requestId as string;
  const requestId = await upgrade();
  const outcome = session.client.request<Payload>(
    "device.scopes.waitUpgrade",
    { requestId },
    { timeoutMs: null },
  );
  await admin.rpc("device.pair.approve", { requestId });
  const approved = await outcome;
  assert.equal(approved.status, "approved");
  assert.deepEqual(approved.scopes, ["operator.read", "operator.write"]);
  const wider = await device.connect(gateway, {
    auth: { deviceToken: approved.deviceToken },
    scopes: ["operator.write"],
  });
  assert.equal(wider.answer.ok, true);
  const next = await upgrade();
  await admin.rpc("device.pair.reject", { requestId: next });
  assert.deepEqual(await session.client.request("device.scopes.waitUpgrade", { requestId: next }), {
    status: "rejected",
    requestId: next,
  });
  // The answer carries a token: nobody else may wait for it.
  const stranger = new TestDevice();
  const { client } = await stranger.connect(gateway, { auth, scopes: ["operator.admin"] });
  const stolen = await client.ask("device.scopes.waitUpgrade", { requestId });
  assert.equal(stolen.error.message, "unknown requestId");
});

test("auth (10): A-031, A-032, A-033, A-034: nobody gives or manages more than he holds", async (t) => {
  const gateway = await GatewayProcess.start(t, { config: asking });
  const admin = await gateway.connect();
  const approve = async (device: TestDevice, scopes: readonly string[]) => {
    const { answer } = await device.connect(gateway, { auth, scopes });
    await admin.rpc("device.pair.approve", { requestId: answer.error.details.requestId });
    return (await device.connect(gateway, { auth, scopes })).answer.payload.auth.deviceToken as string;
  };
  const low = new TestDevice();
  const high = new TestDevice();
  const lowToken = await approve(low, ["operator.pairing"]);
  await approve(high, ["operator.admin"]);
  const scopes = ["operator.pairing"];
  const shared = await gateway.connect({ scopes });
  const { client: own } = await low.connect(gateway, { auth: { deviceToken: lowToken }, scopes });
  const refusedAs = async (client: typeof own, method: string, params: Payload) => {
    const answer = await client.ask(method, params);
    assert.equal(answer.ok, false, `${method} ${JSON.stringify(params)}`);
    assert.doesNotMatch(JSON.stringify(answer), /"token"/);
    return answer.error.code as string;
  };
  // a broader token, for another device or the own one.
  for (const client of [shared, own])
    for (const deviceId of [low.id, high.id]) {
      const params = { deviceId, role: "operator", scopes: ["operator.admin"] };
      assert.equal(await refusedAs(client, "device.token.rotate", params), "FORBIDDEN");
    }
  const highest = { deviceId: high.id, role: "operator" };
  assert.equal(await refusedAs(shared, "device.token.rotate", highest), "FORBIDDEN");
  assert.equal(await refusedAs(shared, "device.token.revoke", highest), "FORBIDDEN");
  // a role that was never approved, even by an admin.
  assert.equal(
    await refusedAs(admin, "device.token.rotate", { deviceId: low.id, role: "node" }),
    "FORBIDDEN",
  );
  // above the approver's own authority.
  const wants = new TestDevice();
  const pending = (await wants.connect(gateway, { auth, scopes: ["operator.admin"] })).answer.error.details;
  assert.equal(await refusedAs(shared, "device.pair.approve", { requestId: pending.requestId }), "FORBIDDEN");
  const node = new TestDevice();
  const nodeAsk = (await node.connect(gateway, { auth, role: "node" })).answer.error.details;
  assert.equal(await refusedAs(shared, "device.pair.approve", { requestId: nodeAsk.requestId }), "FORBIDDEN");
  // a device's own token sees and manages itself alone.
  const seen = await own.rpc("device.pair.list");
  assert.deepEqual(
    seen.paired.map((item: Payload) => item.deviceId),
    [low.id],
  );
  assert.deepEqual(seen.pending, []);
  for (const [method, params] of [
    ["device.pair.remove", { deviceId: high.id }],
    ["device.pair.rename", { deviceId: high.id, label: "mine" }],
    ["device.pair.approve", { requestId: nodeAsk.requestId }],
    ["device.pair.reject", { requestId: nodeAsk.requestId }],
  ] as const)
    assert.equal(await refusedAs(own, method, params), "INVALID_REQUEST");
  assert.ok(
    own.events.every((event) => !event.event.startsWith("device.pair.")),
    "it hears of no other device",
  );
  const { paired } = await admin.rpc("device.pair.list");
  assert.equal(paired.length, 2);
});

test("auth (7): A-035, A-050: no silent way in for pages, proxies, or a machine that became another", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const device = new TestDevice();
  await pairedDevice(gateway, device, ["operator.read"]);
  const moved = await device.connect(gateway, { auth, scopes: ["operator.write"], platform: "darwin" });
  assert.equal(moved.answer.error.details.code, "PAIRING_REQUIRED");
  const renamed = await device.connect(gateway, { auth, scopes: ["operator.read"], platform: "darwin" });
  assert.equal(renamed.answer.error.details.code, "PAIRING_REQUIRED");
  const admin = await gateway.connect();
  assert.equal((await admin.rpc("device.pair.list")).paired[0].platform, "linux");

  const page = new TestDevice();
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/`, {
    origin: `http://127.0.0.1:${gateway.port}`,
  });
  t.after(() => socket.terminate());
  const frames: Payload[] = [];
  const refused = await new Promise<Payload>((resolve) => {
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data));
      frames.push(frame);
      if (frame.type === "res") return resolve(frame);
      const params = page.params(frame.payload.nonce, { auth, scopes: ["operator.admin"] });
      socket.send(JSON.stringify({ type: "req", id: "1", method: "connect", params }));
    });
  });
  assert.equal(refused.error.details.code, "PAIRING_REQUIRED");
  const proxied = new WebSocket(`ws://127.0.0.1:${gateway.port}/`, {
    headers: { "x-forwarded-for": "203.0.113.5" },
  });
  const status = await new Promise((resolve) => {
    proxied.on("unexpected-response", (_request, response) => resolve(response.statusCode));
    proxied.on("error", () => {});
  });
  assert.equal(status, 403);
});

test("auth (6): a signature counts once, here and now", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const device = new TestDevice();
  const first = await gateway.socket();
  const overheard = device.params(nonceOf(first), { auth, scopes: [] }) as Payload;
  const second = await gateway.socket();
  const codeOf = async (client: typeof first, params: unknown) =>
    (await client.ask("connect", params)).error.details.code;
  assert.equal(await codeOf(second, overheard), "DEVICE_AUTH_NONCE_MISMATCH");
  const third = await gateway.socket();
  const widened = device.params(nonceOf(third), { auth, scopes: [] }) as Payload;
  assert.equal(
    await codeOf(third, { ...widened, scopes: ["operator.admin"] }),
    "DEVICE_AUTH_SIGNATURE_INVALID",
  );
  const fourth = await gateway.socket();
  const late = device.params(nonceOf(fourth), { auth, signedAt: Date.now() - 121_000 });
  assert.equal(await codeOf(fourth, late), "DEVICE_AUTH_SIGNATURE_EXPIRED");
});

test("auth (12): A-049: a setup code pairs one new node, once, and carries no secret", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const admin = await gateway.connect();
  const nowhere = await admin.ask("device.pair.setupCode", {});
  assert.match(nowhere.error.message, /^Gateway is only bound to loopback\./);
  const publicUrl = "wss://gateway.example";
  const issued = await admin.rpc("device.pair.setupCode", { publicUrl });
  assertValid("DevicePairSetupCodeResult", issued);
  const code = JSON.parse(Buffer.from(issued.setupCode, "base64url").toString());
  assert.deepEqual(Object.keys(code), ["url", "bootstrapToken", "expiresAtMs"]);
  assert.notEqual(code.bootstrapToken, gatewayToken);
  const bootstrap = { bootstrapToken: code.bootstrapToken };
  const codeOf = async (options: Payload) =>
    (await new TestDevice().connect(gateway, options)).answer.error?.details.code;
  assert.equal(
    await codeOf({ auth: bootstrap, role: "operator", scopes: ["operator.admin"] }),
    "AUTH_BOOTSTRAP_TOKEN_INVALID",
  );
  const phone = new TestDevice();
  const options = { bootstrapToken: code.bootstrapToken, role: "node", scopes: [], mode: "node" };
  const hello = await published(t, gateway.port, phone, { ...options, clientName: "node-host" }).hello;
  assertValidAuth(hello);
  assert.equal(hello.auth.method, "bootstrap-token");
  assert.deepEqual(hello.auth.scopes, []);
  const [operator] = hello.auth.deviceTokens;
  assert.equal(operator.role, "operator");
  assert.ok(operator.scopes.includes("operator.admin"));
  assert.equal(await codeOf({ auth: bootstrap, role: "node" }), "AUTH_BOOTSTRAP_TOKEN_INVALID", "once");
  const { completion } = await admin.rpc("device.pair.setupStatus", { setupId: issued.setupId });
  assert.equal(completion.deviceId, phone.id);
  const done = await admin.waitFor((event) => event.event === "device.pair.setup.completed");
  assertValid("DevicePairSetupCompletedEvent", done.payload);
  const asOperator = await phone.connect(gateway, {
    auth: { deviceToken: operator.deviceToken },
    scopes: ["operator.admin"],
    clientId: "node-host",
    mode: "node",
  });
  assert.equal(asOperator.answer.ok, true, JSON.stringify(asOperator.answer.error));

  const plain = await admin.rpc("device.pair.setupCode", { publicUrl, bootstrapProfile: "node" });
  const { bootstrapToken } = JSON.parse(Buffer.from(plain.setupCode, "base64url").toString());
  const node = await new TestDevice().connect(gateway, { auth: { bootstrapToken }, role: "node" });
  assert.equal(node.answer.payload.auth.deviceTokens, undefined);
  assert.equal((await admin.ask("device.pair.setupCode", { publicUrl: "ws://gateway.example" })).ok, false);
});

test("control (1): a node needs a device, and is answered nothing but health", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const device = new TestDevice();
  const { client, answer } = await device.connect(gateway, {
    auth,
    role: "node",
    clientId: "node-host",
    mode: "node",
    scopes: ["operator.admin"],
  });
  assert.equal(answer.ok, true);
  assert.equal(answer.payload.auth.role, "node");
  assert.deepEqual(answer.payload.auth.scopes, [], "a node holds no operator's scope");
  assert.equal((await client.rpc("health", {})).ok, true);
  for (const method of ["status", "chat.send", "config.get", "nope.method"]) {
    const refused = await client.ask(method, {});
    assert.equal(refused.error.message, "unauthorized role: node", method);
  }
  const admin = await gateway.connect();
  await admin.say("hello");
  assert.deepEqual(
    client.events.filter(
      ({ event }) => !/^(?:connect\.challenge|tick|health|voicewake\.changed)$/.test(event),
    ),
    [],
    "a node hears of no conversation (A-019)",
  );
  assert.match((await admin.rpc("gateway.identity.get")).deviceId, /^[0-9a-f]{64}$/);
});

test("cli: devices are listed, approved, renamed, revoked and removed from the terminal", async (t) => {
  const gateway = await GatewayProcess.start(t, { config: asking });
  const device = new TestDevice();
  const name = "phone\u001b[2K\rAPPROVED";
  const ask = () => device.connect(gateway, { auth, scopes: ["operator.read"], displayName: name });
  const { requestId } = (await ask()).answer.error.details;
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [programFile, "devices", ...args], {
      env: {
        PATH: process.env.PATH,
        HOME: gateway.folder,
        OPENCLAW_STATE_DIR: gateway.stateFolder,
        OPENCLAW_GATEWAY_PORT: String(gateway.port),
        OPENCLAW_GATEWAY_TOKEN: gatewayToken,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => {
        out += text;
      });
    const [code] = await once(child, "close");
    return { code, out };
  };
  const listed = await run("list");
  assert.equal(listed.code, 0, listed.out);
  assert.ok(listed.out.includes(requestId));
  // what the device claims never moves the cursor.
  assert.ok(!listed.out.includes("\u001b") && !listed.out.includes("\r"));
  const preview = await run("approve");
  assert.equal(preview.code, 1, preview.out);
  assert.match(preview.out, /Nothing was approved/);
  assert.equal((await run("approve", "--latest")).code, 0);
  assert.equal((await ask()).answer.ok, true);
  const short = device.id.slice(0, 8);
  assert.equal((await run("rename", "--device", short, "--name", "kitchen")).code, 0);
  assert.match((await run()).out, /kitchen/);
  assert.equal((await run("rotate", "--device", short)).code, 0);
  assert.equal((await run("revoke", "--device", short)).code, 0);
  assert.equal((await ask()).answer.error.details.reason, "role-upgrade");
  assert.equal((await run("reject", "nothing")).code, 1);
  assert.equal((await run("clear")).code, 2);
  assert.equal((await run("clear", "--pending", "--yes")).code, 0);
  assert.equal((await run("remove", short)).code, 0);
  assert.match((await run()).out, /No device is paired/);

  // As a named role: what it asks for beyond that is not an error, and not granted either.
  const askAll = () => device.connect(gateway, { auth, scopes: ["operator.admin"], displayName: name });
  await askAll();
  assert.equal((await run("approve", "--latest", "--role", "king")).code, 2);
  const viewer = await run("approve", "--latest", "--role", "viewer");
  assert.equal(viewer.code, 0, viewer.out);
  const { client, answer } = await askAll();
  assert.deepEqual(answer.payload.auth.scopes, ["operator.read"]);
  assert.equal((await client.ask("config.set", { raw: "{}" })).error.details.missingScope, "operator.admin");
  const admin = await gateway.connect();
  const { rows } = await admin.rpc("audit.list", { limit: 50 });
  const approval = rows.find((row: Payload) => row.action === "device.pair.approve" && row.kind === "admin");
  assert.equal(approval.facts.operatorRole, "viewer");
});
