/** The words that wake a device: one list, kept by the gateway, the same on every device. */
import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { GatewayProcess } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { TestNode } from "../support/node.ts";

const usual = ["openclaw", "claude", "computer"];
const name = "voicewake.changed";

/** The lists that this connection was told, in order. */
const told = (client: GatewayClient) =>
  client.events.filter(({ event }) => event === name).map(({ payload }) => payload.triggers);

test("voicewake: the words are kept, 600, over a restart and a kill; none restores the usual ones", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const file = join(gateway.stateFolder, "settings", "voicewake.json");
  let client = await gateway.connect();
  assert.deepEqual(await client.rpc("voicewake.get"), { triggers: usual });
  const set = await client.rpc("voicewake.set", {
    triggers: [" Hey  House ", "", "hey house", "computer", "  "],
  });
  assert.deepEqual(set, { triggers: ["Hey House", "computer"] });
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.equal((await stat(join(file, ".."))).mode & 0o777, 0o700);
  await gateway.kill();
  await gateway.start();
  client = await gateway.connect();
  assert.deepEqual(await client.rpc("voicewake.get"), set);
  const { rows } = await client.rpc("audit.list", { kind: "admin", limit: 1 });
  assert.deepEqual([rows[0].action, rows[0].facts.count], ["voicewake.set", 5]);
  assert.deepEqual(await client.rpc("voicewake.set", { triggers: [" "] }), { triggers: usual });
  assert.deepEqual(JSON.parse(await readFile(file, "utf8")).triggers, usual);
});

test("voicewake: what does not fit is refused, and the words stay", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect();
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /triggers/],
    ["house", /must be array/],
    [[1], /\/triggers\/0: must be string/],
    [["x".repeat(101)], /at most 100 characters/],
    [Array.from({ length: 33 }, (_, n) => `w${n}`), /at most 32 items/],
    [["a\u0000b"], /"a\\u0000b" has a control character/],
  ];
  for (const [triggers, error] of refused)
    assert.match((await client.ask("voicewake.set", { triggers })).error.message, error);
  assert.deepEqual(await client.rpc("voicewake.get"), { triggers: usual });
  const reader = await gateway.connect({ scopes: ["operator.read"] });
  assert.match((await reader.ask("voicewake.set", { triggers: ["a"] })).error.message, /operator\.write/);
  assert.deepEqual(await reader.rpc("voicewake.get"), { triggers: usual });
  const node = await TestNode.connect(gateway, []);
  assert.equal((await node.client.ask("voicewake.set", { triggers: ["a"] })).ok, false);
});

test("voicewake: who may read and every node is told, a node also when it comes, and nobody else", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect();
  const reader = await gateway.connect({ scopes: ["operator.read"] });
  const others = [
    await gateway.connect({ scopes: ["operator.approvals", "operator.pairing", "operator.questions"] }),
    await gateway.connect({ scopes: [] }),
  ];
  const early = await TestNode.connect(gateway, []);
  await early.client.waitFor(({ event }) => event === name);
  // At once: the last word is everybody's, and the file's.
  const lists = Array.from({ length: 8 }, (_, n) => [`word ${n}`]);
  await Promise.all(lists.map((triggers) => client.rpc("voicewake.set", { triggers })));
  const { triggers } = await client.rpc("voicewake.get");
  const late = await TestNode.connect(gateway, []);
  await late.client.waitFor(({ event }) => event === name);
  for (const one of [client, reader, early.client, late.client, ...others]) await one.rpc("health");
  assert.deepEqual(told(early.client), [usual, ...told(client)]);
  assert.deepEqual(told(reader), told(client));
  assert.equal(told(client).length, lists.length);
  assert.deepEqual(told(client).at(-1), triggers);
  assert.deepEqual(told(late.client), [triggers]);
  const { stateFolder } = gateway;
  const kept = JSON.parse(await readFile(join(stateFolder, "settings", "voicewake.json"), "utf8"));
  assert.deepEqual(kept.triggers, triggers);
  for (const other of others) assert.deepEqual(told(other), []);
  const numbered = (one: GatewayClient) =>
    one.events.filter(({ event }) => event === name).map(({ seq }) => seq !== undefined);
  assert.ok(numbered(client).every(Boolean), "one of the numbered events of an operator");
  assert.ok(!numbered(early.client).some(Boolean), "for this socket alone: without a number");
});

test("voicewake: a list that cannot be read is told as that, tells no node anything, and can be set anew", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const file = join(gateway.stateFolder, "settings", "voicewake.json");
  await (await gateway.connect()).rpc("voicewake.set", { triggers: ["a"] });
  await gateway.stop();
  for (const broken of ["{", '{"triggers":"a"}', '{"triggers":[1]}', "[]"]) {
    await writeFile(file, broken);
    await gateway.start();
    const client = await gateway.connect();
    assert.match((await client.ask("voicewake.get")).error.message, /voicewake\.json/, broken);
    const node = await TestNode.connect(gateway, []);
    assert.deepEqual(await client.rpc("voicewake.set", { triggers: ["b"] }), { triggers: ["b"] });
    assert.deepEqual(await client.rpc("voicewake.get"), { triggers: ["b"] });
    await node.client.waitFor(({ event }) => event === name);
    assert.deepEqual(told(node.client), [["b"]], broken);
    await gateway.stop();
  }
});
