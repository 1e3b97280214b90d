// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the config's own ${NAME} is what is written
/** Secrets in what is shown: the config, answers of methods, the log, approvals, what a conversation keeps. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

/** Values that stand where secrets do. None looks like the key of a provider: where it stands must be enough. */
const canary = (name: string) => `canary-${name}-0f1e2d3c4b5a`;
const canaries = [
  "provider",
  "header",
  "userinfo",
  "hooks",
  "mcpenv",
  "mcparg",
  "skillenv",
  "environment",
  "telegram",
] as const;

async function planted(t: TestContext) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const model = await startModelServer({ wire: "openai-completions", script: () => [{ text: "hello" }] });
  t.after(() => model.close());
  const base = modelConfig(model.url) as { models: { providers: { mock: object } }; agents: object };
  const config = {
    ...base,
    gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token: "${GATEWAY_CANARY}" } },
    models: {
      providers: {
        mock: {
          ...base.models.providers.mock,
          apiKey: canary("provider"),
          headers: { "X-Any": canary("header") },
        },
        other: {
          baseUrl: `http://user:${canary("userinfo")}@127.0.0.1:1/v1`,
          api: "openai-completions",
          apiKey: "k-0123456789",
          models: [{ id: "x" }],
        },
      },
    },
    hooks: { enabled: true, token: canary("hooks") },
    channels: { telegram: { botToken: fake.token, apiRoot: fake.url } },
    mcp: {
      servers: {
        files: { command: "mcp", args: ["--api-key", canary("mcparg")], env: { ANY_NAME: canary("mcpenv") } },
      },
    },
    skills: { entries: { x: { env: { PLAIN: canary("skillenv") } } } },
    env: { vars: { ANOTHER: canary("environment") } },
  };
  const gateway = await GatewayProcess.start(t, {
    config,
    env: { GATEWAY_CANARY: gatewayToken },
  });
  const secrets = [...canaries.map(canary), gatewayToken, fake.token, fake.token.split(":")[1] ?? ""];
  return { gateway, secrets };
}

/** The beginning of a secret says as much as the whole. */
function assertNone(secrets: readonly string[], text: string, where: string): void {
  for (const secret of secrets) assert.ok(!text.includes(secret.slice(0, 20)), `${where} shows ${secret}`);
}

const acting = /restart|suspend|update|stop|shutdown|erase|delete|remove|reset|wake|\.run$|install|wizard/;

test("config (4), control: no method's answer holds a secret or its beginning, for whoever reads or writes (A-194)", async (t) => {
  const { gateway, secrets } = await planted(t);
  const admin = await gateway.connect({ token: gatewayToken });
  await admin.say("hello");
  const { methods } = admin.hello.features as { methods: string[] };
  assert.ok(methods.length > 100);
  for (const scopes of [["operator.read"], ["operator.write"], ["operator.admin"]]) {
    const client = await gateway.connect({ token: gatewayToken, scopes });
    assertNone(secrets, JSON.stringify(client.hello), "hello-ok");
    for (const method of methods.filter((name) => !acting.test(name) && name !== "connect"))
      for (const params of [{}, { key: "agent:main:main", sessionKey: "agent:main:main", agentId: "main" }]) {
        const answer = await client.ask(method, params);
        assertNone(secrets, JSON.stringify(answer), `${method} (${scopes})`);
      }
    for (const path of [
      "channels.telegram",
      "models.providers",
      "mcp.servers",
      "env",
      "hooks.token",
      "gateway.auth",
    ])
      for (const method of ["config.get", "config.schema.lookup"])
        assertNone(secrets, JSON.stringify(await client.ask(method, { path })), `${method} ${path}`);
    assertNone(secrets, JSON.stringify(client.events), "events");
  }
  assertNone(secrets, gateway.stdout + gateway.stderr, "the terminal");
  assertNone(secrets, await gateway.readLog(), "the log");
});

test("config (4): a hidden value that is written back stays what it was, and stands for nothing anywhere else (A-195)", async (t) => {
  const { gateway } = await planted(t);
  const client = await gateway.connect({ token: gatewayToken });
  const stored = () => JSON.parse(readFileSync(gateway.configFile, "utf8"));
  const before = await client.rpc("config.get", {});
  const hidden = before.parsed.hooks.token;
  const whole = structuredClone(before.parsed);
  whole.ui = { assistant: { name: "Ada" } };
  const set = await client.rpc("config.set", { raw: JSON.stringify(whole), baseHash: before.hash });
  assert.equal(stored().hooks.token, canary("hooks"));
  assert.equal(stored().models.providers.mock.headers["X-Any"], canary("header"));
  assert.equal(stored().gateway.auth.token, "${GATEWAY_CANARY}");
  assert.equal(stored().ui.assistant.name, "Ada");
  // Where nothing was hidden it stands for nothing: neither another secret nor itself is stored.
  const text = readFileSync(gateway.configFile, "utf8");
  for (const put of [
    (config: typeof whole) => {
      config.channels.telegram.webhookSecret = hidden;
    },
    (config: typeof whole) => {
      config.channels.telegram.name = hidden;
    },
    (config: typeof whole) => {
      config.models.providers.fresh = { ...config.models.providers.other, apiKey: hidden };
    },
    (config: typeof whole) => {
      config.skills.entries.y = { env: { COPY: hidden } };
    },
  ]) {
    const changed = structuredClone(whole);
    put(changed);
    for (const method of ["config.set", "config.apply"])
      assert.equal(
        (await client.ask(method, { raw: JSON.stringify(changed), baseHash: set.hash })).ok,
        false,
      );
    const { hooks } = changed;
    const patch = { ...changed, hooks: { ...hooks } };
    assert.equal(
      (await client.ask("config.patch", { raw: JSON.stringify(patch), baseHash: set.hash })).ok,
      false,
    );
  }
  // Over a value that is no secret it means the same: what is there stays.
  whole.ui.assistant.name = hidden;
  await client.ask("config.set", { raw: JSON.stringify(whole), baseHash: set.hash });
  assert.equal(readFileSync(gateway.configFile, "utf8"), text);
});

const strange: readonly (readonly [what: string, value: unknown])[] = [
  ["nothing", ""],
  ["a prefix", gatewayToken.slice(0, -1)],
  ["a longer one", `${gatewayToken}x`],
  ["the same length", "x".repeat(gatewayToken.length)],
  ["other letters", gatewayToken.toUpperCase()],
  ["foreign letters", "тест-токен-🔑"],
  ["half a character", "\ud800"],
  ["a NUL behind it", `${gatewayToken}\0`],
  ["white space around it", ` ${gatewayToken} `],
  ["a list", [gatewayToken]],
  ["an object", { token: gatewayToken }],
  ["a number", 0],
  ["true", true],
  ["a megabyte", "x".repeat(1_000_000)],
];

/** What comes back on a socket that says only this, until it is answered or closed. */
function handshake(port: number, from: { readonly localAddress: string }, params: object): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, from);
  return new Promise((resolve) => {
    socket.on("error", () => {});
    socket.on("close", (code) => resolve(`closed ${code}`));
    socket.on("message", (data) => {
      const text = String(data);
      if (!text.includes("connect.challenge")) resolve(text);
      else socket.send(JSON.stringify({ type: "req", id: "1", method: "connect", params }));
    });
  }).then((said) => {
    socket.terminate();
    return said as string;
  });
}

function postStatus(
  port: number,
  path: string,
  from: { readonly localAddress: string },
  authorization: string,
): Promise<number | undefined> {
  const headers = { "content-type": "application/json", authorization };
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, method: "POST", headers, ...from }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end('{"message":"x","text":"x","model":"openclaw","messages":[]}');
  });
}

test("auth (2): whatever is given for a secret is a refusal, never an error of ours and never let in (A-196)", async (t) => {
  const hooks = "hook-token-0123456789abcdef";
  const gateway = await GatewayProcess.start(t, {
    config: {
      gateway: {
        mode: "local",
        bind: "loopback",
        auth: { mode: "token", token: gatewayToken },
        http: { endpoints: { chatCompletions: { enabled: true } } },
      },
      hooks: { enabled: true, token: hooks },
    },
  });
  // Each from an address of its own: who guesses wrong waits longer each time.
  const from = (index: number) => ({ localAddress: `127.0.0.${index + 2}` });
  for (const [index, [what, token]] of strange.entries()) {
    const answer = await handshake(gateway.port, from(index), {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "cli", version: "1.0.0", platform: "linux", mode: "cli" },
      role: "operator",
      scopes: ["operator.admin"],
      auth: { token },
    });
    assert.doesNotMatch(answer, /hello-ok|"ok":true|INTERNAL|1011/, what);
  }
  const doors = ["/v1/chat/completions", "/tools/invoke", "/hooks/agent", "/hooks/wake"];
  const values = strange.flatMap(([, value]) =>
    // White space around a header's value is no part of it, and what cannot stand in a header is not sent.
    typeof value === "string" && value.length < 1000 && value.trim() !== gatewayToken && !value.includes("\0")
      ? [Buffer.from(value, "utf8").toString("latin1")]
      : [],
  );
  for (const [index, value] of values.entries()) {
    const path = doors[index % doors.length] ?? "";
    const status = await postStatus(gateway.port, path, from(100 + index), `Bearer ${value}`);
    assert.equal(status, 401, `${path} ${value.slice(0, 40)}`);
  }
  assert.equal((await (await gateway.connect()).ask("health")).ok, true);
});

test("log (1): what is tailed holds no secret of a request, one record a line and no control character (A-197)", async (t) => {
  const { gateway, secrets } = await planted(t);
  const client = await gateway.connect({ token: gatewayToken });
  const given = [
    "canary-basic-0f1e2d3c",
    "canary-api-key-0f1e2d3c",
    "canary-cookie-0f1e2d3c",
    "canary-query-0f1e2d3c",
  ];
  const [basic = "", key = "", cookie = "", query = ""] = given;
  for (const agent of ["plain", `x\u001b[2J FAKE LOG ${"y".repeat(7000)}`])
    for (const path of ["/hooks/wake", "/v1/chat/completions", "/nothing"])
      await fetch(`${gateway.url.replace(/\/$/, "")}${path}?token=${query}`, {
        method: "POST",
        headers: {
          authorization: `Basic ${Buffer.from(`user:${basic}`).toString("base64")}`,
          "x-api-key": key,
          cookie: `session=${cookie}`,
          "user-agent": agent.replaceAll("\u001b", "~"),
        },
        body: '{"text":"line\\nFAKE {\\"level\\":\\"error\\"}"}',
      }).catch(() => {});
  await client.ask("chat.send", { sessionKey: "main\n\u001b[2JFAKE", message: "x", idempotencyKey: "a\nb" });
  await client.say('words\n{"level":"error","message":"FAKE"}\u001b[2J\u009b');
  const reader = await gateway.connect({ token: gatewayToken, scopes: ["operator.read"] });
  const tail = await reader.rpc("logs.tail", { limit: 5000, maxBytes: 1_000_000 });
  const text = await gateway.readLog();
  for (const where of [text, JSON.stringify(tail)]) {
    assertNone([...secrets, ...given], where, "the log");
    assert.ok(!where.includes(Buffer.from(`user:${basic}`).toString("base64")));
  }
  for (const line of text.trimEnd().split("\n")) {
    assert.equal(typeof JSON.parse(line).message, "string");
    assert.ok(line.length < 20_000);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/);
  }
});

test("auth (11): the start prints no token, only a ticket that is good once; an address with the token opens nothing (A-203)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  assert.ok(!`${gateway.stdout}${gateway.stderr}`.includes(gatewayToken));
  const ticket = /#signin=[\w-]+/.exec(gateway.stdout)?.[0];
  assert.ok(ticket, "in the fragment, which no browser sends");
  for (const path of [
    `/?token=${gatewayToken}`,
    `/?password=${gatewayToken}`,
    `/v1/models?token=${gatewayToken}`,
  ]) {
    const answer = await fetch(new URL(path, gateway.url), { redirect: "manual" });
    assert.equal(answer.headers.get("set-cookie"), null, path);
    assert.ok(!(await answer.text()).includes(gatewayToken), path);
    if (path.startsWith("/v1")) assert.notEqual(answer.status, 200);
  }
  const said = await new Promise<string>((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/?token=${gatewayToken}`);
    socket.on("error", () => resolve("refused"));
    socket.on("close", (code) => resolve(String(code)));
    socket.on("message", (data) => {
      const text = String(data);
      if (!text.includes("connect.challenge")) return void resolve(text);
      const client = { id: "cli", version: "1", platform: "linux", mode: "cli" };
      const params = { minProtocol: 4, maxProtocol: 4, client, role: "operator", scopes: ["operator.admin"] };
      socket.send(JSON.stringify({ type: "req", id: "1", method: "connect", params }));
    });
  });
  assert.doesNotMatch(said, /hello-ok|"ok":true/);
  assert.ok(!(await gateway.readLog()).includes(gatewayToken));
});
