/** A Telegram message's whole way over real sockets, through redeliveries, kills and restarts. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { freePort, GatewayProcess, modelConfig } from "../support/gateway.ts";
import { type ModelServer, startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

interface House {
  readonly fake: FakeTelegram;
  readonly model: ModelServer;
  readonly gateway: GatewayProcess;
}

/** Answers with the words of the last message in capitals, so that each reply says what it answers. */
function echo(body: { messages: { role: string; content: unknown }[] }) {
  const last = body.messages.findLast((message) => message.role === "user");
  const text = typeof last?.content === "string" ? last.content : JSON.stringify(last?.content);
  return [{ text: `re: ${/m\d+|hello/.exec(text ?? "")?.[0] ?? text}` }];
}

async function house(t: TestContext, telegram: Record<string, unknown> = {}, more = {}): Promise<House> {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script: echo });
  t.after(() => model.close());
  const gateway = await GatewayProcess.prepare(t, {
    config: {
      ...modelConfig(model.url),
      channels: { telegram: { botToken: fake.token, apiRoot: fake.url, ...telegram } },
      ...more,
    },
  });
  return { fake, model, gateway };
}

/** Rows of the gateway's own database, read beside it. */
function rows(gateway: GatewayProcess, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(gateway.databaseFile, { readOnly: true });
  try {
    return database.prepare(sql).all() as Record<string, unknown>[];
  } finally {
    database.close();
  }
}

test("a stranger gets a code once and reaches no model; once approved, the same person is answered", async (t) => {
  const { fake, model, gateway } = await house(t);
  await gateway.start();
  for (const text of ["hello", "hello again", "/status"]) fake.deliver(text);
  await fake.until(() => fake.queue.pending.length === 0);
  await fake.sentCount(1);
  assert.equal(fake.sent.length, 1);
  assert.equal(model.requests.length, 0);
  const code = /Pairing code: ([A-Z2-9]{8})/.exec(fake.sent[0]?.text ?? "")?.[1] ?? "";
  const client = await gateway.connect();
  const { requests } = await client.rpc("channels.pairing.list", {});
  assert.deepEqual(
    requests.map((item: { requestId: string; senderId: string }) => [item.requestId, item.senderId]),
    [[code, "42"]],
  );
  await client.rpc("channels.pairing.approve", {
    channel: "telegram",
    accountId: "default",
    requestId: code,
  });
  fake.deliver("hello");
  await fake.sentCount(2);
  assert.equal(fake.sent[1]?.text, "re: hello");
  assert.equal(model.requests.length, 1);
  // access (2): the pairing opens the direct chat and nothing else.
  fake.deliver({ text: "@house_bot hello", chat: -100 });
  await fake.until(() => fake.queue.pending.length === 0);
  const why = await client.rpc("audit.list", { stage: "access", limit: 10 });
  assert.equal(why.rows[0].outcome, "access.group_not_listed");
  assert.equal(model.requests.length, 1);
});

test("delivery (1): an update that is delivered ten times more is answered once", async (t) => {
  const { fake, model, gateway } = await house(t, { dmPolicy: "allowlist", allowFrom: ["42"] });
  await gateway.start();
  const update = fake.deliver("m1");
  await fake.sentCount(1);
  fake.redeliver(update, 10);
  await fake.polled();
  fake.deliver("m2");
  await fake.sentCount(2);
  await fake.polled();
  assert.deepEqual(
    fake.sent.map((message) => message.text),
    ["re: m1", "re: m2"],
  );
  assert.equal(model.requests.length, 2);
  await gateway.kill();
  await gateway.start();
  fake.redeliver(update, 2);
  fake.deliver("m3");
  await fake.sentCount(3);
  assert.deepEqual(
    fake.sent.map((message) => message.text),
    ["re: m1", "re: m2", "re: m3"],
  );
});

/** Where a kill falls: each is something that the outside can see. */
const moments: { readonly name: string; readonly reached: (house: House) => Promise<void> }[] = [
  {
    name: "while it fetches",
    reached: ({ fake }) => fake.until(() => fake.callsOf("getUpdates").length > 0),
  },
  {
    name: "when the model was asked",
    reached: ({ model, fake }) => untilTrue(fake, () => model.requests.length > 0),
  },
  {
    name: "when typing was shown",
    reached: ({ fake }) => fake.until(() => fake.callsOf("sendChatAction").length > 0),
  },
  {
    name: "when the update was confirmed",
    reached: ({ fake }) => fake.until(() => fake.queue.pending.length === 0),
  },
  { name: "when the reply arrived", reached: ({ fake }) => fake.until(() => fake.sent.length > 0) },
];

/** For what the fake platform does not see by itself: looked at each turn of the event loop. */
async function untilTrue(_fake: FakeTelegram, condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

for (const { name, reached } of moments) {
  test(`killed ${name}: after the restart there is exactly one reply`, async (t) => {
    const made = await house(t, { dmPolicy: "allowlist", allowFrom: ["42"] });
    const { fake, gateway } = made;
    fake.deliver("m1");
    await gateway.start();
    await reached(made);
    await gateway.kill();
    await gateway.start();
    // What comes after it shows that everything before it is settled.
    fake.deliver("m2");
    await fake.until(() => fake.sent.some((message) => message.text === "re: m2"));
    assert.deepEqual(
      fake.sent.map((message) => message.text),
      ["re: m1", "re: m2"],
    );
    assert.deepEqual(rows(gateway, "SELECT state FROM outbox WHERE state = 'unknown'"), []);
  });
}

/** Three messages, a start, a kill at the next of a fixed series of moments; then everything must be answered once. */
async function killAgainAndAgain({ fake, gateway }: Pick<House, "fake" | "gateway">): Promise<void> {
  let sent = 0;
  // Calls that the platform has seen since the start.
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
  for (let round = 0; round < 24; round++) {
    for (let n = 0; n < 3; n++) fake.deliver(`m${++sent}`);
    await gateway.start();
    const until = fake.calls.length + (waits[round % waits.length] ?? 1);
    await Promise.race([
      fake.until(() => fake.calls.length >= until),
      fake.until(() => fake.queue.pending.length === 0 && fake.sent.length >= sent),
    ]);
    await gateway.kill();
  }
  await gateway.start();
  fake.deliver(`m${++sent}`);
  await fake.until(() => fake.sent.some((message) => message.text === `re: m${sent}`));
  assert.deepEqual(
    fake.sent.map((message) => message.text),
    Array.from({ length: sent }, (_, n) => `re: m${n + 1}`),
  );
  assert.deepEqual(rows(gateway, "SELECT state FROM outbox WHERE state NOT IN ('sent', 'sending')"), []);
  const client = await gateway.connect();
  assert.equal((await client.rpc("audit.verify", {})).intact, true);
  assert.equal(fake.edits, 0, "asking the platform changed nothing that anybody sees");
}

test("killed again and again at any moment: each message has one reply, in order, and the record is whole", async (t) => {
  await killAgainAndAgain(await house(t, { dmPolicy: "allowlist", allowFrom: ["42"] }));
});

test("killed again and again behind a webhook: the same", async (t) => {
  await killAgainAndAgain(await webhookHouse(t));
});

test("a message in doubt that Telegram cannot tell of is shown to the operator, and not sent again", async (t) => {
  const { fake, gateway } = await house(t, { dmPolicy: "allowlist", allowFrom: ["42"] });
  fake.fault("sendMessage", { kind: "hang" });
  const strange = { kind: "answer", status: 400, description: "Bad Request: something new" } as const;
  fake.fault("editMessageReplyMarkup", strange, 5);
  fake.deliver("m1");
  await gateway.start();
  await fake.until(() => fake.callsOf("sendMessage").length > 0);
  await gateway.kill();
  await gateway.start();
  fake.deliver("m2");
  await fake.sentCount(1);
  const client = await gateway.connect();
  const { deliveries } = await client.rpc("deliveries.list", { state: "unknown" });
  assert.deepEqual(
    deliveries.map((row: { conversation: { id: string } }) => row.conversation.id),
    ["42"],
  );
  assert.deepEqual(
    fake.sent.map((message) => message.text),
    ["re: m2"],
  );
});

const webhookSecret = "webhook-secret-of-the-test-0123456789";

/** The same, with a gateway that Telegram calls; not started. */
async function webhookHouse(t: TestContext): Promise<House> {
  const port = await freePort();
  const fake = await FakeTelegram.start({
    keepAlive: false,
    // The address that the world sees ends at a proxy; behind it stands the gateway's own port.
    webhookTo: (url) => url.replace("https://bot.example.org", `http://127.0.0.1:${port}`),
  });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script: echo });
  t.after(() => model.close());
  const telegram = {
    botToken: fake.token,
    apiRoot: fake.url,
    dmPolicy: "allowlist",
    allowFrom: ["42"],
    webhookUrl: "https://bot.example.org/telegram-hook",
    webhookPath: "/telegram-hook",
    webhookSecret,
  };
  const gateway = await GatewayProcess.prepare(t, {
    port,
    config: { ...modelConfig(model.url), channels: { telegram } },
  });
  return { fake, model, gateway };
}

test("webhook: the secret opens the door, a kill loses nothing, a repeated delivery is answered once", async (t) => {
  const { fake, model, gateway } = await webhookHouse(t);
  await gateway.start();
  await fake.until(() => fake.webhookUrl !== "");
  const first = fake.deliver("m1");
  await fake.sentCount(1);
  fake.redeliver(first, 3);
  fake.deliver("m2");
  await fake.sentCount(2);
  await gateway.kill();
  fake.deliver("m3");
  await gateway.start();
  await fake.sentCount(3);
  assert.deepEqual(
    fake.sent.map((message) => message.text),
    ["re: m1", "re: m2", "re: m3"],
  );
  for (const headers of [{}, { "x-telegram-bot-api-secret-token": "wrong" }]) {
    const forged = await fetch(`${gateway.url}telegram-hook`, { method: "POST", headers, body: "{}" });
    assert.equal(forged.status, 401);
  }
  assert.equal(model.requests.length, 3);
});
