/**
 * Secrets in commands: what runs, and what an answer is bound to, is the command as it was asked for; what
 * people see and what is written down for them is the command with the middle of each secret hidden.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

/** Each with a number of its own in the middle, where nothing of it may be seen. */
const secret = (n: number) => `k7Qx-CANARY${n}-9Zt4w8`;
const forms: readonly ((secret: string) => string)[] = [
  (value) => `./record -H "Authorization: Bearer ${value}" https://api.example.com/v1`,
  (value) => `./record --password ${value} --verbose`,
  (value) => `./record postgres://app:${value}@db.example.com/prod`,
  (value) => `./record --api-key='${value}' list`,
  (value) => `./record -d '{"password": "${value}", "user": "bob"}'`,
  (value) => `./record mysql -u root -p${value} shop`,
  (value) => `./record curl -u bob:${value} https://example.com/x`,
  (value) => `./record -H 'Cookie: session=${value}'`,
  (value) => `./record "https://example.com/?access_token=${value}&page=2"`,
  (value) => `./record psql PGPASSWORD=${value}`,
];
/** Refused unasked: a command may not be given such a variable. */
const refused = `PGPASSWORD=${secret(99)} ./record -h db -U app`;
/** Says what it was given, in words that look like a secret too. */
const program = `#!/bin/sh
printf '%s\\n' "$*" "$PGPASSWORD" >> "$0.seen"
echo "password=$*"
`;

async function house(t: TestContext, commands: readonly string[]) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) => {
      const answered = body.messages.filter(({ role }: { role: string }) => role === "tool").length;
      const command = commands[answered];
      return command === undefined
        ? [{ text: "done" }]
        : [{ call: { name: "exec", arguments: JSON.stringify({ command }), id: `call_${answered}` } }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      channels: {
        telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42"] },
      },
      approvals: { exec: { enabled: true, mode: "targets", targets: [{ channel: "telegram", to: "42" }] } },
    },
  });
  const workspace = join(gateway.stateFolder, "workspace");
  mkdirSync(workspace, { recursive: true });
  writeFileSync(join(workspace, "record"), program);
  chmodSync(join(workspace, "record"), 0o755);
  const seen = () => readFileSync(join(workspace, "record.seen"), "utf8");
  return { fake, model, gateway, seen };
}

// biome-ignore lint/suspicious/noExplicitAny: a frame, looked into at will
type Question = any;

/** The n-th question, as its event says it; fails when the run ends first. */
async function question(client: GatewayClient, n: number, ended: Promise<unknown>): Promise<Question> {
  const asked = () => client.events.filter(({ event }) => event === "exec.approval.requested");
  const end = ended.then(() => assert.fail(`the run ended after ${asked().length} questions`));
  await Promise.race([client.waitFor(() => asked().length > n), end]);
  return asked()[n]?.payload;
}

const allow = (client: GatewayClient, { id }: Question) =>
  client.rpc("exec.approval.resolve", { id, decision: "allow-once" });

function filesOf({ stateFolder }: GatewayProcess): readonly string[] {
  return readdirSync(stateFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("workspace"))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The database, and what background commands wrote, for the tool that reads on. */
function ownFiles(gateway: GatewayProcess): readonly string[] {
  const { stateFolder, databaseFile } = gateway;
  return filesOf(gateway).filter(
    (path) => path.startsWith(databaseFile) || path.startsWith(join(stateFolder, "commands")),
  );
}

/** What people may read of the state: every file but the agent's and the gateway's own, and the record. */
function readable(gateway: GatewayProcess): readonly (readonly [string, string])[] {
  const { databaseFile, logFile } = gateway;
  const own = ownFiles(gateway);
  const files = filesOf(gateway).filter((path) => !own.includes(path));
  const database = new DatabaseSync(databaseFile, { readOnly: true });
  try {
    const record = database.prepare("SELECT event FROM ledger").all();
    return [
      ...[...files, logFile].map((path) => [path, readFileSync(path, "latin1")] as const),
      ["the record", JSON.stringify(record)],
    ];
  } finally {
    database.close();
  }
}

test("log (4): secrets in commands run as they are, and are hidden from every client, chat, file and record (A-198)", async (t) => {
  const commands = forms.map((form, n) => form(secret(n)));
  const { fake, gateway, model, seen } = await house(t, [...commands, refused]);
  const client = await gateway.connect();
  const sessionKey = "agent:main:main";
  await client.rpc("sessions.messages.subscribe", { key: sessionKey });
  const ended = client.say("go");
  for (const [n, command] of commands.entries()) {
    const asked = await question(client, n, ended);
    const { request } = asked;
    // Enough is left to judge it by.
    assert.equal(request.command, command.replace(secret(n), "k7Qx[redacted]w8"));
    assert.match(request.warningText, /Parts that look like secrets are hidden/);
    assert.deepEqual(request.allowedDecisions, ["allow-once", "deny"]);
    assert.equal(request.standing, undefined);
    await client.rpc("exec.approval.list", {});
    await client.rpc("exec.approval.get", { id: asked.id });
    await client.rpc("approval.get", { id: asked.id });
    await fake.sentCount(n + 1);
    assert.match(fake.sent[n]?.text ?? "", /\.\/record.*k7Qx\[redacted\]w8/s);
    await allow(client, asked);
  }
  assert.equal((await ended).state, "final");
  for (const [n] of commands.entries()) assert.match(seen(), new RegExp(`k7Qx-CANARY${n}-9Zt4w8`));
  const { messages } = await client.rpc("chat.history", { sessionKey });
  assert.equal(JSON.stringify(messages).match(/"role":"toolResult"/g)?.length, commands.length + 1);
  for (const { __openclaw } of messages)
    await client.rpc("chat.message.get", { sessionKey, messageId: __openclaw.id });
  await client.rpc("approval.history", { limit: 100 });
  await client.rpc("audit.list", { limit: 500 });
  await client.rpc("logs.tail", {});
  await client.rpc("exec.approvals.get", {});
  await client.rpc("sessions.preview", { keys: [sessionKey] });
  // The model knows what it asked for: what it says next depends on it.
  assert.match(JSON.stringify(model.requests.at(-1)?.body), /CANARY0/);
  await gateway.stop();
  for (const frame of client.frames) assert.doesNotMatch(JSON.stringify(frame), /CANARY/);
  for (const { text } of fake.sent) assert.doesNotMatch(text, /CANARY/);
  const files = readable(gateway);
  assert.ok(files.some(([path]) => path.endsWith(".jsonl")));
  for (const [path, text] of files) assert.ok(!text.includes("CANARY"), path);
  // What a restart needs as it was is the gateway's own: nobody else opens it.
  for (const path of ownFiles(gateway)) assert.equal(statSync(path).mode & 0o777, 0o600, path);
});

test("log (4): a question that outlives its gateway is still bound to the command as it was asked for", async (t) => {
  const { gateway, seen } = await house(t, [forms[0]?.(secret(1)) ?? ""]);
  const before = await gateway.connect();
  await before.rpc("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "run-1" });
  const first = await question(before, 0, before.chatEnd("run-1"));
  before.abandon();
  await gateway.kill();
  await gateway.start();
  const client = await gateway.connect();
  let pending = await client.rpc("exec.approval.list", {});
  while (pending.length === 0) pending = await client.rpc("exec.approval.list", {});
  assert.equal(pending[0].id, first.id);
  assert.equal(pending[0].request.command, forms[0]?.("k7Qx[redacted]w8"));
  await allow(client, first);
  const end = await client.rpc("agent.wait", { runId: "run-1", timeoutMs: 20_000 });
  assert.equal(end.status, "ok");
  assert.match(seen(), /k7Qx-CANARY1-9Zt4w8/);
  assert.doesNotMatch(JSON.stringify([...before.frames, ...client.frames]), /CANARY/);
});

test("log (4): what a command says while it runs, and one that was denied, are hidden as well (A-198)", async (t) => {
  const denied = `./record --token ${secret(1)}`;
  const { gateway } = await house(t, [denied, "./hold"]);
  const workspace = join(gateway.stateFolder, "workspace");
  // Speaks, and ends once it was heard.
  const hold = `#!/bin/sh\necho "token=${secret(2)}"\nwhile [ ! -e heard ]; do sleep 0.05; done\n`;
  writeFileSync(join(workspace, "hold"), hold, { mode: 0o755 });
  const client = await gateway.connect();
  const ended = client.say("go");
  const first = await question(client, 0, ended);
  await client.rpc("exec.approval.resolve", { id: first.id, decision: "deny" });
  await allow(client, await question(client, 1, ended));
  const { payload } = await client.waitFor(({ payload: { data } }) => data?.phase === "update");
  assert.match(JSON.stringify(payload), /token=k7Qx\[redacted\]w8/);
  writeFileSync(join(workspace, "heard"), "");
  await ended;
  const { rows } = await client.rpc("audit.list", { limit: 500 });
  const refusal = rows.find(({ action }: { action: string }) => action === "refuse");
  assert.match(refusal.facts.detail, /--token k7Qx\[redacted\]w8/);
  await gateway.stop();
  assert.doesNotMatch(JSON.stringify(client.frames), /CANARY/);
  for (const [path, text] of readable(gateway)) assert.ok(!text.includes("CANARY"), path);
});

test("policy (4): no lasting yes is offered for a command with a secret in it, and for the like without it is", async (t) => {
  const { gateway } = await house(t, [`touch token=${secret(1)}`, "touch token.txt"]);
  const client = await gateway.connect();
  const ended = client.say("go");
  const first = await question(client, 0, ended);
  assert.deepEqual(first.request.allowedDecisions, ["allow-once", "deny"]);
  const kept = await client.ask("exec.approval.resolve", { id: first.id, decision: "allow-always" });
  assert.equal(kept.ok, false);
  await allow(client, first);
  const second = await question(client, 1, ended);
  assert.deepEqual(second.request.allowedDecisions, ["allow-once", "allow-always", "deny"]);
  await allow(client, second);
  await ended;
});

const ordinary: readonly string[] = [
  "./record show 5f2d9c1e8b7a6f5d4c3b2a190817263544536271",
  "./record --password-file /run/secrets/db --token-file=./token.txt",
  "./record aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ=",
  "./record -u 1000:1000 -p 8080:80 --password $DB_PASSWORD",
  "PASSWORD=touch; $PASSWORD hidden.txt",
  `./record '--password "' ; touch hidden.txt ; ./record '"'`,
];
test("log (4): what is no secret stays readable, and nothing that would run is hidden behind the look of one", async (t) => {
  const { gateway } = await house(t, ordinary);
  const client = await gateway.connect();
  const ended = client.say("go");
  for (const [n, command] of ordinary.entries()) {
    const asked = await question(client, n, ended);
    assert.equal(asked.request.command, command);
    assert.doesNotMatch(asked.request.warningText, /hidden/);
    await client.rpc("exec.approval.resolve", { id: asked.id, decision: "deny" });
  }
  await ended;
});
