/** A restart and a suspension that a client asks for: nothing is lost, and nothing is promised that is not done. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { ProtocolSchemas } from "@openclaw/gateway-protocol/schema";
import { Value } from "typebox/value";
import { GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import type { Payload } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

function assertValid(name: keyof typeof ProtocolSchemas, value: unknown): void {
  const problems = Value.Errors(ProtocolSchemas[name], value).map(
    (problem) => `${problem.instancePath} ${problem.message}`,
  );
  assert.deepEqual(problems, [], `${name}: ${JSON.stringify(value)}`);
}

test("control: a restart finishes what runs, tells its clients, and comes back on its port with the config of the disk", async (t) => {
  const held = Promise.withResolvers<void>();
  const model = await startModelServer({
    wire: "openai-completions",
    script: (_, n) =>
      n === 1 ? [{ text: "first " }, { wait: held.promise }, { text: "last" }] : [{ text: "after" }],
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  const second = await gateway.connect();
  await client.rpc("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r" });
  await client.waitFor(({ event, payload }) => event === "chat" && payload.state === "delta");
  const asked = await client.rpc("gateway.restart.request", { reason: "a test" });
  assert.deepEqual(asked, { ok: true, status: "scheduled", restartExpectedMs: 1500, activeCount: 1 });
  // Twice is once.
  assert.equal((await second.rpc("gateway.restart.request")).ok, true);
  held.resolve();
  assert.equal((await client.chatEnd("r")).message.content[0].text, "first last");
  const { payload } = await second.waitFor(({ event }) => event === "shutdown");
  assert.deepEqual(payload, { reason: "gateway restarting", restartExpectedMs: 1500 });
  assert.deepEqual(await client.closed, { code: 1012, reason: "service restart" });
  const before = gateway.pid;
  let again = await gateway.connect().catch(() => undefined);
  while (!again) again = await gateway.connect().catch(() => undefined);
  assert.equal(gateway.pid, before, "the process stays: whoever supervises it sees nothing");
  assert.equal((await again.say("still there?")).message.content[0].text, "after");
  const { messages } = await again.rpc("chat.history", { sessionKey: "main" });
  assert.match(JSON.stringify(messages), /first last/);
  const { rows } = await again.rpc("audit.list", { limit: 100 });
  const recorded = rows.filter((row: Payload) => row.action === "gateway.restart.request");
  assert.deepEqual(
    recorded.map((row: Payload) => row.facts.reason ?? ""),
    ["", "a test"],
  );
  assert.equal(gateway.stdout.match(/is ready on/g)?.length, 2, "one restart, not two");
  assert.equal(await gateway.stop(), 0, "a signal ends it as before");
});

test("control: a config on disk that would not start is no reason to stop", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect();
  const good = readFileSync(gateway.configFile, "utf8");
  writeFileSync(gateway.configFile, "{ gateway: { prot: 1 } }");
  const { error } = await client.ask("gateway.restart.request");
  assert.equal(error.code, "INVALID_REQUEST");
  assert.match(error.message, /nothing was restarted: .*prot/);
  assert.equal((await client.rpc("health")).ok, true);
  writeFileSync(gateway.configFile, good);
  const reader = await gateway.connect({ scopes: ["operator.write"] });
  assert.equal((await reader.ask("gateway.restart.request")).error.details.missingScope, "operator.admin");
});

test("control: a suspended gateway takes messages and begins nothing, until it is told to go on", async (t) => {
  const held = Promise.withResolvers<void>();
  const model = await startModelServer({
    wire: "openai-completions",
    script: (_, n) => (n === 1 ? [{ text: "first" }, { wait: held.promise }] : [{ text: "later" }]),
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  const prepare = async (params: object) => {
    const answer = await client.rpc("gateway.suspend.prepare", { requestId: "r", ...params });
    assertValid("GatewaySuspendPrepareResult", answer);
    return answer;
  };
  const status = async (suspensionId: string) => {
    const answer = await client.rpc("gateway.suspend.status", { suspensionId });
    assertValid("GatewaySuspendStatusResult", answer);
    return answer.status;
  };
  await client.rpc("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "one" });
  await client.waitFor(({ event, payload }) => event === "chat" && payload.state === "delta");
  const busy = await prepare({});
  assert.deepEqual([busy.status, busy.reason, busy.activeCount], ["busy", "active-work", 1]);
  const { suspensionId, ...draining } = await prepare({ drain: true });
  assert.equal(draining.status, "draining");
  assert.equal((await prepare({ requestId: "another" })).reason, "gateway-draining");
  held.resolve();
  await client.chatEnd("one");
  while ((await status(suspensionId)) !== "ready");
  // What comes in is on disk and waits.
  await client.rpc("chat.send", { sessionKey: "main", message: "wait", idempotencyKey: "two" });
  for (let turn = 0; turn < 50; turn++) assert.equal(await status(suspensionId), "ready", "no run has begun");
  assert.equal(model.requests.length, 1);
  assert.equal(await status("another"), "running");
  const resumed = await client.rpc("gateway.suspend.resume", { suspensionId });
  assertValid("GatewaySuspendResumeResult", resumed);
  assert.equal(resumed.resumed, true);
  assert.equal((await client.chatEnd("two")).message.content[0].text, "later");
  assert.equal(await status(suspensionId), "running");
  assert.equal((await client.rpc("gateway.suspend.resume", { suspensionId })).resumed, false);
});

test("control: a gateway that was suspended stops and takes up what waited", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect({ token: gatewayToken });
  const { status } = await client.rpc("gateway.suspend.prepare", { requestId: "r" });
  assert.equal(status, "ready");
  await client.rpc("chat.send", { sessionKey: "main", message: "wait", idempotencyKey: "two" });
  assert.equal(await gateway.stop(), 0);
  await gateway.start();
  const again = await gateway.connect();
  assert.equal((await again.rpc("agent.wait", { runId: "two", timeoutMs: 20_000 })).status, "ok");
});
