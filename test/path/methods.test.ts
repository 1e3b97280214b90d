/** Every method of protocol v4 that there is: who may call it, and that what it answers is what is documented. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ProtocolSchemas } from "@openclaw/gateway-protocol/schema";
import { Value } from "typebox/value";
import { type GatewayClient, GatewayProcess } from "../support/gateway.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

async function adminOf(context: TestContext, options = {}): Promise<[GatewayProcess, GatewayClient]> {
  const gateway = await GatewayProcess.start(context, options);
  const client = await gateway.connect({
    scopes: ["operator.admin", "operator.approvals", "operator.questions", "operator.pairing"],
  });
  return [gateway, client];
}

function assertValid(name: keyof typeof ProtocolSchemas, value: unknown): void {
  const problems = Value.Errors(ProtocolSchemas[name], value).map(
    (problem) => `${problem.instancePath} ${problem.message}`,
  );
  assert.deepEqual(problems, [], `${name}: ${JSON.stringify(value)}`);
}

test("control (3): an administrator is told that a method does not exist, and which parameter is wrong", async (context) => {
  const [, client] = await adminOf(context);
  const unknown = await client.ask("no.such.method");
  assert.equal(unknown.error.code, "INVALID_REQUEST");
  assert.equal(unknown.error.message, "unknown method: no.such.method");
  const wrong = await client.ask("cron.list", { limit: "many" });
  assert.equal(wrong.error.message, "invalid cron.list params: at /limit: must be integer");
});

test("control (wire): reads answer with what the published schemas accept", async (context) => {
  const [, client] = await adminOf(context);
  await client.say("run `echo hello`");
  const rows: readonly (readonly [string, keyof typeof ProtocolSchemas, unknown?])[] = [
    ["agent.identity.get", "AgentIdentityResult"],
    ["agents.list", "AgentsListResult"],
    ["audit.activity.list", "AuditActivityListResult"],
    ["channels.status", "ChannelsStatusResult"],
    ["commands.list", "CommandsListResult"],
    ["config.schema.lookup", "ConfigSchemaLookupResult", { path: "gateway.auth" }],
    ["exec.approval.grants.list", "ExecApprovalGrantsListResult"],
    ["exec.approvals.get", "ExecApprovalsSnapshot"],
    ["logs.tail", "LogsTailResult"],
    ["models.list", "ModelsListResult"],
    ["question.list", "QuestionListResult"],
    ["sessions.resolve", "SessionsResolveResult", { key: "main" }],
    ["taskSuggestions.list", "TaskSuggestionsListResult"],
    ["tasks.list", "TasksListResult"],
    ["tools.catalog", "ToolsCatalogResult"],
    ["tools.effective", "ToolsEffectiveResult", { sessionKey: "main" }],
    ["sessions.groups.list", "SessionsGroupsListResult"],
  ];
  for (const [name, result, params] of rows) assertValid(result, await client.rpc(name, params ?? {}));
  const { events } = await client.rpc("audit.activity.list", {});
  assert.deepEqual(
    events.map((event: { toolName: string; status: string }) => `${event.toolName} ${event.status}`).sort(),
    ["exec started", "exec succeeded"],
  );
  const children = (await client.rpc("config.schema.lookup", { path: "gateway.auth" })).children;
  assert.ok(children.some((child: { key: string }) => child.key === "token"));
  assert.match((await client.ask("config.schema.lookup", { path: "no.such" })).error.message, /not found/);
});

test("control (wire): what does not exist yet reads as empty, and is not written to", async (context) => {
  const [, client] = await adminOf(context);
  const page = { total: 0, offset: 0, limit: 50, hasMore: false, nextOffset: null };
  assert.deepEqual(await client.rpc("cron.list"), {
    jobs: [],
    snapshotRevision: "0",
    deliveryPreviews: {},
    ...page,
  });
  assert.deepEqual(await client.rpc("cron.runs"), { entries: [], ...page });
  for (const name of ["plugin.approval.list", "openclaw.approval.list"])
    assert.deepEqual(await client.rpc(name), [], name);
  const job = { name: "daily", schedule: { kind: "every", everyMs: 1000 } };
  const added = await client.ask("cron.add", job);
  assert.equal(added.error.code, "UNAVAILABLE");
  assert.match(added.error.message, /not available yet/);
  for (const name of ["cron.get", "cron.update", "cron.remove", "cron.run"]) {
    const { error } = await client.ask(name, { id: "j1" });
    assert.equal(error.code, "INVALID_REQUEST", name);
    assert.deepEqual(error.details, { code: "CRON_JOB_NOT_FOUND", jobId: "j1" }, name);
  }
  assert.deepEqual(await client.rpc("set-heartbeats", { enabled: false }), { ok: true, enabled: false });
  assert.match((await client.ask("set-heartbeats", { enabled: true })).error.message, /not available yet/);
  const bad = await client.ask("set-heartbeats", {});
  assert.equal(bad.error.message, "invalid set-heartbeats params: enabled (boolean) required");
  const sent = await client.ask("send", { to: "1", message: "hello", idempotencyKey: "k" });
  assert.match(sent.error.message, /Channel is required/);
  for (const name of ["channels.start", "channels.stop", "channels.logout"]) {
    const { error } = await client.ask(name, { channel: "nowhere" });
    assert.equal(error.message, `invalid ${name} channel`);
  }
});

test("control (wire): the whole config is replaced only by who read the newest, and secrets survive it", async (context) => {
  const [gateway, client] = await adminOf(context);
  const before = await client.rpc("config.get");
  const raw = JSON.stringify({ ...before.parsed, ui: { assistant: { name: "Ada" } } });
  const blind = await client.ask("config.set", { raw });
  assert.equal(blind.error.message, "config base hash required; re-run config.get and retry");
  const done = await client.rpc("config.set", { raw, baseHash: before.hash });
  assert.deepEqual(done.changedPaths, ["ui.assistant.name"]);
  assert.notEqual(done.hash, before.hash);
  // What config.get hid was written back hidden; the file still holds the token.
  assert.match(await readFile(gateway.configFile, "utf8"), /test-gateway-token/);
  const stale = await client.ask("config.apply", { raw, baseHash: before.hash });
  assert.match(stale.error.message, /changed since/);
  assert.match((await client.ask("config.apply", { raw: "{", baseHash: done.hash })).error.message, /JSON5/);
  assert.deepEqual(await client.rpc("secrets.reload"), { ok: true, warningCount: 0 });
  const actions = (await client.rpc("audit.list", { kind: "admin" })).rows.map(
    (row: { action: string }) => row.action,
  );
  assert.ok(actions.includes("config.set") && actions.includes("secrets.reload"));
});

test("control (wire): the document of standing rules holds what it shows, and refuses what it would not follow", async (context) => {
  const [gateway, client] = await adminOf(context);
  const empty = await client.rpc("exec.approvals.get");
  assert.deepEqual([empty.exists, empty.file], [false, { version: 1, agents: {} }]);
  const rule = { command: ["git", "status"], workdir: ".", addedAt: "2026-01-01T00:00:00.000Z" };
  const file = { version: 1, agents: { main: { allowlist: [rule] } } };
  const set = await client.rpc("exec.approvals.set", { file, baseHash: empty.hash });
  assertValid("ExecApprovalsSnapshot", { ...set, file: { version: 1 } });
  assert.deepEqual(
    JSON.parse(await readFile(join(gateway.stateFolder, "exec-approvals.json"), "utf8")),
    file,
  );
  // A client that knows only the documented fields writes its rules back unharmed.
  const { id, pattern } = set.file.agents.main.allowlist[0];
  assert.equal(pattern, "git status");
  const again = { version: 1, agents: { main: { allowlist: [{ id, pattern }] } } };
  const kept = await client.rpc("exec.approvals.set", { file: again, baseHash: set.hash });
  assert.equal(kept.hash, set.hash);

  const refused = async (changed: unknown, baseHash = set.hash) =>
    (await client.ask("exec.approvals.set", { file: changed, baseHash })).error.message as string;
  assert.match(await refused(file, empty.hash), /changed since last load/);
  assert.match(
    await refused({ version: 1, defaults: { askFallback: "full" } }),
    /defaults\.askFallback: "full" is not available; it may be "deny"/,
  );
  assert.match(
    await refused({ version: 1, agents: { main: { mode: "full" } } }),
    /main\.mode is not available/,
  );
  assert.match(
    await refused({
      version: 1,
      agents: { main: { allowlist: [{ command: ["sh", "-c", "ls"], workdir: "." }] } },
    }),
    /no rule covers this command/,
  );
  const wide = { version: 1, agents: { "*": { allowlist: [{ pattern: "/usr/bin/*" }] } } };
  assert.match(await refused(wide), /no wildcards/);
  const programs = (...patterns: string[]) => ({
    version: 1,
    agents: {
      main: { allowlist: [{ id, pattern: "git status" }, ...patterns.map((item) => ({ pattern: item }))] },
    },
  });
  for (const interpreter of ["/bin/sh", "/usr/bin/python3", "/usr/bin/env"])
    assert.match(await refused(programs(interpreter)), /would allow anything/, interpreter);
  const more = await client.rpc("exec.approvals.set", {
    file: programs("/usr/bin/uptime"),
    baseHash: set.hash,
  });
  assert.deepEqual(
    more.file.agents.main.allowlist.map((item: { pattern: string }) => item.pattern),
    ["git status", "/usr/bin/uptime"],
  );
  await writeFile(join(gateway.stateFolder, "exec-approvals.json"), "null");
  assert.match((await client.ask("exec.approvals.get")).error.message, /expected \{version: 1/);
});

test("control (wire): a client asks for an approval, in one or two answers; it never makes a standing rule", async (context) => {
  const [gateway, client] = await adminOf(context);
  const reviewer = await gateway.connect({ scopes: ["operator.approvals"] });
  const id = randomUUID();
  const asking = client.ask("exec.approval.request", {
    id,
    command: "make install",
    cwd: "/tmp",
    twoPhase: true,
  });
  const { payload } = await reviewer.waitFor((event) => event.event === "exec.approval.requested");
  assert.equal(payload.id, id);
  assert.deepEqual(payload.request.allowedDecisions, ["allow-once", "deny"]);
  assertValid("ApprovalGetResult", await reviewer.rpc("approval.get", { id }));
  const reused = await client.ask("exec.approval.request", { id, command: "make clean" });
  assert.equal(reused.error.message, "approval id already in use");
  const decide = (decision: string) => reviewer.ask("approval.resolve", { id, kind: "exec", decision });
  assert.match((await decide("allow-always")).error.message, /offers allow-once, deny/);
  const waiting = client.rpc("exec.approval.waitDecision", { id });
  const first = await decide("allow-once");
  assert.equal(first.payload.applied, true);
  assertValid("ApprovalResolveResult", first.payload);
  assert.equal((await asking).payload.decision, "allow-once");
  assert.deepEqual([(await waiting).decision, (await waiting).terminalReason], ["allow-once", "user"]);
  const second = await decide("deny");
  assert.deepEqual([second.payload.applied, second.payload.approval.decision], [false, "allow-once"]);
  assert.ok(client.frames.some((frame) => frame.payload?.status === "accepted" && frame.payload.id === id));
  assert.equal((await client.rpc("exec.approvals.get")).exists, false);
  const gone = await client.ask("exec.approval.waitDecision", { id: "nope" });
  assert.equal(gone.error.message, "approval expired or not found");
  const onNode = await client.ask("exec.approval.request", { command: "ls", host: "node" });
  assert.equal(onNode.error.message, "systemRunPlan is required for host=node");
});

test("control (wire): an approval that nobody could see is not waited for", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const client = await gateway.connect({ scopes: ["operator.approvals"], caps: [] });
  const { decision, terminalReason } = await client.rpc("exec.approval.request", { command: "ls" });
  assert.deepEqual([decision, terminalReason], [null, "no-route"]);
  assert.deepEqual(await client.rpc("exec.approval.list"), []);
});

test("control (wire): an injected note is in the history, and a message is found by its id", async (context) => {
  const [, client] = await adminOf(context);
  await client.say("hello");
  const { messageId } = await client.rpc("chat.inject", {
    sessionKey: "main",
    message: "a note",
    label: "desk",
  });
  const note = await client.waitFor((event) => event.payload?.runId === `inject-${messageId}`);
  assert.equal(note.payload.state, "final");
  assert.equal(note.payload.seq, 0);
  const { messages } = await client.rpc("chat.history", { sessionKey: "main" });
  assert.equal(messages.at(-1).content[0].text, "[desk]\n\na note");
  // The conversation goes on after it.
  assert.equal((await client.say("and on")).state, "final");
  const get = (sessionKey: string, id: string) =>
    client.rpc("chat.message.get", { sessionKey, messageId: id });
  const found = await get("main", messageId);
  assertValid("ChatMessageGetResult", found);
  assert.equal(found.message.content[0].text, "[desk]\n\na note");
  assert.deepEqual(await get("main", "nope"), { ok: false, unavailableReason: "not_found" });
  await client.rpc("sessions.reset", { key: "main" });
  assert.deepEqual(await get("main", messageId), { ok: false, unavailableReason: "not_visible" });
  const compacted = await client.rpc("sessions.compact", { key: "main" });
  assert.deepEqual([compacted.ok, compacted.key, compacted.compacted], [true, "agent:main:main", false]);
  const nowhere = await client.ask("chat.inject", { sessionKey: "elsewhere", message: "x" });
  assert.match(nowhere.error.message, /No session found/);
});

test("control (wire): waking runs a turn now, and cannot carry a command that needs more than its scope", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const client = await gateway.connect({ scopes: ["operator.write"] });
  await client.say("remember me");
  const before = client.events.length;
  assert.deepEqual(await client.rpc("wake", { mode: "now", text: "/reset" }), { ok: true });
  await client.waitFor(
    (event) =>
      event.event === "chat" && event.payload.state === "final" && client.events.indexOf(event) >= before,
  );
  const { messages } = await client.rpc("chat.history", { sessionKey: "main" });
  assert.deepEqual(
    messages
      .filter((message: { role: string }) => message.role === "user")
      .map((message: { content: string }) => message.content),
    ["remember me", "[system event] /reset"],
  );
  const later = await client.ask("wake", { mode: "next-heartbeat", text: "later" });
  assert.equal(later.error.code, "UNAVAILABLE");
});

test("control (wire): a channel is stopped and started by hand, and what came meanwhile is answered then", async (context) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  context.after(() => fake.close());
  const telegram = { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42"] };
  const [, client] = await adminOf(context, { config: { channels: { telegram } } });
  const account = { channel: "telegram", accountId: "default" };
  fake.deliver("hello");
  await fake.sentCount(1);
  const isRunning = async () => (await client.rpc("channels.status")).channels.telegram.running;
  assert.deepEqual(await client.rpc("channels.stop", { channel: "telegram" }), { ...account, stopped: true });
  assert.equal(await isRunning(), false);
  fake.deliver("hello again");
  assert.deepEqual(await client.rpc("channels.start", account), { ...account, started: true });
  await fake.sentCount(2);
  assert.match(fake.sent[1]?.text ?? "", /demo model/);
  assert.equal(await isRunning(), true);
  const other = await client.ask("channels.start", { ...account, accountId: "other" });
  assert.match(other.error.message, /unknown account "other" of telegram/);
});
