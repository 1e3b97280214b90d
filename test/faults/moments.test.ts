/** Kills at one named moment of a message's way, where a storm would have to be lucky. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { type Script, startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";
import { rows } from "./verdict.ts";

async function house(t: TestContext, script: Script) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script });
  t.after(() => model.close());
  const telegram = { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42"] };
  const gateway = await GatewayProcess.start(t, {
    config: { ...modelConfig(model.url), channels: { telegram } },
  });
  return { fake, gateway };
}

const outbox = (gateway: GatewayProcess) =>
  rows(gateway, "SELECT state FROM outbox ORDER BY place").map(({ state }) => state);

async function delivered(gateway: GatewayProcess): Promise<void> {
  const open = () =>
    rows(gateway, "SELECT 1 FROM inbox WHERE state IN ('accepted', 'running')").length > 0 ||
    rows(gateway, "SELECT 1 FROM outbox WHERE state IN ('pending', 'sending')").length > 0;
  while (open()) await new Promise((resolve) => setImmediate(resolve));
}

test("delivery (3): killed when Telegram has taken a late reply, and a hundred and fifty others wrote meanwhile: seen once", async (t) => {
  const ready = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const { fake, gateway } = await house(t, () => {
    asked.resolve();
    return [{ wait: ready.promise }, { text: "the answer" }];
  });
  fake.deliver("a question");
  await asked.promise;
  for (let person = 1; person <= 150; person += 1) fake.deliver({ text: "hello", from: 1000 + person });
  await fake.until(() => fake.queue.pending.length === 0);
  fake.fault("sendMessage", { kind: "hangAfter" });
  ready.resolve();
  await fake.sentCount(1);
  await gateway.kill();
  await gateway.start();
  await delivered(gateway);
  assert.deepEqual(
    fake.sent.map(({ text }) => text),
    ["the answer"],
  );
  assert.deepEqual(outbox(gateway), ["sent"]);
});

test("delivery (3): the connection is cut when Telegram has taken a reply: it is found, and the next one follows", async (t) => {
  const { fake, gateway } = await house(t, ({ messages }) => [{ text: `answer ${messages.length}` }]);
  fake.fault("sendMessage", { kind: "closeAfter" });
  fake.deliver("first");
  await fake.sentCount(1);
  fake.deliver("second");
  await fake.sentCount(2);
  await delivered(gateway);
  assert.equal(fake.sent.length, 2);
  assert.deepEqual(outbox(gateway), ["sent", "sent"]);
});

test("delivery (3): the connection is cut before Telegram looks at a reply: it is sent again, once", async (t) => {
  const { fake, gateway } = await house(t, () => [{ text: "the answer" }]);
  fake.fault("sendMessage", { kind: "closeBefore" });
  fake.deliver("a question");
  await fake.sentCount(1);
  await delivered(gateway);
  assert.equal(fake.sent.length, 1);
  assert.deepEqual(outbox(gateway), ["sent"]);
});
