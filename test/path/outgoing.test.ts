/** What an operator sends to a chat, and what is done about messages that did not arrive. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
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

const order = { channel: "telegram", to: "user:42", message: "the build is green", idempotencyKey: "k1" };
const chats = (fake: FakeTelegram) => fake.sent.map(({ chatId, text }) => [String(chatId), text]);

test("send: the message reaches the chat, answers with the platform's id, and is on record with who sent it", async (t) => {
  const { fake, gateway } = await house(t);
  const client = await gateway.connect();
  const answer = await client.rpc("send", order);
  assert.deepEqual(chats(fake), [["42", "the build is green"]]);
  assert.equal(answer.messageId, String(fake.sent[0]?.messageId));
  const why = await client.rpc("message.why", { id: answer.deliveryId });
  assert.deepEqual(
    why.steps.map((step: { stage: string; kind: string; action: string; outcome?: string }) => [
      step.stage,
      step.kind,
      step.action,
      step.outcome,
    ]),
    [
      ["operator", "verdict", "admit", undefined],
      ["delivery", "effect.start", "send", undefined],
      ["delivery", "effect.end", "send", "sent"],
    ],
  );
  assert.deepEqual(
    why.deliveries.map((row: { state: string }) => row.state),
    ["sent"],
  );
  const { rows } = await client.rpc("audit.list", { kind: "admin", limit: 1 });
  assert.equal(rows[0].action, "send");
  assert.equal(rows[0].facts.to, "user:42");
  assert.doesNotMatch(JSON.stringify(rows), /the build is green/);
});

test("delivery (1): one key sends once, also after a restart; the same key for something else is refused", async (t) => {
  const made = await house(t);
  const { fake, gateway } = made;
  const first = await gateway.connect();
  const [one, other] = await Promise.all([first.rpc("send", order), first.rpc("send", order)]);
  assert.deepEqual(one, other);
  await restart(made);
  const client = await gateway.connect();
  assert.deepEqual(await client.rpc("send", order), one);
  const conflict = await client.ask("send", { ...order, message: "another" });
  assert.match(conflict.error.message, /already used for different input/);
  const elsewhere = await client.ask("send", { ...order, to: "user:43" });
  assert.match(elsewhere.error.message, /already used for different input/);
  assert.equal(fake.sent.length, 1);
});

const refused: readonly (readonly [
  what: string,
  change: Readonly<Record<string, unknown>>,
  error: RegExp,
])[] = [
  ["a name", { to: "@ana" }, /no place on telegram.*numeric user id/],
  ["a group's id as a person", { to: "user:-100" }, /no place on telegram/],
  ["a person's id as a group", { to: "group:42" }, /no place on telegram/],
  ["another platform's prefix", { to: "discord:42" }, /no place on telegram/],
  ["a channel that is not configured", { channel: "irc" }, /unknown channel "irc"; configured: telegram/],
  ["an account that is not there", { accountId: "second" }, /which account of telegram\? There are: default/],
  ["nothing to say", { message: " \n" }, /empty; nothing was sent/],
  ["no message", { message: undefined }, /no message to send/],
  [
    "a file of the web",
    { mediaUrl: "https://example.org/a.png" },
    /it is an address, and nothing is fetched/,
  ],
  ["a file as bytes", { buffer: "AAAA" }, /buffer is not available yet/],
  [
    "a file that is not there",
    { mediaUrl: "none.png" },
    /"none\.png" was not sent: .*workspace of the agent main/,
  ],
  ["a file elsewhere", { mediaUrls: ["/etc/hostname"] }, /"\/etc\/hostname" was not sent/],
  ["a path out", { mediaUrl: "../openclaw.json" }, /was not sent/],
  ["no agent's file", { mediaUrl: "a.png", agentId: "nobody" }, /there is no agent "nobody"/],
  ["more files than go", { mediaUrls: Array(11).fill("a.png") }, /mediaUrls/],
];
test("send: what cannot be sent as it was asked for is refused in a sentence, and nothing leaves", async (t) => {
  const { fake, gateway } = await house(t);
  const client = await gateway.connect();
  // Refused as a whole: what is whole of the order does not leave either.
  writeFileSync(join(gateway.stateFolder, "workspace", "whole.txt"), "x");
  const half = await client.ask("send", { ...order, mediaUrls: ["whole.txt", "none.txt"] });
  assert.match(half.error.message, /"none\.txt" was not sent/);
  for (const [what, change, error] of refused) {
    const answer = await client.ask("send", { ...order, idempotencyKey: what, ...change });
    assert.equal(answer.ok, false, what);
    assert.match(answer.error.message, error, what);
  }
  assert.deepEqual(chats(fake), []);
});

test("send: each spelling of a place; message.action sends as the documented command line asks for it", async (t) => {
  const { fake, gateway } = await house(t);
  const client = await gateway.connect();
  const places = [
    "42",
    "telegram:42",
    "telegram:user:42",
    "chat_id:42",
    "-1001",
    "group:-1001",
    "channel:-1001",
  ];
  for (const to of places) await client.rpc("send", { ...order, to, idempotencyKey: to });
  assert.deepEqual(
    chats(fake).map(([id]) => id),
    ["42", "42", "42", "42", "-1001", "-1001", "-1001"],
  );
  const action = { channel: "telegram", action: "send", idempotencyKey: "act" };
  await client.rpc("message.action", {
    ...action,
    params: { target: "42", message: "by action", gifPlayback: false },
  });
  assert.equal(fake.sent.at(-1)?.text, "by action");
  const react = await client.ask("message.action", { ...action, action: "react", params: {} });
  assert.match(react.error.message, /"react" is not available yet/);
});

test("send: a file leaves as the agent could read it, once for one key, as it was; a reply names what it answers", async (t) => {
  const made = await house(t);
  const { fake, gateway } = made;
  const file = join(gateway.stateFolder, "workspace", "report.txt");
  writeFileSync(file, "all is green");
  const client = await gateway.connect();
  const withFile = { ...order, mediaUrl: "report.txt", mediaUrls: ["report.txt"], replyToId: "7" };
  const answer = await client.rpc("send", withFile);
  assert.equal(answer.parts, 2);
  assert.deepEqual(
    fake.sent.map(({ text, file: sent }) => [text, sent?.name, sent?.bytes.toString()]),
    [
      ["the build is green", undefined, undefined],
      ["", "report.txt", "all is green"],
    ],
  );
  const { payload } = fake.callsOf("sendMessage")[0] ?? {};
  assert.match(JSON.stringify(payload?.reply_parameters), /"?message_id\\?"?:7/);
  writeFileSync(file, "changed");
  await restart(made);
  const again = await gateway.connect();
  assert.deepEqual(await again.rpc("send", withFile), answer);
  const other = await again.ask("send", { ...withFile, mediaUrl: "other.txt" });
  assert.match(other.error.message, /already used for different input/);
  assert.equal(fake.sent.length, 2);
  await again.rpc("message.action", {
    channel: "telegram",
    action: "send",
    params: { to: "42", media: "report.txt" },
    agentId: "main",
    idempotencyKey: "alone",
  });
  assert.equal(fake.sent.at(-1)?.file?.bytes.toString(), "changed");
  const why = await again.rpc("message.why", { id: answer.deliveryId });
  const actions = why.steps.map((step: { kind: string; action: string }) => `${step.kind} ${step.action}`);
  assert.deepEqual(
    actions.filter((action: string) => action.includes("attach")),
    ["effect.start media.attach", "effect.end media.attach"],
  );
});

test("send (A-150): an agent without read gives no file away, not even to an operator", async (t) => {
  const { fake, gateway } = await house(t, { tools: { deny: ["read"] } });
  writeFileSync(join(gateway.stateFolder, "workspace", "private.txt"), "x");
  const client = await gateway.connect();
  const { error } = await client.ask("send", { ...order, mediaUrl: "private.txt" });
  assert.match(error.message, /"private\.txt" was not sent/);
  assert.deepEqual(chats(fake), []);
});

test("send: a token kept to an agent, or from its read tool, has no other file sent", async (t) => {
  const { fake, gateway } = await house(t, {
    agents: {
      defaults: { model: { primary: "mock/m" } },
      list: [{ id: "main", default: true }, { id: "work" }],
    },
  });
  for (const place of ["workspace", "workspace-work"]) {
    mkdirSync(join(gateway.stateFolder, place), { recursive: true });
    writeFileSync(join(gateway.stateFolder, place, "a.txt"), place);
  }
  const owner = await gateway.connect();
  const clientOf = async (name: string, limits: object) => {
    const { token } = await owner.rpc("tokens.create", { name, scopes: ["operator.write"], ...limits });
    return gateway.connect({ token, scopes: ["operator.write"] });
  };
  const worker = await clientOf("worker", { agents: ["work"] });
  const refusal = await worker.ask("send", { ...order, mediaUrl: "a.txt" });
  assert.match(refusal.error.message, /may not use this agent/);
  const reader = await clientOf("reader", { tools: ["exec"] });
  const unread = await reader.ask("send", { ...order, mediaUrl: "a.txt" });
  assert.match(unread.error.message, /"a\.txt" was not sent/);
  assert.deepEqual(chats(fake), []);
  const own = { to: "42", channel: "telegram", mediaUrl: "a.txt", agentId: "work", idempotencyKey: "own" };
  await worker.rpc("send", own);
  assert.deepEqual(
    fake.sent.map(({ file }) => file?.bytes.toString()),
    ["workspace-work"],
  );
});

test("send: session.sendPolicy binds operators too", async (t) => {
  const rules = [{ action: "deny", match: { channel: "telegram", chatType: "group" } }];
  const { fake, gateway } = await house(t, { session: { sendPolicy: { rules } } });
  const client = await gateway.connect();
  const answer = await client.ask("send", { ...order, to: "-1001" });
  assert.match(answer.error.message, /sendPolicy does not let messages go to telegram group chats/);
  await client.rpc("send", { ...order, idempotencyKey: "direct" });
  assert.deepEqual(chats(fake), [["42", "the build is green"]]);
});

test("deliveries: what a platform rejected can be sent again or dismissed, once, and the record says by whom", async (t) => {
  const { fake, gateway } = await house(t);
  const client = await gateway.connect();
  const blocked = {
    kind: "answer",
    status: 403,
    description: "Forbidden: bot was blocked by the user",
  } as const;
  fake.fault("sendMessage", blocked, 2);
  for (const idempotencyKey of ["a", "b"]) {
    const { error } = await client.ask("send", { ...order, idempotencyKey });
    assert.equal(error.details.code, "OUTBOUND_DELIVERY_REJECTED");
    assert.match(error.message, /telegram did not take the message: .*blocked/);
  }
  const listed = await client.rpc("deliveries.list", { state: "rejected" });
  const [{ id: later }, { id: earlier }] = listed.deliveries;
  const twice = await Promise.all([
    client.ask("deliveries.resubmit", { id: earlier }),
    client.ask("deliveries.resubmit", { id: earlier }),
  ]);
  assert.deepEqual(twice.map((answer) => answer.ok).sort(), [false, true]);
  await fake.sentCount(1);
  assert.deepEqual(await client.rpc("deliveries.dismiss", { id: later }), { id: later, state: "dismissed" });
  assert.deepEqual((await client.rpc("deliveries.list", { state: "rejected" })).deliveries, []);
  for (const method of ["deliveries.resubmit", "deliveries.dismiss"]) {
    const again = await client.ask(method, { id: later });
    assert.match(again.error.message, /this delivery is dismissed/);
    assert.match((await client.ask(method, { id: "none" })).error.message, /no delivery "none"/);
  }
  assert.equal(fake.sent.length, 1);
  const { rows } = await client.rpc("audit.list", { kind: "admin", limit: 20 });
  const actions = rows.map((row: { action: string }) => row.action);
  assert.equal(actions.filter((action: string) => action === "deliveries.dismiss").length, 3);
  const why = await client.rpc("message.why", { id: later.split(":")[0] });
  assert.equal(why.deliveries[0].state, "dismissed");
});

test("delivery (3): one that may have been seen is sent again only when the operator says so", async (t) => {
  const made = await house(t);
  const { fake, gateway } = made;
  fake.fault("sendMessage", { kind: "hang" });
  fake.fault("editMessageReplyMarkup", { kind: "answer", status: 400, description: "Bad Request: new" });
  const before = await gateway.connect();
  void before.ask("send", order).catch(() => {});
  await fake.until(() => fake.callsOf("sendMessage").length > 0);
  await restart(made);
  const client = await gateway.connect();
  // The same key after the crash: the doubt is told, nothing is sent.
  const { error } = await client.ask("send", order);
  assert.equal(error.details.code, "OUTBOUND_DELIVERY_UNKNOWN");
  assert.match(error.message, /not known whether telegram took the message/);
  const { id } = error.details;
  const refusal = await client.ask("deliveries.resubmit", { id });
  assert.match(refusal.error.message, /may have been seen.*--even-if-seen/);
  assert.equal(fake.sent.length, 0);
  await client.rpc("deliveries.resubmit", { id, mayRepeat: true });
  await fake.sentCount(1);
  assert.deepEqual(chats(fake), [["42", "the build is green"]]);
});
