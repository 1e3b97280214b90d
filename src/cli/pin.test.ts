import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocketServer } from "ws";
import { Secret, systemClock, systemRandom } from "../kernel/mod.ts";
import { selfSigned } from "../network/certificate.ts";
import { connectGateway } from "./client.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { parseFingerprint } from "./pin.ts";
import { remoteConfigure } from "./remote-command.ts";
import { gatewayTarget, remoteUrl } from "./target.ts";

const nowMs = Date.now();
const made = () =>
  selfSigned({
    names: ["127.0.0.1"],
    notBeforeMs: nowMs - 60_000,
    notAfterMs: nowMs + 86_400_000,
    random: systemRandom,
  });

test("cli (7): a fingerprint is 64 hexadecimal digits, however a person writes it", () => {
  const digits = "0123456789abcdef".repeat(4);
  const capitals = digits.toUpperCase().replace(/..(?=.)/g, "$&:");
  for (const text of [digits, capitals, `sha256:${digits}`, `SHA-256=${digits}`, ` ${capitals}\n`])
    assert.equal(parseFingerprint(text, "x"), digits);
  for (const text of ["", "abc", `${digits}0`, digits.slice(1), `${digits.slice(1)}g`, `md5:${digits}`])
    assert.throws(() => parseFingerprint(text, "--tls-fingerprint"), UsageError, text);
});

/** A server that answers every `connect` with hello-ok, and notes each byte of a secret that reaches it. */
async function server(t: TestContext) {
  const pair = made();
  const heard: string[] = [];
  const https = createServer({ cert: pair.cert, key: pair.key, minVersion: "TLSv1.3" });
  https.on("upgrade", () => void heard.push("upgrade"));
  const sockets = new WebSocketServer({ server: https });
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => {
      heard.push(String(data));
      socket.send(JSON.stringify({ type: "res", id: "connect", ok: true, payload: { auth: {} } }));
    });
  });
  https.listen(0, "127.0.0.1");
  await once(https, "listening");
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    https.close();
  });
  return { url: `wss://127.0.0.1:${(https.address() as { port: number }).port}/`, heard, pair };
}

const deps = { clock: systemClock, version: "1", platform: "linux", scopes: [], timeoutMs: 10_000 };
const token = new Secret("secret-of-the-gateway");

test("cli (7): the pinned certificate is talked to, another one gets not even the request", async (t) => {
  const { url, heard, pair } = await server(t);
  const { X509Certificate } = await import("node:crypto");
  const right = new X509Certificate(pair.cert).fingerprint256;
  const connect = (tlsFingerprint?: string) =>
    connectGateway(
      { url, token, credentialFrom: "--token", ...(tlsFingerprint === undefined ? {} : { tlsFingerprint }) },
      deps,
    );
  const other = new X509Certificate(made().cert).fingerprint256;
  await assert.rejects(connect(parseFingerprint(other, "x")), (error: Error) => {
    assert.ok(error instanceof CommandFailure);
    assert.match(error.message, /is not the gateway that was pinned/);
    assert.ok(error.message.includes(right), "it says which one it is");
    return true;
  });
  await assert.rejects(connect(), /not signed by an authority.*Pin it: --tls-fingerprint/);
  assert.equal(heard.length, 0);
  const client = await connect(parseFingerprint(right, "x"));
  assert.equal(client.certificateFingerprint, right);
  client.close();
  assert.ok(heard.at(-1)?.includes("secret-of-the-gateway"));
});

test("cli (7): plain ws leaves this machine only by the documented break-glass, and only for private addresses (A-238)", () => {
  const refused = (text: string, env: Record<string, string> = {}) =>
    assert.throws(() => remoteUrl(text, env), UsageError, text);
  const glass = { OPENCLAW_ALLOW_INSECURE_PRIVATE_WS: "1" };
  for (const text of [
    "ws://10.0.0.5",
    "ws://127.0.0.1.evil.test",
    "ws://localhost.evil.test",
    "ws://[::ffff:8.8.8.8]",
    "ws://user:pw@127.0.0.1@evil",
    "http://10.0.0.5",
  ])
    refused(text);
  for (const text of [
    "ws://8.8.8.8",
    "ws://11.0.0.1",
    "ws://172.32.0.1",
    "ws://192.169.0.1",
    "ws://100.128.0.1",
    "ws://10.0.0.5.evil.test",
    "ws://gateway.local",
    "ws://evil-ts.net",
    "ws://user@10.0.0.5",
  ])
    refused(text, glass);
  for (const value of ["", "0", "true"])
    refused("ws://10.0.0.5", { ...glass, OPENCLAW_ALLOW_INSECURE_PRIVATE_WS: value });
  for (const host of [
    "10.0.0.5",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.1.1",
    "100.64.0.1",
    "gw.tail1.ts.net",
  ])
    assert.equal(remoteUrl(`ws://${host}:1`, glass), `ws://${host}:1/`);
  for (const host of ["127.0.0.1", "localhost", "[::1]"])
    assert.equal(remoteUrl(`ws://${host}:1`), `ws://${host}:1/`);
});

async function cliWith(t: TestContext, config: object) {
  const root = await mkdtemp(join(tmpdir(), "pin-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  const configFile = join(root, "openclaw.json");
  await writeFile(configFile, JSON.stringify(config), { mode: 0o600 });
  const printed: string[] = [];
  const cli = {
    env: {},
    paths: { configFile, root },
    clock: systemClock,
    random: systemRandom,
    stdin: async () => "token-from-a-pipe\n",
    stdout: (text: string) => void printed.push(text),
  } as object as Cli;
  return { cli, root, configFile, printed };
}

test("cli (6): in remote mode commands ask the remembered gateway, with what was remembered for it", async (t) => {
  const pin = "ab".repeat(32);
  const remote = {
    url: "wss://gw.example:1",
    token: "remote-token-0123456789abcdef0123",
    tlsFingerprint: pin,
  };
  const { cli } = await cliWith(t, { gateway: { mode: "remote", remote } });
  const found = async (options: object = {}) => {
    const target = await gatewayTarget(cli, options);
    return [target.url, target.credentialFrom, target.tlsFingerprint];
  };
  assert.deepEqual(await found(), ["wss://gw.example:1/", "gateway.remote.token", pin]);
  assert.deepEqual((await found({ token: "t", "tls-fingerprint": "cd".repeat(32) })).slice(1), [
    "--token",
    "cd".repeat(32),
  ]);
  // Another address gets nothing of it: neither the secret nor the pin.
  assert.deepEqual(await found({ url: "wss://other.example", token: "t" }), [
    "wss://other.example/",
    "--token",
    undefined,
  ]);
  const plain = await cliWith(t, {
    gateway: { mode: "remote", remote: { ...remote, url: "ws://10.0.0.5:1" } },
  });
  await assert.rejects(gatewayTarget(plain.cli, {}), /gateway\.remote\.url ws:\/\/10\.0\.0\.5:1: only wss/);
});

test("cli (7): a gateway with TLS on this machine is pinned by its own certificate's file", async (t) => {
  const gateway = { mode: "local", auth: { mode: "token", token: "local-token-0123456789abcdef0123" } };
  const { cli, root } = await cliWith(t, {
    gateway: { ...gateway, tls: { enabled: true, certPath: "own.pem" } },
  });
  const target = () => gatewayTarget(cli, {});
  assert.deepEqual(
    [(await target()).url, (await target()).tlsFingerprint],
    ["wss://127.0.0.1:18789/", undefined],
  );
  await writeFile(join(root, "own.pem"), made().cert);
  assert.match(String((await target()).tlsFingerprint), /^[0-9a-f]{64}$/);
});

test("gateway remote-configure remembers a gateway, its secret and its pin, and nothing that it cannot use", async (t) => {
  const { cli, configFile, printed } = await cliWith(t, { gateway: { mode: "local" } });
  const written = async () => JSON.parse(await readFile(configFile, "utf8")).gateway;
  await remoteConfigure(cli, ["--token", "-"]);
  assert.deepEqual(await written(), { mode: "local", remote: { token: "token-from-a-pipe" } });
  const pin = "AB:".repeat(31).concat("AB");
  await remoteConfigure(cli, ["--url", "https://gw.example", "--tls-fingerprint", pin]);
  assert.deepEqual(await written(), {
    mode: "remote",
    remote: { token: "token-from-a-pipe", url: "wss://gw.example/", tlsFingerprint: "ab".repeat(32) },
  });
  assert.ok(!printed.join("").includes("token-from-a-pipe"));
  assert.equal((await stat(configFile)).mode & 0o777, 0o600);
  for (const args of [
    [],
    ["--url", "ws://gw.example"],
    ["--tls-fingerprint", "abc"],
    ["--token", "a", "--password", "b"],
    ["--token", ""],
  ])
    await assert.rejects(remoteConfigure(cli, args), UsageError, args.join(" "));
});
