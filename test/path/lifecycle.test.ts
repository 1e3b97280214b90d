/** Starting, failing to start, running out of disk, reloading and stopping, as a person at a terminal meets it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GatewayProcess, gatewayToken, modelConfig } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

const isRoot = process.getuid?.() === 0;

test("a first run writes the secure baseline, says so, and works offline", async (t) => {
  const gateway = await GatewayProcess.prepare(t, { configured: false });
  await gateway.start();
  assert.match(gateway.stdout, /First run: wrote the secure baseline to .*openclaw\.json/);
  assert.match(gateway.stdout, /Model: demo\/demo, because no provider's key is in the environment/);
  const config = readFileSync(gateway.configFile, "utf8");
  const token = /token: "([\w-]{43})"/.exec(config)?.[1] ?? "";
  assert.match(config, /bind: "loopback"/);
  assert.match(config, /dmScope: "per-channel-peer"/);
  assert.match(config, /exec: \{ mode: "ask" \}/);
  assert.equal(statSync(gateway.configFile).mode & 0o777, 0o600);
  assert.equal(statSync(gateway.stateFolder).mode & 0o777, 0o700);
  for (const name of ["gateway.sqlite", "gateway.sqlite-wal", "gateway.lock", "gateway.lock.json"])
    assert.equal(statSync(join(gateway.stateFolder, "state", name)).mode & 0o777, 0o600, name);
  assert.ok(!gateway.stdout.includes(token), "the token is not printed");
  const client = await gateway.connect({ token });
  assert.equal((await client.say("hello")).state, "final");
  assert.equal(await gateway.stop(), 0);
  await gateway.start();
  assert.doesNotMatch(gateway.stdout, /First run/);
  assert.equal(readFileSync(gateway.configFile, "utf8"), config);
});

test("a config that is broken at a line is named with that line, and nothing is started", async (t) => {
  for (const { text, says } of [
    { text: "{\n  gateway: {\n    port: 18789,,\n  },\n}\n", says: /openclaw\.json:3:\d+/ },
    {
      text: '{\n  gateway: {\n    port: "many",\n  },\n}\n',
      says: /openclaw\.json:3(:\d+)?.*gateway\.port/s,
    },
    { text: "{\n  gatway: {},\n}\n", says: /openclaw\.json:2(:\d+)?.*gateway/s },
  ]) {
    const gateway = await GatewayProcess.prepare(t, { configText: text });
    const failed = await gateway.startFails();
    assert.equal(failed.code, 1, text);
    assert.match(failed.stderr, says);
    assert.match(failed.stderr, /nothing was started/);
    assert.throws(() => statSync(join(gateway.stateFolder, "state")), "no state was made");
  }
});

test("a port that is taken is named, with who has it, and the state folder is free again", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const gateway = await GatewayProcess.prepare(t, { port });
  const failed = await gateway.startFails();
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, new RegExp(`port ${port} is taken`));
  if (process.platform === "linux") assert.match(failed.stderr, new RegExp(`\\(pid ${process.pid}\\)`));
  server.close();
  await once(server, "close");
  await gateway.start();
});

test("a second gateway on one state folder is refused and names the first; after a kill the folder is free", async (t) => {
  const first = await GatewayProcess.start(t);
  const second = await GatewayProcess.prepare(t, { stateFolder: first.stateFolder, configured: false });
  const failed = await second.startFails();
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, new RegExp(`already running on .*pid ${first.pid}`));
  assert.equal((await (await first.connect()).rpc("health")).ok, true);
  await first.kill();
  await second.start();
});

test("a state folder that cannot be used is said, with what to do", async (t) => {
  const gateway = await GatewayProcess.prepare(t, {});
  writeFileSync(join(gateway.stateFolder, "state"), "a file where a folder must be");
  const failed = await gateway.startFails();
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /the state folder .* cannot be used: .*OPENCLAW_STATE_DIR/s);
});

/** A file system of its own in memory; undefined where none may be mounted. Gone when the test ends. */
async function mounted(t: TestContext, options: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "small-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder], { stdio: "ignore" });
  } catch {
    await rm(folder, { recursive: true });
    return undefined;
  }
  t.after(async () => {
    execFileSync("umount", ["-l", folder]);
    await rm(folder, { recursive: true });
  });
  return folder;
}

const mounts = { skip: isRoot ? false : "needs root, to mount a small file system" } as const;

test("a state folder that cannot be written to is said, with what to do", mounts, async (t) => {
  const folder = await mounted(t, "size=1m,mode=700,ro");
  if (folder === undefined) return t.skip("no file system may be mounted here");
  const gateway = await GatewayProcess.prepare(t, { stateFolder: folder, configured: false });
  const failed = await gateway.startFails();
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /read-only file system/i);
  assert.match(failed.stderr, /OPENCLAW_STATE_DIR/);
});

test(
  "disk full: a message is refused before it is accepted, the gateway lives, and goes on when there is room",
  mounts,
  async (t) => {
    const folder = await mounted(t, "size=6m,mode=700");
    if (folder === undefined) return t.skip("no file system may be mounted here");
    const held = Promise.withResolvers<void>();
    t.after(() => held.resolve());
    const long = "long ".repeat(50_000);
    const model = await startModelServer({
      wire: "openai-completions",
      script: (body) =>
        JSON.stringify(body.messages.at(-1)).includes("hold")
          ? [{ text: "wait " }, { wait: held.promise }, { text: long }]
          : [{ text: "ok" }],
    });
    t.after(() => model.close());
    const gateway = await GatewayProcess.prepare(t, { stateFolder: folder, configured: false });
    await gateway.writeConfig(modelConfig(model.url));
    await gateway.start();
    const client = await gateway.connect();
    assert.equal((await client.say("before")).state, "final");
    await client.rpc("chat.send", { sessionKey: "other", message: "hold", idempotencyKey: "held" });
    await client.waitFor(({ event, payload }) => event === "chat" && payload.runId === "held");
    const ballast = join(folder, "ballast");
    mkdirSync(ballast);
    let filled = 0;
    for (const size of [1_000_000, 65_536, 4096]) {
      for (;;) {
        try {
          writeFileSync(join(ballast, String(filled++)), Buffer.alloc(size));
        } catch {
          break;
        }
      }
    }
    // Small messages fit into pages that the log has already; one of 100 kB does not.
    const big = "x".repeat(100_000);
    const refused = await client.ask("chat.send", {
      sessionKey: "main",
      message: big,
      idempotencyKey: "full",
    });
    assert.equal(refused.ok, false);
    assert.equal(refused.error.code, "UNAVAILABLE");
    assert.equal(refused.error.retryable, true);
    assert.equal(refused.error.details.reason, "delivery.store_unavailable");
    assert.equal((await client.rpc("health")).ok, true);
    assert.equal(model.requests.length, 2);
    // A reply that no longer fits is not lost either: its turn is tried again until there is room.
    held.resolve();
    await logged(client, /a turn could not be ended/);
    await rm(ballast, { recursive: true });
    await client.rpc("chat.send", { sessionKey: "main", message: big, idempotencyKey: "full" });
    assert.equal((await client.chatEnd("full")).state, "final");
    assert.equal((await client.chatEnd("held")).message.content[0].text, `wait ${long}`);
    const { messages } = await client.rpc("chat.history", { sessionKey: "other" });
    assert.equal(messages.length, 2);
    assert.equal((await client.rpc("audit.verify", {})).intact, true);
  },
);

test("SIGTERM lets a running reply end, tells clients, and exits 0", async (t) => {
  const held = Promise.withResolvers<void>();
  const model = await startModelServer({
    wire: "openai-completions",
    script: () => [{ text: "first " }, { wait: held.promise }, { text: "last" }],
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  await client.rpc("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r" });
  await client.waitFor(({ event, payload }) => event === "chat" && payload.state === "delta");
  gateway.signal("SIGTERM");
  const refused = await untilRefused(client);
  assert.equal(refused.error.code, "UNAVAILABLE");
  assert.equal(refused.error.retryable, true);
  held.resolve();
  assert.equal((await client.chatEnd("r")).message.content[0].text, "first last");
  await client.waitFor(({ event }) => event === "shutdown");
  assert.deepEqual(await client.closed, { code: 1012, reason: "service restart" });
  assert.equal(await gateway.exit(), 0);
});

/** Asks until the gateway says that it is stopping; what was accepted before that is waited for like any run. */
async function untilRefused(client: GatewayClient) {
  for (let n = 0; ; n++) {
    const answer = await client.ask("chat.send", {
      sessionKey: `late-${n}`,
      message: "/status",
      idempotencyKey: `late-${n}`,
    });
    if (!answer.ok) return answer;
  }
}

test("a second SIGTERM ends at once, and what was unfinished is answered after the next start", async (t) => {
  const held = Promise.withResolvers<void>();
  t.after(() => held.resolve());
  const model = await startModelServer({
    wire: "openai-completions",
    script: (_body, n) => (n === 1 ? [{ text: "half" }, { wait: held.promise }] : [{ text: "whole" }]),
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  await client.rpc("chat.send", { sessionKey: "main", message: "one", idempotencyKey: "a" });
  await client.rpc("chat.send", { sessionKey: "main", message: "two", idempotencyKey: "b" });
  await client.waitFor(({ event, payload }) => event === "chat" && payload.state === "delta");
  gateway.signal("SIGTERM");
  await untilRefused(client);
  gateway.signal("SIGTERM");
  assert.equal(await gateway.exit(), 130);
  await gateway.start();
  const next = await gateway.connect();
  for (const runId of ["a", "b"])
    assert.equal((await next.rpc("agent.wait", { runId, timeoutMs: 20_000 })).terminalReply.text, "whole");
  const { messages } = await next.rpc("chat.history", { sessionKey: "main" });
  assert.deepEqual(
    messages.map((message: { role: string; content: unknown }) =>
      message.role === "user" ? message.content : message.role,
    ),
    ["one", "assistant", "two", "assistant"],
  );
});

test("many runs cut off by a kill are each taken up once, in their sessions' order", async (t) => {
  const held = Promise.withResolvers<void>();
  t.after(() => held.resolve());
  const seen = new Map<string, number>();
  let open = false;
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) => {
      const text = JSON.stringify(body.messages.at(-1));
      const key = /s\d-\d/.exec(text)?.[0] ?? text;
      if (!open) return [{ wait: held.promise }];
      seen.set(key, (seen.get(key) ?? 0) + 1);
      return [{ text: `re ${key}` }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  const keys = Array.from({ length: 40 }, (_, n) => `s${n % 4}-${Math.floor(n / 4)}`);
  await Promise.all(
    keys.map((key) =>
      client.rpc("chat.send", { sessionKey: key.slice(0, 2), message: key, idempotencyKey: key }),
    ),
  );
  await gateway.kill();
  open = true;
  await gateway.start();
  const next = await gateway.connect();
  // A message that comes right after the start stands behind all that was left.
  await next.rpc("chat.send", { sessionKey: "s0", message: "s0-x", idempotencyKey: "s0-x" });
  for (const key of [...keys, "s0-x"])
    assert.equal((await next.rpc("agent.wait", { runId: key, timeoutMs: 20_000 })).status, "ok", key);
  assert.deepEqual(
    [...seen.values()].filter((count) => count !== 1),
    [],
  );
  const { messages } = await next.rpc("chat.history", { sessionKey: "s0" });
  assert.deepEqual(
    messages
      .filter((message: { role: string }) => message.role === "user")
      .map((item: { content: string }) => item.content),
    [...keys.filter((key) => key.startsWith("s0")), "s0-x"],
  );
});

test("config reload: an invalid edit changes nothing and is named; a new token closes what the old one opened", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect();
  await gateway.writeConfig({}, "{ gateway: { port: 'x' ");
  const reloaded = await logged(client, /config reload skipped/);
  assert.match(reloaded, /openclaw\.json/);
  assert.equal((await client.rpc("health")).ok, true);
  const token = "another-gateway-token-0123456789abcdef";
  await gateway.writeConfig({ gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token } } });
  assert.deepEqual(await client.closed, { code: 4001, reason: "gateway auth changed" });
  await assert.rejects(gateway.connect({ token: gatewayToken }), /AUTH|unauthorized/);
  const next = await gateway.connect({ token });
  const { rows } = await next.rpc("audit.list", { kind: "admin", limit: 5 });
  assert.ok(rows.some((row: { action: string }) => row.action === "config.changed"));
  assert.ok(!(await gateway.readLog()).includes(token));
});

/** Reads the log over the wire until a line fits. */
async function logged(client: GatewayClient, wanted: RegExp): Promise<string> {
  for (;;) {
    const { lines } = await client.rpc("logs.tail", { limit: 200 });
    const line = lines.find((item: string) => wanted.test(item));
    if (line !== undefined) return line;
  }
}
