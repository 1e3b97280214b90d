/** The methods of the second wave: what each does, and what it refuses. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { link, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GatewayProcess } from "../support/gateway.ts";
import type { GatewayClient, Payload } from "../support/gateway-client.ts";

const everything = ["operator.admin", "operator.approvals", "operator.pairing", "operator.questions"];

async function adminOf(context: TestContext, options = {}): Promise<[GatewayProcess, GatewayClient]> {
  const gateway = await GatewayProcess.start(context, options);
  return [gateway, await gateway.connect({ scopes: everything })];
}

const agentIds = async (client: GatewayClient) =>
  (await client.rpc("agents.list")).agents.map((agent: Payload) => agent.id);

test("control (wire): agents are made, changed and taken away in the config, in the form that it has", async (context) => {
  const binding = { agentId: "my-helper", match: { channel: "telegram" } };
  const [gateway, client] = await adminOf(context);
  const made = await client.rpc("agents.create", { name: "My Helper", emoji: "🦉", model: "demo/demo" });
  assert.deepEqual([made.agentId, made.model], ["my-helper", "demo/demo"]);
  // The agent that was there without being named is still there, and still the one that answers.
  assert.deepEqual(await agentIds(client), ["main", "my-helper"]);
  assert.equal((await client.rpc("agents.list")).defaultId, "main");
  assert.match((await client.ask("agents.create", { name: "my helper" })).error.message, /already exists/);
  assert.match((await client.ask("agents.create", { name: "???" })).error.message, /at least one letter/);
  await client.rpc("agents.update", { agentId: "my-helper", name: "Owl", avatar: "owl.png" });
  const config = JSON.parse(await readFile(gateway.configFile, "utf8"));
  assert.deepEqual(config.agents.list[1], {
    id: "my-helper",
    name: "Owl",
    model: "demo/demo",
    identity: { emoji: "🦉", avatar: "owl.png" },
  });
  const { hash } = await client.rpc("config.get");
  await client.rpc("config.patch", { raw: JSON.stringify({ bindings: [binding] }), baseHash: hash });
  assert.match((await client.ask("agents.delete", { agentId: "main" })).error.message, /default agent/);
  const withFiles = await client.ask("agents.delete", { agentId: "my-helper", deleteFiles: true });
  assert.match(withFiles.error.message, /by hand/);
  const gone = await client.rpc("agents.delete", { agentId: "my-helper" });
  assert.deepEqual(gone, { ok: true, agentId: "my-helper", removedBindings: 1 });
  assert.deepEqual(await agentIds(client), ["main"]);
  const unknown = await client.ask("agents.update", { agentId: "my-helper", name: "x" });
  assert.deepEqual(unknown.error.details, { code: "UNKNOWN_AGENT_ID", agentId: "my-helper" });
  // A field that is not named cannot come in beside them.
  const more = await client.ask("agents.create", { name: "x", sandbox: { mode: "off" } });
  assert.match(more.error.message, /unexpected property 'sandbox'/);
});

test("control (wire): agents that stand as entries are written as entries", async (context) => {
  const [gateway, client] = await adminOf(context, {
    config: { agents: { entries: { main: {}, other: { name: "Other" } } } },
  });
  await client.rpc("agents.create", { name: "third" });
  await client.rpc("agents.update", { agentId: "other", model: "demo/demo" });
  await client.rpc("agents.delete", { agentId: "third" });
  const { agents } = JSON.parse(await readFile(gateway.configFile, "utf8"));
  assert.deepEqual(agents, { entries: { main: {}, other: { name: "Other", model: "demo/demo" } } });
});

test("control (wire): the files that an agent reads are read and written by name, and nothing else is", async (context) => {
  const [gateway, client] = await adminOf(context);
  const workspace = join(gateway.stateFolder, "workspace");
  const of = (name: string) => ({ agentId: "main", name });
  const names = (await client.rpc("agents.files.list", { agentId: "main" })).files.map(
    (file: Payload) => file.name,
  );
  assert.ok(names.includes("AGENTS.md"));
  assert.equal((await client.rpc("agents.files.get", of("AGENTS.md"))).file.missing, true);
  await client.rpc("agents.files.set", { ...of("AGENTS.md"), content: "old" });
  const { file } = await client.rpc("agents.files.get", of("AGENTS.md"));
  assert.equal(file.content, "old");
  assert.equal(file.content, await readFile(join(workspace, "AGENTS.md"), "utf8"));
  const expectedHash = createHash("sha256").update(file.content).digest("hex");
  await client.rpc("agents.files.set", { ...of("AGENTS.md"), content: "new", expectedHash });
  assert.equal(await readFile(join(workspace, "AGENTS.md"), "utf8"), "new");
  const stale = await client.ask("agents.files.set", { ...of("AGENTS.md"), content: "newer", expectedHash });
  assert.match(stale.error.message, /changed since it was read/);
  for (const name of ["../openclaw.json", "notes.md", "AGENTS.md/../../openclaw.json", "/etc/passwd"])
    for (const method of ["agents.files.get", "agents.files.set"])
      assert.match(
        (await client.ask(method, { ...of(name), content: "x" })).error.message,
        /unsupported file/,
      );
  // A link in the workspace, which the agent could have made, shows and changes nothing outside of it.
  const secret = join(gateway.folder, "secret.txt");
  await writeFile(secret, "a secret");
  await symlink(secret, join(workspace, "USER.md"));
  assert.equal((await client.rpc("agents.files.get", of("USER.md"))).file.missing, true);
  await link(secret, join(workspace, "SOUL.md"));
  assert.match((await client.ask("agents.files.get", of("SOUL.md"))).error.message, /not a plain file/);
  await client.rpc("agents.files.set", { ...of("USER.md"), content: "about me" });
  assert.equal(await readFile(secret, "utf8"), "a secret");
  const reader = await gateway.connect({ scopes: ["operator.read"] });
  assert.equal((await reader.ask("agents.files.set", of("USER.md"))).error.code, "FORBIDDEN");
});

test("control (wire): a tool call of a client passes policy; tools that run commands are not open to it (A-042)", async (context) => {
  const [gateway, client] = await adminOf(context, { config: { tools: { deny: ["web_fetch"] } } });
  await client.say("hello");
  const write = await gateway.connect({ scopes: ["operator.write"] });
  for (const name of ["exec", "process", "Exec ", "gateway", "cron", "nodes", "web_fetch", "no_such_tool"]) {
    const { ok, error } = await write.rpc("tools.invoke", {
      name,
      args: { command: "touch x", url: "http://x" },
    });
    assert.equal(ok, false, name);
    assert.match(error.code, /^policy\.tool_/, name);
  }
  const wrong = await write.rpc("tools.invoke", { name: "read", args: { pth: "x" } });
  assert.equal(wrong.error.code, "policy.arguments_invalid");
  const missing = await write.rpc("tools.invoke", { name: "read", args: { path: "no-such-file" } });
  assert.deepEqual([missing.ok, missing.error.code], [false, "tool_error"]);
  for (const field of ["sandbox", "approved", "spawnedBy", "isOwner"]) {
    const { error } = await write.ask("tools.invoke", { name: "read", args: {}, [field]: true });
    assert.match(error.message, /unexpected property/, field);
  }
  const { rows } = await client.rpc("audit.list", { stage: "sandbox" });
  assert.deepEqual(
    rows.map((row: Payload) => row.action),
    ["tool.read", "tool.read"],
  );
});

test("control (wire): what was said is found again, in the sessions that are asked for", async (context) => {
  const [, client] = await adminOf(context);
  await client.say("the owl sleeps", "agent:main:one");
  await client.say("the OWL wakes", "agent:main:two");
  const found = async (params: object) =>
    (await client.rpc("sessions.search", { query: "owl", ...params })).results
      .filter((hit: Payload) => hit.role === "user")
      .map((hit: Payload) => `${hit.sessionKey} ${hit.snippet}`)
      .sort();
  assert.deepEqual(await found({}), ["agent:main:one the owl sleeps", "agent:main:two the OWL wakes"]);
  assert.deepEqual(await found({ sessionKeys: ["agent:main:one", "agent:main:none"] }), [
    "agent:main:one the owl sleeps",
  ]);
  assert.deepEqual(await found({ query: "badger" }), []);
  assert.equal((await client.rpc("sessions.search", { query: "owl", limit: 1 })).results.length, 1);
  // What was said before a reset is out of the conversation, and out of what is found.
  await client.rpc("sessions.reset", { key: "agent:main:one" });
  assert.deepEqual(await found({}), ["agent:main:two the OWL wakes"]);
});

test("control (wire): many sessions are changed in one call, each with its own outcome and the scope that one needs", async (context) => {
  const [gateway, client] = await adminOf(context);
  for (const key of ["one", "two"]) await client.rpc("sessions.create", { key: `agent:main:${key}` });
  const targets = [{ key: "agent:main:one" }, { key: "agent:nobody:x" }, { key: "agent:main:two" }];
  const { outcomes } = await client.rpc("sessions.patchMany", { targets, patch: { pinned: true } });
  assert.deepEqual(
    outcomes.map((outcome: Payload) => outcome.ok),
    [true, false, true],
  );
  assert.match(outcomes[1].error.message, /no longer exists/);
  const bad = await client.rpc("sessions.patchMany", { targets: targets.slice(0, 1), patch: { pinned: 1 } });
  assert.match(bad.outcomes[0].error.message, /at \/pinned: must be boolean/);
  const { sessions } = await client.rpc("sessions.list");
  assert.ok(sessions.every((row: Payload) => row.pinned));
  const write = await gateway.connect({ scopes: ["operator.write"] });
  const verbose = { targets: targets.slice(0, 1), patch: { verboseLevel: "full" } };
  assert.equal((await write.ask("sessions.patchMany", verbose)).error.details.missingScope, "operator.admin");
});

test("control (wire): a page's start, its models and commands, use, machine and ended approvals are told", async (context) => {
  const [gateway, client] = await adminOf(context);
  await client.say("hello");
  const start = await client.rpc("chat.startup", { sessionKey: "main" });
  assert.deepEqual(start, await client.rpc("chat.history", { sessionKey: "main" }));
  const { models, commands } = await client.rpc("chat.metadata");
  assert.deepEqual(models, (await client.rpc("models.list")).models);
  assert.deepEqual(commands, (await client.rpc("commands.list")).commands);
  const { sessions, totals } = await client.rpc("sessions.usage", { key: "main" });
  assert.equal(sessions.length, 1);
  assert.equal(totals.totalTokens, sessions[0].usage.totalTokens);
  assert.equal((await client.rpc("system.info")).pid, gateway.pid);

  const reviewer = await gateway.connect({ scopes: ["operator.approvals"] });
  for (const [id, decision] of [
    ["a", "allow-once"],
    ["b", "deny"],
  ]) {
    const asking = client.ask("exec.approval.request", { id, command: `run ${id}`, twoPhase: true });
    await reviewer.waitFor((event) => event.event === "exec.approval.requested" && event.payload.id === id);
    await reviewer.rpc("exec.approval.resolve", { id, decision });
    await asking;
  }
  // One that still waits is no history.
  void client.ask("exec.approval.request", { id: "c", command: "run c" });
  await reviewer.waitFor((event) => event.payload?.id === "c");
  const { items } = await client.rpc("approval.history");
  assert.deepEqual(
    items.map((item: Payload) => [item.id, item.status]),
    [
      ["b", "denied"],
      ["a", "allowed"],
    ],
  );
  const page = await client.rpc("approval.history", { limit: 1 });
  assert.deepEqual([page.items[0].id, page.items.length], ["b", 1]);
  const next = await client.rpc("approval.history", { limit: 1, cursor: page.nextCursor });
  assert.equal(next.items[0].id, "a");
  assert.deepEqual(await client.rpc("approval.history", { kind: "plugin" }), { items: [] });
  assert.match((await client.ask("approval.history", { cursor: "x" })).error.message, /cursor/);
});

test("control (wire): what is not there yet reads as nothing, and says so when it is to be changed", async (context) => {
  const [, client] = await adminOf(context);
  assert.deepEqual(await client.rpc("gateway.suspend.status", { suspensionId: "s" }), { status: "running" });
  assert.equal((await client.rpc("gateway.suspend.resume", { suspensionId: "s" })).resumed, false);
  assert.equal((await client.rpc("gateway.restart.preflight")).safe, true);
  assert.deepEqual(await client.rpc("update.status"), { sentinel: null, updateAvailable: null });
  assert.deepEqual(await client.rpc("users.self"), { profile: null });
  assert.equal((await client.rpc("voicewake.routing.get")).config.version, 1);
  assert.deepEqual(await client.rpc("exec.approval.grants.revoke", { grantId: "g" }), {
    outcome: "not-found",
  });
  assert.equal((await client.rpc("tasks.cancel", { taskId: "t" })).found, false);
  assert.equal((await client.rpc("sessions.cleanup", { enforce: true })).appliedCount, 0);
  assert.equal((await client.rpc("doctor.memory.status")).embedding.ok, false);
  const plugin = await client.rpc("plugin.approval.request", { title: "t", description: "d" });
  assert.deepEqual([plugin.decision, plugin.terminalReason], [null, "no-route"]);
  const refused: readonly (readonly [string, object, RegExp])[] = [
    ["question.get", { id: "q" }, /unknown question/],
    ["plugin.approval.waitDecision", { id: "p" }, /approval expired or not found/],
    ["plugin.approval.resolve", { id: "p", decision: "deny" }, /unknown or expired approval id/],
    ["cron.scratch.get", { id: "j" }, /cron job not found/],
  ];
  for (const [name, params, says] of refused) {
    const { error } = await client.ask(name, params);
    assert.match(error.message, says, name);
  }
});
