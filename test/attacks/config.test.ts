/** Attacks on the config: what is broken, ambiguous or clever in it never opens the gateway. */
import assert from "node:assert/strict";
import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { toolScene } from "./scene.ts";

const auth = `"auth":{"mode":"token","token":"${gatewayToken}"}`;
const whole = `{"gateway":{"mode":"local","bind":"loopback",${auth}}}`;

/** What is wrong, the text, and what the answer names. */
const broken: readonly (readonly [what: string, text: string, said: RegExp])[] = [
  ["cut off", whole.slice(0, -5), /openclaw\.json/],
  ["an unknown key", whole.replace('"bind"', '"binds"'), /binds/],
  ["auth of another type", '{"gateway":{"mode":"local","auth":"none"}}', /auth/],
  ["auth as a list", '{"gateway":{"mode":"local","auth":[]}}', /auth/],
  [
    "a secret that is not there",
    `{"gateway":{"mode":"local","auth":{"mode":"token","token":"\${NOT_SET_ANYWHERE}"}}}`,
    /NOT_SET_ANYWHERE/,
  ],
  ["YAML", "gateway:\n  auth:\n    mode: off\n", /openclaw\.json/],
  ["an include that is missing", `{"gateway":{"$include":"none.json"}}`, /none\.json/],
  ["an include from elsewhere", `{"gateway":{"$include":"../../etc/passwd"}}`, /outside/],
  [
    "a key twice",
    `{"gateway":{"mode":"local",${auth}},"gateway":{"mode":"local","auth":{"mode":"none"}}}`,
    /gateway/,
  ],
  ["a policy that is no word", `{"channels":{"telegram":{"dmPolicy":true}},${whole.slice(1)}`, /dmPolicy/],
  ["not an object", "[]", /object/],
];

for (const [what, text, said] of broken)
  test(`config (1): ${what}: the gateway does not start, and says what is wrong (A-229)`, async (t) => {
    const failing = await GatewayProcess.prepare(t, { configText: text });
    const { code, stderr, stdout } = await failing.startFails();
    assert.notEqual(code, 0);
    assert.match(stderr + stdout, said);
  });

test("config (7): broken while it runs: the gateway keeps what it had, and no default without a secret takes its place (A-229)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const params = {
    minProtocol: 4,
    maxProtocol: 4,
    client: { id: "cli", version: "1", platform: "linux", mode: "cli" },
    role: "operator",
    scopes: ["operator.admin"],
  };
  const problems = async () =>
    (await gateway.readLog()).split("\n").filter((line) => /"level":"(?:error|warn)"/.test(line)).length;
  for (const [what, text] of broken) {
    const before = await problems();
    await gateway.writeConfig({}, text);
    while ((await problems()) === before) await new Promise(setImmediate);
    const stranger = await gateway.socket();
    assert.equal((await stranger.ask("connect", params)).ok, false, what);
    assert.equal((await (await gateway.connect()).rpc("health")).ok, true, what);
  }
});

test("config: what an agent or a chat writes is never replaced by a variable's value (A-230)", async (t) => {
  const { client, model, callAll } = await toolScene(t, {}, { CANARY_SECRET: "canary-0123456789abcdef" });
  const reference = "$" + "{CANARY_SECRET}";
  await callAll([
    ["write", { path: "IDENTITY.md", content: `- Name: ${reference}\n` }],
    ["write", { path: "AGENTS.md", content: `Say ${reference}.` }],
  ]);
  await client.say(`my name is ${reference}`, "agent:main:other");
  const asked = JSON.stringify(model.requests.at(-1)?.body);
  assert.ok(asked.includes(reference));
  await client.rpc("agents.update", { agentId: "main", name: reference });
  await client.ask("sessions.patch", { key: "agent:main:other", label: reference });
  await client.say("who are you?", "agent:main:other");
  const { agents } = await client.rpc("agents.list");
  assert.ok(JSON.stringify(agents).includes(reference));
  for (const text of [JSON.stringify(model.requests.map(({ body }) => body)), JSON.stringify(agents)])
    assert.doesNotMatch(text, /canary-0123456789abcdef/);
});

test("config (3): a reference to a secret runs no program, reads no file, and stops the start (A-231)", async (t) => {
  const references = [
    { source: "exec", provider: "x", id: "../../bin/sh" },
    { source: "env", id: "HOME\nPATH" },
    { source: "env", id: "NOT_SET_ANYWHERE" },
    { source: "env", provider: "../x", id: "PATH" },
    { source: "file", id: "/etc/hostname" },
    { source: "store", id: "TOKEN" },
    { source: "http", id: "http://evil.example" },
  ];
  for (const token of references) {
    const gateway = await GatewayProcess.prepare(t, {
      configText: JSON.stringify({ gateway: { mode: "local", auth: { mode: "token", token } } }),
    });
    const failed = await gateway.startFails();
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /gateway\.auth\.token/, JSON.stringify(token));
  }
});

test("config (2): a config that is a link to another file is not read (A-229, A-231)", async (t) => {
  const gateway = await GatewayProcess.prepare(t, { configText: whole });
  const elsewhere = join(gateway.folder, "elsewhere.json");
  writeFileSync(elsewhere, readFileSync(gateway.configFile));
  rmSync(gateway.configFile);
  symlinkSync(elsewhere, gateway.configFile);
  const { stderr, stdout } = await gateway.startFails();
  assert.match(stderr + stdout, /link/);
});
