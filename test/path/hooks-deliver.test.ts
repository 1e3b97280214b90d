/** Replies of hooks' runs on their way to a chat. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { rows } from "../faults/verdict.ts";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { type Script, startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

const hookToken = "test-hook-token-0123456789abcdef";
const report: Script = () => [{ text: "The build is green." }];
const named = {
  match: { path: "ci" },
  messageTemplate: "{{payload.text}}",
  deliver: true,
  channel: "telegram",
  to: "user:42",
};

async function house(
  t: TestContext,
  script: Script,
  { hooks = {}, ...more }: { readonly hooks?: object } & Readonly<Record<string, unknown>> = {},
) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      hooks: { enabled: true, token: hookToken, ...hooks },
      channels: {
        telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42", "43"] },
      },
      ...more,
    },
  });
  await fake.polled();
  async function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
    const answer = await fetch(`${gateway.url.replace(/\/$/, "")}/hooks/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${hookToken}`, ...headers },
      body: JSON.stringify(body),
    });
    return { status: answer.status, text: await answer.text() };
  }
  const chats = () => fake.sent.map(({ chatId, text }) => [String(chatId), text]);
  return { fake, model, gateway, post, chats };
}

type House = Awaited<ReturnType<typeof house>>;

/** A power cut, and the gateway is back with its channels. */
async function restart({ fake, gateway }: House): Promise<void> {
  await gateway.kill();
  const polls = fake.callsOf("getUpdates").length;
  await gateway.start();
  await fake.until(() => fake.callsOf("getUpdates").length > polls);
}

const order = { message: "a push came in", deliver: true, channel: "telegram", to: "42" };
const waiting = { waitForCompletion: true };

test("hooks: a mapping's reply reaches the chat that it names, once for one key; the answer never holds it", async (t) => {
  const { post, chats, fake, gateway } = await house(t, report, { hooks: { mappings: [named] } });
  const key = { "idempotency-key": "push-1" };
  const first = await post("ci", { text: "hi" }, key);
  assert.equal(first.status, 200, first.text);
  await fake.sentCount(1);
  assert.equal((await post("ci", { text: "hi" }, key)).text, first.text);
  const waited = await post("agent", { ...order, ...waiting });
  assert.deepEqual(JSON.parse(waited.text).completion, {
    status: "ok",
    replyDisposition: "delivered",
    delivered: true,
  });
  assert.doesNotMatch(first.text + waited.text, /green/);
  assert.deepEqual(chats(), [
    ["42", "The build is green."],
    ["42", "The build is green."],
  ]);
  const client = await gateway.connect();
  const { runId } = JSON.parse(first.text);
  const { steps, deliveries } = await client.rpc("message.why", { id: runId });
  assert.equal(deliveries[0].state, "sent");
  assert.match(JSON.stringify(steps), /"deliverTo":\{[^}]*"id":"42"/);
  const targets = () => rows(gateway, "SELECT deliver_to FROM inbox WHERE deliver_to IS NOT NULL").length;
  assert.equal(targets(), 2);
  await client.rpc("privacy.erase", { peer: "telegram:42" });
  assert.equal(targets(), 0, "nor does a hook's message say any more where its reply went");
});

test("hooks: the order outlives a kill in mid-run and one between the run's end and the send; the chat gets it once", async (t) => {
  const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const answer = Promise.withResolvers<void>();
  const made = await house(
    t,
    async (_body, call) => {
      asked[call - 1]?.resolve();
      await answer.promise;
      return [{ text: "The build is green." }];
    },
    { hooks: { mappings: [named] } },
  );
  const { post, chats, fake, gateway } = made;
  const key = { "idempotency-key": "push-1" };
  const first = await post("ci", { text: "hi" }, key);
  await asked[0]?.promise;
  await restart(made);
  await asked[1]?.promise;
  await fake.suspend();
  answer.resolve();
  const ended = { runId: JSON.parse(first.text).runId, timeoutMs: 10_000 };
  const client = await gateway.connect();
  assert.equal((await client.rpc("agent.wait", ended)).status, "ok");
  // The try that nobody answered is over: a kill in its midst would leave a doubt.
  for (let tries = 0; tries === 0; )
    tries = (await client.rpc("message.why", { id: ended.runId })).deliveries[0].detail === undefined ? 0 : 1;
  await gateway.kill();
  assert.deepEqual(chats(), []);
  await fake.resume();
  await gateway.start();
  await fake.sentCount(1);
  assert.equal((await post("ci", { text: "hi" }, key)).text, first.text);
  await (await gateway.connect()).rpc("agent.wait", ended);
  assert.deepEqual(chats(), [["42", "The build is green."]]);
});

test("hooks (A-253): a caller reaches only chats that a mapping of this agent names, and the session's own last one", async (t) => {
  const { post, chats, model } = await house(t, report, {
    hooks: {
      allowRequestSessionKey: true,
      mappings: [
        named,
        { ...named, match: { path: "ops" }, agentId: "other", to: "43" },
        { ...named, match: { path: "off" }, deliver: false, to: "44" },
        { ...named, match: { path: "filled" }, to: "{{payload.chat}}" },
        { ...named, match: { path: "group" }, to: "group:-1001" },
      ],
    },
    agents: {
      defaults: { model: { primary: "mock/m" } },
      list: [{ id: "main", default: true }, { id: "other" }],
    },
  });
  const refused: readonly (readonly [what: string, change: object, error: RegExp])[] = [
    ["a stranger's chat", { to: "99" }, /only the session's own last conversation/],
    ["another agent's", { to: "43" }, /only the session's own last conversation/],
    ["one that nothing is delivered to", { to: "44" }, /only the session's own last conversation/],
    ["the group under another kind", { to: "channel:-1001" }, /only the session's own last conversation/],
    ["a placeholder", { to: "{{payload.chat}}" }, /no place on telegram/],
    ["a name", { to: "@ana" }, /no place on telegram/],
    ["no chat at all", { to: "" }, /no place on telegram/],
    ["what is no id", { to: { id: 42 } }, /to must be the chat's id/],
    ["a channel that is not configured", { channel: "irc" }, /irc is not configured/],
    ["a channel that is none", { channel: "__proto__" }, /there is no channel/],
    ["an account that is not there", { accountId: "second" }, /which account of telegram/],
    ["a session without a conversation", { channel: "last", to: undefined }, /never spoken in on a channel/],
    ["no chat", { to: undefined }, /no conversation on telegram; say/],
  ];
  for (const [what, change, error] of refused) {
    const answer = await post("agent", { ...order, ...change });
    assert.equal(answer.status, 400, `${what}: ${answer.text}`);
    assert.match(JSON.parse(answer.text).error, error, what);
  }
  assert.equal(model.requests.length, 0);
  const group = await post("agent", { ...order, to: "group:-1001", ...waiting });
  assert.equal(JSON.parse(group.text).completion?.delivered, true, group.text);
  assert.deepEqual(chats(), [["-1001", "The build is green."]]);
  const elsewhere = await post("agent", { ...order }, { "idempotency-key": "k" });
  assert.equal(elsewhere.status, 200);
  const other = await post("agent", { ...order, to: "group:-1001" }, { "idempotency-key": "k" });
  assert.equal(other.status, 409);
});

test('hooks: "last" is where the session was last spoken in; a mapping may mean the main session, a caller may not', async (t) => {
  const { post, chats, fake } = await house(t, report, {
    session: { dmScope: "main" },
    hooks: {
      allowRequestSessionKey: true,
      mappings: [{ ...named, channel: "last", to: undefined }],
    },
  });
  const main = { message: "x", sessionKey: "agent:main:main", ...waiting };
  const done = async (body: object) => JSON.parse((await post("agent", body)).text).completion;
  assert.deepEqual((await post("ci", {})).status, 400);
  // Not asked for, and nowhere to go: no error, and nothing is sent.
  assert.equal((await done({ ...main, sessionKey: "hook:quiet" })).replyDisposition, "none");
  for (const id of [42, 43]) {
    fake.deliver({ text: "hello", from: id });
    await fake.sentCount(id - 41);
  }
  assert.equal((await done({ ...main, deliver: false })).replyDisposition, "none");
  assert.equal((await done({ message: "x", ...waiting })).replyDisposition, "none");
  assert.equal((await post("agent", { message: "x", channel: "last" })).status, 400);
  assert.equal((await done(main)).delivered, true);
  assert.equal((await done({ ...main, deliver: true, channel: "telegram", to: "43" })).delivered, true);
  assert.equal((await post("agent", { ...main, deliver: true, channel: "telegram", to: "42" })).status, 400);
  assert.equal((await post("ci", {})).status, 200);
  await fake.sentCount(5);
  assert.deepEqual(
    chats().map(([id]) => id),
    ["42", "43", "43", "43", "43"],
  );
});

test("hooks: placeholders in a mapping's target are filled in by the payload, and must come out as a chat", async (t) => {
  const { post, chats, model, fake } = await house(t, report, {
    hooks: {
      mappings: [
        { ...named, to: "{{payload.chat}}", channel: "{{payload.on}}", forEach: "payload.items" },
        { ...named, match: { path: "each" }, to: "{{item.chat}}", forEach: "payload.items" },
      ],
    },
  });
  const bad = await post("each", { items: [{ chat: "42" }, { chat: "@ana" }] });
  assert.deepEqual([bad.status, /no place on telegram/.test(bad.text)], [400, true]);
  assert.equal((await post("ci", { chat: "42", on: "irc", items: [1] })).status, 400);
  assert.equal(model.requests.length, 0);
  assert.equal((await post("each", { items: [{ chat: "42" }, { chat: 43 }] })).status, 200);
  const until = await post("ci", { chat: "user:43", on: "telegram", items: [1] });
  assert.equal(until.status, 200, until.text);
  await fake.sentCount(3);
  assert.deepEqual(
    chats()
      .map(([id]) => id)
      .sort(),
    ["42", "43", "43"],
  );
});

test("hooks: session.sendPolicy binds hooks: what is asked for is refused, the usual reply stays unsent, on record", async (t) => {
  const rules = [{ action: "deny", match: { channel: "telegram", chatType: "direct" } }];
  const heard = Promise.withResolvers<void>();
  const { post, chats, fake, gateway } = await house(
    t,
    () => {
      heard.resolve();
      return [{ text: "The build is green." }];
    },
    {
      session: { dmScope: "main", sendPolicy: { rules } },
      hooks: { allowRequestSessionKey: true, mappings: [named] },
    },
  );
  const denied = await post("ci", {});
  assert.deepEqual([denied.status, /sendPolicy does not let/.test(denied.text)], [400, true]);
  assert.equal((await post("agent", order)).status, 400);
  fake.deliver({ text: "hello", from: 42 });
  await heard.promise;
  const { text } = await post("agent", { message: "x", sessionKey: "agent:main:main", ...waiting });
  const { runId, completion } = JSON.parse(text);
  assert.deepEqual(completion, { status: "ok", replyDisposition: "none", delivered: false });
  assert.deepEqual(chats(), []);
  const { steps } = await (await gateway.connect()).rpc("message.why", { id: runId });
  const end = steps.find((step: { stage: string; action: string }) => step.action === "reply");
  assert.deepEqual(end.facts, { parts: 0, withheld: "session.sendPolicy" });
});

test("hooks: what the platform refuses is told as that, and nothing of it comes twice", async (t) => {
  const { post, chats, fake } = await house(t, report, { hooks: { mappings: [named] } });
  fake.fault("sendMessage", { kind: "answer", status: 403, description: "Forbidden: bot was blocked" });
  const { text } = await post("agent", { ...order, ...waiting });
  const { completion } = JSON.parse(text);
  assert.deepEqual(completion, { status: "ok", replyDisposition: "rejected", delivered: false });
  assert.deepEqual(chats(), []);
});

test("hooks: a wake has no reply to deliver, and a mapping that asks for it keeps the gateway from starting", async (t) => {
  const wake = { ...named, action: "wake", textTemplate: "x" };
  const gateway = await GatewayProcess.prepare(t, {
    config: { hooks: { enabled: true, token: hookToken, mappings: [wake] } },
  });
  const { stderr, stdout } = await gateway.startFails();
  assert.match(`${stderr}${stdout}`, /hooks\.mappings\[0\]\.deliver: a wake has no reply/);
});
