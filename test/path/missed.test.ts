/** Messages that wait on the platform while the gateway is away for long. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

const hoursAgo = (hours: number) => ({ date: Math.floor(Date.now() / 1000) - hours * 3600 });

test("delivery: after an outage old messages are told of to the owner, once, and not answered in a flood", async (t) => {
  const model = await startModelServer({ wire: "openai-completions", script: () => [{ text: "answer" }] });
  t.after(() => model.close());
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      commands: { ownerAllowFrom: ["telegram:42"] },
      channels: {
        telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42", "43"] },
      },
    },
  });
  fake.deliver("hello");
  await fake.sentCount(1);
  await gateway.stop();
  for (let n = 0; n < 5; n++) fake.deliver({ text: `old ${n}`, from: 43, more: hoursAgo(3) });
  fake.deliver({ text: "the owner's own", more: hoursAgo(3) });
  fake.deliver({ text: "just now", from: 43 });
  await gateway.start();
  await fake.sentCount(4);
  const told = fake.sent.filter((message) => message.text.startsWith("I was away"));
  assert.equal(told.length, 1);
  assert.equal(told[0]?.chatId, "42");
  assert.match(told[0]?.text ?? "", /5 message\(s\) from 1 sender\(s\)[\s\S]*- telegram:43: 5/);
  assert.equal(model.requests.length, 3, "hello, the owner's own, just now");
  await gateway.kill();
  await gateway.start();
  fake.deliver({ text: "again", from: 43 });
  await fake.sentCount(5);
  fake.deliver({ text: "and again", from: 43, more: hoursAgo(2) });
  await fake.until(() => fake.sent.filter((message) => message.text.startsWith("I was away")).length === 2);
  assert.match(fake.sent.at(-1)?.text ?? "", /^I was away\. 1 message/, "each is told of once");
});
