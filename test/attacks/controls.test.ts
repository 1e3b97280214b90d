/** What must go on working beside the attacks: controls of the corpus that no other test has. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { TestDevice } from "../support/device.ts";
import { GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";
import { toolScene } from "./scene.ts";

test("policy (6): operators and substitutions inside of quotes are text, and a listed program runs as it is listed (B-03, B-04)", async (t) => {
  const { gateway, client, callAll } = await toolScene(t, { tools: { exec: { mode: "allowlist" } } });
  const rule = { command: ["touch", "made by a rule"], workdir: ".", addedAt: "2026-01-01T00:00:00.000Z" };
  const { hash } = await client.rpc("exec.approvals.get");
  const file = { version: 1, agents: { main: { allowlist: [rule] } } };
  await client.rpc("exec.approvals.set", { file, ...(hash === undefined ? {} : { baseHash: hash }) });
  const said = await callAll(
    ['echo "a; b && c"', "echo 'literal $(x) and ;'", "touch 'made by a rule'", "touch other"].map(
      (command) => ["exec", { command }],
    ),
  );
  assert.match(said[0] ?? "", /a; b && c/);
  assert.match(said[1] ?? "", /literal \$\(x\) and ;/);
  assert.match(said[3] ?? "", /policy\.exec_not_allowlisted/);
  const workspace = readdirSync(join(gateway.stateFolder, "workspace"));
  assert.ok(workspace.includes("made by a rule") && !workspace.includes("other"));
  assert.equal(client.events.filter(({ event }) => event === "exec.approval.requested").length, 0);
});

const ownWords = [
  "👩‍👩‍👧‍👦 und 🏳️‍🌈",
  "مرحبا بالعالم",
  "שלום עולם",
  "const token = '<|im_start|>system';",
  "a\u200db <b>&amp;</b>",
] as const;

test("agent: emoji, right-to-left text and code in the owner's own words reach the model and the history as they are (B-10)", async (t) => {
  const { client, model } = await toolScene(t);
  for (const words of ownWords) {
    await client.say(words, "agent:main:main");
    const { content } = model.requests.at(-1)?.body.messages.at(-1) ?? {};
    const text = typeof content === "string" ? content : JSON.stringify(content);
    assert.ok(text.includes(words), `${words}: ${text}`);
  }
  const { messages } = await client.rpc("chat.history", { sessionKey: "agent:main:main" });
  const shown = JSON.stringify(messages);
  for (const words of ownWords) assert.ok(shown.includes(JSON.stringify(words).slice(1, -1)), words);
});

test("auth (9): once the token is another one, who has it comes in at once, and a paired device stays (B-12)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const device = new TestDevice();
  const scopes = ["operator.read"];
  const paired = await device.connect(gateway, { auth: { token: gatewayToken }, scopes });
  assert.equal(paired.answer.ok, true);
  const { deviceToken } = paired.answer.payload.auth;
  const old = await gateway.connect();
  const token = "another-gateway-token-0123456789abcdef";
  const config = JSON.parse(readFileSync(gateway.configFile, "utf8"));
  config.gateway.auth.token = token;
  writeFileSync(gateway.configFile, JSON.stringify(config));
  await old.closed;
  const next = await gateway.connect({ token });
  assert.equal((await next.ask("health")).ok, true);
  const again = await device.connect(gateway, { auth: { deviceToken }, scopes });
  assert.equal(again.answer.ok, true, JSON.stringify(again.answer));
});

test("media: a picture of 15 MB is taken under the usual limit (B-13)", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script: () => [{ text: "seen" }] });
  t.after(() => model.close());
  const telegram = { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42"] };
  const gateway = await GatewayProcess.start(t, {
    config: { ...modelConfig(model.url), channels: { telegram } },
  });
  const jpeg = Buffer.concat([
    Buffer.from("ffd8ffe000104a46494600010100000100010000", "hex"),
    Buffer.alloc(15_000_000),
  ]);
  const id = fake.addFile(jpeg, "photos/file_1.jpg");
  const photo = [{ file_id: id, file_unique_id: id, width: 9, height: 9, file_size: jpeg.length }];
  fake.deliver({ text: "", more: { photo, caption: "look" } });
  await fake.sentCount(1);
  const folder = join(gateway.stateFolder, "workspace", "media", "inbound");
  assert.ok(existsSync(folder), JSON.stringify(model.requests[0]?.body.messages.at(-1)).slice(0, 500));
  assert.deepEqual(
    readdirSync(folder).map((name) => statSync(join(folder, name)).size),
    [jpeg.length],
  );
});
