/** The gateway behind real proxies, set up as the documentation says and wrongly, and on its own TLS listener. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { WebSocket } from "ws";
import { freePort, GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { connectParams, type Payload } from "../support/gateway-client.ts";

/** An address of this machine that is not loopback: whoever comes from it is a stranger to the proxy. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find((item) => item.family === "IPv4" && !item.internal)?.address;

/** Servers lie where a user's PATH does not lead. */
const searchPath = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

function canRun(t: TestContext, program: string): boolean {
  if (spawnSync(program, ["-h"], { stdio: "ignore", env: { PATH: searchPath } }).error)
    t.skip(`${program} is not installed`);
  else if (ownAddress === undefined) t.skip("this machine has no address but loopback");
  else return true;
  return false;
}

const auth = { mode: "token", token: gatewayToken };
const base = { mode: "local", bind: "loopback", auth };
const trusting = {
  gateway: {
    ...base,
    trustedProxies: ["127.0.0.1"],
    controlUi: { allowedOrigins: ["https://gateway.example"] },
  },
};

/** Starts a proxy and resolves once it takes connections. */
async function run(t: TestContext, program: string, args: readonly string[], port: number, folder: string) {
  const env = { PATH: searchPath, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
  const child: ChildProcess = spawn(program, args, { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const exited = once(child, "exit");
  t.after(async () => {
    child.kill("SIGTERM");
    await exited;
  });
  while (!(await takesConnections(port))) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function takesConnections(port: number): Promise<boolean> {
  const connection = connect(port, "127.0.0.1");
  try {
    await once(connection, "connect");
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "proxy-test-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const webSocketLines = `
  proxy_http_version 1.1;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header Host $http_host;`;

/** nginx in front of the gateway; `lines` are what stands beside proxy_pass. */
async function startNginx(t: TestContext, gatewayPort: number, lines: string): Promise<number> {
  const folder = await temporaryFolder(t);
  const port = await freePort();
  await mkdir(join(folder, "tmp"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/tmp;`)
    .join("\n");
  const text = `
    daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr;
    events {}
    http {
      access_log off;
      ${temporary}
      map $http_upgrade $connection_upgrade { default upgrade; '' close; }
      server { listen ${port}; location / { proxy_pass http://127.0.0.1:${gatewayPort}; ${lines} } }
    }`;
  const file = join(folder, "nginx.conf");
  await writeFile(file, text);
  await run(t, "nginx", ["-p", folder, "-c", file, "-e", "stderr"], port, folder);
  return port;
}

async function startCaddy(t: TestContext, gatewayPort: number, lines = ""): Promise<number> {
  const folder = await temporaryFolder(t);
  const port = await freePort();
  const file = join(folder, "Caddyfile");
  await writeFile(
    file,
    `{\n admin off\n auto_https off\n}\nhttp://:${port} {\n reverse_proxy 127.0.0.1:${gatewayPort} {\n${lines}\n }\n}\n`,
  );
  await run(t, "caddy", ["run", "--config", file, "--adapter", "caddyfile"], port, folder);
  return port;
}

interface Fetched {
  readonly status: number;
  readonly type: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

function fetchFrom(
  port: number,
  headers: Readonly<Record<string, string>> = {},
  path = "/",
): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    httpRequest({ host: ownAddress, port, path, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        body += piece;
      });
      response.on("end", () =>
        resolve({
          status: response.statusCode as number,
          type: body.startsWith("{") ? JSON.parse(body).error?.type : undefined,
          headers: response.headers,
        }),
      );
    })
      .on("error", reject)
      .end();
  });
}

/** Connects as the command line does; resolves with the answer to `connect`, or the status of a refused upgrade. */
async function connectVia(
  url: string,
  token: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Payload> {
  const socket = new WebSocket(url, { headers, rejectUnauthorized: false });
  socket.on("error", () => {});
  return new Promise((resolve) => {
    socket.on("unexpected-response", (_request, response) => {
      response.resume();
      resolve({ status: response.statusCode });
    });
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data));
      if (frame.event === "connect.challenge") {
        socket.send(
          JSON.stringify({ type: "req", id: "1", method: "connect", params: connectParams({ token }) }),
        );
      } else if (frame.id === "1") {
        socket.terminate();
        resolve(frame);
      }
    });
  });
}

test("network (1): nginx as documented: its clients are themselves, and never local", async (t) => {
  if (!canRun(t, "nginx")) return;
  const gateway = await GatewayProcess.start(t, { config: trusting });
  const lines = `${webSocketLines} proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;`;
  const port = await startNginx(t, gateway.port, lines);
  assert.equal((await fetchFrom(port)).type, undefined);
  const url = `ws://${ownAddress}:${port}/`;
  const answer = await connectVia(url, gatewayToken, { "x-forwarded-for": "127.0.0.1" });
  assert.equal(answer.ok, true);
  assert.deepEqual(
    answer.payload.auth.scopes,
    [],
    "a command line behind a proxy is not the one on this machine",
  );
  assert.equal((await connectVia(url, gatewayToken, { origin: "https://gateway.example" })).ok, true);
  assert.equal((await connectVia(url, gatewayToken, { origin: "https://evil.example" })).status, 403);
  // Whoever asks the proxy from this very machine is nobody that it can speak for.
  assert.equal((await connectVia(`ws://127.0.0.1:${port}/`, gatewayToken)).status, 403);
  const direct = await gateway.connect();
  assert.notDeepEqual(direct.hello.auth.scopes, []);
  const { status } = await fetchFrom(port, {}, "/assets//x");
  assert.equal(status, 400);
});

test("network (1): nginx that appends: what the client made up is not looked at", async (t) => {
  if (!canRun(t, "nginx")) return;
  const gateway = await GatewayProcess.start(t, { config: trusting });
  const lines = `${webSocketLines} proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`;
  const port = await startNginx(t, gateway.port, lines);
  for (const made of ["127.0.0.1", "unknown"]) {
    const answer = await connectVia(`ws://${ownAddress}:${port}/`, "wrong", { "x-forwarded-for": made });
    assert.match(answer.error.message, /^unauthorized/);
  }
  const { rows } = await (await gateway.connect()).rpc("audit.list", { limit: 100 });
  const actors = rows
    .filter((row: { outcome?: string }) => row.outcome === "auth.secret_mismatch")
    .map((row: { actor: string }) => row.actor);
  assert.deepEqual(actors, [ownAddress, ownAddress]);
});

test("network (1): nginx that is not trusted, or says nothing of its clients, gets 403", async (t) => {
  if (!canRun(t, "nginx")) return;
  const gateway = await GatewayProcess.start(t);
  const full = `${webSocketLines} proxy_set_header X-Forwarded-For $remote_addr;`;
  const untrusted = await startNginx(t, gateway.port, full);
  assert.deepEqual((await fetchFrom(untrusted)).type, "proxy_attribution_required");
  assert.equal((await connectVia(`ws://${ownAddress}:${untrusted}/`, gatewayToken)).status, 403);
  assert.equal((await fetchFrom(untrusted, {}, "/health")).status, 200);
  // proxy_pass and nothing else: HTTP/1.0, no header.
  const bare = await startNginx(t, gateway.port, "");
  assert.equal((await fetchFrom(bare)).type, "proxy_attribution_required");

  const trustingGateway = await GatewayProcess.start(t, { config: trusting });
  const mute = await startNginx(
    t,
    trustingGateway.port,
    `${webSocketLines} proxy_set_header X-Real-IP $remote_addr;`,
  );
  assert.equal((await fetchFrom(mute)).type, "proxy_attribution_required");
  await trustingGateway.writeConfig({ gateway: { ...trusting.gateway, allowRealIpFallback: true } });
  await trustingGateway.stop();
  await trustingGateway.start();
  const real = await startNginx(
    t,
    trustingGateway.port,
    `${webSocketLines} proxy_set_header X-Real-IP $remote_addr;`,
  );
  assert.equal((await connectVia(`ws://${ownAddress}:${real}/`, gatewayToken)).ok, true);
});

test("network (1): Caddy as it comes is believed when trusted, and refused when not or when it hides its clients", async (t) => {
  if (!canRun(t, "caddy")) return;
  const gateway = await GatewayProcess.start(t, { config: trusting });
  const port = await startCaddy(t, gateway.port);
  assert.equal((await fetchFrom(port)).type, undefined);
  const answer = await connectVia(`ws://${ownAddress}:${port}/`, gatewayToken, {
    "x-forwarded-for": "127.0.0.1",
  });
  assert.equal(answer.ok, true);
  assert.deepEqual(answer.payload.auth.scopes, []);
  const hiding = await startCaddy(t, gateway.port, "header_up -X-Forwarded-For");
  assert.equal((await fetchFrom(hiding)).type, "proxy_attribution_required");
  const other = await GatewayProcess.start(t);
  const untrusted = await startCaddy(t, other.port);
  assert.equal((await fetchFrom(untrusted)).type, "proxy_attribution_required");
});

test("network (10): TLS of its own: a pair is made, kept over a restart, and half of it is refused", async (t) => {
  const gateway = await GatewayProcess.start(t, { config: { gateway: { ...base, tls: { enabled: true } } } });
  assert.match(gateway.url, /^https:/);
  const fingerprint = async () => {
    const connection = tlsConnect({ port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false });
    await once(connection, "secureConnect");
    assert.equal(connection.getProtocol(), "TLSv1.3");
    const found = connection.getPeerCertificate().fingerprint256;
    connection.destroy();
    return found;
  };
  const first = await fingerprint();
  assert.equal((await connectVia(`wss://127.0.0.1:${gateway.port}/`, gatewayToken)).ok, true);
  await gateway.stop();
  await gateway.start();
  assert.equal(await fingerprint(), first);
  await gateway.stop();
  const folder = join(gateway.stateFolder, "gateway", "tls");
  const key = await readFile(join(folder, "gateway-key.pem"), "utf8");
  await rm(join(folder, "gateway-cert.pem"));
  const failed = await gateway.startFails();
  assert.match(failed.stderr + failed.stdout, /gateway-key\.pem is there, but .*gateway-cert\.pem is not/);
  assert.equal(await readFile(join(folder, "gateway-key.pem"), "utf8"), key);
});

test("network (7): beyond loopback nothing starts without authentication (A-017)", async (t) => {
  for (const gateway of [
    { mode: "local", bind: "lan", auth: { mode: "none" } },
    { mode: "local", bind: "lan" },
    { mode: "local", bind: "custom", customBindHost: "0.0.0.0", auth: { mode: "none" } },
  ]) {
    const process_ = await GatewayProcess.prepare(t, { config: { gateway } });
    const failed = await process_.startFails();
    assert.match(failed.stderr + failed.stdout, /no authentication is configured/);
  }
});

test("auth (9): what is sent on a socket that was just revoked is not done (A-005, CVE-2026-42421)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const old = await gateway.connect();
  // It does not hear that it was closed, and goes on as if nothing had happened.
  old.socket.pause();
  const token = `${gatewayToken}-rotated`;
  await gateway.writeConfig({ gateway: { ...base, auth: { mode: "token", token } } });
  while (!(await connectVia(`ws://127.0.0.1:${gateway.port}/`, token)).ok);
  assert.equal(old.socket.readyState, WebSocket.OPEN);
  const message = { sessionKey: "main", message: "from beyond", idempotencyKey: "late" };
  old.sendRaw(JSON.stringify({ type: "req", id: "late", method: "chat.send", params: message }));
  old.socket.resume();
  assert.equal((await old.closed).code, 4001);
  assert.equal(
    old.frames.some((frame) => frame.id === "late"),
    false,
  );
  const fresh = await gateway.connect({ token });
  // Runs of a session go one after the other: if the late one had been let in, it would have come first.
  await fresh.say("from here");
  const { messages } = await fresh.rpc("chat.history", { sessionKey: "main" });
  assert.match(JSON.stringify(messages), /from here/);
  assert.doesNotMatch(JSON.stringify(messages), /from beyond/);
});

test("network (8): a slash is written as a slash, also in a model's name (A-010)", async (t) => {
  const http = { endpoints: { chatCompletions: { enabled: true } } };
  const gateway = await GatewayProcess.start(t, { config: { gateway: { ...base, http } } });
  const headers = { authorization: `Bearer ${gatewayToken}` };
  const status = async (path: string) =>
    (await fetch(`http://127.0.0.1:${gateway.port}${path}`, { headers })).status;
  assert.equal(await status("/v1/models/openclaw"), 200);
  assert.equal(await status("/v1/models/openclaw/main"), 200);
  assert.equal(await status("/v1/models/openclaw%2Fmain"), 400);
  assert.equal(await status("/v1/models/openclaw%252Fmain"), 400);
  assert.equal(await status("/v1%2Fmodels/openclaw"), 400);
});
