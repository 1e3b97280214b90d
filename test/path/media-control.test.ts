/** Files of a reply for control clients, over real sockets: in the events and the history, and fetched by who may. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runCommand } from "../support/command-line.ts";
import { GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import { type Script, startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
const html = Buffer.from("<!doctype html><script>alert(1)</script>");

async function house(t: TestContext, script: Script, more: Record<string, unknown> = {}) {
  const model = await startModelServer({ wire: "openai-completions", script });
  t.after(() => model.close());
  const gateway = await GatewayProcess.prepare(t, { config: { ...modelConfig(model.url), ...more } });
  const workspace = join(gateway.stateFolder, "workspace");
  mkdirSync(join(workspace, "charts"), { recursive: true });
  writeFileSync(join(workspace, "charts/october.png"), png);
  writeFileSync(join(workspace, "drawing.svg"), svg);
  writeFileSync(join(workspace, "lies.png"), html);
  return { model, gateway, workspace };
}

const says =
  (...pieces: readonly string[]): Script =>
  () =>
    pieces.map((text) => ({ text }));

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function get(gateway: GatewayProcess, path: string, headers: Record<string, string> = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const asked = { host: "127.0.0.1", port: gateway.port, path, headers, agent: false };
    const call = request(asked, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(pieces),
        }),
      );
    });
    call.on("error", reject);
    call.end();
  });
}

const env = { OPENCLAW_GATEWAY_TOKEN: gatewayToken };
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const owner = bearer(gatewayToken);

interface Block {
  readonly type: string;
  readonly text?: string;
  readonly fileName?: string;
  readonly mimeType?: string;
  readonly sizeBytes?: number;
  readonly url?: string;
}

async function lastReply(client: { rpc(method: string, params: unknown): Promise<{ messages: unknown[] }> }) {
  const { messages } = await client.rpc("chat.history", { sessionKey: "main" });
  return messages.at(-1) as { content: readonly Block[]; delivered?: unknown };
}

async function cookieOf(gateway: GatewayProcess): Promise<string> {
  const body = JSON.stringify({ token: gatewayToken });
  const answer = await fetch(`${gateway.url}auth/sign-in`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  return answer.headers.getSetCookie()[0]?.split(";")[0] ?? "";
}

const shownFolder = (gateway: GatewayProcess) => join(gateway.stateFolder, "media/shown");
const shownFiles = (gateway: GatewayProcess) =>
  existsSync(shownFolder(gateway))
    ? readdirSync(shownFolder(gateway), { recursive: true, encoding: "utf8" }).filter((path) =>
        path.includes("/"),
      )
    : [];

test("control (8): a file that a reply names is a block of the final event, of session.message and of history, also after a restart", async (t) => {
  const { gateway, workspace, model } = await house(
    t,
    says("Here is the", " chart.\nMED", "IA:charts/october.png\nAnd", " more."),
  );
  await gateway.start();
  const client = await gateway.connect();
  await client.rpc("sessions.messages.subscribe", { key: "main" });
  const end = await client.say("show me");
  const text = "Here is the chart.\nAnd more.";
  const [words, file, ...none] = end.message.content as Block[];
  assert.deepEqual([words, none], [{ type: "text", text }, []]);
  assert.equal(file?.fileName, "october.png");
  const { url = "", ...facts } = file ?? {};
  assert.deepEqual(facts, {
    type: "attachment",
    fileName: "october.png",
    mimeType: "image/png",
    sizeBytes: 70,
  });
  // No delta ever held the line, and together they are the reply.
  const deltas = client.events.filter(({ event, payload }) => event === "chat" && payload.state === "delta");
  assert.equal(deltas.map(({ payload }) => payload.deltaText).join(""), text);
  assert.doesNotMatch(JSON.stringify(client.events), /MEDIA/);
  const written = client.events.findLast(({ event }) => event === "session.message")?.payload.message;
  assert.deepEqual(written.content, end.message.content);
  assert.equal(written.delivered, undefined, "how it is stored is none of the wire's");
  assert.deepEqual((await lastReply(client)).content, end.message.content);

  const got = await get(gateway, url, owner);
  assert.deepEqual([got.status, got.body], [200, png]);
  // What the workspace becomes changes nothing of what was said.
  rmSync(join(workspace, "charts"), { recursive: true });
  await gateway.kill();
  await gateway.start();
  const again = await gateway.connect();
  assert.deepEqual((await lastReply(again)).content, end.message.content);
  assert.deepEqual((await get(gateway, url, owner)).body, png);
  // The model is shown its own words.
  await again.say("thanks");
  assert.match(JSON.stringify(model.requests.at(-1)?.body.messages), /MEDIA:charts\/october\.png/);
});

test("http-api (9): the type is told by the content; only a picture that runs nothing is shown in its place (A-157)", async (t) => {
  const { gateway } = await house(t, says("MEDIA:charts/october.png\nMEDIA:drawing.svg\nMEDIA:lies.png"));
  await gateway.start();
  const client = await gateway.connect();
  const blocks = (await client.say("show")).message.content as Block[];
  const [, picture, drawing, lies] = blocks;
  assert.deepEqual(
    blocks.map((block) => [block.type, block.mimeType]),
    [
      ["text", undefined],
      ["attachment", "image/png"],
      ["attachment", "image/svg+xml"],
      ["attachment", "text/html"],
    ],
  );
  const shown = await get(gateway, picture?.url ?? "", owner);
  assert.equal(shown.headers["content-type"], "image/png");
  assert.match(shown.headers["content-disposition"] ?? "", /^inline; filename="october\.png"/);
  for (const [block, bytes] of [
    [drawing, svg],
    [lies, html],
  ] as const) {
    const { status, headers, body } = await get(gateway, block?.url ?? "", owner);
    assert.deepEqual([status, body], [200, bytes]);
    assert.equal(headers["content-type"], "application/octet-stream");
    assert.match(headers["content-disposition"] ?? "", /^attachment; /);
  }
  for (const { headers } of [shown, await get(gateway, lies?.url ?? "", owner)]) {
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["content-security-policy"], "default-src 'none'; sandbox; frame-ancestors 'none'");
    assert.equal(headers["cross-origin-resource-policy"], "same-origin");
    assert.equal(headers["cache-control"], "no-store");
  }
});

test("http-api (9): a file is had with the page's cookie or a token of that session, and is not there for others", async (t) => {
  const { gateway } = await house(t, says("MEDIA:charts/october.png"), {
    agents: {
      ...(modelConfig("") as { agents: object }).agents,
      list: [{ id: "main", default: true }, { id: "work" }],
    },
  });
  await gateway.start();
  const client = await gateway.connect();
  const url = ((await client.say("show")).message.content as Block[]).at(-1)?.url ?? "";
  const cookie = await cookieOf(gateway);
  const admin = await gateway.connect({ scopes: ["operator.admin"] });
  let made = 0;
  const tokenOf = async (limits: object): Promise<string> =>
    (await admin.rpc("tokens.create", { name: `reader-${++made}`, ...limits })).token;
  const read = { scopes: ["operator.read"] };
  const own = bearer(await tokenOf({ ...read, agents: ["main"] }));
  const others = bearer(await tokenOf({ ...read, agents: ["work"] }));
  const approver = bearer(await tokenOf({ scopes: ["operator.approvals"] }));
  const asked: readonly (readonly [string, Record<string, string>, number])[] = [
    ["the secret", owner, 200],
    ["the page", { cookie }, 200],
    ["a token of the agent", own, 200],
    ["nobody", {}, 401],
    ["a cookie that is none", { cookie: `${cookie}x` }, 401],
    ["a wrong secret", bearer("wrong"), 401],
    ["a wrong secret beside a cookie", { ...bearer("wrong"), cookie }, 401],
    ["a token without the scope", approver, 403],
    ["a token of another agent", others, 404],
    ["another agent's token beside a cookie", { ...others, cookie }, 404],
    ["another site's page", { cookie, "sec-fetch-site": "cross-site" }, 403],
    ["a page of the same host's other port", { cookie, "sec-fetch-site": "same-site" }, 403],
  ];
  for (const [who, headers, status] of asked)
    assert.equal((await get(gateway, url, headers)).status, status, who);
  // The cookie opens nothing that does something.
  const { port } = gateway;
  const invoked = await fetch(`http://127.0.0.1:${port}/tools/invoke`, {
    method: "POST",
    headers: { cookie, "content-type": "application/json" },
    body: JSON.stringify({ tool: "read", args: { path: "lies.png" } }),
  });
  assert.equal(invoked.status, 401);
  // Signed out is signed out.
  await fetch(`http://127.0.0.1:${port}/auth/sign-out`, { method: "POST", headers: { cookie }, body: "{}" });
  assert.equal((await get(gateway, url, { cookie })).status, 401);
});

test("http-api (9): no query reaches another file, and what is not there does not differ from what may not be seen", async (t) => {
  const { gateway } = await house(t, (_body, n) => [
    { text: n === 1 ? "MEDIA:charts/october.png" : "MEDIA:lies.png" },
  ]);
  await gateway.start();
  const client = await gateway.connect();
  const url = ((await client.say("one", "main")).message.content as Block[]).at(-1)?.url ?? "";
  const other = ((await client.say("two", "agent:main:other")).message.content as Block[]).at(-1)?.url ?? "";
  const asks = (change: Record<string, string>): string => {
    const [path, query] = url.split("?");
    const params = new URLSearchParams(query);
    for (const [name, value] of Object.entries(change)) params.set(name, value);
    return `${path}?${params}`;
  };
  const otherName = new URLSearchParams(other.split("?")[1]).get("file") ?? "";
  const file = new URLSearchParams(url.split("?")[1]).get("file") ?? "";
  const [sessionId = ""] = shownFiles(gateway)[0]?.split("/") ?? [];
  const wrong = [
    "/chat/files",
    "/chat/files?",
    asks({ file: "" }),
    asks({ file: otherName }),
    asks({ file: `../${sessionId}/${file}` }),
    asks({ file: "../../../openclaw.json" }),
    asks({ file: "/etc/passwd" }),
    asks({ file: `${file}\0` }),
    asks({ session: "agent:main:nobody" }),
    asks({ session: "agent:main:other" }),
    asks({ session: "agent:gone:main" }),
    asks({ session: "\0" }),
    asks({ session: "__proto__" }),
    asks({ entry: "0" }),
    asks({ entry: "1" }),
    asks({ entry: "-1" }),
    asks({ entry: "1e3" }),
    asks({ entry: "999999999999999999" }),
  ];
  assert.equal((await get(gateway, asks({}), owner)).status, 200);
  const answers = new Set<string>();
  for (const path of wrong) {
    const { status, body } = await get(gateway, path, owner);
    assert.equal(status, 404, path);
    answers.add(String(body));
  }
  assert.equal(answers.size, 1);
  for (const path of ["/chat/files/", "/chat/files/x", "/chat/../openclaw.json", "/chat/files%2f..%2f"])
    assert.notEqual((await get(gateway, path, owner)).status, 200, path);
});

test("http-api (9): a copy that was changed, or is a link, is not given out (A-146)", async (t) => {
  const { gateway } = await house(t, says("MEDIA:charts/october.png"));
  await gateway.start();
  const client = await gateway.connect();
  const url = ((await client.say("show")).message.content as Block[]).at(-1)?.url ?? "";
  const [name = ""] = shownFiles(gateway);
  const copy = join(shownFolder(gateway), name);
  const secret = join(gateway.folder, "secret.png");
  writeFileSync(secret, png);
  // The same bytes: it is the link that is refused.
  rmSync(copy);
  symlinkSync(secret, copy);
  assert.equal((await get(gateway, url, owner)).status, 404);
  rmSync(copy);
  writeFileSync(copy, Buffer.concat([png.subarray(0, -1), Buffer.from("x")]));
  assert.equal((await get(gateway, url, owner)).status, 404);
  rmSync(copy);
  assert.equal((await get(gateway, url, owner)).status, 404);
  writeFileSync(copy, png);
  assert.equal((await get(gateway, url, owner)).status, 200);
});

test("control (8): what a channel would not send is not shown either, and the reply says why (A-148, A-150)", async (t) => {
  const names = [
    "../state/gateway.sqlite",
    "/etc/passwd",
    "~/.openclaw/openclaw.json",
    "out.png",
    "gone.png",
    "file:///etc/hosts",
  ];
  const { gateway, workspace } = await house(
    t,
    says(["Well:", ...names.map((name) => `MEDIA:${name}`)].join("\n")),
  );
  symlinkSync("/etc/passwd", join(workspace, "out.png"));
  await gateway.start();
  const client = await gateway.connect();
  const [words, ...files] = (await client.say("show")).message.content as Block[];
  assert.deepEqual(files, []);
  assert.equal(words?.text?.match(/^\[a file was not sent: /gm)?.length, names.length);
  assert.match(words?.text ?? "", /^Well:\n/);
  assert.deepEqual(shownFiles(gateway), []);

  const { gateway: narrow } = await house(t, says("MEDIA:lies.png"), { tools: { deny: ["read"] } });
  await narrow.start();
  const denied = await (await narrow.connect()).say("show");
  assert.equal(denied.message.content.length, 1);
  assert.match(denied.message.content[0].text, /^\[a file was not sent: /);
});

test("control (8): a file goes with its session", async (t) => {
  const { gateway } = await house(t, says("MEDIA:charts/october.png"));
  await gateway.start();
  const client = await gateway.connect();
  const url = ((await client.say("show", "agent:main:short")).message.content as Block[]).at(-1)?.url ?? "";
  assert.equal(shownFiles(gateway).length, 1);
  await client.rpc("sessions.delete", { key: "agent:main:short" });
  assert.deepEqual(shownFiles(gateway), []);
  assert.equal((await get(gateway, url, owner)).status, 404);
});

test("control (8): `agent` gives each file an address beside the text", async (t) => {
  const { gateway } = await house(t, says("Look.\nMEDIA:charts/october.png"));
  await gateway.start();
  const client = await gateway.connect();
  const params = { message: "show", idempotencyKey: "r", sessionKey: "main" };
  const { payloads } = (await client.rpc("agent", params)).result;
  const url = (await lastReply(client)).content.at(-1)?.url;
  assert.deepEqual(payloads, [
    { text: "Look.", mediaUrl: null },
    { text: "", mediaUrl: url, fileName: "october.png", mimeType: "image/png", sizeBytes: 70 },
  ]);
  await gateway.kill();
  await gateway.start();
  const again = await gateway.connect();
  assert.deepEqual((await again.rpc("agent", params)).result.payloads, payloads);
});

test("control (8): of a file that went to a chat app its readers here learn the name, and there is no second copy", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const telegram = { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42"] };
  const { gateway } = await house(t, says("Look.\nMEDIA:charts/october.png"), { channels: { telegram } });
  await gateway.start();
  const client = await gateway.connect();
  fake.deliver("show me");
  const ends = ({ event, payload }: { event: string; payload: { state?: string } }) =>
    event === "chat" && payload.state === "final";
  const { payload } = await client.waitFor(ends);
  assert.deepEqual(payload.message.content, [
    { type: "text", text: "Look." },
    { type: "attachment", fileName: "october.png", mimeType: "image/png", sizeBytes: 70 },
  ]);
  await fake.sentCount(2);
  assert.deepEqual(shownFiles(gateway), []);
});

test("cli (5): the terminal says of each file what it is and where: the copy on this machine, or its address", async (t) => {
  const { gateway } = await house(t, says("Look.\nMEDIA:charts/october.png"));
  await gateway.start();
  const { stateFolder, port } = gateway;
  const chat = await runCommand(["chat"], { stateFolder, port, input: "show me\n", env });
  assert.equal(chat.code, 0, chat.err);
  const [name = ""] = shownFiles(gateway);
  const here = `↓ october.png (image/png, 70 bytes): ${join(shownFolder(gateway), name)}`;
  assert.ok(chat.out.includes(`● Look.\n  ${here}\n`), chat.out);
  const agent = await runCommand(["agent", "--message", "show me"], { stateFolder, port, env });
  const second = shownFiles(gateway).find((path) => path !== name) ?? "";
  assert.equal(agent.out, `Look.\n${here.replace(name, second)}\n`);
  // The same from another machine: nothing of that gateway's state is here.
  const elsewhere = join(gateway.folder, "elsewhere");
  mkdirSync(elsewhere, { mode: 0o700 });
  const away = await runCommand(["chat"], { stateFolder: elsewhere, port, input: "show me\n", env });
  const address = /: (http:\S+)$/m.exec(away.out)?.[1] ?? "";
  assert.ok(address.startsWith(`http://127.0.0.1:${port}/chat/files?`), away.out);
  assert.deepEqual((await get(gateway, address.slice(`http://127.0.0.1:${port}`.length), owner)).body, png);
});

test("control (8): over the OpenAI wire a file is a line at the end, streamed or not, and for a repeated request too", async (t) => {
  const http = { endpoints: { chatCompletions: { enabled: true } } };
  const { gateway } = await house(t, says("Look.\nMEDIA:charts/", "october.png\nAnd more."), {
    gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token: gatewayToken }, http },
  });
  await gateway.start();
  const ask = (more: object) =>
    fetch(`http://127.0.0.1:${gateway.port}/v1/chat/completions`, {
      method: "POST",
      headers: { ...owner, "content-type": "application/json", "idempotency-key": JSON.stringify(more) },
      body: JSON.stringify({ model: "openclaw", messages: [{ role: "user", content: "show" }], ...more }),
    });
  const whole = async (): Promise<string> => {
    const answer = (await (await ask({})).json()) as { choices: { message: { content: string } }[] };
    return answer.choices[0]?.message.content ?? "";
  };
  const pattern =
    /^Look\.\nAnd more\.\n\[file: october\.png, image\/png, 70 bytes, at (\/chat\/files\?\S+)\]$/;
  const text = await whole();
  const [, url = ""] = pattern.exec(text) ?? [];
  assert.deepEqual((await get(gateway, url, owner)).body, png, text);
  const streamed = await (await ask({ stream: true })).text();
  const pieces = [...streamed.matchAll(/^data: (\{.*)$/gm)].map((found) => JSON.parse(found[1] ?? ""));
  assert.match(pieces.map((piece) => piece.choices[0]?.delta?.content ?? "").join(""), pattern);
  await gateway.kill();
  await gateway.start();
  assert.equal(await whole(), text);
});
