/** Every right that can be taken away: its connections close, and what was begun by it stops, within a second. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { TestDevice } from "../support/device.ts";
import { type GatewayClient, GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import { connectParams, type Payload } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

const auth = { token: gatewayToken };
const hooksToken = "hooks-token-0123456789abcdef";
const password = "password-of-this-machine-only-0123";
const http = { endpoints: { chatCompletions: { enabled: true } } };
const withToken = { mode: "local", bind: "loopback", http, auth: { mode: "token", token: gatewayToken } };
const behindProxy = {
  mode: "local",
  bind: "loopback",
  http,
  trustedProxies: ["127.0.0.1"],
  controlUi: { allowedOrigins: ["https://gw.example"] },
  auth: {
    mode: "trusted-proxy",
    password,
    trustedProxy: {
      userHeader: "x-user",
      allowUsers: ["me@example.com", "you@example.com"],
      allowLoopback: true,
      deviceAutoApprove: { enabled: true },
    },
    identityScopes: { "me@example.com": ["operator.write"], "you@example.com": ["operator.write"] },
  },
};
const proxied = (user: string) => ({
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-proto": "https",
  host: "gw.example",
  "x-user": user,
});

interface Scene {
  readonly gateway: GatewayProcess;
  readonly fake: FakeTelegram;
  /** Holds a token of its own, which no row takes away. */
  readonly watcher: GatewayClient;
  readonly config: (more: object) => Record<string, unknown>;
  /** Resolves when the nth model call has begun. */
  readonly begun: (count: number) => Promise<unknown>;
}

/** What a row begins: resolves with the code of the socket's close, or "ended" for a request that is over. */
interface Begun {
  readonly ended?: Promise<number | string>;
  /** Ends what somebody else began too: nothing may. */
  readonly stays?: () => boolean;
}

interface Row {
  readonly name: string;
  readonly gateway?: object;
  readonly begin: (scene: Scene) => Promise<Begun>;
  readonly revoke: (scene: Scene) => Promise<unknown>;
  readonly ends: number | string | undefined;
}

async function scene(t: TestContext, gatewaySection: object): Promise<Scene> {
  const waiting = new Map<number, () => void>();
  let calls = 0;
  const model = await startModelServer({
    wire: "openai-completions",
    script: () => {
      calls += 1;
      waiting.get(calls)?.();
      return [{ text: "half" }, { wait: new Promise(() => {}) }];
    },
  });
  t.after(() => model.close());
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const config = (more: object) => ({
    ...modelConfig(model.url),
    gateway: gatewaySection,
    hooks: { enabled: true, token: hooksToken },
    channels: { telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "pairing" } },
    ...more,
  });
  const gateway = await GatewayProcess.prepare(t, { config: config({}) });
  const credentials = join(gateway.stateFolder, "credentials");
  await mkdir(credentials, { mode: 0o700 });
  await writeFile(join(credentials, "telegram-allowFrom.json"), '{"version":1,"allowFrom":["42","7"]}', {
    mode: 0o600,
  });
  await gateway.start();
  const owner = await gateway.connect(gatewaySection === behindProxy ? { password } : {});
  const { token } = await owner.rpc("tokens.create", { name: "watcher", scopes: ["operator.admin"] });
  await owner.close();
  const watcher = await gateway.connect({ token });
  const begun = (count: number) =>
    new Promise<void>((resolve) => {
      if (calls >= count) resolve();
      else waiting.set(count, resolve);
    });
  return { gateway, fake, watcher, config, begun };
}

const send = (client: GatewayClient) =>
  client.rpc("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: "run" });
const closeOf = async (client: GatewayClient) => (await client.closed).code;

/** A device of its own, with a run. */
async function withDevice({ gateway, begun }: Scene): Promise<Begun & { readonly device: TestDevice }> {
  const device = new TestDevice();
  const first = await device.connect(gateway, { auth, scopes: ["operator.write"] });
  const { deviceToken } = first.answer.payload.auth;
  await first.client.close();
  const { client } = await device.connect(gateway, { auth: { deviceToken }, scopes: ["operator.write"] });
  await send(client);
  await begun(1);
  return { device, ended: closeOf(client) };
}

/** Replaces a JSON file the way an editor does. */
async function edit(file: string, change: (document: Payload) => unknown): Promise<void> {
  const document = JSON.parse(await readFile(file, "utf8"));
  await writeFile(`${file}.new`, JSON.stringify(change(document)), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

const pairedFile = ({ gateway }: Scene) => join(gateway.stateFolder, "nodes", "paired.json");
const idIn = async (made: Scene) => JSON.parse(await readFile(pairedFile(made), "utf8")).devices[0].deviceId;
const rotated = ({ gateway, config }: Scene) =>
  gateway.writeConfig(
    config({ gateway: { ...withToken, auth: { mode: "token", token: `${gatewayToken}-2` } } }),
  );

function post(gateway: GatewayProcess, path: string, headers: Record<string, string>, body: object) {
  return fetch(`${gateway.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

async function withHttp({ gateway, begun }: Scene, headers: Record<string, string>): Promise<Begun> {
  const messages = [{ role: "user", content: "hello" }];
  const answer = post(gateway, "v1/chat/completions", headers, { model: "openclaw", messages });
  await begun(1);
  return { ended: answer.then((response) => response.status) };
}

/** A socket that the proxy signed this user in on; with a device when one is given. */
function viaProxy({ gateway }: Scene, user: string, device?: TestDevice) {
  const socket = new WebSocket(gateway.url.replace("http", "ws"), { headers: proxied(user) });
  const closed = once(socket, "close").then(([code]) => code as number);
  const connected = Promise.withResolvers<void>();
  const sent = Promise.withResolvers<void>();
  const ask = (id: string, method: string, params: object) =>
    socket.send(JSON.stringify({ type: "req", id, method, params }));
  socket.on("message", (data) => {
    const frame = JSON.parse(String(data));
    if (frame.event === "connect.challenge") {
      const client = { id: "webchat-ui", version: "1", platform: "linux", mode: "webchat" };
      const options = { scopes: ["operator.write"], clientId: "webchat-ui", mode: "webchat" };
      const own = device ? device.params(frame.payload.nonce, options) : { ...connectParams({}), client };
      ask("1", "connect", own);
    }
    if (frame.id === "1") (frame.ok ? connected.resolve : connected.reject)(frame.error);
    if (frame.id === "2") (frame.ok ? sent.resolve : sent.reject)(frame.error);
  });
  const say = (key: string) => {
    ask("2", "chat.send", { sessionKey: key, message: "hello", idempotencyKey: key });
    return sent.promise;
  };
  return { socket, closed, connected: connected.promise, say };
}

const withoutMe = ({ gateway, config }: Scene) => {
  const trustedProxy = { ...behindProxy.auth.trustedProxy, allowUsers: ["you@example.com"] };
  return gateway.writeConfig(
    config({ gateway: { ...behindProxy, auth: { ...behindProxy.auth, trustedProxy } } }),
  );
};

async function meAndYou(made: Scene, device?: TestDevice): Promise<Begun> {
  const me = viaProxy(made, "me@example.com", device);
  const you = viaProxy(made, "you@example.com");
  await Promise.all([me.connected, you.connected]);
  await me.say("run");
  await you.say("other");
  await made.begun(2);
  return { ended: me.closed, stays: () => you.socket.readyState === WebSocket.OPEN };
}

async function fromTelegram({ fake, begun }: Scene): Promise<Begun> {
  fake.deliver("hello");
  await begun(1);
  return {};
}

const telegramFile = ({ gateway }: Scene) =>
  join(gateway.stateFolder, "credentials", "telegram-allowFrom.json");

const rows: readonly Row[] = [
  {
    name: "a device that is removed",
    begin: withDevice,
    revoke: async (made) => made.watcher.rpc("device.pair.remove", { deviceId: await idIn(made) }),
    ends: 4001,
  },
  {
    name: "a device token that is revoked",
    begin: withDevice,
    revoke: async (made) =>
      made.watcher.rpc("device.token.revoke", { deviceId: await idIn(made), role: "operator" }),
    ends: 4001,
  },
  {
    name: "an entry that is taken out of nodes/paired.json by hand",
    begin: withDevice,
    revoke: (made) => edit(pairedFile(made), (document) => ({ ...document, devices: [] })),
    ends: 4001,
  },
  {
    name: "an API token, over its socket",
    async begin({ gateway, watcher, begun }) {
      const { token } = await watcher.rpc("tokens.create", { name: "bot", scopes: ["operator.write"] });
      const bot = await gateway.connect({ token, scopes: ["operator.write"] });
      await send(bot);
      await begun(1);
      return { ended: closeOf(bot) };
    },
    revoke: ({ watcher }) => watcher.rpc("tokens.revoke", { token: "bot" }),
    ends: 4001,
  },
  {
    name: "an API token, over HTTP",
    async begin(made) {
      const { token } = await made.watcher.rpc("tokens.create", { name: "bot", scopes: ["operator.write"] });
      return withHttp(made, { authorization: `Bearer ${token}` });
    },
    revoke: ({ watcher }) => watcher.rpc("tokens.revoke", { token: "bot" }),
    ends: 409,
  },
  {
    name: "the gateway's token, of a program on this machine",
    async begin({ gateway, begun }) {
      const client = await gateway.connect();
      await send(client);
      await begun(1);
      return { ended: closeOf(client) };
    },
    revoke: rotated,
    ends: 4001,
  },
  {
    name: "the gateway's token, over HTTP",
    begin: (made) => withHttp(made, { authorization: `Bearer ${gatewayToken}` }),
    revoke: rotated,
    ends: 409,
  },
  {
    name: "the gateway's token, of a device that came in with it",
    async begin({ gateway, begun }) {
      const { client } = await new TestDevice().connect(gateway, { auth, scopes: ["operator.write"] });
      await send(client);
      await begun(1);
      return { ended: closeOf(client) };
    },
    revoke: rotated,
    ends: 4001,
  },
  {
    name: "the hooks' token",
    async begin({ gateway, begun }) {
      const headers = { authorization: `Bearer ${hooksToken}` };
      const answer = await post(gateway, "hooks/agent", headers, { message: "hello" });
      assert.equal(answer.status, 200);
      await begun(1);
      return {};
    },
    revoke: ({ gateway, config }) =>
      gateway.writeConfig(config({ hooks: { enabled: true, token: `${hooksToken}-2` } })),
    ends: undefined,
  },
  {
    name: "a user whom the config takes off the proxy's list",
    gateway: behindProxy,
    begin: (made) => meAndYou(made),
    revoke: withoutMe,
    ends: 4001,
  },
  {
    name: "the device of a user whom the config takes off the proxy's list",
    gateway: behindProxy,
    begin: (made) => meAndYou(made, new TestDevice()),
    revoke: withoutMe,
    ends: 4001,
  },
  {
    name: "a user of the proxy, over HTTP",
    gateway: behindProxy,
    begin: (made) => withHttp(made, proxied("me@example.com")),
    revoke: withoutMe,
    ends: 409,
  },
  {
    name: "a sender whose pairing is taken out of the file by hand",
    begin: fromTelegram,
    revoke: (made) => edit(telegramFile(made), (document) => ({ ...document, allowFrom: ["7"] })),
    ends: undefined,
  },
  {
    name: "a sender whom the config turns away",
    begin: fromTelegram,
    revoke: ({ gateway, config, fake }) =>
      gateway.writeConfig(
        config({
          channels: {
            telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["7"] },
          },
        }),
      ),
    ends: undefined,
  },
];

for (const row of rows) {
  test(`auth (9): ${row.name}: its socket closes and its run stops`, async (t) => {
    const made = await scene(t, row.gateway ?? withToken);
    const begun = await row.begin(made);
    await row.revoke(made);
    assert.equal(await begun.ended, row.ends);
    const { payload } = await made.watcher.waitFor(
      ({ event, payload }) => event === "chat" && payload.state === "aborted",
    );
    assert.notEqual(payload.runId, "other");
    // Whatever else runs goes on: its end would have been told before this answer.
    await made.watcher.rpc("health", {});
    const ends = made.watcher.events.filter(
      ({ event, payload }) => event === "chat" && payload.state === "aborted",
    );
    assert.equal(ends.length, 1);
    assert.equal(begun.stays?.() ?? true, true);
  });
}

test("auth (9): a sender who stays keeps his run when another one's pairing is taken away", async (t) => {
  const made = await scene(t, withToken);
  made.fake.deliver({ text: "hello", from: 7 });
  made.fake.deliver({ text: "hello", from: 42 });
  await made.begun(2);
  await edit(telegramFile(made), (document) => ({ ...document, allowFrom: ["7"] }));
  const { payload } = await made.watcher.waitFor(
    ({ event, payload }) => event === "chat" && payload.state === "aborted",
  );
  assert.match(payload.sessionKey, /42/);
  const { rows: sessions } = { rows: (await made.watcher.rpc("sessions.list", {})).sessions };
  const running = sessions.filter((item: Payload) => item.hasActiveRun === true || item.status === "running");
  assert.ok(
    running.some((item: Payload) => /:7$/.test(item.key)),
    JSON.stringify(sessions),
  );
});

test("auth (9): with the gateway's token go the sign-in tickets and setup codes that were made under it", async (t) => {
  const made = await scene(t, { ...withToken, publicOrigin: "https://gw.example" });
  const { gateway, watcher } = made;
  const owner = await gateway.connect();
  const { url } = await owner.rpc("dashboard.ticket", {});
  const { setupCode } = await owner.rpc("device.pair.setupCode", {});
  await rotated(made);
  assert.equal(await closeOf(owner), 4001);
  await watcher.waitFor(({ event }) => event === "config.changed");
  const ticket = /signin=(.+)$/.exec(url)?.[1];
  const answer = await post(gateway, "auth/sign-in", {}, { ticket });
  assert.equal(answer.status, 401);
  const { bootstrapToken } = JSON.parse(Buffer.from(setupCode, "base64url").toString());
  const joined = await new TestDevice().connect(gateway, { auth: { bootstrapToken }, role: "node" });
  assert.equal(joined.answer.error?.details.code, "AUTH_BOOTSTRAP_TOKEN_INVALID");
});
