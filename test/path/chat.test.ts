/** A control client's message on its whole way, over real sockets: frames, runs, history, errors of the wire. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { RpcError } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

test("chat.send streams one reply, and history and the list of sessions show it", async (t) => {
  const model = await startModelServer({
    wire: "openai-completions",
    script: () => [{ text: "Hel" }, { text: "lo." }, { usage: { input: 7, output: 2 } }],
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  assert.equal(client.hello.type, "hello-ok");
  assert.equal(client.hello.protocol, 4);
  assert.deepEqual(client.hello.policy, {
    maxPayload: 26_214_400,
    maxBufferedBytes: 52_428_800,
    tickIntervalMs: 30_000,
    attachments: { maxBytes: 19_464_192, maxImageBytes: 6_291_456 },
  });
  const sent = await client.rpc("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: "k1" });
  assert.deepEqual(sent, { runId: "k1", status: "started" });
  const end = await client.chatEnd("k1");
  assert.equal(end.state, "final");
  assert.equal(end.message.content[0].text, "Hello.");
  const deltas = client.events.filter(({ event, payload }) => event === "chat" && payload.state === "delta");
  assert.equal(deltas.map((event) => event.payload.deltaText).join(""), "Hello.");
  const numbers = client.events.filter((event) => event.seq !== undefined).map((event) => event.seq);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
    "numbers of events have no gaps",
  );

  const history = await client.rpc("chat.history", { sessionKey: "main" });
  assert.deepEqual(
    history.messages.map((message: { role: string }) => message.role),
    ["user", "assistant"],
  );
  assert.equal(history.messages[0].idempotencyKey, "k1:user");
  assert.equal(history.messages[1].usage.totalTokens, 9);
  const list = await client.rpc("sessions.list", {});
  assert.equal(list.sessions[0].key, "agent:main:main");
  assert.equal(list.sessions[0].hasActiveRun, false);
  assert.equal(model.requests.length, 1);
});

test("one key runs once, also after a restart; other content under it is a conflict", async (t) => {
  const model = await startModelServer({ wire: "openai-completions", script: () => [{ text: "once" }] });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const params = { sessionKey: "main", message: "hello", idempotencyKey: "same" };
  const first = await gateway.connect();
  const both = await Promise.all([first.rpc("chat.send", params), first.rpc("chat.send", params)]);
  assert.deepEqual(
    both.map((answer) => answer.runId),
    ["same", "same"],
  );
  assert.deepEqual(both.map((answer) => answer.status).sort(), ["in_flight", "started"]);
  await first.chatEnd("same");
  assert.deepEqual(await first.rpc("chat.send", params), { runId: "same", status: "ok" });
  await gateway.kill();
  await gateway.start();
  const second = await gateway.connect();
  assert.deepEqual(await second.rpc("chat.send", params), { runId: "same", status: "ok" });
  const conflict = await second.ask("chat.send", { ...params, message: "something else" });
  assert.equal(conflict.error.code, "INVALID_REQUEST");
  assert.match(conflict.error.message, /^This message ID was already used for different input\./);
  assert.deepEqual(conflict.error.details, { reason: "chat-request-conflict" });
  const { messages } = await second.rpc("chat.history", { sessionKey: "main" });
  assert.equal(messages.length, 2);
  assert.equal(model.requests.length, 1);
});

test("chat.abort ends the running reply, keeps what was said, and what waits behind it goes on", async (t) => {
  const held = Promise.withResolvers<void>();
  const model = await startModelServer({
    wire: "openai-completions",
    script: (_body, n) => (n === 1 ? [{ text: "half" }, { wait: held.promise }] : [{ text: "second" }]),
  });
  t.after(() => model.close());
  t.after(() => held.resolve());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  await client.rpc("chat.send", { sessionKey: "main", message: "one", idempotencyKey: "a" });
  await client.waitFor(({ event, payload }) => event === "chat" && payload.state === "delta");
  await client.rpc("chat.send", { sessionKey: "main", message: "two", idempotencyKey: "b" });
  assert.deepEqual(await client.rpc("chat.abort", { sessionKey: "main", runId: "a" }), {
    ok: true,
    aborted: true,
    runIds: ["a"],
  });
  const end = await client.chatEnd("a");
  assert.equal(end.state, "aborted");
  assert.equal(end.message.content[0].text, "half");
  assert.equal((await client.chatEnd("b")).message.content[0].text, "second");
  assert.deepEqual(await client.rpc("chat.abort", { sessionKey: "main" }), {
    ok: true,
    aborted: false,
    runIds: [],
  });
  const { messages } = await client.rpc("chat.history", { sessionKey: "main" });
  assert.deepEqual(
    messages.map((message: { role: string; stopReason?: string }) => [message.role, message.stopReason]),
    [
      ["user", undefined],
      ["assistant", "aborted"],
      ["user", undefined],
      ["assistant", "stop"],
    ],
  );
});

test("agent answers twice, agent.wait hears the end, a failed run is an error with its reason", async (t) => {
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) =>
      JSON.stringify(body.messages.at(-1)).includes("fail")
        ? [{ status: 401, body: { error: { message: "bad key" } } }]
        : [{ text: "done" }],
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  const answered = client.rpc("agent", { message: "go", idempotencyKey: "r1", sessionKey: "main" });
  const waited = client.rpc("agent.wait", { runId: "r1", timeoutMs: 20_000 });
  const final = await answered;
  assert.equal(final.status, "ok");
  assert.equal(final.summary, "completed");
  assert.deepEqual(final.result.payloads, [{ text: "done", mediaUrl: null }]);
  assert.equal((await waited).status, "ok");
  const accepted = client.frames.find((frame) => frame.payload?.status === "accepted");
  assert.equal(accepted.payload.runId, "r1");
  assert.equal(accepted.payload.sessionKey, "agent:main:main");
  assert.deepEqual(await client.rpc("agent.wait", { runId: "nobody", timeoutMs: 0 }), {
    runId: "nobody",
    status: "timeout",
  });
  const failed = await client.ask("agent", { message: "fail", idempotencyKey: "r2" });
  assert.equal(failed.ok, false);
  assert.equal(failed.error.code, "UNAVAILABLE");
  assert.equal(failed.payload.status, "error");
  assert.doesNotMatch(JSON.stringify(failed), /mock-key/);
});

test("agent with a key that ran before answers once, from what is on disk, also after a restart", async (t) => {
  const model = await startModelServer({ wire: "openai-completions", script: () => [{ text: "kept" }] });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const params = { message: "go", idempotencyKey: "r1", sessionKey: "main", timeout: 20 };
  const first = await gateway.connect();
  const once = await first.rpc("agent", params);
  const again = await first.rpc("agent", params);
  assert.deepEqual(again.result.payloads, once.result.payloads);
  await gateway.kill();
  await gateway.start();
  const second = await gateway.connect();
  const afterRestart = await second.rpc("agent", { ...params, timeout: 2 });
  assert.deepEqual(afterRestart.result.payloads, [{ text: "kept", mediaUrl: null }]);
  assert.equal(second.frames.filter((frame) => frame.payload?.status === "accepted").length, 0);
  assert.equal((await second.rpc("agent.wait", { runId: "r1", timeoutMs: 0 })).status, "ok");
  assert.equal(model.requests.length, 1);
});

const invalidParams = [
  {
    method: "chat.history",
    params: { sessionKey: "main", limit: "x" },
    message: "invalid chat.history params: at /limit: must be integer",
  },
  {
    method: "chat.send",
    params: { sessionKey: "main", message: "x" },
    message: "invalid chat.send params: at root: must have required property 'idempotencyKey'",
  },
  { method: "sessions.list", params: [], message: "invalid sessions.list params: at root: must be object" },
  { method: "nope.method", params: {}, message: "unknown method: nope.method" },
  { method: "connect", params: {}, message: "connect is only valid as the first request" },
  {
    method: "chat.send",
    params: { sessionKey: "main", message: "  ", idempotencyKey: "e" },
    message: "message or attachment required",
  },
  {
    method: "chat.send",
    params: { sessionKey: "agent:nope:main", message: "x", idempotencyKey: "f" },
    message: 'Agent "nope" no longer exists in configuration',
  },
  {
    method: "exec.approval.resolve",
    params: { id: "none", decision: "deny" },
    message: "unknown or expired approval id",
  },
];

test("what is wrong with a request is said in the wire's words, and the socket stays open", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect();
  for (const { method, params, message } of invalidParams) {
    const answer = await client.ask(method, params);
    assert.equal(answer.ok, false, method);
    assert.equal(answer.error.code, "INVALID_REQUEST", method);
    assert.equal(answer.error.message, message);
  }
  client.sendRaw("{ this is not JSON");
  client.sendRaw(Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), { binary: true });
  client.sendRaw('{"type":"req","id":"z","method":"health","bogus":1}');
  assert.match(
    (await client.answerTo("z")).error.message,
    /^invalid request frame: at root: unexpected property 'bogus'/,
  );
  client.sendRaw('{"type":"req","id":7,"method":"health"}');
  assert.match((await client.answerTo(7)).error.message, /^invalid request frame: /);
  client.sendRaw('{"type":"req"}');
  assert.match((await client.answerTo("invalid")).error.message, /^invalid request frame: /);
  const before = client.frames.length;
  client.sendRaw('{"type":"res","id":"y","ok":true}');
  assert.match((await client.answerTo("y")).error.message, /^invalid request frame: /);
  assert.equal(client.frames.length, before + 1);
  client.sendRaw(Buffer.from('{"type":"req","id":"binary","method":"health"}'), { binary: true });
  assert.equal((await client.answerTo("binary")).ok, true);
  assert.equal((await client.rpc("health")).ok, true);
});

test("control (2): scope comes before existence and before the shape of parameters", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const nobody = await gateway.connect({ scopes: [] });
  assert.deepEqual(nobody.hello.auth.scopes, []);
  assert.equal((await nobody.rpc("health")).ok, true);
  for (const [method, scope] of [
    ["sessions.list", "operator.read"],
    ["chat.send", "operator.write"],
    ["nope.method", "operator.admin"],
    ["exec.approval.resolve", "operator.approvals"],
    ["channels.pairing.approve", "operator.pairing"],
    ["config.patch", "operator.admin"],
  ] as const) {
    const answer = await nobody.ask(method, { shape: "wrong" });
    assert.deepEqual(
      answer.error,
      {
        code: "FORBIDDEN",
        message: `missing scope: ${scope}`,
        details: { code: "MISSING_SCOPE", missingScope: scope, requiredScopes: [scope] },
      },
      method,
    );
  }
  const writer = await gateway.connect({ scopes: ["operator.write"] });
  const reset = await writer.ask("chat.send", { sessionKey: "main", message: "/reset", idempotencyKey: "r" });
  assert.equal(reset.error.details.missingScope, "operator.admin");
});

test("before connect: what is malformed, foreign or too large ends the socket as documented", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const cases: { name: string; send: string; close: [number, string]; error?: RegExp }[] = [
    { name: "not JSON", send: "hello", close: [1000, ""] },
    { name: "not a request", send: '{"hello":1}', close: [1008, "invalid request frame"] },
    {
      name: "another method",
      send: '{"type":"req","id":"1","method":"health"}',
      close: [1008, "invalid handshake: first request must be connect"],
      error: /^invalid handshake: first request must be connect$/,
    },
    {
      name: "params of a wrong shape",
      send: '{"type":"req","id":"1","method":"connect","params":{"minProtocol":4,"maxProtocol":4,"foo":1}}',
      close: [1008, ""],
      error: /^invalid connect params: /,
    },
    { name: "too large", send: `"${"x".repeat(65_536)}"`, close: [1009, ""] },
  ];
  for (const { name, send, close, error } of cases) {
    const client = await gateway.socket();
    client.sendRaw(send);
    const { code, reason } = await client.closed;
    assert.equal(code, close[0], name);
    if (close[1] !== "") assert.equal(reason, close[1], name);
    if (error) assert.match(client.frames.at(-1).error.message, error, name);
    else assert.equal(client.frames.length, 1, `${name}: nothing but the challenge was said`);
  }
});

test("connect: each way to fail has its code, details and close", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const cli = { id: "cli", version: "1", platform: "linux", mode: "cli" };
  const token = "test-gateway-token-0123456789abcdef";
  const cases = [
    {
      change: { minProtocol: 5, maxProtocol: 5 },
      code: "INVALID_REQUEST",
      detail: "PROTOCOL_MISMATCH",
      close: 1002,
    },
    // Older versions are for probes and nodes, and for who says that he is one in both places.
    ...[
      { minProtocol: 1, maxProtocol: 3 },
      { minProtocol: 3, maxProtocol: 3, client: { ...cli, id: "node-host", mode: "node" } },
      { minProtocol: 3, maxProtocol: 3, role: "node" },
      { minProtocol: 1, maxProtocol: 2, client: { ...cli, mode: "probe" } },
    ].map((change) => ({ change, code: "INVALID_REQUEST", detail: "PROTOCOL_MISMATCH", close: 1002 })),
    { change: { auth: undefined }, code: "NOT_PAIRED", detail: "DEVICE_IDENTITY_REQUIRED", close: 1008 },
    { change: { auth: { token: "" } }, code: "NOT_PAIRED", detail: "DEVICE_IDENTITY_REQUIRED", close: 1008 },
    {
      change: { auth: { token: "wrong" } },
      code: "INVALID_REQUEST",
      detail: "AUTH_TOKEN_MISMATCH",
      close: 1008,
    },
    {
      change: { client: { ...cli, id: "openclaw-control-ui", mode: "ui" } },
      code: "INVALID_REQUEST",
      detail: "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
      close: 1008,
    },
    {
      change: { client: { ...cli, id: "webchat", mode: "webchat" } },
      code: "INVALID_REQUEST",
      detail: "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
      close: 1008,
    },
    { change: { role: "worker" }, code: "INVALID_REQUEST", detail: undefined, close: 1008 },
    { change: { role: "node" }, code: "NOT_PAIRED", detail: "DEVICE_IDENTITY_REQUIRED", close: 1008 },
  ];
  for (const { change, code, detail, close } of cases) {
    const client = await gateway.socket();
    const params = {
      minProtocol: 4,
      maxProtocol: 4,
      client: cli,
      scopes: ["operator.admin"],
      auth: { token },
      ...change,
    };
    const answer = await client.ask("connect", params);
    const name = JSON.stringify(change);
    assert.equal(answer.ok, false, name);
    assert.equal(answer.error.code, code, name);
    assert.equal(answer.error.details?.code, detail, name);
    assert.equal((await client.closed).code, close, name);
    assert.doesNotMatch(JSON.stringify(answer), new RegExp(token), name);
  }
  // The two command-line kinds keep what they ask for; whoever else comes without a device keeps nothing.
  for (const [clientId, mode, kept] of [
    ["cli", "cli", true],
    ["gateway-client", "backend", true],
    ["cli", "probe", false],
    ["test", "test", false],
    ["gateway-client", "cli", false],
  ] as const) {
    const client = await gateway.connect({ clientId, mode, scopes: ["operator.read"] });
    assert.deepEqual(client.hello.auth.scopes, kept ? ["operator.read"] : [], `${clientId}/${mode}`);
    client.close();
  }
  await assert.rejects(gateway.connect({ token: "wrong" }), RpcError);
});

test("network (4): the 33rd socket of an address that has not signed in is refused; one that has frees its place", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const sockets = await Promise.all(Array.from({ length: 32 }, () => gateway.socket()));
  await assert.rejects(gateway.socket());
  await sockets[0]?.rpc("connect", {
    minProtocol: 4,
    maxProtocol: 4,
    client: { id: "cli", version: "1", platform: "linux", mode: "cli" },
    auth: { token: "test-gateway-token-0123456789abcdef" },
  });
  await gateway.socket();
});

test("a message of 100 MB ends its own socket and nothing else", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const other = await gateway.connect();
  const client = await gateway.connect();
  client.sendRaw(
    JSON.stringify({
      type: "req",
      id: "big",
      method: "chat.send",
      params: { message: "x".repeat(100_000_000) },
    }),
  );
  assert.ok([1009, 1006].includes((await client.closed).code));
  assert.equal((await other.rpc("health")).ok, true);
  const long = await other.ask("chat.send", {
    sessionKey: "main",
    message: "y".repeat(20_000_000),
    idempotencyKey: "long",
  });
  assert.equal(long.error.code, "INVALID_REQUEST");
  assert.equal(long.error.details.reason, "session.message_too_large");
  assert.equal((await other.rpc("sessions.list", {})).count, 0);
});

test("10,000 messages at once over ten sessions: each is answered, none is lost or run twice", async (t) => {
  let calls = 0;
  const model = await startModelServer({
    wire: "openai-completions",
    script: () => {
      calls += 1;
      return [{ text: "ok" }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: { ...modelConfig(model.url), logging: { file: "/dev/null" } },
  });
  const client = await gateway.connect({ scopes: ["operator.write"] });
  const sent = Array.from({ length: 10_000 }, (_, n) => ({ session: `s${n % 10}`, key: `m${n}` }));
  const answers = await Promise.all(
    sent.map(({ session, key }) =>
      client.ask("chat.send", { sessionKey: session, message: key, idempotencyKey: key }),
    ),
  );
  const accepted = sent.filter((_, n) => answers[n]?.ok);
  for (const answer of answers.filter((item) => !item.ok)) {
    assert.equal(answer.error.code, "UNAVAILABLE");
    assert.equal(answer.error.retryable, true);
  }
  assert.ok(accepted.length >= 1000);
  await Promise.all(accepted.map(({ key }) => client.chatEnd(key)));
  assert.equal(calls, accepted.length);
  assert.equal((await client.rpc("health")).activeRuns, 0);
  // In each session the messages stand in the order in which they were sent.
  for (const session of ["s0", "s7"]) {
    const { messages } = await client.rpc("chat.history", { sessionKey: session, limit: 1000 });
    const said = messages
      .filter((message: { role: string }) => message.role === "user")
      .map((message: { content: string }) => message.content);
    const expected = accepted.filter((item) => item.session === session).map((item) => item.key);
    assert.deepEqual(said, expected.slice(-said.length));
  }
});
