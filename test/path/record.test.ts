/** What is kept of what happened: the record verifies and finds tampering; secrets are in no file that is kept. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

async function talked(t: TestContext) {
  const model = await startModelServer({ wire: "openai-completions", script: () => [{ text: "ok" }] });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  for (let n = 0; n < 3; n++) await client.say(`message ${n}`);
  const { rows, head } = await client.rpc("audit.verify", {});
  return { gateway, rows, head };
}

const tampering: { readonly name: string; readonly sql: string; readonly at: (rows: number) => number }[] = [
  {
    name: "a changed row",
    sql: "UPDATE ledger SET event = replace(event, 'admit', 'ADMIT') WHERE seq = 1",
    at: () => 1,
  },
  { name: "a changed time", sql: "UPDATE ledger SET at = at + 1 WHERE seq = 4", at: () => 4 },
  { name: "a removed row", sql: "DELETE FROM ledger WHERE seq = 5", at: () => 5 },
  {
    name: "two rows that changed places",
    sql: "UPDATE ledger SET seq = CASE seq WHEN 2 THEN -3 WHEN 3 THEN -2 END WHERE seq IN (2, 3); UPDATE ledger SET seq = -seq WHERE seq < 0",
    at: () => 2,
  },
  { name: "a cut tail", sql: "DELETE FROM ledger WHERE seq > 6", at: () => 7 },
];

for (const { name, sql, at } of tampering) {
  test(`audit (2)(3): ${name} is found, with its number`, async (t) => {
    const { gateway, rows, head } = await talked(t);
    assert.ok(rows > 7);
    await gateway.stop();
    const database = new DatabaseSync(gateway.databaseFile);
    database.exec(sql);
    database.close();
    await gateway.start();
    const verified = await (await gateway.connect()).rpc("audit.verify", { expectedHead: head });
    assert.equal(verified.intact, false);
    assert.ok(verified.brokenAtSeq >= at(rows), `broken at ${verified.brokenAtSeq}`);
    if (name !== "a cut tail") assert.equal(verified.brokenAtSeq, at(rows));
  });
}

test("audit (2)(3): untouched, it verifies against the head that was noted, also after a restart", async (t) => {
  const { gateway, head } = await talked(t);
  await gateway.stop();
  await gateway.start();
  const verified = await (await gateway.connect()).rpc("audit.verify", { expectedHead: head });
  assert.equal(verified.intact, true);
  assert.ok((await gateway.readLog()).includes(head), "each start notes the head that it found");
});

test("log (1), audit (4): planted secrets are in no log line and in no record, and messages in no record", async (t) => {
  const canaries = {
    gatewayToken: "canary-gateway-token-0f0f0f0f0f0f0f0f",
    modelKey: "canary-model-key-1e1e1e1e1e1e1e1e",
    botToken: "123456789:AAcanary-bot-token_2d2d2d2d2d2d2d2d2d",
    environment: "canary-environment-3c3c3c3c3c3c3c3c",
    message: "canary-message-4b4b4b4b",
    output: "canary-output-5a5a5a5a",
    file: "canary-file-69696969",
  };
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body, n) => {
      if (n === 1)
        return [
          { call: { name: "write", arguments: JSON.stringify({ path: "a.txt", content: canaries.file }) } },
        ];
      if (n === 2) return [{ call: { name: "exec", arguments: JSON.stringify({ command: "env" }) } }];
      if (n === 3) return [{ call: { name: "exec", arguments: JSON.stringify({ command: "cat out.txt" }) } }];
      if (n === 4)
        return [
          { status: 401, body: { error: { message: `the key ${body.key ?? canaries.modelKey} is wrong` } } },
        ];
      return [{ text: "ok" }];
    },
  });
  t.after(() => model.close());
  const base = modelConfig(model.url) as { models: { providers: { mock: Record<string, unknown> } } };
  base.models.providers.mock.apiKey = canaries.modelKey;
  const gateway = await GatewayProcess.prepare(t, {
    env: { OPENAI_API_KEY: canaries.environment, ANTHROPIC_API_KEY: canaries.environment },
    config: {
      ...base,
      gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token: canaries.gatewayToken } },
      channels: { telegram: { botToken: canaries.botToken, apiRoot: "http://127.0.0.1:9" } },
      tools: { exec: { security: "full", ask: "off" } },
    },
  });
  await gateway.start();
  writeFileSync(join(gateway.stateFolder, "workspace", "out.txt"), canaries.output);
  const client = await gateway.connect({ token: canaries.gatewayToken });
  const failed = await client.say(`please keep ${canaries.message}`);
  assert.equal(failed.state, "error");
  assert.doesNotMatch(JSON.stringify(failed), /canary-model-key/);
  await client.say("again");
  const wrong = await gateway.socket();
  await wrong.ask("connect", { auth: { token: `${canaries.gatewayToken}x` } });
  const history = JSON.stringify(await client.rpc("chat.history", { sessionKey: "main" }));
  assert.match(history, /canary-output/, "the command ran and its output is in the transcript");
  assert.doesNotMatch(
    history,
    /canary-(gateway|model|bot|environment)/,
    "no command sees the gateway's own secrets",
  );
  const config = JSON.stringify(await client.rpc("config.get", {}));
  assert.doesNotMatch(config, /canary-/);
  const shown = JSON.stringify(
    client.frames.filter((frame) => frame.event !== "chat" && frame.event !== "agent"),
  );
  for (const [name, value] of Object.entries(canaries)) {
    if (!["message", "output", "file"].includes(name))
      assert.ok(!shown.includes(value), `${name} went to a client`);
  }
  await gateway.stop();
  const log = await gateway.readLog();
  assert.match(log, /"message":"stopped"/, "the log was written");
  const database = new DatabaseSync(gateway.databaseFile, { readOnly: true });
  const record = database
    .prepare("SELECT event FROM ledger")
    .all()
    .map((row) => String(row.event))
    .join("\n");
  database.close();
  for (const [name, value] of Object.entries(canaries)) {
    assert.ok(!log.includes(value), `${name} is in the log`);
    assert.ok(!record.includes(value), `${name} is in the record`);
    assert.ok(!gateway.stdout.includes(value) && !gateway.stderr.includes(value), `${name} was printed`);
  }
  // Nowhere in the state but in the config that holds them.
  for (const file of filesOf(gateway.stateFolder)) {
    if (/openclaw\.json|last-good/.test(file)) continue;
    const text = readFileSync(file, "latin1");
    for (const name of ["gatewayToken", "modelKey", "botToken", "environment"] as const)
      assert.ok(!text.includes(canaries[name]), `${name} is in ${file}`);
  }
});

function filesOf(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesOf(path) : [path];
  });
}
