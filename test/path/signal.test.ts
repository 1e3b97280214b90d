/** Signal, through the whole gateway: a person's uuid and number are one person, and a number is nobody by itself. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { GatewayClient, Payload } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { ownNumber, people } from "../support/signal/harness.ts";
import { FakeSignal } from "../support/signal/server.ts";

const { ada, ben } = people;
const idOf = ({ uuid }: { readonly uuid: string }) => `uuid:${uuid}`;
const keyOf = (id: string) => `agent:main:signal:direct:${encodeURIComponent(id).replace("%2B", "+")}`;

async function house(t: TestContext, section: object, more: object = {}, before?: (folder: string) => void) {
  const fake = new FakeSignal();
  await fake.listen();
  t.after(() => fake.close());
  const model = await startModelServer({
    wire: "openai-completions",
    script: (_, n) => [{ text: `reply ${n}` }],
  });
  t.after(() => model.close());
  const transport = { kind: "external-native", url: fake.url };
  const config = (wanted: object) => ({
    ...modelConfig(model.url),
    // The fake's clock stands in the past.
    messages: { inbound: { maxAgeMinutes: 0 } },
    channels: { signal: { account: ownNumber, transport, dmPolicy: "allowlist", ...wanted } },
    ...more,
  });
  const gateway = await GatewayProcess.prepare(t, { config: config(section) });
  before?.(join(gateway.stateFolder, "credentials", "signal", "default"));
  await gateway.start();
  const client = await gateway.connect();
  let replies = 0;
  /** Resolves with the reply's recipient. */
  const answered = async (from: object, text: string): Promise<unknown> => {
    fake.write(from, { message: text });
    replies += 1;
    while (fake.callsOf("send").length < replies) await new Promise(setImmediate);
    return fake.callsOf("send").at(-1)?.params.recipient;
  };
  return { fake, model, gateway, client, config, answered };
}

/** The newest verdicts of the access stage, oldest first. */
async function outcomes(client: GatewayClient, count: number): Promise<string[]> {
  for (;;) {
    const { rows } = await client.rpc("audit.list", { stage: "access", limit: 100 });
    if (rows.length < count) continue;
    return rows.map((row: Payload) => row.outcome ?? row.action).reverse();
  }
}

async function keys(client: GatewayClient): Promise<string[]> {
  const { sessions } = await client.rpc("sessions.list", {});
  return sessions.map((row: Payload) => row.key).sort();
}

test("signal (2): listed by number or by uuid, a person is one person with one conversation, whether the number shows or not", async (t) => {
  const { model, client, answered } = await house(t, { allowFrom: [ada.number, idOf(ada), idOf(ben)] });
  assert.deepEqual(await answered(ada, "the word is heron"), [ada.uuid]);
  assert.deepEqual(await answered({ uuid: ada.uuid }, "and now it is hidden"), [ada.uuid]);
  assert.match(JSON.stringify(model.requests.at(-1)), /heron/, "the same conversation");
  await answered({ uuid: ben.uuid }, "hidden first");
  await answered(ben, "then shown");
  assert.match(JSON.stringify(model.requests.at(-1)), /hidden first/);
  assert.deepEqual(await keys(client), [keyOf(idOf(ada)), keyOf(idOf(ben))]);
  const asked = { channel: "signal", sender: idOf(ada), alias: ada.number, text: "hi" };
  const { steps } = await client.rpc("access.explain", asked);
  const sender = steps.find(({ rule }: Payload) => rule === "sender");
  assert.deepEqual(
    [sender.facts, sender.path],
    [`${idOf(ada)} is listed (id)`, "channels.signal.allowFrom[1]"],
  );
});

test("signal (2): a profile's name that is a listed number, and a number without its account, open nothing (A-055, A-064)", async (t) => {
  const section = { allowFrom: [ada.number, idOf(ben)], dangerouslyAllowNameMatching: true };
  const { fake, model, client, answered } = await house(t, section);
  const eve = "eeeeeeee-0000-4000-8000-00000000000e";
  fake.write({ uuid: eve, name: ada.number }, { message: "I am called as she is" });
  fake.write({ uuid: eve, number: "+15550000066", name: idOf(ben) }, { message: "or as he is" });
  fake.write({ number: ben.number }, { message: "no account stands behind this" });
  fake.write({ number: ada.number }, { message: "nor behind this" });
  fake.write({ uuid: ada.uuid }, { message: "she is listed by a number that she hides" });
  await outcomes(client, 3);
  assert.deepEqual(await answered(ben, "he who is meant"), [ben.uuid]);
  assert.deepEqual(await outcomes(client, 4), [...Array(3).fill("access.sender_not_listed"), "admit"]);
  assert.equal(model.requests.length, 1);
});

test("signal (2): whoever has a listed number now may talk, and is not shown what was said to the one before", async (t) => {
  const session = {
    dmScope: "per-channel-peer",
    identityLinks: { ada: [`signal:${ada.number}`, "telegram:42"] },
  };
  const { fake, model, client, answered } = await house(t, { allowFrom: [ada.number] }, { session });
  await answered(ada, "the word is heron");
  const heir = { uuid: ben.uuid, number: ada.number };
  assert.deepEqual(await answered(heir, "what was the word?"), [ben.uuid]);
  assert.doesNotMatch(JSON.stringify(model.requests.at(-1)), /heron/);
  assert.deepEqual(await keys(client), ["agent:main:direct:person:ada", keyOf(idOf(ben))]);
  fake.write({ uuid: ada.uuid, number: "+15550000077" }, { message: "with her new number" });
  assert.deepEqual(await outcomes(client, 3), ["admit", "admit", "access.sender_not_listed"]);
});

test("signal (2): who was approved stays so without the number, and whoever has the number then is not", async (t) => {
  const { fake, client } = await house(t, { dmPolicy: "pairing" });
  fake.write(ada, { message: "may I?" });
  await outcomes(client, 1);
  const { requests } = await client.rpc("channels.pairing.list", {});
  assert.deepEqual(
    requests.map(({ senderId }: Payload) => senderId),
    [idOf(ada)],
  );
  const { requestId } = requests[0];
  await client.rpc("channels.pairing.approve", { channel: "signal", accountId: "default", requestId });
  fake.write({ uuid: ada.uuid }, { message: "without it" });
  await outcomes(client, 2);
  fake.write({ uuid: ben.uuid, number: ada.number }, { message: "with her number" });
  assert.deepEqual(await outcomes(client, 3), ["access.sender_unpaired", "admit", "access.sender_unpaired"]);
});

test("session: a bound on earlier turns that stands under the number holds for whoever it is or was", async (t) => {
  const dms = { [`signal:${ada.number}`]: { historyLimit: 0 } };
  const section = { allowFrom: [idOf(ada), idOf(ben)], dms, dmHistoryLimit: 5 };
  const { model, gateway, answered } = await house(t, section);
  for (const [from, isShown] of [
    [ada, false],
    [{ uuid: ada.uuid }, false],
    [ben, true],
    [{ uuid: ben.uuid, number: ada.number }, false],
  ] as const) {
    await answered(from, "the word is heron");
    await answered(from, "what was it?");
    assert.equal(JSON.stringify(model.requests.at(-1)).includes("heron"), isShown);
  }
  assert.doesNotMatch(await gateway.readLog(), /channels\.signal\.[^\n]*no effect yet/);
});

test("signal (2): a conversation that an earlier version called by the number goes on", async (t) => {
  const { client, answered } = await house(t, { allowFrom: [idOf(ada), idOf(ben)] }, {}, (folder) => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const kept = { [ada.uuid]: ada.number, [ben.uuid]: idOf(ben) };
    writeFileSync(join(folder, "identities.json"), JSON.stringify(kept), { mode: 0o600 });
  });
  await answered({ uuid: ada.uuid }, "hidden");
  await answered(ada, "shown");
  await answered(ben, "as before");
  assert.deepEqual(await keys(client), [keyOf(ada.number), keyOf(idOf(ben))].sort());
});

test("access (12): a limit that stands under the number holds in the turn, whether the number shows or not", async (t) => {
  const tools = { toolsBySender: { [`e164:${ada.number}`]: { deny: ["read"] } } };
  const { model, answered } = await house(t, { allowFrom: [idOf(ada), idOf(ben)] }, { tools });
  const offered = () => JSON.stringify(model.requests.at(-1)).includes('"name":"read"');
  for (const [from, has] of [
    [ben, true],
    [ada, false],
    [{ uuid: ada.uuid }, false],
  ] as const) {
    await answered(from, "hello");
    assert.equal(offered(), has);
  }
});

test("privacy: a Signal account is one person by its uuid and by the number that was first its own", async (t) => {
  const { gateway, client, answered } = await house(t, { allowFrom: [idOf(ada), idOf(ben)] });
  await answered(ada, "the word is heron");
  await answered({ uuid: ben.uuid, number: ada.number }, "the word is stork");
  const about = await client.rpc("privacy.export", { peer: `signal:${ada.number}` });
  assert.deepEqual([...about.accounts].sort(), [`signal:${ada.number}`, `signal:${idOf(ada)}`]);
  assert.match(JSON.stringify(about.items), /heron/);
  assert.doesNotMatch(JSON.stringify(about.items), /stork/);
  await client.rpc("privacy.erase", { peer: `signal:${idOf(ada)}`, dryRun: false, files: false });
  const state = join(gateway.stateFolder, "credentials", "signal", "default", "identities.json");
  assert.doesNotMatch(readFileSync(state, "utf8"), /aaaaaaaa|15550000042/);
  assert.deepEqual(await keys(client), [keyOf(idOf(ben))]);
});
