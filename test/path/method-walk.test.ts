/** Every row of the method table, walked: without credentials, in the wrong role, without its scope, over each limit. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { defaultMaxBytes, maxPayloadBytes } from "../../src/control/mod.ts";
import { TestDevice } from "../support/device.ts";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import type { Answer, GatewayClient, Payload } from "../support/gateway-client.ts";
import { methodRows } from "../support/method-rows.ts";
import { documentedMethods } from "../support/method-tiers.ts";

const rows = methodRows();
const ofOperators = rows.filter((row) => row.role !== "node");
const ofNodes = rows.filter((row) => row.role === "node");

/** Documented methods without a row. It only ever gets shorter. */
const withoutRow: readonly string[] = [];

/** Every scope that does not cover the one it stands beside. */
const wrongScopes: Readonly<Record<string, readonly string[]>> = {
  "operator.read": ["operator.approvals", "operator.pairing", "operator.questions", "operator.talk"],
  "operator.write": ["operator.read", "operator.approvals", "operator.pairing", "operator.questions"],
  "operator.admin": ["operator.write", "operator.approvals", "operator.pairing", "operator.questions"],
  "operator.approvals": ["operator.write", "operator.pairing", "operator.questions"],
  "operator.questions": ["operator.write", "operator.pairing", "operator.approvals"],
  "operator.pairing": ["operator.write", "operator.approvals", "operator.questions"],
};

const everything = ["operator.admin", "operator.approvals", "operator.pairing", "operator.questions"];

async function nodeOf(gateway: GatewayProcess): Promise<GatewayClient> {
  const auth = { token: gatewayToken };
  const { client, answer } = await new TestDevice().connect(gateway, { auth, role: "node", mode: "node" });
  assert.equal(answer.ok, true, JSON.stringify(answer.error));
  return client;
}

async function askAll(
  client: GatewayClient,
  names: readonly string[],
  params: unknown,
  look: (name: string, answer: Answer) => void,
): Promise<void> {
  await Promise.all(names.map(async (name) => look(name, await client.ask(name, params))));
}

test("control (3): every documented method has a row with its role and its scope, and nothing is served without a row", async (context) => {
  const byName = new Map(rows.map((row) => [row.name, row]));
  assert.deepEqual(
    documentedMethods.filter(({ name }) => !byName.has(name)).map(({ name }) => name),
    withoutRow,
  );
  for (const { name, role, scope } of documentedMethods) {
    const row = byName.get(name);
    if (!row) continue;
    assert.equal(row.role ?? "operator", role, name);
    assert.equal(row.scope, scope, name);
  }
  const gateway = await GatewayProcess.start(context);
  const { hello } = await gateway.connect({ scopes: [] });
  assert.deepEqual([...hello.features.methods].sort(), rows.map((row) => row.name).sort());
});

test("control (1): before connect no method runs: the socket is closed, and the config is as it was (A-001)", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const before = await stat(gateway.configFile);
  const raw = JSON.stringify({ cliPath: join(gateway.folder, "x.sh") });
  for (const { name } of rows) {
    const socket = await gateway.socket();
    const { error } = await socket.ask(name, { raw });
    assert.equal(error.message, "invalid handshake: first request must be connect", name);
    assert.deepEqual(await socket.closed, { code: 1008, reason: error.message }, name);
  }
  assert.equal((await stat(gateway.configFile)).mtimeMs, before.mtimeMs);
});

test("control (2): without scopes nothing but health answers, and nobody learns which methods there are", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const client = await gateway.connect({ scopes: [] });
  const names = [
    ...ofOperators.filter((row) => row.scope !== undefined).map((row) => row.name),
    "no.such.method",
  ];
  // Parameters that fit nothing: the scope is looked at before them.
  await askAll(client, names, { unfit: true }, (name, { ok, error }) => {
    assert.equal(ok, false, name);
    const scope = rows.find((row) => row.name === name)?.scope ?? "operator.admin";
    assert.deepEqual(error, {
      code: "FORBIDDEN",
      message: `missing scope: ${scope}`,
      details: { code: "MISSING_SCOPE", missingScope: scope, requiredScopes: [scope] },
    });
  });
  // What needs no scope is for everybody (health) or for a device that asks for itself.
  const free = ofOperators.filter((row) => row.scope === undefined).map((row) => row.name);
  assert.deepEqual(free.sort(), ["device.scopes.requestUpgrade", "device.scopes.waitUpgrade", "health"]);
  assert.equal((await client.rpc("health")).ok, true);
});

test("control (2): every scope but the right one is as good as none", async (context) => {
  const gateway = await GatewayProcess.start(context);
  for (const [scope, scopes] of Object.entries(wrongScopes)) {
    const client = await gateway.connect({ scopes });
    const names = ofOperators.filter((row) => row.scope === scope).map((row) => row.name);
    assert.ok(names.length > 0, scope);
    await askAll(client, names, {}, (name, { error }) =>
      assert.equal(error?.details?.missingScope, scope, name),
    );
    await client.close();
  }
  const known = new Set([...Object.keys(wrongScopes), undefined]);
  for (const row of rows)
    assert.ok(known.has(row.scope), `${row.name} needs ${row.scope}, which is not walked`);
});

test("control (2): a node calls a node's methods, an operator an operator's, whatever else they may", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const node = await nodeOf(gateway);
  const names = ofOperators.filter((row) => row.role !== "both").map((row) => row.name);
  await askAll(node, [...names, "no.such.method"], {}, (name, { error }) => {
    assert.deepEqual(error, { code: "INVALID_REQUEST", message: "unauthorized role: node" }, name);
  });
  assert.equal((await node.rpc("health")).ok, true);
  const admin = await gateway.connect({ scopes: everything });
  assert.ok(ofNodes.length > 5);
  await askAll(
    admin,
    ofNodes.map((row) => row.name),
    {},
    (name, { error }) => {
      assert.deepEqual(error, { code: "INVALID_REQUEST", message: "unauthorized role: operator" }, name);
    },
  );
});

test("control (7): a request that is longer than its row allows is refused before its parameters are looked at", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const clients = { operator: await gateway.connect({ scopes: everything }), node: await nodeOf(gateway) };
  for (const row of rows) {
    const maxBytes = row.maxBytes ?? defaultMaxBytes;
    // Longer than a frame may be at all: that closes the socket, and is another test's.
    if (maxBytes >= maxPayloadBytes) continue;
    const client = row.role === "node" ? clients.node : clients.operator;
    const { error } = await client.ask(row.name, { unfit: "x".repeat(maxBytes) });
    assert.deepEqual(error?.details, { reason: "request-too-long", maxBytes }, row.name);
    const { error: short } = await client.ask(row.name, { unfit: "x".repeat(100) });
    assert.notEqual(short?.details?.reason, "request-too-long", row.name);
  }
});

test("control (7): writes to the control plane have a pace, per method, device and address", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const admin = await gateway.connect({ scopes: everything });
  const paced = rows.filter((row) => row.perMinute !== undefined);
  for (const name of ["config.apply", "config.patch", "gateway.restart.request"])
    assert.ok(
      paced.some((row) => row.name === name),
      name,
    );
  for (const { name, perMinute = 0 } of paced) {
    for (let turn = 0; turn < perMinute; turn += 1) {
      const { error } = await admin.ask(name, { unfit: turn });
      assert.doesNotMatch(error.message, /rate limit/, name);
    }
    const { error } = await admin.ask(name, { unfit: true });
    const { retryAfterMs, message, ...rest } = error;
    assert.deepEqual(rest, {
      code: "UNAVAILABLE",
      retryable: true,
      details: { method: name, limit: `${perMinute} per 60s` },
    });
    assert.match(message, new RegExp(`^rate limit exceeded for ${name}; retry after \\d+s$`));
    assert.ok(retryAfterMs > 0 && retryAfterMs <= 60_000, name);
  }
  // A new connection of the same caller does not start anew; another device does.
  const again = await gateway.connect({ scopes: everything });
  assert.match((await again.ask("config.patch", {})).error.message, /rate limit/);
  const auth = { token: gatewayToken };
  const other = await new TestDevice().connect(gateway, { auth, scopes: ["operator.admin"] });
  assert.match((await other.client.ask("config.patch", {})).error.message, /invalid config.patch params/);
});

test("control (7): whatever takes an idempotency key says what a repeated one does", () => {
  for (const row of rows) {
    const takesKey = row.params.properties?.idempotencyKey !== undefined;
    if (takesKey) assert.notEqual(row.repeats, undefined, row.name);
  }
  for (const name of [
    "chat.send",
    "agent",
    "send",
    "message.action",
    "poll",
    "tools.invoke",
    "sessions.send",
  ])
    assert.notEqual(rows.find((row) => row.name === name)?.repeats, undefined, name);
});

async function toolRuns(client: GatewayClient): Promise<number> {
  const { rows: record } = await client.rpc("audit.list", { stage: "sandbox", kind: "effect.start" });
  return record.length;
}

async function withNote(context: TestContext): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start(context);
  const warm = await gateway.connect();
  // The workspace is made by the first turn.
  await warm.say("hello");
  await writeFile(join(gateway.stateFolder, "workspace", "note.txt"), "what the note says");
  return gateway;
}

test("control (7): one idempotency key is one run and one answer, for its caller and its input alone", async (context) => {
  const gateway = await withNote(context);
  const client = await gateway.connect({ scopes: ["operator.admin"] });
  const idempotencyKey = randomUUID();
  const read = { name: "read", args: { path: "note.txt" }, idempotencyKey };
  const [first, second] = await Promise.all([
    client.rpc("tools.invoke", read),
    client.rpc("tools.invoke", read),
  ]);
  assert.match(JSON.stringify(first), /what the note says/);
  assert.deepEqual(second, first);
  const later = await (await gateway.connect({ scopes: ["operator.admin"] })).rpc("tools.invoke", read);
  assert.deepEqual(later, first);
  assert.equal(await toolRuns(client), 1);
  const other = await client.ask("tools.invoke", { ...read, args: { path: "other.txt" } });
  assert.equal(other.error.details.reason, "idempotency-conflict");
  // Another caller's key is another key: nobody reads what somebody else was answered.
  const device = await new TestDevice().connect(gateway, {
    auth: { token: gatewayToken },
    scopes: ["operator.admin"],
  });
  await device.client.rpc("tools.invoke", read);
  assert.equal(await toolRuns(client), 2);
});

test("control (7): what was refused did not run: its key may ask again", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const client = await gateway.connect();
  const message = { to: "1", message: "hello", idempotencyKey: "k" };
  for (let turn = 0; turn < 2; turn += 1)
    assert.match((await client.ask("send", message)).error.message, /Channel is required/);
  assert.match((await client.ask("send", { ...message, to: "2" })).error.message, /Channel is required/);
});

test("control (3): a request that expects another profile is not started", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const client = await gateway.connect();
  const ask = (expectedProfileId: string): Promise<Payload> => {
    const id = randomUUID();
    const params = { key: "agent:main:made" };
    client.sendRaw(JSON.stringify({ type: "req", id, method: "sessions.create", params, expectedProfileId }));
    return client.answerTo(id);
  };
  const { error } = await ask("somebody-else");
  assert.deepEqual(error.details, { reason: "EXPECTED_PROFILE_MISMATCH", execution: "not_started" });
  assert.equal((await client.rpc("sessions.list")).totalCount, 0);
  assert.equal((await ask("gateway-owner")).ok, true);
});
