/** Attacks with events: forged, replayed and colliding ones, and answers that would go to somebody else. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { freePort, GatewayProcess, modelConfig } from "../support/gateway.ts";
import { type Script, startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";
import { updateOf } from "../support/telegram/updates.ts";

const webhookSecret = "webhook-secret-0123456789abcdef";
const secretHeader = "x-telegram-bot-api-secret-token";

/** Says which of the words m1, m2 ... it answers. */
const echo: Script = (body) => {
  const said = JSON.stringify(body.messages.findLast((item: { role: string }) => item.role === "user"));
  return [{ text: `re: ${said.match(/m\d+/g)?.at(-1)}` }];
};

async function webhookHouse(t: TestContext, telegram: Readonly<Record<string, unknown>>) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script: echo });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    port: await freePort(),
    config: {
      ...modelConfig(model.url),
      channels: {
        telegram: {
          botToken: fake.token,
          apiRoot: fake.url,
          webhookUrl: "https://bot.example.org/telegram-hook",
          webhookPath: "/telegram-hook",
          webhookSecret,
          ...telegram,
        },
      },
    },
  });
  await fake.until(() => fake.webhookUrl !== "");
  const post = async (update: unknown, secret: string | undefined = webhookSecret) => {
    const headers = {
      "content-type": "application/json",
      ...(secret === "" ? {} : { [secretHeader]: secret }),
    };
    const answer = await fetch(`${gateway.url}telegram-hook`, {
      method: "POST",
      headers,
      body: JSON.stringify(update),
    });
    return answer.status;
  };
  return { fake, model, gateway, post };
}

test("access (5): an event without its platform's proof asks for no pairing, writes nothing and is not answered (A-052)", async (t) => {
  const { fake, model, gateway, post } = await webhookHouse(t, {});
  const client = await gateway.connect();
  const waiting = async () => (await client.rpc("channels.pairing.list", {})).requests.length;
  const rows = async () => (await client.rpc("audit.list", { stage: "access", limit: 100 })).rows.length;
  for (const [index, secret] of [
    "",
    " ",
    webhookSecret.toUpperCase(),
    webhookSecret.slice(1),
    `${webhookSecret}x`,
  ].entries()) {
    const update = updateOf(index + 1, { text: "m1", from: 1000 + index });
    assert.equal(await post(update, secret), 401, JSON.stringify(secret));
    assert.equal(await post({ ...update, padding: "x".repeat(900_000) }, secret), 401);
  }
  assert.equal(await waiting(), 0);
  assert.equal(await rows(), 0);
  // With the proof, but from nobody: no sender, no chat.
  const nobody = updateOf(50, { text: "m1" });
  for (const message of [
    { ...nobody.message, from: undefined },
    { ...nobody.message, from: { id: "42", is_bot: false, first_name: "x" } },
    { ...nobody.message, chat: undefined },
    "m1",
  ])
    await post({ update_id: 60, message });
  assert.equal(await waiting(), 0);
  assert.equal(fake.sent.length, 0);
  assert.equal(model.requests.length, 0);
  assert.equal(await post(updateOf(70, { text: "m1", from: 2000 })), 200);
  await fake.sentCount(1);
  assert.match(fake.sent[0]?.text ?? "", /Pairing code/);
  assert.equal(await waiting(), 1);
});

test("delivery (1): an event is taken once, also after a restart and after hundreds of others; none stands for another chat's (A-180)", async (t) => {
  const { fake, model, gateway, post } = await webhookHouse(t, { dmPolicy: "open", allowFrom: ["*"] });
  const first = updateOf(1, { text: "m1", from: 42 });
  await post(first);
  await fake.sentCount(1);
  // The same ids of message and update, from another chat: its own event, which hides nobody's.
  const messageId = (first.message as { message_id: number }).message_id;
  await post(updateOf(2, { text: "m2", from: 43, more: { message_id: messageId } }));
  await fake.sentCount(2);
  // Many events that are refused later than they are remembered.
  for (let from = 0; from < 400; from += 40)
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        post(updateOf(1000 + from + index, { text: "x", from: 42, more: { text: undefined } })),
      ),
    );
  assert.equal(await post(first), 200);
  await gateway.kill();
  await gateway.start();
  // Its channel opens a moment after the gateway.
  while ((await post(first)) !== 200) await new Promise(setImmediate);
  assert.equal(await post(first), 200);
  await post(updateOf(3, { text: "m3", from: 42 }));
  await fake.until(() => fake.sent.some(({ text }) => text === "re: m3"));
  assert.deepEqual(
    fake.sent.map(({ chatId, text }) => `${chatId} ${text}`),
    ["42 re: m1", "43 re: m2", "42 re: m3"],
  );
  assert.equal(model.requests.length, 3);
});

test("delivery: each answer goes where its question came from, also in a conversation that many share (A-249)", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const gate = Promise.withResolvers<void>();
  const model = await startModelServer({
    wire: "openai-completions",
    script: async (body, n) => [...(n === 1 ? [{ wait: gate.promise }] : []), ...(await echo(body, n))],
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      session: { dmScope: "main" },
      channels: {
        telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42", "7"] },
      },
    },
  });
  const client = await gateway.connect();
  fake.deliver({ from: 7, text: "m7" });
  await client.waitFor(({ event }) => event === "agent" || event === "chat").catch(() => {});
  fake.deliver({ from: 42, text: "m42" });
  await fake.until(() => fake.queue.pending.length === 0);
  const said = client.say("m99", "agent:main:main");
  gate.resolve();
  await fake.sentCount(2);
  assert.match((await said).message.content[0].text, /m99/);
  const sent = fake.sent.map(({ chatId, text }) => `${chatId} ${text}`).sort();
  assert.deepEqual(sent, ["42 re: m42", "7 re: m7"]);
});

test("auth (5): who guesses a webhook's secret is refused each time; who has it comes through beside him, from the same address (A-244)", async (t) => {
  const { fake, post } = await webhookHouse(t, { dmPolicy: "allowlist", allowFrom: ["42"] });
  for (let round = 1; round <= 4; round++) {
    const guesses = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        post(updateOf(index, { text: "m0" }), `guess-${round}-${index}`),
      ),
    );
    assert.deepEqual(
      guesses.filter((status) => status < 400),
      [],
    );
    assert.equal(await post(updateOf(100 + round, { text: `m${round}` })), 200, `round ${round}`);
    await fake.sentCount(round);
  }
  assert.deepEqual(
    fake.sent.map(({ text }) => text),
    ["re: m1", "re: m2", "re: m3", "re: m4"],
  );
});
