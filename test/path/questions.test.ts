/** Questions that a client asks people through the gateway, from the request to the answer. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { GatewayClient as PublishedClient } from "@openclaw/gateway-client";
import { type GatewayClient, GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";

const color = {
  questionId: "color",
  header: "Color",
  question: "Which color?",
  options: [{ label: "Red" }, { label: "Blue", description: "as the sky" }],
};
const key = { questionId: "key", header: "Key", question: "The key?", options: [], isSecret: true };
const secret = "s3cret-that-nobody-else-sees";

async function start(t: TestContext) {
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig("http://127.0.0.1:1"),
      agents: {
        defaults: { model: { primary: "mock/m" } },
        list: [{ id: "main", default: true }, { id: "work" }],
      },
    },
  });
  const owner = await gateway.connect();
  /** A program with a token of its own, which is another client than the owner. */
  const program = async (more: Record<string, unknown> = {}) => {
    const made = (await owner.rpc("tokens.create", {
      name: `t${Math.random()}`,
      scopes: ["operator.questions"],
      ...more,
    })) as { id: string; token: string };
    const client = await gateway.connect({
      token: made.token,
      scopes: ["operator.questions", "operator.read"],
    });
    return { ...made, client };
  };
  return { gateway, owner, program };
}

const reasonOf = async (client: GatewayClient, method: string, params: unknown) =>
  (await client.ask(method, params)).error?.details?.reason;

const eventsOf = (client: GatewayClient) =>
  client.events
    .filter(({ event }) => event.startsWith("question."))
    .map(({ event, payload }) => [event, payload]);

test("control (9): asked, shown, answered once: the asker gets it, and all who may answer learn that it is over", async (t) => {
  const { owner, program } = await start(t);
  const { client: bot, id: tokenId } = await program();
  const asked = await bot.rpc("question.request", { questions: [color], sessionKey: "agent:main:trip" });
  const { payload: shown } = await owner.waitFor(({ event }) => event === "question.requested");
  assert.deepEqual(shown, {
    id: asked.id,
    questions: [color],
    agentId: "main",
    sessionKey: "agent:main:trip",
    createdAtMs: asked.expiresAtMs - 1_800_000,
    expiresAtMs: asked.expiresAtMs,
    status: "pending",
  });
  assert.deepEqual(await owner.rpc("question.list", {}), { questions: [shown] });
  assert.deepEqual(await bot.rpc("question.waitAnswer", { id: asked.id, timeoutMs: 1 }), {
    status: "pending",
  });
  const waiting = bot.rpc("question.waitAnswer", { id: asked.id });
  const wrong = await owner.ask("question.resolve", {
    id: asked.id,
    answers: { answers: { color: ["Green"] } },
  });
  assert.match(wrong.error.message, /the answer to "color" must be among "Red", "Blue"/);
  const answers = { answers: { color: ["Blue"] } };
  const end = { status: "answered", answers };
  assert.deepEqual(await owner.rpc("question.resolve", { id: asked.id, answers, resolvedBy: "bot" }), end);
  assert.deepEqual(await waiting, end);
  assert.deepEqual(await bot.rpc("question.resolve", { id: asked.id, answers }), end);
  const other = { answers: { color: ["Red"] } };
  assert.equal(
    await reasonOf(bot, "question.resolve", { id: asked.id, answers: other }),
    "QUESTION_ALREADY_RESOLVED",
  );
  assert.equal(
    await reasonOf(bot, "question.resolve", { id: asked.id, cancel: true }),
    "QUESTION_ALREADY_RESOLVED",
  );
  const { question } = await bot.rpc("question.get", { id: asked.id });
  // Who it was is what the gateway knows, not what the client calls itself.
  assert.deepEqual([question.status, question.resolvedBy], ["answered", "operator"]);
  assert.deepEqual(await bot.rpc("question.list", {}), { questions: [] });
  for (const client of [owner, bot])
    assert.deepEqual(eventsOf(client), [
      ["question.requested", shown],
      ["question.resolved", { id: asked.id, ...end }],
    ]);
  const { rows } = await owner.rpc("audit.list", { limit: 100, kind: "admin" });
  const acts = rows
    .filter((row: { action: string }) => row.action.startsWith("question."))
    .map((row: { action: string; actor: string }) => [row.action, row.actor]);
  assert.deepEqual(acts.at(-1), ["question.request", `token:${tokenId}`]);
  assert.ok(acts.some(([action, actor]: string[]) => action === "question.resolve" && actor === "operator"));
});

test("control (9): a secret answer is in no log, no record and no other client's frames", async (t) => {
  const { gateway, owner, program } = await start(t);
  const [asker, other] = [await program(), await program()];
  const { id } = await asker.client.rpc("question.request", { questions: [key] });
  const answers = { answers: { key: [secret] } };
  const hidden = { status: "answered", answers: { answers: { key: [] } } };
  const [own, others] = [
    asker.client.rpc("question.waitAnswer", { id }),
    other.client.rpc("question.waitAnswer", { id }),
  ];
  const stored = await owner.ask("question.resolve", { id, answers, secretStoreAllowedHosts: ["a.example"] });
  assert.match(stored.error.message, /stores its answer nowhere/);
  assert.deepEqual(await owner.rpc("question.resolve", { id, answers }), hidden);
  assert.deepEqual(await own, { status: "answered", answers });
  assert.deepEqual(await others, hidden);
  assert.deepEqual((await other.client.rpc("question.get", { id })).question.answers, hidden.answers);
  assert.equal(
    await reasonOf(other.client, "question.resolve", { id, answers }),
    "QUESTION_ALREADY_RESOLVED",
  );
  const record = JSON.stringify(await owner.rpc("audit.list", { limit: 500 }));
  for (const text of [
    record,
    await gateway.readLog(),
    ...[owner, other.client].map((c) => JSON.stringify(c.frames)),
  ])
    assert.ok(!text.includes(secret));
});

test("control (2): without operator.questions nothing is asked, read, answered or heard", async (t) => {
  const { gateway, owner } = await start(t);
  const other = await gateway.connect({
    scopes: ["operator.write", "operator.approvals", "operator.pairing"],
  });
  const { id } = await owner.rpc("question.request", { questions: [color] });
  const calls: readonly (readonly [string, object])[] = [
    ["question.request", { questions: [color] }],
    ["question.waitAnswer", { id }],
    ["question.get", { id }],
    ["question.list", {}],
    ["question.resolve", { id, cancel: true }],
  ];
  for (const [method, params] of calls)
    assert.equal((await other.ask(method, params)).error.details.missingScope, "operator.questions", method);
  await owner.rpc("question.resolve", { id, cancel: true });
  await other.rpc("health");
  assert.deepEqual(eventsOf(other), []);
});

test("control (9): a caller who is kept to an agent asks, sees, hears and answers nothing of another one", async (t) => {
  const { owner, program } = await start(t);
  const { client: worker } = await program({ agents: ["work"] });
  const { client: visitor } = await program({ channels: ["telegram"] });
  const { id: foreign } = await owner.rpc("question.request", { questions: [color] });
  const { id: own } = await worker.rpc("question.request", { questions: [color], agentId: "work" });
  for (const params of [{}, { sessionKey: "agent:main:main" }, { agentId: "main" }])
    assert.equal(
      await reasonOf(worker, "question.request", { questions: [color], ...params }),
      "auth.agent_not_allowed",
    );
  const missing = (await worker.ask("question.get", { id: "no-such" })).error;
  for (const method of ["question.get", "question.waitAnswer"]) {
    const { error } = await worker.ask(method, { id: foreign });
    assert.deepEqual(error, { ...missing, message: missing.message.replace("no-such", foreign) });
  }
  assert.equal(
    await reasonOf(worker, "question.resolve", { id: foreign, cancel: true }),
    "QUESTION_NOT_FOUND",
  );
  const seen = (await worker.rpc("question.list", {})).questions.map((one: { id: string }) => one.id);
  assert.deepEqual(seen, [own]);
  assert.deepEqual(
    (await visitor.rpc("question.list", {})).questions.map((one: { sessionKey: string }) => one.sessionKey),
    ["agent:main:main", "agent:work:main"],
  );
  for (const id of [foreign, own])
    await owner.rpc("question.resolve", { id, answers: { answers: { color: ["Red"] } } });
  assert.equal((await worker.rpc("question.waitAnswer", { id: own })).status, "answered");
  assert.deepEqual(
    eventsOf(worker).map(([event, payload]) => [event, payload.id]),
    [
      ["question.requested", own],
      ["question.resolved", own],
    ],
  );
});

test("control (9): over a limit, in a wrong shape, or for a store that there is not: refused, in a sentence", async (t) => {
  const { program } = await start(t);
  const { client: bot } = await program();
  const long = "x".repeat(2001);
  const rows: readonly (readonly [object, RegExp])[] = [
    [{ questions: [] }, /questions/],
    [{ questions: [color, key, { ...key, questionId: "a" }, { ...key, questionId: "b" }] }, /questions/],
    [{ questions: [{ ...color, questionId: "Color" }] }, /questionId/],
    [{ questions: [{ ...color, header: "thirteen char" }] }, /header/],
    [{ questions: [{ ...color, question: long }] }, /question/],
    [{ questions: [{ ...color, options: Array(5).fill({ label: "a" }) }] }, /options/],
    [{ questions: [{ ...color, surprise: true }] }, /unexpected property 'surprise'/],
    [{ questions: [color], timeoutMs: 86_400_001 }, /timeoutMs/],
    [{ questions: [color], sessionKey: "agent:nobody:x" }, /no longer exists/],
    [{ questions: [{ ...key, secretStore: { name: "KEY", kind: "env" } }] }, /there is no store/],
  ];
  for (const [params, says] of rows) {
    const { error } = await bot.ask("question.request", params);
    assert.equal(error.code, "INVALID_REQUEST");
    assert.match(error.message, says);
  }
  const { id } = await bot.rpc("question.request", { questions: [color] });
  for (const params of [{ id }, { id, cancel: true, answers: { answers: { color: ["Red"] } } }])
    assert.match((await bot.ask("question.resolve", params)).error.message, /either answers or cancel/);
  for (let n = 1; n < 8; n++) await bot.rpc("question.request", { questions: [color] });
  const { error } = await bot.ask("question.request", { questions: [color] });
  assert.deepEqual(
    [error.code, error.details.reason, error.retryable],
    ["UNAVAILABLE", "TOO_MANY_QUESTIONS", true],
  );
});

test("control (9): a question that nobody answers in its time expires, for who waits and for who was shown it", async (t) => {
  const { owner, program } = await start(t);
  const { client: bot } = await program();
  const { id } = await bot.rpc("question.request", { questions: [color], timeoutMs: 1 });
  assert.deepEqual(await bot.rpc("question.waitAnswer", { id }), { status: "expired" });
  const { payload } = await owner.waitFor(({ event }) => event === "question.resolved");
  assert.deepEqual(payload, { id, status: "expired" });
  const late = { id, answers: { answers: { color: ["Red"] } } };
  assert.equal(await reasonOf(owner, "question.resolve", late), "QUESTION_ALREADY_RESOLVED");
});

test("control (9): whose token is revoked has his questions cancelled at once", async (t) => {
  const { owner, program } = await start(t);
  const { client: bot, id: tokenId } = await program();
  const { id } = await bot.rpc("question.request", { questions: [color] });
  const waiting = owner.rpc("question.waitAnswer", { id });
  await owner.rpc("tokens.revoke", { token: tokenId });
  assert.deepEqual(await waiting, { status: "cancelled" });
  assert.deepEqual(await owner.rpc("question.list", {}), { questions: [] });
});

test("control (9): a gateway that stops answers who waits with expired, and its successor knows no such question", async (t) => {
  const { gateway, owner } = await start(t);
  const { id } = await owner.rpc("question.request", { questions: [color] });
  const waiting = owner.rpc("question.waitAnswer", { id });
  const stopped = gateway.stop();
  assert.deepEqual(await waiting, { status: "expired" });
  await stopped;
  await gateway.start();
  const again = await gateway.connect();
  assert.equal(await reasonOf(again, "question.waitAnswer", { id }), "QUESTION_NOT_FOUND");
});

test("control (9): the published client asks, hears and answers", async (t) => {
  const { gateway } = await start(t);
  const hello = Promise.withResolvers<unknown>();
  const heard = Promise.withResolvers<string>();
  const client = new PublishedClient({
    url: `ws://127.0.0.1:${gateway.port}`,
    token: gatewayToken,
    minProtocol: 4,
    maxProtocol: 4,
    scopes: ["operator.questions"],
    onHelloOk: (payload) => hello.resolve(payload),
    onConnectError: (error) => hello.reject(error),
    onEvent: ({ event, payload }) => {
      if (event === "question.requested") heard.resolve((payload as { id: string }).id);
    },
  });
  t.after(() => client.stop());
  client.start();
  await hello.promise;
  const { id } = await client.request<{ id: string }>("question.request", { questions: [color] });
  assert.equal(await heard.promise, id);
  const answers = { answers: { color: ["Red"] } };
  const waiting = client.request("question.waitAnswer", { id, timeoutMs: 60_000 });
  await client.request("question.resolve", { id, answers });
  assert.deepEqual(await waiting, { status: "answered", answers });
});
