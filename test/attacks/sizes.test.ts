/** Attacks by size: what is too long, too deep or without end is cut off where it comes in, and the gateway goes on. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import type { Answer } from "../support/gateway-client.ts";
import { type Script, startModelServer } from "../support/model-servers/mod.ts";

async function start(t: TestContext, script: Script) {
  const model = await startModelServer({ wire: "openai-completions", script });
  t.after(() => model.close());
  const http = { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } };
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token: gatewayToken }, http },
    },
  });
  return { model, gateway, client: await gateway.connect() };
}

/** The gateway's memory, in MB; 0 where the system does not tell. */
function residentMb(gateway: GatewayProcess): number {
  if (process.platform !== "linux") return 0;
  const status = readFileSync(`/proc/${gateway.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

const mb = 1024 * 1024;
const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
const hello: Script = () => [{ text: "hello" }];

test("network (9): a body that says it is too long is refused by that word, and a file by its length before it is decoded (A-186)", async (t) => {
  const { gateway, client, model } = await start(t, hello);
  const before = residentMb(gateway);
  for (const path of ["/v1/responses", "/v1/chat/completions", "/tools/invoke"]) {
    const socket = connect(gateway.port, "127.0.0.1");
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${gatewayToken}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${200 * mb}\r\n\r\n{"input":[{`,
    );
    const [head] = await once(socket, "data");
    assert.match(String(head), /^HTTP\/1\.1 413 /, path);
    socket.destroy();
  }
  // Over a socket: a file's size is told from its text, and a frame over the limit ends its socket.
  const content = Buffer.alloc(12 * mb).toString("base64");
  for (const prefix of ["", "data:image/png;base64,"]) {
    const refused = await client.ask("chat.send", {
      sessionKey: "main",
      message: "x",
      idempotencyKey: "k",
      attachments: [{ type: "image", mimeType: "image/png", content: prefix + content }],
    });
    assert.match(refused.error.message, /attachments\[0\]: about \d+ bytes; at most/);
  }
  client.sendRaw("x".repeat(26 * mb));
  // 1009, unless the socket is gone before its reader gets to that word.
  assert.ok([1009, 1006].includes((await client.closed).code));
  assert.equal(model.requests.length, 0);
  assert.ok(residentMb(gateway) - before < 250, `${before} MB became ${residentMb(gateway)} MB`);
  const next = await gateway.connect();
  assert.equal((await next.say("hello")).state, "final");
});

test("control (3): a value nested two hundred thousand deep is an error of its request, in a frame, a body and a tool call (A-187)", async (t) => {
  const { gateway, client, model } = await start(t, (_, n) =>
    n === 1
      ? [{ call: { name: "read", arguments: `{"path":${deep(200_000)}}`, id: "call_1" } }]
      : [{ text: "done" }],
  );
  const base = gateway.url.replace(/\/$/, "");
  for (const [method, params] of [
    ["chat.send", `{"sessionKey":"main","idempotencyKey":"k","message":${deep(200_000)}}`],
    ["config.patch", `{"raw":"{}","baseHash":${deep(200_000)}}`],
    ["exec.approval.request", `{"command":"x","env":${deep(200_000)}}`],
    ["tools.invoke", `{"name":"read","args":{"path":${deep(200_000)}}}`],
    ["node.invoke", `{"nodeId":"x","command":"x","idempotencyKey":"x","params":${deep(200_000)}}`],
  ]) {
    client.sendRaw(`{"type":"req","id":"${method}","method":"${method}","params":${params}}`);
    const answer = await Promise.race([client.answerTo(method), client.closed]);
    const { ok, payload } = answer as Partial<Answer>;
    assert.notEqual(payload?.ok ?? ok, true, method);
  }
  const headers = { authorization: `Bearer ${gatewayToken}`, "content-type": "application/json" };
  for (const [path, body] of [
    ["/v1/chat/completions", `{"model":"openclaw","messages":${deep(200_000)}}`],
    ["/v1/responses", `{"model":"openclaw","input":${deep(200_000)}}`],
    ["/tools/invoke", `{"tool":"read","args":{"path":${deep(200_000)}}}`],
  ] as const)
    assert.equal((await fetch(`${base}${path}`, { method: "POST", headers, body })).status, 400, path);
  // The model is told that its call was refused, and goes on in the same conversation.
  const other = await gateway.connect();
  assert.equal((await other.say("go")).message.content[0].text, "done");
  assert.match(JSON.stringify(model.requests[1]?.body), /policy\.arguments_invalid/);
  assert.equal((await other.say("again")).state, "final");
});

/** One event of text, as the wire has it. */
const textEvent = (text: string) =>
  `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`;

const endless: readonly (readonly [what: string, chunk: string, times: number, said: RegExp])[] = [
  ["text", textEvent("x".repeat(1000)).repeat(1000), 2, /over 1 MB of text/],
  ["comments that keep the line alive", ": ping\n\n".repeat(100_000), 100, /over 64 MB/],
];
for (const [what, raw, times, said] of endless)
  test(`providers (2): an answer of ${what} without end is a fault, and its socket is closed (A-187)`, async (t) => {
    const { client, model, gateway } = await start(t, (_, n) =>
      n <= 4 ? [...Array(times).fill({ raw }), { wait: new Promise(() => {}) }] : [{ text: "hello" }],
    );
    const before = residentMb(gateway);
    const end = await client.say("go");
    assert.equal(end.state, "error");
    assert.match(end.errorMessage, said);
    assert.ok(residentMb(gateway) - before < 400, `${before} MB became ${residentMb(gateway)} MB`);
    const tries = model.requests.length;
    assert.ok(tries <= 4, `${tries} tries`);
    await client.say("hello", "agent:main:other");
  });

test("providers (2): an error whose body has no end is read up to its limit (A-187)", async (t) => {
  let sent = 0;
  const server = createServer((_, response) => {
    response.writeHead(400, { "content-type": "application/json" });
    const more = () => {
      while (!response.destroyed && response.write("x".repeat(64 * 1024))) sent += 64 * 1024;
    };
    response.on("drain", more);
    response.on("error", () => {});
    more();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const gateway = await GatewayProcess.start(t, { config: modelConfig(`http://127.0.0.1:${port}`) });
  const client = await gateway.connect();
  const end = await client.say("go");
  assert.equal(end.state, "error");
  assert.ok(end.errorMessage.length < 4096);
  assert.ok(sent < 64 * mb, `${sent} bytes were sent`);
  assert.equal((await client.rpc("health")).ok, true);
});

test("agent: a model that calls tools without end is stopped after its rounds, and the turn ends in words (A-190)", async (t) => {
  const { client, model, gateway } = await start(t, (body, n) =>
    body.tools?.length
      ? [{ call: { name: "read", arguments: '{"path":"."}', id: `call_${n}` } }]
      : [{ text: "I stopped." }],
  );
  const end = await client.say("go");
  assert.equal(end.message.content[0].text, "I stopped.");
  assert.equal(model.requests.length, 50);
  // What would start work by itself is not offered: no children, no jobs, no messages to other agents.
  const names = model.requests[0]?.body.tools.map(
    (tool: { function: { name: string } }) => tool.function.name,
  );
  assert.deepEqual(names.sort(), [
    "apply_patch",
    "edit",
    "exec",
    "extract",
    "process",
    "read",
    "undo",
    "web_fetch",
    "write",
  ]);
  assert.equal(gateway.running, true);
});

test("agent: a provider that always says the context is full is asked a few times, then the turn fails in words (A-190)", async (t) => {
  const { client, model } = await start(t, () => [
    {
      status: 400,
      body: {
        error: { code: "context_length_exceeded", message: "This model's maximum context length is 1 token" },
      },
    },
  ]);
  const end = await client.say("go");
  assert.equal(end.state, "error");
  assert.ok(model.requests.length <= 8, `${model.requests.length} requests`);
});

test("agent: a model's call of two hundred tools at once, and a tool's endless output, are cut (A-191)", async (t) => {
  const { client, model, gateway } = await start(t, (body, n) => {
    if (n === 1) return [{ call: { name: "read", arguments: '{"path":"long.txt"}', id: "call_1" } }];
    if (n === 2)
      return Array.from({ length: 200 }, (_, index) => ({
        call: { name: "read", arguments: '{"path":"."}', id: `many_${index}` },
      }));
    return [{ text: `result: ${JSON.stringify(body.messages.at(-1)).length}` }];
  });
  writeFileSync(join(gateway.stateFolder, "workspace", "long.txt"), "y\n".repeat(30 * mb));
  const end = await client.say("go");
  // An answer of two hundred calls is a fault: none of them is made, and the model is asked again.
  assert.match(end.message.content[0].text, /^result/);
  assert.doesNotMatch(JSON.stringify(model.requests[2]?.body), /many_/);
  const asked = JSON.stringify(model.requests[1]?.body);
  assert.ok(asked.length < 200_000, `${asked.length} characters`);
  assert.match(asked, /cut|more|lines/);
});

test("control (3): a hundred thousand mentions are one message, a name is not a message, and a history is shown in bounded parts (A-191)", async (t) => {
  const { client, model } = await start(t, hello);
  assert.equal((await client.say("@someone ".repeat(100_000))).state, "final");
  const { messages } = await client.rpc("chat.history", { sessionKey: "main" });
  assert.ok(JSON.stringify(messages).length < 2 * mb, `${JSON.stringify(messages).length} characters`);
  assert.equal(model.requests.length, 1);
  for (const params of [
    { sessionKey: "x".repeat(100_000), message: "x", idempotencyKey: "k" },
    { sessionKey: "main", message: "x", idempotencyKey: "k".repeat(100_000) },
  ])
    assert.equal((await client.ask("chat.send", params)).error.code, "INVALID_REQUEST");
});
