/** Polls that an operator sends to a chat: what is accepted, sent once, and known after a kill. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type CommandLine, runCommand } from "../support/command-line.ts";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

interface House {
  readonly fake: FakeTelegram;
  readonly gateway: GatewayProcess;
}

async function house(t: TestContext, more: Readonly<Record<string, unknown>> = {}): Promise<House> {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script: () => [{ text: "re" }] });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      channels: {
        telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42"] },
        // Nobody is there: it is only a channel without polls.
        irc: { host: "127.0.0.1", port: 9, tls: false, nick: "house" },
      },
      ...more,
    },
  });
  await fake.polled();
  return { fake, gateway };
}

/** A power cut, and the gateway is back with its channels. */
async function restart({ fake, gateway }: House): Promise<void> {
  await gateway.kill();
  const polls = fake.callsOf("getUpdates").length;
  await gateway.start();
  await fake.until(() => fake.callsOf("getUpdates").length > polls);
}

const lunch = {
  channel: "telegram",
  to: "user:42",
  question: " Lunch today? ",
  options: ["Yes", "No "],
  idempotencyKey: "k1",
};

test("poll: it reaches the chat as a poll, is on record without its words, and one key sends it once, also after a restart", async (t) => {
  const made = await house(t);
  const { fake, gateway } = made;
  const first = await gateway.connect();
  const answer = await first.rpc("poll", {
    ...lunch,
    maxSelections: 2,
    durationHours: 1,
    isAnonymous: false,
  });
  assert.deepEqual(fake.callsOf("sendPoll")[0]?.payload, {
    chat_id: "42",
    question: "Lunch today?",
    options: [{ text: "Yes" }, { text: "No" }],
    allows_multiple_answers: true,
    open_period: 3600,
    is_anonymous: false,
  });
  assert.equal(answer.messageId, String(fake.sent[0]?.messageId));
  const { rows } = await first.rpc("audit.list", { limit: 20 });
  const [admin] = rows.filter((row: { kind: string }) => row.kind === "admin");
  assert.deepEqual([admin.action, admin.facts.to], ["poll", "user:42"]);
  assert.doesNotMatch(JSON.stringify(rows), /Lunch/);
  await restart(made);
  const client = await gateway.connect();
  const again = { ...lunch, maxSelections: 2, durationSeconds: 3600, isAnonymous: false };
  assert.deepEqual(await client.rpc("poll", again), answer);
  const other = await client.ask("poll", { ...again, options: ["Yes", "Never"] });
  assert.match(other.error.message, /already used for different input/);
  const text = { channel: "telegram", to: "user:42", message: "Lunch today?", idempotencyKey: "k1" };
  assert.match((await client.ask("send", text)).error.message, /already used for different input/);
  assert.equal(fake.sent.length, 1);
});

const refused: readonly (readonly [
  what: string,
  change: Readonly<Record<string, unknown>>,
  error: RegExp,
])[] = [
  [
    "a channel without polls",
    { channel: "irc", to: "group:#a" },
    /cannot be sent to IRC; they can to Telegram, Discord, WhatsApp\. Nothing was sent/,
  ],
  [
    "a long question",
    { question: "q".repeat(301) },
    /Telegram: a poll's question has at most 300 characters; this one has 301/,
  ],
  ["a long option", { options: ["a", "b".repeat(101)] }, /at most 100 characters; one has 101/],
  ["many options", { options: [..."abcdefghijklm"] }, /2 to 12 options; this one has 13/],
  ["the same option twice", { options: ["a", " a"] }, /two options of the poll are the same/],
  ["more choices than options", { maxSelections: 3 }, /nobody can choose 3 of 2/],
  ["two of three", { options: ["a", "b", "c"], maxSelections: 2 }, /must be 1 or 3/],
  ["too short", { durationSeconds: 4 }, /5 to 2628000 seconds/],
  ["two lengths", { durationSeconds: 5, durationHours: 1 }, /not both/],
  ["without a sound", { silent: true }, /silent is not available yet/],
  ["a name", { to: "@ana" }, /no place on telegram/],
  ["a channel that is not configured", { channel: "discord" }, /unknown channel "discord"/],
  ["a blank question", { question: "  " }, /must not be empty/],
];
test("poll: what a platform cannot have is refused before it is accepted, with the limit, and nothing leaves", async (t) => {
  const rules = [{ action: "deny", match: { channel: "telegram", chatType: "group" } }];
  const { fake, gateway } = await house(t, { session: { sendPolicy: { rules } } });
  const client = await gateway.connect();
  for (const [what, change, error] of refused) {
    const answer = await client.ask("poll", { ...lunch, idempotencyKey: what, ...change });
    assert.equal(answer.ok, false, what);
    assert.match(answer.error.message, error, what);
  }
  const denied = await client.ask("poll", { ...lunch, to: "group:-1001" });
  assert.match(denied.error.message, /sendPolicy does not let messages go to telegram group chats/);
  const reader = await gateway.connect({ scopes: ["operator.read"] });
  assert.match((await reader.ask("poll", lunch)).error.message, /operator\.write/);
  assert.deepEqual(fake.sent, []);
  await client.rpc("poll", { ...lunch, idempotencyKey: "now a lawful one" });
  assert.equal(fake.sent.length, 1);
});

test("delivery (3): a kill in mid-send: a poll that the chat has is not sent again, one that it lacks is, once; one in doubt is not", async (t) => {
  const made = await house(t);
  const { fake, gateway } = made;
  for (const [kind, key] of [
    ["hangAfter", "it took effect"],
    ["hang", "it never came"],
  ] as const) {
    // How far Telegram's numbers have come is known from what somebody wrote.
    fake.deliver({ text: "hi", from: 42 });
    await fake.sentCount(fake.sent.length + 1);
    fake.fault("sendPoll", { kind });
    const asked = fake.callsOf("sendPoll").length;
    const before = await gateway.connect();
    void before.ask("poll", { ...lunch, idempotencyKey: key }).catch(() => {});
    await fake.until(() => fake.callsOf("sendPoll").length > asked);
    await restart(made);
    const client = await gateway.connect();
    const answer = await client.rpc("poll", { ...lunch, idempotencyKey: key });
    assert.equal(answer.messageId, String(fake.sent.at(-1)?.messageId), key);
  }
  // An answer that leaves open whether it is there.
  await restart(made);
  fake.fault("sendPoll", { kind: "hang" });
  const unclear = { kind: "answer", status: 400, description: "Bad Request: what?" } as const;
  for (let count = 0; count < 5; count += 1) fake.fault("editMessageReplyMarkup", unclear);
  const asking = await gateway.connect();
  void asking.ask("poll", { ...lunch, idempotencyKey: "in doubt" }).catch(() => {});
  await fake.until(() => fake.callsOf("sendPoll").length === 4);
  await restart(made);
  const { error } = await (await gateway.connect()).ask("poll", { ...lunch, idempotencyKey: "in doubt" });
  assert.equal(error.details.code, "OUTBOUND_DELIVERY_UNKNOWN");
  const polls = fake.sent.filter(({ payload }) => payload.question === "Lunch today?");
  assert.equal(polls.length, 2);
  assert.equal(fake.callsOf("sendPoll").length, 4);
  assert.equal(fake.edits, 0);
});

test("message.action poll: asks as the documented command line asks for it, and refuses what it does not understand", async (t) => {
  const { fake, gateway } = await house(t);
  const client = await gateway.connect();
  const action = { channel: "telegram", action: "poll" };
  const params = { to: "42", pollQuestion: "Lunch?", pollOption: ["Yes", "No"], media: "", accountId: null };
  await client.rpc("message.action", { ...action, idempotencyKey: "a", params });
  const more = { pollMulti: true, pollDurationSeconds: 60, pollPublic: true, threadId: "8" };
  const target = { target: "-1001", to: undefined };
  await client.rpc("message.action", {
    ...action,
    idempotencyKey: "b",
    params: { ...params, ...target, ...more },
  });
  const options = [{ text: "Yes" }, { text: "No" }];
  assert.deepEqual(
    fake.callsOf("sendPoll").map(({ payload }) => payload),
    [
      { chat_id: "42", question: "Lunch?", options },
      {
        chat_id: "-1001",
        question: "Lunch?",
        options,
        message_thread_id: 8,
        allows_multiple_answers: true,
        open_period: 60,
        is_anonymous: false,
      },
    ],
  );
  const wrong: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{ pollQuestion: "" }, /must have required property 'pollQuestion'/],
    [{ pollOption: "Yes" }, /2 to 12 options; this one has 1/],
    [{ pollOption: [1, 2] }, /\/pollOption/],
    [{ to: null }, /needs params\.to/],
    [{ pollAnonymous: true, pollPublic: true }, /not both/],
    [{ pollDurationHours: 1, pollDurationSeconds: 60 }, /not both/],
    [{ silent: true }, /silent is not available yet/],
  ];
  for (const [change, error] of wrong) {
    const given = { ...action, idempotencyKey: JSON.stringify(change), params: { ...params, ...change } };
    assert.match((await client.ask("message.action", given)).error.message, error);
  }
  assert.equal(fake.sent.length, 2);
});

test("message poll: the documented words ask the chat; what is missing is said before anybody is asked", async (t) => {
  const { fake, gateway } = await house(t);
  const run = (args: readonly string[], more: Partial<CommandLine> = {}) =>
    runCommand(["message", "poll", ...args], {
      stateFolder: gateway.stateFolder,
      port: gateway.port,
      ...more,
    });
  const answers = ["--poll-option", "Yes", "--poll-option=No"];
  const order = ["--channel", "telegram", "--target", "-1001", "--poll-question", "Lunch?", ...answers];
  const sent = await run([...order, "--key", "k"]);
  assert.equal(sent.code, 0, sent.err);
  assert.match(sent.out, /sent +telegram:default, message \d+\n/);
  const extra = ["--poll-multi", "--poll-duration-seconds", "300", "--poll-public", "--thread", "8"];
  assert.equal((await run([...order, ...extra, "--key", "other"])).code, 0);
  const short = ["--channel", "telegram", "--to", "42", "--question", "Q", "--option", "a", "--option", "b"];
  assert.equal((await run([...short, "--poll-anonymous", "--poll-duration-hours", "1"])).code, 0);
  const options = [{ text: "Yes" }, { text: "No" }];
  assert.deepEqual(
    fake.callsOf("sendPoll").map(({ payload }) => payload),
    [
      { chat_id: "-1001", question: "Lunch?", options },
      {
        chat_id: "-1001",
        question: "Lunch?",
        options,
        message_thread_id: 8,
        allows_multiple_answers: true,
        open_period: 300,
        is_anonymous: false,
      },
      {
        chat_id: "42",
        question: "Q",
        options: [{ text: "a" }, { text: "b" }],
        open_period: 3600,
        is_anonymous: true,
      },
    ],
  );
  const again = await run([...order, "--key", "k", "--json"]);
  assert.equal(JSON.parse(again.out).messageId, String(fake.sent[0]?.messageId), again.err);
  const refused: readonly (readonly [readonly string[], number, RegExp, Partial<CommandLine>?])[] = [
    [["--target", "42", "--poll-question", "Q", "--poll-option", "a"], 2, /twice or more/],
    [["--target", "42", ...answers], 2, /--poll-question <text>/],
    [["--poll-question", "Q", ...answers], 2, /--target <chat>/],
    [[...order, "--poll-public", "--poll-anonymous"], 2, /not both/],
    [[...order, "--poll-duration-seconds", "1"], 1, /5 to 2628000 seconds/],
    [order, 1, /agent's command may not send messages/, { env: { OPENCLAW_SHELL: "exec" } }],
  ];
  for (const [args, code, error, more] of refused) {
    const result = await run(args, more);
    assert.deepEqual([result.code, error.test(result.err)], [code, true], result.err);
  }
  assert.equal(fake.sent.length, 3);
});
