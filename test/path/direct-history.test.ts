/** How many earlier turns of a direct chat the model is shown: dmHistoryLimit and dms. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

async function house(t: TestContext, telegram: object, more: object = {}) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({
    wire: "openai-completions",
    script: (_, n) => [{ text: `reply ${n}` }],
  });
  t.after(() => model.close());
  const section = { dmPolicy: "allowlist", allowFrom: ["42", "7"], groupPolicy: "open", ...telegram };
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      channels: { telegram: { botToken: fake.token, apiRoot: fake.url, ...section } },
      ...more,
    },
  });
  let replies = 0;
  /** Resolves with which of these words the model was shown. */
  const say = async (message: object, ...words: readonly string[]) => {
    fake.deliver(message as Parameters<typeof fake.deliver>[0]);
    replies += 1;
    await fake.sentCount(replies);
    const shown = JSON.stringify(model.requests.at(-1)?.body);
    return words.filter((word) => shown.includes(word));
  };
  return { say, gateway, model };
}

const birds = ["heron", "egret", "stork"];

test("session: a direct chat's next turn is shown no more earlier turns than its limit, a person's own before the channel's", async (t) => {
  const { say, gateway } = await house(t, {
    dmHistoryLimit: 1,
    dms: { "telegram:7": { historyLimit: 0 } },
    groups: { "*": { requireMention: false } },
  });
  const ada = { from: 42, chat: 42 };
  assert.deepEqual(await say({ ...ada, text: "heron" }, ...birds), ["heron"]);
  assert.deepEqual(await say({ ...ada, text: "egret" }, ...birds, "reply 1"), ["heron", "egret", "reply 1"]);
  assert.deepEqual(await say({ ...ada, text: "stork" }, ...birds, "reply 1", "reply 2"), [
    ...["egret", "stork", "reply 2"],
  ]);
  const ben = { from: 7, chat: 7 };
  await say({ ...ben, text: "heron" });
  assert.deepEqual(await say({ ...ben, text: "egret" }, ...birds), ["egret"]);
  const group = { from: 42, chat: -100 };
  for (const text of ["heron", "egret"]) await say({ ...group, text });
  assert.deepEqual(await say({ ...group, text: "stork" }, ...birds), birds, "a group is no direct chat");
  const client = await gateway.connect();
  const { messages } = await client.rpc("chat.history", { sessionKey: "agent:main:telegram:direct:42" });
  for (const word of birds) assert.match(JSON.stringify(messages), new RegExp(word), "the log keeps it all");
  assert.doesNotMatch(await gateway.readLog(), /(?:dmHistoryLimit|dms)[^\n]*no effect yet/);
});

test("session: of a conversation that is bounded no summary is asked for: it would hold what is not to be shown", async (t) => {
  const agents = { defaults: { model: { primary: "mock/m" }, contextTokens: 6000 } };
  for (const [telegram, condenses] of [
    [{}, true],
    [{ dmHistoryLimit: 1 }, false],
  ] as const) {
    const { say, model } = await house(t, telegram, { agents });
    // About a thousand tokens each.
    for (const word of [...birds, "crane"])
      await say({ from: 42, chat: 42, text: `${word} and so on `.repeat(250) });
    const asked = model.requests.some(({ body }) =>
      JSON.stringify(body).includes("You condense a conversation"),
    );
    assert.equal(asked, condenses);
  }
});
