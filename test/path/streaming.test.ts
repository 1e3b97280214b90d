/** A reply that is shown while it grows: one message, whatever happens, and in the end the whole text. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { type ModelServer, type Script, startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

const first = "The first part of a long answer";
const second = ", and more of it";
const third = ", up to its end.";
const whole = first + second + third;

interface House {
  readonly fake: FakeTelegram;
  readonly model: ModelServer;
  readonly gateway: GatewayProcess;
}

async function house(t: TestContext, script: Script, telegram: object = { streaming: { mode: "partial" } }) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script });
  t.after(() => model.close());
  const gateway = await GatewayProcess.prepare(t, {
    config: {
      ...modelConfig(model.url),
      channels: {
        telegram: {
          botToken: fake.token,
          apiRoot: fake.url,
          dmPolicy: "allowlist",
          allowFrom: ["42"],
          ...telegram,
        },
      },
    },
  });
  return { fake, model, gateway } satisfies House;
}

/** A promise and what resolves it. */
function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

function rows(gateway: GatewayProcess, sql: string): string[] {
  const database = new DatabaseSync(gateway.databaseFile, { readOnly: true });
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => Object.values(row).join(" "));
  } finally {
    database.close();
  }
}

const outbox = (gateway: GatewayProcess) =>
  rows(gateway, "SELECT replace(id, message_id || ':', ''), state FROM outbox ORDER BY place, id");

/** Every message came to its end, and every row of the outbox. */
async function settled(fake: FakeTelegram, gateway: GatewayProcess): Promise<void> {
  const open = () =>
    rows(gateway, "SELECT 1 FROM inbox WHERE state IN ('accepted', 'running')").length > 0 ||
    rows(gateway, "SELECT 1 FROM outbox WHERE state IN ('pending', 'sending')").length > 0;
  while (fake.queue.pending.length > 0 || open()) await new Promise((resolve) => setImmediate(resolve));
}

const texts = (fake: FakeTelegram) => fake.sent.map((item) => item.text);

test("streaming (1): one message grows, and ends as the whole text", async (t) => {
  const gates = [gate(), gate()];
  const { fake, gateway } = await house(t, () => [
    { text: first },
    { wait: gates[0]?.opened as Promise<void> },
    { text: second },
    { wait: gates[1]?.opened as Promise<void> },
    { text: third },
  ]);
  await gateway.start();
  fake.deliver("tell me");
  await fake.sentCount(1);
  assert.deepEqual(texts(fake), [first]);
  gates[0]?.open();
  await fake.until(() => fake.edits === 1);
  assert.deepEqual(texts(fake), [first + second]);
  gates[1]?.open();
  await fake.until(() => texts(fake)[0] === whole);
  await settled(fake, gateway);
  assert.deepEqual(texts(fake), [whole]);
  assert.deepEqual(outbox(gateway), ["000 sent", "000e sent"]);
});

test("streaming (1): without the setting a reply is one message that nobody edits", async (t) => {
  const { fake, gateway } = await house(t, () => [{ text: first }, { text: second }, { text: third }], {});
  await gateway.start();
  fake.deliver("tell me");
  await fake.sentCount(1);
  assert.deepEqual(texts(fake), [whole]);
  assert.equal(fake.callsOf("editMessageText").length, 0);
});

test("streaming (1): what is longer than a message goes on in the next ones; a MEDIA line is never shown", async (t) => {
  const hold = gate();
  const { fake, gateway } = await house(
    t,
    () => [{ text: `${first}\nMEDIA:missing` }, { wait: hold.opened }, { text: `.png\n${second}${third}` }],
    { streaming: "partial", textChunkLimit: 60 },
  );
  await gateway.start();
  fake.deliver("tell me");
  await fake.sentCount(1);
  assert.deepEqual(texts(fake), [first]);
  hold.open();
  await fake.sentCount(2);
  await settled(fake, gateway);
  assert.match(texts(fake).join(" "), /^The first part.*up to its end\.\s\[a file was not sent: .*\]$/s);
  assert.doesNotMatch(JSON.stringify(fake.calls), /MEDIA/);
  assert.ok(fake.sent.every((item) => item.text.length <= 60));
});

const moments: readonly {
  readonly name: string;
  readonly prepare?: (fake: FakeTelegram) => void;
  readonly reached: (fake: FakeTelegram) => boolean;
}[] = [
  { name: "when the first piece is in the chat", reached: (fake) => fake.sent.length === 1 },
  {
    name: "when the first piece is there and its answer is not",
    prepare: (fake) => fake.fault("sendMessage", { kind: "hangAfter" }),
    reached: (fake) => fake.sent.length === 1,
  },
  {
    name: "when the first piece has left and is not there",
    prepare: (fake) => fake.fault("sendMessage", { kind: "hang" }),
    reached: (fake) => fake.callsOf("sendMessage").length === 1,
  },
  {
    name: "when an edit is there and its answer is not",
    prepare: (fake) => fake.fault("editMessageText", { kind: "hangAfter" }),
    reached: (fake) => fake.edits === 1,
  },
];

for (const { name, prepare, reached } of moments) {
  test(`streaming (2): killed ${name}, there is one message in the end, with the whole text`, async (t) => {
    const never = new Promise(() => {});
    const hold = gate();
    const { fake, gateway } = await house(t, (_body, n) =>
      n === 1
        ? [{ text: first }, { wait: hold.opened }, { text: second }, { wait: never }]
        : [{ text: whole }],
    );
    prepare?.(fake);
    await gateway.start();
    fake.deliver("tell me");
    await fake.until(() => fake.callsOf("sendMessage").length === 1);
    hold.open();
    await fake.until(() => reached(fake));
    await gateway.kill();
    await gateway.start();
    await fake.until(() => texts(fake)[0] === whole);
    await settled(fake, gateway);
    assert.deepEqual(texts(fake), [whole]);
    assert.deepEqual(outbox(gateway), ["000 sent", "000e sent"]);
  });
}

test("streaming (2): killed over the last edit, it is made again, and changes nothing", async (t) => {
  const { fake, gateway } = await house(t, () => [{ text: whole }]);
  await gateway.start();
  fake.fault("editMessageText", { kind: "hangAfter" });
  fake.deliver("tell me");
  await fake.until(() => fake.callsOf("editMessageText").length > 0);
  await gateway.kill();
  await gateway.start();
  await settled(fake, gateway);
  assert.deepEqual(texts(fake), [whole]);
});

test("streaming (2): a first piece whose fate nobody knows is not followed by a second message", async (t) => {
  const { fake, gateway } = await house(t, () => [{ text: first }, { text: second + third }]);
  await gateway.start();
  fake.fault("sendMessage", { kind: "closeAfter" });
  // Telegram's answer to the question about it says nothing.
  const strange = { kind: "answer", status: 400, description: "Bad Request: strange" } as const;
  fake.fault("editMessageReplyMarkup", strange, 5);
  fake.deliver("tell me");
  await fake.sentCount(1);
  await settled(fake, gateway);
  assert.equal(fake.sent.length, 1);
  assert.deepEqual(outbox(gateway), ["000 unknown", "000e unknown"]);
});

test("streaming (2): an answer that is lost makes an edit again, not a message", async (t) => {
  const hold = gate();
  const { fake, gateway } = await house(t, () => [{ text: first }, { wait: hold.opened }, { text: second }]);
  await gateway.start();
  fake.deliver("tell me");
  await fake.sentCount(1);
  fake.fault("editMessageText", { kind: "closeAfter" }, 2);
  hold.open();
  await fake.until(() => texts(fake)[0] === first + second);
  await settled(fake, gateway);
  assert.deepEqual(texts(fake), [first + second]);
  assert.deepEqual(outbox(gateway), ["000 sent", "000e sent"]);
});

test("streaming (1): a turn that fails says so in the message that had begun", async (t) => {
  const hold = gate();
  const { fake, gateway } = await house(t, () => [
    { text: first },
    { wait: hold.opened },
    { error: { code: "invalid_request_error", message: "the model gave up" } },
  ]);
  await gateway.start();
  fake.deliver("tell me");
  await fake.sentCount(1);
  hold.open();
  await fake.until(() => /^I could not answer/.test(texts(fake)[0] ?? ""));
  await settled(fake, gateway);
  assert.equal(fake.sent.length, 1);
});
