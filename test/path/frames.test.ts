/** Frames as nobody should send them, and events as nobody should miss them. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { TestDevice } from "../support/device.ts";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { connectParams, type GatewayClient, type Payload } from "../support/gateway-client.ts";
import { methodRows } from "../support/method-rows.ts";

const requestText = (id: unknown, method: unknown, params?: unknown) =>
  JSON.stringify({ type: "req", id, method, ...(params === undefined ? {} : { params }) });

test("control (1): before connect everything but connect ends the socket, and what is no request is not answered", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const silent: readonly (readonly [string, string | Buffer, number, string])[] = [
    ["an array", "[]", 1008, "invalid request frame"],
    ["an array with a request", `[${requestText("1", "connect", {})}]`, 1008, "invalid request frame"],
    ["null", "null", 1008, "invalid request frame"],
    ["a number", "7", 1008, "invalid request frame"],
    ["a text", '"connect"', 1008, "invalid request frame"],
    ["no id", '{"type":"req","method":"connect"}', 1008, "invalid request frame"],
    ["an id that is a number", requestText(1, "connect", {}), 1008, "invalid request frame"],
    ["an event", '{"type":"event","event":"tick"}', 1008, "invalid request frame"],
    [
      "an answer",
      '{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok"}}',
      1008,
      "invalid request frame",
    ],
    [
      "a further key",
      '{"type":"req","id":"1","method":"connect","role":"operator"}',
      1008,
      "invalid request frame",
    ],
    ["half of JSON", '{"type":"req","id":"1","meth', 1000, ""],
    ["nothing", "", 1000, ""],
    ["bytes that are no text", Buffer.from([0xff, 0xfe, 0x00]), 1000, ""],
  ];
  for (const [name, data, code, reason] of silent) {
    const socket = await gateway.socket();
    socket.sendRaw(data, { binary: typeof data !== "string" });
    assert.deepEqual(await socket.closed, { code, reason }, name);
    assert.equal(socket.frames.length, 1, `${name}: nothing but the challenge was said`);
  }
});

test("control (1): what is sent ahead of the answer to connect is not done", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const socket = await gateway.socket();
  const params = connectParams({ token: gatewayToken });
  socket.sendTogether([
    requestText("first", "connect", params),
    requestText("second", "connect", connectParams({ token: gatewayToken, scopes: [] })),
    requestText("ahead", "sessions.create", { key: "agent:main:ahead" }),
  ]);
  assert.equal((await socket.answerTo("first")).ok, true);
  assert.deepEqual((await socket.rpc("sessions.list")).sessions, []);
  assert.deepEqual(
    socket.frames
      .filter((frame) => frame.type === "res")
      .map((frame) => frame.id)
      .slice(0, 1),
    ["first"],
  );
  assert.ok(!socket.frames.some((frame) => frame.id === "second" || frame.id === "ahead"));
});

test("control (1): a request that nests without end is answered with what is wrong, whatever it is for", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const client = await gateway.connect();
  const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  const ask = (id: string, method: string, params: string) => {
    client.sendRaw(`{"type":"req","id":"${id}","method":"${method}","params":${params}}`);
    return client.answerTo(id);
  };
  const node = (levels: number) =>
    `{"nodeId":"${"0".repeat(64)}","command":"x","idempotencyKey":"k","params":${nested(levels)}}`;
  for (const levels of [250, 5000, 60_000]) {
    const { error } = await ask(`deep-${levels}`, "node.invoke", node(levels));
    assert.deepEqual(
      [error?.code, error?.message],
      ["INVALID_REQUEST", "invalid request frame: at /params: must nest at most 200 levels deep"],
    );
  }
  // As deep as may be is looked at like any other.
  assert.equal((await ask("ok", "node.invoke", node(190))).error?.details?.code, "PAIRING_CHANGED");
  const wide = `{"key":"main","label":${JSON.stringify("x".repeat(100_000))},"list":[${"[],".repeat(9999)}[]]}`;
  assert.doesNotMatch((await ask("wide", "sessions.describe", wide)).error?.message ?? "", /levels/);
  assert.doesNotMatch(await gateway.readLog(), /a method failed/);
});

test("control (1): ids are the client's business: two requests with one id are both answered", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const client = await gateway.connect();
  const before = client.frames.length;
  for (const method of ["health", "system-presence", "no.such.method"])
    client.sendRaw(requestText("same", method));
  await client.rpc("health");
  assert.equal(client.frames.slice(before).filter((frame) => frame.id === "same").length, 3);
});

test("control (1): after connect bytes that are no text are no frame, and what has no proper id is answered as invalid", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const client = await gateway.connect();
  const before = client.frames.length;
  // Read with the wrong bytes replaced this would be a request; it is none.
  client.sendRaw(Buffer.from(requestText("\u00ff", "health"), "latin1"), { binary: true });
  client.sendRaw(requestText("", "health"));
  assert.match((await client.answerTo("invalid")).error.message, /at \/id: must not be empty/);
  await client.rpc("health");
  assert.equal(client.frames.slice(before).filter((frame) => frame.type === "res").length, 2);
});

test("control (1): whatever a client sends, it keeps its socket, is told that it is wrong or nothing, and changes nothing", async (context) => {
  const gateway = await GatewayProcess.start(context);
  // Every scope but those that write: what is well formed by chance must still be refused.
  const client = await gateway.connect({ scopes: ["operator.read"] });
  const names = methodRows().map((row) => row.name);
  const writes = new Set(
    methodRows()
      .filter((row) => row.scope !== "operator.read")
      .map((row) => row.name),
  );
  const wild = fc.oneof(
    fc.record(
      {
        type: fc.oneof(fc.constant("req"), fc.constant("event"), fc.anything()),
        id: fc.oneof(fc.uuid(), fc.anything()),
        method: fc.oneof(fc.constantFrom(...names), fc.string()),
        params: fc.anything(),
        extra: fc.anything(),
      },
      { requiredKeys: [] },
    ),
    fc.anything(),
  );
  const text = wild.map(
    (value) => JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? 1 : part)) ?? "",
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(text, fc.string(), fc.uint8Array()), async (data) => {
      const before = client.frames.length;
      client.sendRaw(typeof data === "string" ? data : Buffer.from(data), {
        binary: typeof data !== "string",
      });
      assert.equal((await client.rpc("health")).ok, true);
      for (const frame of client.frames.slice(before)) {
        if (frame.type !== "res" || frame.ok) continue;
        assert.ok(
          ["INVALID_REQUEST", "FORBIDDEN", "UNAVAILABLE"].includes(frame.error.code),
          JSON.stringify(frame),
        );
      }
    }),
    { numRuns: 200 },
  );
  // And well-formed requests with wild parameters.
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), fc.jsonValue(), async (name, params) => {
      const answer = await client.ask(name, params);
      if (answer.ok) assert.ok(!writes.has(name) || name === "health", name);
      else assert.notEqual(answer.error.message, "the gateway failed on this request; see its log", name);
    }),
    { numRuns: 200 },
  );
  assert.deepEqual((await client.rpc("sessions.list")).sessions, []);
  const admin = await gateway.connect({ scopes: ["operator.admin"] });
  assert.deepEqual((await admin.rpc("audit.list", { kind: "admin" })).rows, []);
});

test("control (3): an administrator's wild parameters never bring a method down", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const admin = await gateway.connect({
    scopes: ["operator.admin", "operator.approvals", "operator.pairing", "operator.questions"],
  });
  // Those that wait for somebody, or end the gateway, by design.
  const byDesign = /wait|^agent$|approval\.request$|^gateway\.restart\.request$/;
  const rows = methodRows().filter((row) => row.role !== "node" && !byDesign.test(row.name));
  const params = (row: (typeof rows)[number]) =>
    fc.record(
      Object.fromEntries(
        Object.keys(row.params.properties ?? {}).map((key) => [
          key,
          fc.oneof(fc.constant("main"), fc.string(), fc.nat(), fc.boolean(), fc.jsonValue()),
        ]),
      ),
      { requiredKeys: [] },
    );
  const call = fc
    .constantFrom(...rows)
    .chain((row) => params(row).map((value) => ({ name: row.name, value })));
  await fc.assert(
    fc.asyncProperty(call, async ({ name, value }) => {
      const answer = await admin.ask(name, value);
      assert.notEqual(answer.error?.message, "the gateway failed on this request; see its log", name);
    }),
    { numRuns: 300 },
  );
  assert.equal((await admin.rpc("health")).ok, true);
});

/** Which events each kind of connection gets while a day's work is done (reference, table 8.2). */
const heard: Readonly<Record<string, readonly string[]>> = {
  none: ["health"],
  node: ["health"],
  "operator.questions": ["health", "question.requested", "question.resolved"],
  "operator.talk": ["health"],
  "operator.approvals": ["exec.approval.requested", "exec.approval.resolved", "health"],
  "operator.pairing": ["device.pair.changed", "health"],
  "operator.read": ["agent", "chat", "config.changed", "health", "presence"],
  "operator.write": ["agent", "chat", "config.changed", "health", "presence"],
  "operator.admin": [
    "agent",
    "chat",
    "config.changed",
    "device.pair.changed",
    "exec.approval.requested",
    "exec.approval.resolved",
    "health",
    "presence",
    "question.requested",
    "question.resolved",
  ],
};

test("control (4): each kind of connection hears what its scopes cover, numbered without gaps, and nothing else (A-019)", async (context) => {
  const gateway = await GatewayProcess.start(context);
  const admin = await gateway.connect({
    scopes: ["operator.admin", "operator.approvals", "operator.pairing"],
  });
  const auth = { token: gatewayToken };
  const clients: [string, GatewayClient][] = [];
  for (const kind of Object.keys(heard)) {
    if (kind === "node") {
      const { client } = await new TestDevice().connect(gateway, { auth, role: "node", mode: "node" });
      clients.push([kind, client]);
    } else clients.push([kind, await gateway.connect({ scopes: kind === "none" ? [] : [kind] })]);
  }
  // A day's work: a turn, a setting, a device with a new name, an approval, a question, and health that is told.
  await admin.say("hello");
  const { hash } = await admin.rpc("config.get");
  await admin.rpc("config.patch", { raw: '{"ui":{"assistant":{"name":"Ada"}}}', baseHash: hash });
  const { client: phone } = await new TestDevice().connect(gateway, { auth, scopes: ["operator.read"] });
  const [device] = (await admin.rpc("device.pair.list")).paired.filter(
    (row: Payload) => row.role === "operator",
  );
  await admin.rpc("device.pair.rename", { deviceId: device.deviceId, label: "phone" });
  await phone.close();
  const id = randomUUID();
  const asking = admin.ask("exec.approval.request", { id, command: "ls", twoPhase: true });
  await admin.waitFor((event) => event.event === "exec.approval.requested");
  await admin.rpc("exec.approval.resolve", { id, decision: "deny" });
  await asking;
  const asked = { questionId: "q", header: "", question: "Well?", options: [] };
  const { id: questionId } = await admin.rpc("question.request", { questions: [asked] });
  await admin.rpc("question.resolve", { id: questionId, answers: { answers: { q: ["yes"] } } });
  await admin.rpc("health", { probe: true });
  await admin.waitFor((event) => event.event === "presence");
  const last = clients.map(([, client]) => client.waitFor((event) => event.event === "health"));
  await Promise.all(last);
  for (const [kind, client] of clients) {
    await client.rpc("health");
    const names = new Set(
      client.events
        .map((event) => event.event)
        .filter((name) => !/^(?:connect\.challenge|tick|voicewake|node\.)/.test(name)),
    );
    assert.deepEqual([...names].sort(), heard[kind], kind);
  }
});
