/** What operators do to the gateway leaves who did it, from where, and what it changed, without a secret in it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { recordedToo, showsOnly } from "../../src/control/mod.ts";
import { TestDevice } from "../support/device.ts";
import { type GatewayClient, GatewayProcess, gatewayToken } from "../support/gateway.ts";

const every = ["operator.admin", "operator.approvals", "operator.pairing"];

async function record(client: GatewayClient, action: string) {
  const { rows } = await client.rpc("audit.list", { limit: 500, stage: "operator" });
  const of = (kind: string) =>
    rows.find((row: Record<string, unknown>) => row.action === action && row.kind === kind);
  return { begin: of("admin"), end: of("effect.end") };
}

test("audit: an action tells who, from where, and what was before and after; secrets are masked", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect({ scopes: every });
  const { hash } = await client.rpc("config.get", {});
  const channel = { telegram: { enabled: false, botToken: "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } };
  const raw = JSON.stringify({ logging: { level: "info" }, channels: channel });
  await client.rpc("config.patch", { raw, baseHash: hash });
  const { begin, end } = await record(client, "config.patch");
  assert.equal(begin.actor, "operator");
  assert.equal(begin.facts.address, "127.0.0.1");
  assert.equal(begin.facts.client, "cli/cli");
  assert.equal(end.outcome, "ok");
  const level = end.facts.changes.find((change: { path: string }) => change.path === "logging.level");
  assert.deepEqual(level, { path: "logging.level", before: '"debug"', after: '"info"' });
  const text = JSON.stringify(end);
  assert.match(text, /channels/);
  assert.ok(!text.includes("AAAAAAAA") && !text.includes(gatewayToken));

  await client.rpc("sessions.patch", { key: "agent:main:notes", label: "mine" });
  const patched = await record(client, "sessions.patch");
  assert.match(JSON.stringify(patched.end.facts.changes), /mine/);
  await client.rpc("sessions.delete", { key: "agent:main:notes" });
  const deleted = await record(client, "sessions.delete");
  assert.match(JSON.stringify(deleted.end.facts.changes[0].before), /mine/);
  assert.equal(deleted.end.facts.changes[0].after, "null");

  const device = new TestDevice();
  const { answer } = await device.connect(gateway, {
    auth: { token: gatewayToken },
    clientId: "openclaw-control-ui",
    mode: "ui",
    scopes: ["operator.read"],
  });
  const { requestId } = answer.error.details;
  await client.rpc("device.pair.approve", { requestId });
  const approved = await record(client, "device.pair.approve");
  assert.match(JSON.stringify(approved.end.facts.changes), new RegExp(device.id));

  const made = await client.rpc("tokens.create", { name: "backup", role: "viewer" });
  const created = await record(client, "tokens.create");
  assert.match(JSON.stringify(created.end.facts.changes), new RegExp(made.id));
  assert.ok(!JSON.stringify(created).includes(made.token.slice(16)));
  assert.equal((await client.ask("tokens.revoke", { token: "nobody" })).ok, false);
  const refused = await record(client, "tokens.revoke");
  assert.deepEqual([refused.end.outcome, refused.end.facts.changes], ["error", []]);
});

test("audit: every method that administers is on record, whether or not it then does anything", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect({ scopes: every });
  const nobody = await gateway.connect({ scopes: [] });
  const names: string[] = client.hello.features.methods;
  const scopes = new Map<string, string>();
  for (const name of names) scopes.set(name, (await nobody.ask(name, {})).error?.details?.missingScope);
  for (const name of [...showsOnly, ...recordedToo]) assert.ok(names.includes(name), name);
  const administers = names
    .filter(
      (name) => recordedToo.has(name) || (scopes.get(name) === "operator.admin" && !showsOnly.has(name)),
    )
    // It ends this connection, and has a test of its own: test/path/restart.test.ts.
    .filter((name) => name !== "gateway.restart.request");
  assert.ok(administers.length > 20);
  const missing: string[] = [];
  for (const name of administers) {
    const before = (await client.rpc("audit.list", { limit: 1 })).rows[0]?.seq ?? 0;
    const problem = await askSomehow(client, name);
    if (problem !== undefined) missing.push(`${name}: ${problem}`);
    const { rows } = await client.rpc("audit.list", { limit: 50, kind: "admin", afterSeq: before });
    if (!rows.some((row: { facts?: { client?: string } }) => row.facts?.client === "cli/cli"))
      missing.push(name);
  }
  assert.deepEqual(missing, []);
});

/** What a missing parameter is given; all others a word that names nothing. */
const given: Readonly<Record<string, unknown>> = {
  raw: "{}",
  file: {},
  patch: {},
  targets: [{ key: "nothing" }],
};

/** Calls a method with parameters of its shape that name nothing that there is; what is wrong with them, if anything. */
async function askSomehow(client: GatewayClient, name: string): Promise<string | undefined> {
  const params: Record<string, unknown> = {};
  for (let tries = 0; ; tries++) {
    const message: string = (await client.ask(name, params)).error?.message ?? "";
    if (!message.startsWith(`invalid ${name} params: at `)) return undefined;
    const lacking = [...message.matchAll(/must have required property '(\w+)'/g)].map(
      ([, word = ""]) => word,
    );
    if (lacking.length === 0 || tries > 3) return message;
    for (const word of lacking) params[word] = given[word] ?? "nothing";
  }
}
