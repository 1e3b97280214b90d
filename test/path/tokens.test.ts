/** API tokens on their whole way: made on the command line, used over WebSocket and HTTP, ended in every way. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { placedMethods } from "../../src/control/mod.ts";
import { TestDevice } from "../support/device.ts";
import { type GatewayClient, GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import { type Script, startModelServer } from "../support/model-servers/mod.ts";
import { programFile } from "../support/program.ts";

const every = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];

async function start(t: TestContext, script: Script = () => [{ text: "hello" }]) {
  const model = await startModelServer({ wire: "openai-completions", script });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      agents: {
        defaults: { model: { primary: "mock/m" } },
        list: [{ id: "main", default: true }, { id: "work" }],
      },
      gateway: {
        mode: "local",
        bind: "loopback",
        auth: { mode: "token", token: gatewayToken },
        http: { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } },
      },
    },
  });
  const owner = await gateway.connect();
  const make = async (order: Record<string, unknown>) =>
    (await owner.rpc("tokens.create", { name: `t${Math.random()}`, ...order })) as {
      id: string;
      token: string;
    };
  const post = (path: string, token: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}${path.slice(1)}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
      body: JSON.stringify(body),
    });
  return {
    gateway,
    model,
    owner,
    make,
    post,
    file: join(gateway.stateFolder, "credentials", "api-tokens.json"),
  };
}

async function cli(gateway: GatewayProcess, args: readonly string[]) {
  const child = spawn(process.execPath, [programFile, ...args], {
    env: {
      PATH: process.env.PATH,
      HOME: join(gateway.folder, "home"),
      OPENCLAW_STATE_DIR: gateway.stateFolder,
      ...(gateway.running
        ? { OPENCLAW_GATEWAY_PORT: String(gateway.port), OPENCLAW_GATEWAY_TOKEN: gatewayToken }
        : {}),
    },
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  const [code] = await once(child, "close");
  return { code: code as number, out, err };
}

const refusedWith = async (client: GatewayClient, method: string, params: unknown) =>
  (await client.ask(method, params)).error?.details?.reason;

const auditOf = async (owner: GatewayClient, action: string) =>
  (await owner.rpc("audit.list", { limit: 500 })).rows.filter(
    (row: { action: string }) => row.action === action,
  );

test("tokens: made on the command line, used, revoked, refused; its socket closes and its run stops", async (t) => {
  const held = Promise.withResolvers<void>();
  t.after(() => held.resolve());
  const { gateway, owner } = await start(t, () => [{ text: "half" }, { wait: held.promise }]);
  const made = await cli(gateway, [
    "tokens",
    "create",
    "--name",
    "bot",
    "--scope",
    "operator.write",
    "--json",
  ]);
  assert.equal(made.code, 0, made.err);
  const { token, id } = JSON.parse(made.out);
  const secret = token.slice(16);
  const listed = await cli(gateway, ["tokens", "list"]);
  assert.match(listed.out, /bot/);
  assert.ok(!listed.out.includes(secret));
  const bot = await gateway.connect({ token, scopes: every });
  assert.deepEqual(bot.hello.auth.scopes, ["operator.read", "operator.write"]);
  assert.equal(bot.hello.auth.deviceToken, undefined);
  await bot.rpc("chat.send", { sessionKey: "bot", message: "hold", idempotencyKey: "its-run" });
  await owner.waitFor(({ event, payload }) => event === "chat" && payload.runId === "its-run");
  const revoked = await cli(gateway, ["tokens", "revoke", "bot"]);
  assert.match(revoked.out, /Revoked: bot/);
  assert.equal((await bot.closed).code, 4001);
  assert.equal((await owner.chatEnd("its-run")).state, "aborted");
  await assert.rejects(gateway.connect({ token }), /API token wrong, expired or revoked/);
  const [row] = await auditOf(owner, "tokens.create");
  assert.equal(row.actor, "operator");
  const record = JSON.stringify(await owner.rpc("audit.list", { limit: 500 }));
  assert.ok(!(record + (await gateway.readLog())).includes(secret));
  assert.equal((await cli(gateway, ["tokens", "revoke", id])).code, 1);
});

test("tokens: the command line makes and ends them in the file when no gateway runs, under the same rules", async (t) => {
  const gateway = await GatewayProcess.prepare(t);
  const made = await cli(gateway, [
    "tokens",
    "create",
    "--name",
    "night",
    "--role",
    "viewer",
    "--expires",
    "1h",
  ]);
  assert.equal(made.code, 0, made.err);
  const token = /^oc_\S+/.exec(made.out)?.[0] ?? "";
  const file = join(gateway.stateFolder, "credentials", "api-tokens.json");
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.ok(!(await readFile(file, "utf8")).includes(token.slice(16)));
  const again = await cli(gateway, ["tokens", "create", "--name", "night", "--role", "viewer"]);
  assert.deepEqual([again.code, again.err.includes("There is a token of this name")], [1, true]);
  for (const wrong of [
    ["--name", "x"],
    ["--name", "x", "--role", "god"],
    ["--role", "viewer"],
  ])
    assert.notEqual((await cli(gateway, ["tokens", "create", ...wrong])).code, 0, wrong.join(" "));
  await gateway.start();
  const viewer = await gateway.connect({ token, scopes: every });
  assert.deepEqual(viewer.hello.auth.scopes, ["operator.read"]);
  assert.equal((await viewer.ask("sessions.list", {})).ok, true);
  assert.equal(
    (await viewer.ask("chat.send", { sessionKey: "main", message: "x", idempotencyKey: "k" })).ok,
    false,
  );
});

test("tokens: what a hand changes in the file counts at once; what cannot be read lets nobody in", async (t) => {
  const { gateway, owner, make, file } = await start(t);
  const one = await make({ scopes: ["operator.read"] });
  const two = await make({ scopes: ["operator.read"] });
  const [first, second] = await Promise.all(
    [one, two].map(({ token }) => gateway.connect({ token, scopes: every })),
  );
  const document = JSON.parse(await readFile(file, "utf8"));
  const kept = { ...document, tokens: document.tokens.filter((item: { id: string }) => item.id === two.id) };
  await writeFile(file, JSON.stringify(kept));
  assert.equal((await first?.closed)?.code, 4001);
  assert.equal((await second?.ask("health"))?.ok, true);
  const [row] = await auditOf(owner, "tokens.file-changed");
  assert.deepEqual(row.facts.ids, [one.id]);
  await writeFile(file, "{");
  assert.equal((await second?.closed)?.code, 4001);
  await assert.rejects(gateway.connect({ token: two.token }), /API token wrong/);
  await writeFile(file, JSON.stringify(kept));
  await chmod(file, 0o600);
  // The file is looked at within a second; a refused sign-in waits longer than that by itself.
  for (let tries = 0; tries < 20; tries++) {
    const back = await gateway.connect({ token: two.token }).catch(() => undefined);
    if (back) return;
  }
  assert.fail("a mended file counts again");
});

test("tokens: limits hold for methods, agents and rights, whatever the parameters are called", async (t) => {
  const { gateway, make, owner } = await start(t);
  await owner.say("a secret of main", "agent:main:main");
  const { token } = await make({ scopes: ["operator.admin"], agents: ["work"] });
  const bot = await gateway.connect({ token, scopes: every });
  const message = { message: "hi", idempotencyKey: "k" };
  const elsewhere: readonly (readonly [string, Record<string, unknown>])[] = [
    ["chat.send", { sessionKey: "main", ...message }],
    ["chat.send", { sessionKey: "agent:main:main", agentId: "work", ...message }],
    ["sessions.send", { key: "main", agentId: "work", sessionKey: "agent:work:main", ...message }],
    ["agent", { agentId: "main", ...message }],
    ["chat.history", { sessionKey: "main" }],
    ["sessions.get", { key: "main", agentId: "work" }],
    ["sessions.reset", { key: "agent:main:main" }],
    ["sessions.preview", { keys: ["agent:work:main", "agent:main:main"] }],
    ["sessions.list", {}],
    ["sessions.list", { agentId: "main" }],
    ["sessions.subscribe", {}],
    ["tools.catalog", { sessionKey: "agent:main:main" }],
  ];
  for (const [method, params] of elsewhere)
    assert.equal(
      await refusedWith(bot, method, params),
      "auth.agent_not_allowed",
      `${method} ${JSON.stringify(params)}`,
    );
  // What nobody has placed, and what hands out rights, is not for a limited token.
  for (const [method, params] of [
    ["audit.list", {}],
    ["status", {}],
    ["logs.tail", {}],
    ["config.patch", { raw: "{}" }],
    ["dashboard.ticket", {}],
    ["exec.approvals.set", { file: {} }],
    ["device.pair.setupCode", {}],
  ] as const)
    assert.equal(await refusedWith(bot, method, params), "auth.method_not_allowed", method);
  const wider = await bot.ask("tokens.create", { name: "wider", scopes: ["operator.read"] });
  assert.equal(wider.error.details.code, "TOKEN_TOO_WIDE");
  // And it can do what it is for.
  await bot.rpc("sessions.subscribe", { agentId: "work" });
  await owner.say("another secret of main", "agent:main:main");
  assert.equal((await bot.say("hi", "agent:work:main")).message.content[0].text, "hello");
  assert.equal((await bot.rpc("chat.history", { sessionKey: "agent:work:main" })).messages.length, 2);
  assert.deepEqual(
    bot.events.filter(({ payload }) => JSON.stringify(payload ?? {}).includes("agent:main:")),
    [],
  );
  const only = await make({ scopes: ["operator.write"], methods: ["agent"] });
  const sender = await gateway.connect({ token: only.token, scopes: every });
  assert.equal(
    await refusedWith(sender, "chat.send", { sessionKey: "main", ...message }),
    "auth.method_not_allowed",
  );
  const answer = await sender.rpc("agent", { message: "hi", idempotencyKey: "by-agent" });
  assert.equal(answer.result.payloads[0].text, "hello");
  assert.deepEqual(
    sender.events.filter(({ event }) => event === "chat" || event === "agent"),
    [],
  );
});

test("tokens: a device that brings one is not paired by it, and it opens no browser session", async (t) => {
  const { gateway, make, owner, post } = await start(t);
  const { token } = await make({ role: "viewer" });
  const device = new TestDevice();
  const { answer } = await device.connect(gateway, { auth: { token }, scopes: every });
  assert.deepEqual([answer.ok, answer.payload.auth.scopes], [true, ["operator.read"]]);
  assert.equal(answer.payload.auth.deviceToken, undefined);
  assert.deepEqual((await owner.rpc("device.pair.list")).paired, []);
  const node = await new TestDevice().connect(gateway, {
    auth: { token },
    role: "node",
    mode: "node",
    clientId: "node-host",
  });
  assert.equal(node.answer.ok, false);
  assert.equal((await post("/auth/sign-in", token, { token })).ok, false);
});

test("tokens: a turn's tools are those of its author's token, for the model and for a call that it makes all the same", async (t) => {
  const { gateway, model, make } = await start(t, (_body, n) =>
    n === 1 ? [{ call: { name: "write", arguments: '{"path":"x.txt","content":"x"}' } }] : [{ text: "done" }],
  );
  const { token } = await make({ scopes: ["operator.write"], tools: ["read"] });
  const bot = await gateway.connect({ token, scopes: every });
  assert.equal((await bot.say("write a file", "main")).message.content[0].text, "done");
  const names = (body: { tools?: { function: { name: string } }[] }) =>
    body.tools?.map((tool) => tool.function.name);
  assert.deepEqual(names(model.requests[0]?.body), ["read"]);
  assert.match(JSON.stringify(model.requests[1]?.body.messages), /policy\.tool_denied/);
});

test("tokens: over HTTP the same token does the same, and no more", async (t) => {
  const { gateway, make, post, model } = await start(t);
  const chat = { model: "openclaw/work", messages: [{ role: "user", content: "hi" }] };
  const get = async (token: string) =>
    (await (
      await fetch(`${gateway.url}v1/models`, { headers: { authorization: `Bearer ${token}` } })
    ).json()) as { data: { id: string }[] };
  const codeOf = async (answer: Response) =>
    ((await answer.json()) as { error: { code: string } }).error.code;
  const work = await make({ scopes: ["operator.write"], agents: ["work"], tools: ["read"] });
  assert.equal((await post("/v1/chat/completions", work.token, chat)).status, 200);
  assert.deepEqual((await get(work.token)).data.map((item) => item.id).includes("openclaw/main"), false);
  const asked = model.requests.length;
  const other = await post("/v1/chat/completions", work.token, { ...chat, model: "openclaw/main" });
  assert.deepEqual([other.status, await codeOf(other)], [403, "auth.agent_not_allowed"]);
  const named = await post("/v1/chat/completions", work.token, chat, { "x-openclaw-session-key": "main" });
  assert.equal(named.status, 403, "a limited token names no session");
  const reset = await post("/v1/chat/completions", work.token, {
    ...chat,
    messages: [{ role: "user", content: "/reset" }],
  });
  assert.equal(reset.status, 403);
  assert.equal(
    (await post("/tools/invoke", work.token, { tool: "web_fetch", agentId: "work", args: {} })).status,
    404,
  );
  assert.equal((await post("/tools/invoke", work.token, { tool: "read", args: { path: "x" } })).status, 404);
  assert.equal(model.requests.length, asked);
  const invoke = await make({ scopes: ["operator.write"], methods: ["tools.invoke"] });
  assert.equal((await post("/v1/chat/completions", invoke.token, chat)).status, 403);
  const viewer = await make({ role: "viewer" });
  assert.equal((await post("/v1/chat/completions", viewer.token, chat)).status, 403);
  assert.ok((await get(viewer.token)).data.length > 0);
  const wrong = `${viewer.token.slice(0, -4)}AAAA`;
  const refused = await post("/v1/chat/completions", wrong, chat);
  assert.deepEqual([refused.status, await codeOf(refused)], [401, "auth.api_token_invalid"]);
});

test("tokens: a token that ended while its message waited on disk has nothing done by it", async (t) => {
  const { gateway, make, model, file } = await start(t, () => [{ stall: true }]);
  const { token } = await make({ scopes: ["operator.write"] });
  const bot = await gateway.connect({ token, scopes: every });
  await bot.rpc("chat.send", { sessionKey: "main", message: "hold", idempotencyKey: "left-open" });
  await bot.rpc("chat.send", { sessionKey: "main", message: "next", idempotencyKey: "waiting" });
  await gateway.kill();
  const asked = model.requests.length;
  await writeFile(file, '{"version":1,"tokens":[]}');
  await gateway.start();
  const owner = await gateway.connect();
  for (const runId of ["left-open", "waiting"]) {
    const end = await owner.rpc("agent.wait", { runId, timeoutMs: 5000 });
    assert.deepEqual([end.status, /token may not use this agent/.test(end.error)], ["error", true], runId);
  }
  assert.equal(model.requests.length, asked);
});

test("auth (9): a socket of the gateway's old token is closed, and an API token's is not (A-005)", async (t) => {
  const { gateway, make } = await start(t);
  const old = await gateway.connect();
  const { token } = await make({ role: "owner" });
  const bot = await gateway.connect({ token, scopes: every });
  const config = JSON.parse(await readFile(gateway.configFile, "utf8"));
  config.gateway.auth.token = "another-gateway-token-0123456789abcdef";
  await writeFile(gateway.configFile, JSON.stringify(config), { mode: 0o600 });
  assert.equal((await old.closed).code, 4001);
  await assert.rejects(gateway.connect(), /gateway token mismatch/);
  assert.equal((await bot.ask("health")).ok, true, "an API token is a credential of its own");
});

test("tokens: each method that is placed for limited tokens exists", async (t) => {
  const { owner } = await start(t);
  const { methods } = owner.hello.features;
  assert.deepEqual(
    placedMethods.filter((name) => !methods.includes(name)),
    [],
  );
});

test("auth (5): a lock-out survives a restart", async (t) => {
  const gateway = await GatewayProcess.start(t, {
    config: {
      gateway: {
        mode: "local",
        bind: "loopback",
        auth: { mode: "token", token: gatewayToken, rateLimit: { maxAttempts: 2, exemptLoopback: false } },
      },
    },
  });
  for (let tries = 0; tries < 2; tries++)
    await assert.rejects(gateway.connect({ token: "wrong" }), /mismatch/);
  await assert.rejects(gateway.connect(), /too many failed/);
  assert.equal(await gateway.stop(), 0);
  await gateway.start();
  await assert.rejects(gateway.connect(), /too many failed/);
});
