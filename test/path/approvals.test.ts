/** A command that asks first, on its whole way: the model's call, the operator's answer, what ran and what did not. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { type GatewayClient, RpcError } from "../support/gateway-client.ts";
import { type Script, startModelServer } from "../support/model-servers/mod.ts";

const isApproval = ({ event }: { event: string }) => event === "exec.approval.requested";

async function start(t: TestContext, script: Script) {
  const model = await startModelServer({ wire: "openai-completions", script });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const made = (name: string) => existsSync(join(gateway.stateFolder, "workspace", name));
  return { gateway, model, client: await gateway.connect(), made };
}

/** A model that makes these calls, one after another, then says what the last result was. */
function calling(...commands: readonly string[]): Script {
  return (body, n) => {
    const command = commands[n - 1];
    if (command !== undefined)
      return [{ call: { name: "exec", arguments: JSON.stringify({ command }), id: "call_1" } }];
    return [{ text: `result: ${JSON.stringify(body.messages.at(-1).content)}` }];
  };
}

async function asked(client: GatewayClient, command: string) {
  const event = await client.waitFor((item) => isApproval(item) && item.payload.request.command === command);
  return event.payload;
}

test("deny: the command never runs, the model is told, the record says who refused", async (t) => {
  const { client, made } = await start(t, calling("touch denied.txt"));
  const ended = client.say("go");
  const approval = await asked(client, "touch denied.txt");
  assert.equal((await client.rpc("exec.approval.list", {}))[0].id, approval.id);
  assert.deepEqual(await client.rpc("exec.approval.resolve", { id: approval.id, decision: "deny" }), {
    ok: true,
  });
  assert.match((await ended).message.content[0].text, /policy\.approval_denied/);
  assert.equal(made("denied.txt"), false);
  const { rows } = await client.rpc("audit.list", { limit: 100 });
  assert.ok(
    rows.some(
      (row: { action: string; actor?: string }) =>
        row.action === "approval.denied" && row.actor === "operator",
    ),
  );
  assert.ok(!rows.some((row: { action: string }) => row.action === "tool.exec"));
  const again = await client.ask("exec.approval.resolve", { id: approval.id, decision: "allow-once" });
  assert.equal(again.error.details.reason, "APPROVAL_ALREADY_RESOLVED");
});

test("allow-once: exactly this command runs, once; the effect is recorded before it and when it ended", async (t) => {
  const { client, made } = await start(t, calling("touch allowed.txt"));
  const ended = client.say("go");
  const approval = await asked(client, "touch allowed.txt");
  assert.equal(made("allowed.txt"), false);
  await client.rpc("exec.approval.resolve", { id: approval.id, decision: "allow-once" });
  assert.equal((await ended).state, "final");
  assert.equal(made("allowed.txt"), true);
  const { rows } = await client.rpc("audit.list", { limit: 100 });
  const steps = rows
    .filter((row: { action: string }) => /approval|tool\.exec|permit/.test(row.action))
    .map((row: { kind: string; action: string }) => `${row.kind} ${row.action}`)
    .reverse();
  assert.deepEqual(steps, [
    "verdict approval.pending",
    "admin exec.approval.resolve",
    "verdict approval.allowed",
    "verdict permit",
    "effect.start tool.exec",
    "effect.end tool.exec",
  ]);
});

test("policy (2): an answer counts for one call; another command under the same call id asks again", async (t) => {
  const { client, made } = await start(t, calling("touch one.txt", "touch two.txt", "touch one.txt"));
  const ended = client.say("go");
  const first = await asked(client, "touch one.txt");
  await client.rpc("exec.approval.resolve", { id: first.id, decision: "allow-once" });
  const second = await asked(client, "touch two.txt");
  assert.notEqual(second.id, first.id);
  assert.equal(made("one.txt"), true);
  assert.equal(made("two.txt"), false);
  await client.rpc("exec.approval.resolve", { id: second.id, decision: "deny" });
  const third = await client.waitFor(
    (item) =>
      isApproval(item) && item.payload.request.command === "touch one.txt" && item.payload.id !== first.id,
  );
  await client.rpc("exec.approval.resolve", { id: third.payload.id, decision: "deny" });
  await ended;
  assert.equal(made("two.txt"), false);
});

test("a call id that a model uses again in a later answer is another call, not an interrupted one", async (t) => {
  const { client } = await start(t, calling("echo one", "echo two"));
  const end = await client.say("go");
  assert.match(end.message.content[0].text, /two/);
  assert.doesNotMatch(end.message.content[0].text, /sandbox\.interrupted/);
});

test("allow-always covers the same command later, and nothing else", async (t) => {
  const { client, made } = await start(
    t,
    calling("touch kept.txt", "touch kept.txt", "touch kept.txt extra"),
  );
  const ended = client.say("go");
  const first = await asked(client, "touch kept.txt");
  await client.rpc("exec.approval.resolve", { id: first.id, decision: "allow-always" });
  const other = await asked(client, "touch kept.txt extra");
  await client.rpc("exec.approval.resolve", { id: other.id, decision: "deny" });
  await ended;
  assert.equal(client.events.filter(isApproval).length, 2);
  assert.equal(made("kept.txt"), true);
  assert.equal(made("extra"), false);
});

test("a run that is stopped while it waits takes its question with it", async (t) => {
  const { client, made } = await start(t, calling("touch late.txt"));
  await client.rpc("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r" });
  const approval = await asked(client, "touch late.txt");
  await client.rpc("chat.abort", { sessionKey: "main" });
  assert.equal((await client.chatEnd("r")).state, "aborted");
  await assert.rejects(
    client.rpc("exec.approval.resolve", { id: approval.id, decision: "allow-once" }),
    RpcError,
  );
  assert.deepEqual(await client.rpc("exec.approval.list", {}), []);
  assert.equal(made("late.txt"), false);
});

test("a question outlives a crash, is asked under the same id, and its answer then counts once", async (t) => {
  const { gateway, client, made } = await start(t, calling("touch after-crash.txt"));
  await client.rpc("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r" });
  const approval = await asked(client, "touch after-crash.txt");
  await gateway.kill();
  await gateway.start();
  const next = await gateway.connect();
  const [waiting] = await next.rpc("exec.approval.list", {});
  assert.equal(waiting.id, approval.id);
  await next.rpc("exec.approval.resolve", { id: approval.id, decision: "allow-once" });
  assert.equal((await next.rpc("agent.wait", { runId: "r", timeoutMs: 20_000 })).status, "ok");
  assert.equal(made("after-crash.txt"), true);
});

test("a caller without the approvals scope neither hears nor answers a question", async (t) => {
  const { gateway, client } = await start(t, calling("touch x.txt"));
  const writer = await gateway.connect({ scopes: ["operator.write"] });
  const ended = writer.rpc("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r" });
  const approval = await asked(client, "touch x.txt");
  await ended;
  const refused = await writer.ask("exec.approval.resolve", { id: approval.id, decision: "allow-once" });
  assert.equal(refused.error.details.missingScope, "operator.approvals");
  assert.equal(writer.events.filter(isApproval).length, 0);
  await client.rpc("exec.approval.resolve", { id: approval.id, decision: "deny" });
  await writer.chatEnd("r");
});
