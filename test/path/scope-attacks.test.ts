/** Attacks of classes SC and AU whose guard is the control plane's (reference A-0xx): a narrower scope reaches no wider effect. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import type { Answer, GatewayClient, Payload } from "../support/gateway-client.ts";

const resetWord = "start over";
const sessionKey = "agent:main:main";

async function begin(context: Parameters<typeof GatewayProcess.start>[0]) {
  const gateway = await GatewayProcess.start(context, {
    config: { session: { resetTriggers: [resetWord] } },
  });
  const admin = await gateway.connect({ scopes: ["operator.admin"] });
  const writer = await gateway.connect({ scopes: ["operator.write"] });
  await writer.say("remember this");
  return { gateway, admin, writer };
}

async function said(client: GatewayClient): Promise<string> {
  return JSON.stringify((await client.rpc("chat.history", { sessionKey })).messages);
}

test("control (2): a write scope resets or condenses no session through a chat, however the command is written (A-038)", async (context) => {
  const { gateway, admin, writer } = await begin(context);
  const commands = [
    "/reset",
    " /RESET now",
    "/new",
    "/new@gateway x",
    "/compact",
    resetWord,
    "  START OVER ",
  ];
  const doors: readonly (readonly [string, (message: string) => Payload])[] = [
    ["chat.send", (message) => ({ sessionKey, message, idempotencyKey: randomUUID() })],
    ["sessions.send", (message) => ({ key: sessionKey, message })],
    ["agent", (message) => ({ sessionKey, message, idempotencyKey: randomUUID() })],
  ];
  for (const message of commands) {
    for (const [method, params] of doors) {
      const { error }: Answer = await writer.ask(method, params(message));
      assert.equal(error?.details?.missingScope, "operator.admin", `${method} ${message}`);
    }
  }
  for (const [method, params] of [
    ["sessions.reset", { key: sessionKey }],
    ["sessions.delete", { key: sessionKey }],
    ["sessions.compact", { key: sessionKey }],
  ] as const)
    assert.equal((await writer.ask(method, params)).error.details.missingScope, "operator.admin", method);
  for (const path of [`/sessions/${sessionKey}/kill`, "/sessions/main/kill", "/api/sessions/main/kill"]) {
    const headers = { authorization: `Bearer ${gatewayToken}` };
    assert.equal(
      (await fetch(`${gateway.url}${path.slice(1)}`, { method: "POST", headers })).status,
      404,
      path,
    );
  }
  assert.match(await said(admin), /remember this/);
  // Who may, can: the commands themselves work.
  assert.equal((await admin.say(resetWord)).state, "final");
  assert.doesNotMatch(await said(admin), /remember this/);
});

test("control (2): a chat message of a write scope changes no setting, whatever command it looks like (A-037)", async (context) => {
  const { gateway, admin, writer } = await begin(context);
  const before = await readFile(gateway.configFile, "utf8");
  const rows = async () => (await admin.rpc("audit.list", { kind: "admin", limit: 500 })).rows.length;
  const recorded = await rows();
  for (const message of [
    "/config set tools.exec.ask off",
    "/allowlist add dm 123",
    '/mcp set x {"command":"touch C"}',
    "/voice set v",
    "/phone arm",
    "/dreaming on",
    "/verbose full",
    "/exec security=full",
    "/elevated on",
    "/plugins install x",
    "/approve all allow-always",
  ])
    assert.equal((await writer.say(message)).state, "final", message);
  assert.equal(await readFile(gateway.configFile, "utf8"), before);
  assert.equal(await rows(), recorded);
  const { session } = await admin.rpc("sessions.describe", { key: sessionKey });
  for (const field of ["verboseLevel", "execSecurity", "elevated"])
    assert.equal(session[field], undefined, field);
});

test("control (3): what only the gateway may say of a run is refused from a client (A-043)", async (context) => {
  const { admin, writer } = await begin(context);
  const fields = {
    spawnedBy: sessionKey,
    workspaceDir: "/",
    sandbox: "off",
    execSecurity: "full",
    execAsk: "off",
    elevated: "on",
    parent: sessionKey,
  };
  for (const [field, value] of Object.entries(fields)) {
    for (const [method, params] of [
      ["agent", { message: "x", idempotencyKey: randomUUID() }],
      ["chat.send", { sessionKey, message: "x", idempotencyKey: randomUUID() }],
      ["sessions.send", { key: sessionKey, message: "x" }],
      ["sessions.create", { key: "agent:main:x" }],
    ] as const) {
      const { error } = await writer.ask(method, { ...params, [field]: value });
      assert.match(error.message, new RegExp(`unexpected property '${field}'`), method);
    }
    const patch = await writer.ask("sessions.patch", { key: sessionKey, [field]: value });
    assert.equal(patch.error.details.missingScope, "operator.admin", field);
  }
  const { sessions } = await admin.rpc("sessions.list");
  assert.deepEqual(
    sessions.map((row: Payload) => row.key),
    [sessionKey],
  );
  assert.doesNotMatch(await said(admin), /"x"/);
});

test("control (4): one session's follower gets nothing of another, and finds nothing by its run (A-019)", async (context) => {
  const { gateway, admin } = await begin(context);
  const follower = await gateway.connect({ scopes: ["operator.read"] });
  await follower.rpc("sessions.messages.subscribe", { key: "agent:main:elsewhere" });
  await admin.say("a word for nobody else");
  await follower.rpc("health");
  const messages = follower.events.filter((event) => event.event === "session.message");
  assert.deepEqual(messages, []);
  const pairing = await gateway.connect({ scopes: ["operator.pairing"] });
  for (const [method, params] of [
    ["chat.history", { sessionKey }],
    ["sessions.messages.subscribe", { key: sessionKey }],
    ["agent.wait", { runId: "any" }],
    ["message.why", { id: "any" }],
  ] as const)
    assert.equal((await pairing.ask(method, params)).error.code, "FORBIDDEN", method);
});
