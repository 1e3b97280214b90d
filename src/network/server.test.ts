import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { type Socket as Connection, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import { WebSocket } from "ws";
import type { OpenClawConfig } from "../config/mod.ts";
import { type Clock, InputError, type Log, systemClock, systemRandom } from "../kernel/mod.ts";
import { selfSigned } from "./certificate.ts";
import {
  type Arrival,
  defaultLimits,
  type Listener,
  type ListenPorts,
  listen,
  type NetworkLimits,
  networkSettings,
  PortTaken,
  type Route,
  type Socket,
} from "./mod.ts";
import { maxBufferedBytes } from "./socket.ts";

interface Started {
  readonly listener: Listener;
  readonly port: number;
  readonly arrivals: Arrival[];
  readonly sockets: Socket[];
  readonly logged: string[];
  readonly settings: (gateway: OpenClawConfig["gateway"]) => ReturnType<typeof networkSettings>;
}

/** A clock that moves when it is told to. */
function manualClock() {
  const timers = new Map<object, { readonly at: number; readonly action: () => void }>();
  let now = 0;
  return {
    now: () => now,
    monotonic: () => now,
    after(delayMs: number, action: () => void) {
      const timer = {};
      timers.set(timer, { at: now + delayMs, action });
      return () => void timers.delete(timer);
    },
    pass(ms: number) {
      now += ms;
      for (const [timer, { at, action }] of [...timers]) {
        if (at > now) continue;
        timers.delete(timer);
        action();
      }
    },
    get timers() {
      return timers.size;
    },
  };
}

const machine = { addresses: ["127.0.0.1"], inContainer: false, hostName: "host" };

async function start(
  t: TestContext,
  options: {
    readonly gateway?: OpenClawConfig["gateway"];
    readonly routes?: readonly Route[];
    readonly limits?: Partial<NetworkLimits>;
    readonly hasAuthentication?: () => boolean;
    readonly clock?: Clock;
    readonly isTailscaled?: ListenPorts["isTailscaled"];
    readonly onSocket?: ListenPorts["onSocket"];
  } = {},
): Promise<Started> {
  const stateFolder = await mkdtemp(join(tmpdir(), "network-"));
  t.after(() => rm(stateFolder, { recursive: true, force: true }));
  const arrivals: Arrival[] = [];
  const sockets: Socket[] = [];
  const logged: string[] = [];
  const log: Log = (level, message, fields) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  const settings = (gateway: OpenClawConfig["gateway"]) =>
    networkSettings({ gateway } as OpenClawConfig, {}, 0, {
      stateFolder,
      machine,
      identityHeaders: ["x-user"],
    });
  const listener = await listen({
    settings: settings(options.gateway),
    hasAuthentication: options.hasAuthentication ?? (() => true),
    routes: options.routes ?? [page],
    onSocket:
      options.onSocket ??
      ((socket, arrival) => {
        sockets.push(socket);
        arrivals.push(arrival);
      }),
    isTailscaled: options.isTailscaled ?? (() => true),
    clock: options.clock ?? systemClock,
    random: systemRandom,
    log,
    limits: { ...defaultLimits, checkEveryMs: 20, ...options.limits },
  });
  t.after(() => listener.close());
  t.after(() => {
    for (const socket of sockets) socket.terminate();
  });
  return { listener, port: listener.port, arrivals, sockets, logged, settings };
}

const page: Route = {
  method: "GET",
  path: "/",
  auth: "none",
  maxBodyBytes: 0,
  handle: (request) => ({ status: 200, body: JSON.stringify(request.arrival) }),
};

function post(path: string, more: Partial<Route> = {}): Route {
  return {
    method: "POST",
    path,
    auth: "none",
    maxBodyBytes: 10,
    handle: (request) => ({ status: 200, body: request.body }),
    ...more,
  };
}

/** Sends bytes as they are, and resolves with all that came back once the other side has closed. */
async function raw(port: number, bytes: string | Buffer, keepOpen = true): Promise<string> {
  const connection = connect({ port, host: "127.0.0.1", allowHalfOpen: keepOpen });
  connection.on("error", () => {});
  let text = "";
  connection.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  const closed = Promise.race([once(connection, "end"), once(connection, "close")]);
  if (bytes.length > 0) connection.write(bytes);
  if (!keepOpen) connection.end();
  await closed;
  connection.destroy();
  return text;
}

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function ask(
  port: number,
  options: {
    readonly method?: string;
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Buffer;
  } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        port,
        host: "127.0.0.1",
        method: options.method ?? "GET",
        path: options.path ?? "/",
        headers: options.headers ?? {},
        agent: false,
      },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          body += piece;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode as number, headers: response.headers, body }),
        );
        response.on("error", reject);
      },
    );
    request.on("error", reject);
    request.end(options.body);
  });
}

function errorType(answer: Answered): string {
  return JSON.parse(answer.body).error.type;
}

async function openSocket(port: number, headers: Readonly<Record<string, string>> = {}): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers });
  await once(socket, "open");
  return socket;
}

/** The answer to an upgrade that is refused. */
async function refusedSocket(
  port: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: string; readonly headers: Answered["headers"] }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers });
  socket.on("error", () => {});
  const [, response] = await once(socket, "unexpected-response");
  let body = "";
  response.setEncoding("utf8").on("data", (piece: string) => {
    body += piece;
  });
  await once(response, "end");
  socket.terminate();
  return { status: response.statusCode, body, headers: response.headers };
}

/** Waits, without sleeping, until something that other events bring about is so. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

// --- what is answered ------------------------------------------------------------------------------------------------

test("network (5): a request meets its row, or is told that there is none; every answer carries the base headers (A-030)", async (t) => {
  const under: Route = {
    ...page,
    path: "/files/*",
    has: (path) => path !== "/files/none",
    handle: ({ path, cookie }) => ({
      status: 200,
      headers: { "x-frame-options": "SAMEORIGIN" },
      body: `${path} ${cookie}`,
    }),
  };
  const empty: Route = { ...page, path: "/empty", handle: () => ({ status: 204 }) };
  const broken: Route = {
    ...page,
    path: "/broken",
    handle: () => {
      throw new Error("it broke");
    },
  };
  const { port, logged } = await start(t, {
    gateway: { http: { securityHeaders: { strictTransportSecurity: "max-age=1" } } },
    routes: [page, under, post("/"), empty, broken],
  });
  const table: readonly [method: string, path: string, status: number][] = [
    ["GET", "/", 200],
    ["GET", "/?query=1", 200],
    ["HEAD", "/", 200],
    ["POST", "/", 200],
    ["PUT", "/", 405],
    ["OPTIONS", "/", 405],
    ["GET", "/nothing", 404],
    ["GET", "/files/none", 404],
    ["GET", "/files/%E5%90%8D", 200],
    ["GET", "/empty", 204],
    ["GET", "/broken", 500],
  ];
  for (const [method, path, status] of table) {
    const answer = await ask(port, { method, path });
    assert.equal(answer.status, status, `${method} ${path}`);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.equal(answer.headers["referrer-policy"], "no-referrer");
    assert.match(String(answer.headers["content-security-policy"]), /frame-ancestors 'none'/);
    assert.equal(answer.headers["cross-origin-opener-policy"], "same-origin");
    assert.equal(answer.headers["strict-transport-security"], "max-age=1");
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
    if (method === "HEAD") assert.equal(answer.body, "");
    if (status === 405) assert.equal(answer.headers.allow, "GET, POST");
  }
  const cookies: readonly [header: string, value: string][] = [
    ["openclaw_session=abc", "abc"],
    ["other=1; openclaw_session=abc; openclaw_session=def", "abc"],
    ["openclaw_session", ""],
    ["openclaw_sessionx=1", ""],
  ];
  for (const [cookie, value] of cookies) {
    const answer = await ask(port, { path: "/files/a", headers: { cookie } });
    assert.equal(answer.body, `/files/a ${value}`);
    assert.equal(answer.headers["x-frame-options"], "SAMEORIGIN");
  }
  assert.match(logged.join(), /"error":"Error: it broke"/);
  // The method is the one in the request line, whatever a header says (method override).
  const override = await ask(port, {
    headers: { "x-http-method-override": "POST", "x-method-override": "POST" },
  });
  assert.equal(JSON.parse(override.body).path, "/");
});

test("network (1)(2)(3)(8): a refusal has its status and its type, and the handler does not run", async (t) => {
  let ran = 0;
  const counted = (route: Route): Route => ({
    ...route,
    handle: (request) => {
      ran += 1;
      return route.handle(request);
    },
  });
  const { port, logged } = await start(t, { routes: [counted(page), counted(post("/"))] });
  const table: readonly [
    headers: Readonly<Record<string, string>>,
    path: string,
    status: number,
    type: string,
  ][] = [
    [{ "x-forwarded-for": "198.51.100.1" }, "/", 403, "proxy_attribution_required"],
    [{ "x-real-ip": "127.0.0.1" }, "/", 403, "proxy_attribution_required"],
    [{ host: "rebind.attacker.test" }, "/", 403, "host_refused"],
    [{ origin: "https://evil.example" }, "/", 403, "origin_refused"],
    [{ origin: "null" }, "/nothing", 403, "origin_refused"],
    [{}, "//", 400, "request_malformed"],
    [{}, "/%2e%2e/", 400, "request_malformed"],
    [{}, "http://127.0.0.1/", 400, "request_malformed"],
  ];
  for (const [headers, path, status, type] of table) {
    for (const method of ["GET", "POST", "OPTIONS"]) {
      const answer = await ask(port, { method, path, headers });
      assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(headers)}`);
      assert.equal(errorType(answer), type);
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
    }
  }
  assert.equal(ran, 0);
  assert.match(logged.join("\n"), /warn a request was refused .*network\.host_refused/);
});

test("network (5): probes answer however they are asked; webhooks prove themselves, without an arrival", async (t) => {
  const probe: Route = {
    ...page,
    path: "/health",
    anyHost: true,
    handle: (request) => ({ status: 200, body: String(request.arrival) }),
  };
  const hook = post("/hook", {
    auth: "webhook",
    handle: (request) => ({ status: 200, body: String(request.arrival) }),
  });
  const { port } = await start(t, { routes: [probe, hook] });
  for (const headers of [{ host: "any.example" }, { "x-forwarded-for": "x" }, { origin: "null" }]) {
    const answer = await ask(port, { path: "/health", headers });
    assert.deepEqual([answer.status, answer.body], [200, "undefined"]);
  }
  assert.equal(
    (await ask(port, { path: "/health", headers: { "content-length": "1" }, body: "x" })).status,
    400,
  );
  for (const headers of [{ host: "any.example" }, { "x-forwarded-for": "198.51.100.1" }] as Record<
    string,
    string
  >[]) {
    const answer = await ask(port, { method: "POST", path: "/hook", headers, body: "x" });
    assert.deepEqual([answer.status, answer.body], [200, "undefined"]);
    headers.origin = "https://evil.example";
    assert.equal((await ask(port, { method: "POST", path: "/hook", headers, body: "x" })).status, 403);
  }
});

test("network (8): what smuggles a second request gets no answer to it (A-184)", async (t) => {
  const { port } = await start(t, { routes: [page, post("/")] });
  const hidden = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const table: Readonly<Record<string, string>> = {
    "length and chunked": `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    "two lengths": `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    "bare LF": `GET / HTTP/1.1\nHost: localhost\n\n${hidden}`,
    "bare LF in a header": `GET / HTTP/1.1\r\nHost: localhost\nX: 1\r\n\r\n${hidden}`,
    "folded header": `GET / HTTP/1.1\r\nHost: localhost\r\nX: 1\r\n 2\r\n\r\n${hidden}`,
    "space before the colon": `GET / HTTP/1.1\r\nHost : localhost\r\n\r\n${hidden}`,
    "bare LF in a chunk": `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\n${hidden}`,
    "another coding": `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n\r\n${hidden}`,
    "no host": `GET / HTTP/1.1\r\n\r\n${hidden}`,
    "HTTP/0.9": "GET /\r\n\r\n",
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP at all": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a header that is too long": `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
  };
  for (const [what, bytes] of Object.entries(table)) {
    const answer = await raw(port, Buffer.from(bytes, "latin1"), !what.includes("0.9"));
    assert.match(answer, /^HTTP\/1\.1 (?:400|431) /, what);
    assert.doesNotMatch(answer, /404|200 OK/, what);
  }
  const twoHosts = await raw(
    port,
    "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
  );
  assert.match(twoHosts, /^HTTP\/1\.1 400 [\s\S]*request_malformed/);
  const gzip = await raw(
    port,
    `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  );
  assert.match(gzip, /^HTTP\/1\.1 400 /);
  // nginx as it comes: HTTP/1.0, and no word about whom it speaks for.
  assert.match(
    await raw(port, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"),
    /403[\s\S]*proxy_attribution_required/,
  );
  assert.equal(await raw(port, "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"), "");
});

test("network (9): a body has its size and its time; what is not read does not become a request (A-182)", async (t) => {
  const handled: string[] = [];
  const early = post("/early", {
    before: (head) => (head.headers.authorization ? undefined : { status: 401 }),
  });
  const { port } = await start(t, {
    routes: [
      post("/", {
        handle: (request) => {
          handled.push(String(request.body));
          return { status: 200 };
        },
      }),
      early,
    ],
    limits: { requestMs: 150, headersMs: 100 },
  });
  const fits = await ask(port, { method: "POST", body: "0123456789" });
  assert.equal(fits.status, 200);
  const declared = await raw(
    port,
    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nxx",
  );
  assert.match(declared.split("\r\n\r\n")[0] ?? "", /^HTTP\/1\.1 413 [\s\S]*connection: close/);
  const grown = await raw(
    port,
    `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${"8\r\n12345678\r\n".repeat(2)}`,
  );
  assert.match(grown.split("\r\n\r\n")[0] ?? "", /^HTTP\/1\.1 413 [\s\S]*connection: close/);
  const flood = await raw(
    port,
    `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n${"x".repeat(1_000_000)}`,
  );
  assert.match(flood, /^HTTP\/1\.1 413 /);
  const whole = await ask(port, { method: "POST", body: "x".repeat(100) });
  assert.equal(whole.status, 413);
  assert.equal((await ask(port, { method: "POST", path: "/early", body: "0123456789" })).status, 401);
  assert.equal(
    (await ask(port, { method: "POST", path: "/early", headers: { authorization: "x" }, body: "01" })).body,
    "01",
  );
  const slow = await raw(port, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nx");
  assert.match(slow, /^HTTP\/1\.1 408 |^$/);
  assert.match(await raw(port, "GET / HTTP/1.1\r\nHost: local"), /^HTTP\/1\.1 408 /);
  assert.match(await raw(port, ""), /^HTTP\/1\.1 408 /);
  assert.deepEqual(handled, ["0123456789"]);
  const half = connect(port, "127.0.0.1");
  half.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nx");
  half.destroySoon();
  await once(half, "close");
  assert.equal((await ask(port, { path: "/nothing" })).status, 404);
});

test("network (6): a streamed answer ends with its work, and stops when nobody reads", async (t) => {
  const gone = Promise.withResolvers<string>();
  const stream: Route = {
    ...page,
    path: "/stream",
    handle: (request) => ({
      status: 200,
      headers: { "content-type": "text/plain" },
      stream: async (write) => {
        write("a");
        write("b");
        assert.equal(request.closed.aborted, false);
      },
    }),
  };
  const endless: Route = {
    ...page,
    path: "/endless",
    handle: (request) => {
      request.closed.addEventListener("abort", () => gone.resolve("aborted"));
      return {
        status: 200,
        stream: async (write) => {
          const piece = Buffer.alloc(4_000_000);
          while (write(piece)) await new Promise((resolve) => setImmediate(resolve));
        },
      };
    },
  };
  const broken: Route = {
    ...page,
    path: "/broken",
    handle: () => ({
      status: 200,
      stream: async (write) => {
        write("half");
        throw new Error("it broke");
      },
    }),
  };
  const { port } = await start(t, { routes: [stream, endless, broken] });
  assert.equal((await ask(port, { path: "/stream" })).body, "ab");
  const deaf = connect(port, "127.0.0.1");
  deaf.on("error", () => {});
  deaf.pause();
  deaf.write("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.equal(await gone.promise, "aborted");
  deaf.destroy();
  await assert.rejects(ask(port, { path: "/broken" }), /aborted|hang up|ECONNRESET/);
});

test("network (6): an answer that its reader does not take is given up; one that is taken slowly is not", async (t) => {
  const size = 30_000_000;
  const big: Route = { ...page, path: "/big", handle: () => ({ status: 200, body: Buffer.alloc(size) }) };
  const clock = manualClock();
  const { port } = await start(t, { routes: [big], clock });
  const read = (onData: (reader: Connection, received: number) => void) => {
    const reader = connect(port, "127.0.0.1");
    let received = 0;
    reader
      .on("error", () => {})
      .on("data", (piece) => {
        received += piece.length;
        onData(reader, received);
      });
    reader.write("GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    return once(reader, "close").then(() => received);
  };
  let paused: Connection | undefined;
  const deaf = read((reader, received) => {
    if (received < 5_000_000 || paused) return;
    paused = reader.pause();
  });
  await until(() => paused !== undefined && clock.timers === 1);
  clock.pass(defaultLimits.stalledResponseMs);
  paused?.resume();
  assert.ok((await deaf) < size);
  // Longer than the limit in all, but something is taken all the time.
  assert.ok((await read(() => clock.pass(100))) > size);
  assert.ok(clock.now() > 2 * defaultLimits.stalledResponseMs);
  assert.equal(clock.timers, 0);
});

test("network (6): a stream whose reader is gone is told so", async (t) => {
  const told = Promise.withResolvers<boolean>();
  const stream: Route = {
    ...page,
    handle: (request) => ({
      status: 200,
      stream: async (write) => {
        write("first");
        await once(request.closed, "abort");
        told.resolve(write("second"));
      },
    }),
  };
  const { port } = await start(t, { routes: [stream] });
  const reader = connect(port, "127.0.0.1");
  reader.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(reader, "data");
  reader.destroy();
  assert.equal(await told.promise, false);
});

// --- WebSockets ------------------------------------------------------------------------------------------------------

test("network (1)(2)(3): an upgrade is refused before it is one, with the reason (A-020)", async (t) => {
  const { port, arrivals } = await start(t);
  const table: readonly [headers: Readonly<Record<string, string>>, type: string][] = [
    [{ origin: "https://evil.example" }, "origin_refused"],
    [{ host: "rebind.test", origin: "http://rebind.test" }, "host_refused"],
    [{ "x-forwarded-for": "198.51.100.1", origin: "https://evil.example" }, "proxy_attribution_required"],
    [{ "sec-fetch-site": "cross-site" }, "origin_refused"],
  ];
  for (const [headers, type] of table) {
    const { status, body, headers: answered } = await refusedSocket(port, headers);
    assert.equal(status, 403);
    assert.equal(JSON.parse(body).error.type, type);
    assert.equal(answered["x-content-type-options"], "nosniff");
  }
  assert.deepEqual(arrivals, []);
});

test("network (8): a malformed upgrade is answered and forgotten", async (t) => {
  const { port, listener, arrivals } = await start(t);
  const upgrade =
    "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const table: Readonly<Record<string, string>> = {
    "no key": `GET / HTTP/1.1\r\n${upgrade}\r\n`,
    "two keys": `GET / HTTP/1.1\r\n${upgrade}${key}${key}\r\n`,
    "a body": `GET / HTTP/1.1\r\n${upgrade}${key}Content-Length: 2\r\n\r\nxx`,
    "another protocol": `GET / HTTP/1.1\r\n${upgrade.replace("websocket", "h2c")}${key}\r\n`,
    "another path": `GET //[ HTTP/1.1\r\n${upgrade}${key}\r\n`,
    "absolute form": `GET http://evil.example/ HTTP/1.1\r\n${upgrade}${key}\r\n`,
  };
  for (const [what, bytes] of Object.entries(table))
    assert.match(await raw(port, bytes), /^HTTP\/1\.1 400 /, what);
  await until(() => listener.standing.connections === 0 && listener.standing.sockets === 0);
  assert.deepEqual(arrivals, []);
});

test("network (4): so many sockets of a client may wait; one that proves itself or leaves makes room", async (t) => {
  const { port, sockets, listener } = await start(t, { limits: { socketsPerClient: 2 } });
  const first = await openSocket(port);
  const second = await openSocket(port);
  const { status, body } = await refusedSocket(port);
  assert.deepEqual([status, body], [503, "Too many unauthenticated sockets"]);
  sockets[0]?.authenticated();
  sockets[0]?.authenticated();
  const third = await openSocket(port);
  assert.equal((await refusedSocket(port)).status, 503);
  second.terminate();
  await until(() => listener.standing.sockets === 1);
  const fourth = await openSocket(port);
  assert.equal(listener.standing.sockets, 2);
  for (const socket of [first, third, fourth]) socket.terminate();
  await until(() => listener.standing.sockets === 0 && listener.standing.connections === 0);
});

test("network (4): before connect a frame has 64 KiB and everything together 128 KiB; after it neither holds (A-183)", async (t) => {
  const received: number[] = [];
  const { port, sockets } = await start(t, {
    onSocket: (socket) => {
      sockets.push(socket);
      socket.onMessage((bytes) => void received.push(bytes.length));
    },
  });
  const large = await openSocket(port);
  large.send("x".repeat(65_537));
  assert.equal((await once(large, "close"))[0], 1009);
  const huge = await openSocket(port);
  huge.send("x".repeat(10_000_000));
  assert.ok([1006, 1009].includes((await once(huge, "close"))[0]));
  const floods: readonly [times: number, flood: (socket: WebSocket) => void][] = [
    [4, (socket) => socket.send("x".repeat(50_000))],
    [2000, (socket) => socket.ping("x".repeat(100))],
    [30_000, (socket) => socket.send("x", { fin: false })],
  ];
  for (const [times, flood] of floods) {
    const socket = await openSocket(port);
    socket.on("error", () => {});
    const closed = once(socket, "close");
    for (let index = 0; index < times; index += 1) flood(socket);
    // 1008: the library has a limit of its own on fragments.
    assert.ok([1006, 1008, 1009].includes((await closed)[0]));
  }
  const known = await openSocket(port);
  sockets.at(-1)?.authenticated();
  received.length = 0;
  for (let index = 0; index < 5; index += 1) known.send("x".repeat(100_000));
  await until(() => received.length === 5);
  assert.deepEqual(new Set(received), new Set([100_000]));
  known.terminate();
});

test("network (6): a socket carries whole messages, and closes with at most 123 bytes of reason", async (t) => {
  const { port, sockets } = await start(t);
  const client = await openSocket(port);
  const [socket] = sockets as [Socket];
  const pong = Promise.withResolvers<void>();
  socket.onPong(() => pong.resolve());
  socket.ping();
  await pong.promise;
  const messages: string[] = [];
  client.on("message", (data) => messages.push(String(data)));
  socket.send("one");
  socket.send("two");
  await until(() => messages.length === 2);
  assert.equal(socket.bufferedBytes, 0);
  const closed = Promise.withResolvers<readonly [number, string]>();
  socket.onClose((code, reason) => closed.resolve([code, reason]));
  socket.close(1008, "ü".repeat(100));
  const [code, reason] = await once(client, "close");
  assert.equal(code, 1008);
  assert.equal(String(reason), "ü".repeat(61));
  assert.equal((await closed.promise)[0], 1008);
  socket.send("nobody is there");
});

test("network (6): a slow reader is told why it is closed if it reads on, and keeps nothing waiting if it does not", async (t) => {
  const clock = manualClock();
  const { port, sockets } = await start(t, { clock });
  /** A client that takes nothing, and our end of it with more than may wait. */
  async function overflowing() {
    const client = await openSocket(port);
    const socket = sockets.at(-1) as Socket;
    const connection = (client as unknown as { _socket: Connection })._socket;
    connection.pause();
    const closed = Promise.withResolvers<void>();
    socket.onClose(() => closed.resolve());
    for (let index = 0; index < 40; index += 1) socket.send("x".repeat(2_000_000));
    const waiting = socket.bufferedBytes;
    socket.send("x".repeat(2_000_000));
    assert.ok(socket.bufferedBytes <= waiting, "nothing more is queued");
    assert.ok(waiting < maxBufferedBytes + 3_000_000);
    return { client, connection, closed: closed.promise };
  }
  const late = await overflowing();
  const told = once(late.client, "close");
  late.connection.resume();
  const [code, reason] = await told;
  assert.deepEqual([code, String(reason)], [1008, "slow consumer"]);
  await late.closed;
  const before = clock.timers;

  const deaf = await overflowing();
  assert.equal(clock.timers, before + 1);
  clock.pass(2000);
  await deaf.closed;
  deaf.client.terminate();
});

// --- strangers -------------------------------------------------------------------------------------------------------

test("network (9): two thousand silent connections are held, the oldest of more make room, and an honest one gets through", async (t) => {
  const { port, listener } = await start(t, { limits: { connections: 50 } });
  const silent: Connection[] = [];
  t.after(() => silent.forEach((connection) => void connection.destroy()));
  let ended = 0;
  for (let index = 0; index < 200; index += 1) {
    const connection = connect(port, "127.0.0.1");
    connection
      .on("error", () => {})
      .on("close", () => {
        ended += 1;
      });
    silent.push(connection);
    await once(connection, "connect");
  }
  await until(() => ended >= 150);
  assert.equal(listener.standing.connections, 50);
  assert.equal((await ask(port)).status, 200);
  // A socket that waits for its connect has a deadline of its own and is not the one that goes.
  const waiting = await openSocket(port);
  for (let index = 0; index < 60; index += 1)
    await once(
      connect(port, "127.0.0.1").on("error", () => {}),
      "connect",
    );
  assert.equal(waiting.readyState, waiting.OPEN);
  waiting.terminate();
});

test("network (9): when nobody can make room a new connection is not taken", async (t) => {
  const { port, logged } = await start(t, { limits: { connections: 1 } });
  const waiting = await openSocket(port);
  assert.equal(await raw(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "");
  assert.match(logged.join(), /too_many_unauthenticated/);
  waiting.terminate();
});

// --- settings --------------------------------------------------------------------------------------------------------

test("network (7): nothing is listened on beyond loopback without authentication (A-017)", async (t) => {
  const off = { hasAuthentication: () => false };
  await assert.rejects(start(t, { gateway: { bind: "lan" }, ...off }), (error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /0\.0\.0\.0.*no authentication.*gateway\.auth\.token/);
    return true;
  });
  const { port } = await start(t, { gateway: { bind: "loopback" }, ...off });
  assert.equal((await ask(port)).status, 200);
  await assert.rejects(start(t, { gateway: { bind: "custom" } }), /customBindHost/);
  await assert.rejects(start(t, { gateway: { trustedProxies: ["nginx"] } }), /trustedProxies/);
});

test("network (7): an address that is taken is named; one that is not ours is too, and nothing stays open", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  t.after(() => other.close());
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  const settings = networkSettings({}, {}, port, { stateFolder: "/nowhere", machine });
  const ports = {
    settings,
    hasAuthentication: () => true,
    routes: [],
    onSocket: () => {},
    isTailscaled: () => true,
    clock: systemClock,
    random: systemRandom,
    log: () => {},
  };
  await assert.rejects(
    listen(ports),
    (error) => error instanceof PortTaken && error.port === port && error.host === "127.0.0.1",
  );
  const stateFolder = await mkdtemp(join(tmpdir(), "network-"));
  t.after(() => rm(stateFolder, { recursive: true, force: true }));
  const encrypted = networkSettings({ gateway: { tls: { enabled: true } } }, {}, port, {
    stateFolder,
    machine,
  });
  await assert.rejects(listen({ ...ports, settings: encrypted }), PortTaken);
  await assert.rejects(
    listen({ ...ports, settings: { ...settings, port: 0, hosts: ["127.0.0.1", "203.0.113.1"] } }),
    /cannot listen on 203\.0\.113\.1/,
  );
  const both = await listen({
    ...ports,
    settings: { ...settings, port: 0, hosts: ["127.0.0.2", "127.0.0.1"] },
  });
  t.after(() => both.close());
  assert.deepEqual(both.urls, [`http://127.0.0.2:${both.port}/`, `http://127.0.0.1:${both.port}/`]);
  assert.equal((await ask(both.port)).status, 404);
  const lan = await listen({ ...ports, settings: { ...settings, port: 0, hosts: ["0.0.0.0"] } });
  t.after(() => lan.close());
  assert.deepEqual(lan.urls, [`http://127.0.0.1:${lan.port}/`]);
  assert.equal(lan.certificateFingerprint, undefined);
  await lan.checkCertificate();
});

test("network (3): a page whose origin is taken off the list loses its socket; the others stay", async (t) => {
  const gateway = { controlUi: { allowedOrigins: ["https://gateway.example"] } };
  const { port, listener, settings, logged } = await start(t, { gateway });
  const pageSocket = await openSocket(port, { origin: "https://gateway.example" });
  const own = await openSocket(port, { origin: `http://127.0.0.1:${port}` });
  const commandLine = await openSocket(port);
  listener.apply(settings(gateway));
  listener.apply(settings({ trustedProxies: ["nginx"] }));
  assert.equal((await once(pageSocket, "close"))[0], 1008);
  assert.equal(own.readyState, own.OPEN);
  assert.equal(commandLine.readyState, commandLine.OPEN);
  assert.match(logged.join(), /"nginx" is not an IP address/);
  own.terminate();
  commandLine.terminate();
});

test("network (1): a proxy that is trusted no more loses its clients; while it is, they are counted one by one", async (t) => {
  const gateway = { trustedProxies: ["127.0.0.1"] };
  const { port, listener, settings, arrivals } = await start(t, { gateway, limits: { socketsPerClient: 1 } });
  const first = await openSocket(port, { "x-forwarded-for": "198.51.100.1" });
  const second = await openSocket(port, { "x-forwarded-for": "198.51.100.2" });
  assert.equal((await refusedSocket(port, { "x-forwarded-for": "198.51.100.1" })).status, 503);
  assert.deepEqual(
    arrivals.map((arrival) => [arrival.address, arrival.via, arrival.isLocal]),
    [
      ["198.51.100.1", "proxy", false],
      ["198.51.100.2", "proxy", false],
    ],
  );
  listener.apply(settings({}));
  assert.equal((await once(first, "close"))[0], 1008);
  second.terminate();
});

test("network (3): what trusts everybody is said at the start", async (t) => {
  const { logged } = await start(t, { gateway: { controlUi: { allowedOrigins: ["*"] } } });
  assert.match(logged.join(), /warn .*every web page/);
});

test("network (7): a reload that takes the secret away leaves nothing open to others", async (t) => {
  let secret = true;
  const own = Object.values((await import("node:os")).networkInterfaces())
    .flatMap((list) => list ?? [])
    .find((item) => item.family === "IPv4" && !item.internal)?.address;
  if (own === undefined) {
    t.skip("this machine has no address but loopback");
    return;
  }
  const { port } = await start(t, { gateway: { bind: "lan" }, hasAuthentication: () => secret });
  const from = (host: string) =>
    new Promise<number>((resolve, reject) => {
      httpRequest({ host, port, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode as number);
      })
        .on("error", reject)
        .end();
    });
  assert.equal(await from(own), 200);
  secret = false;
  assert.equal(await from(own), 403);
  assert.equal(await from("127.0.0.1"), 200);
});

test("network (7): once it stops, open connections get no further sockets, and silent ones do not hold it up", async (t) => {
  const { port, listener } = await start(t);
  const silent = connect(port, "127.0.0.1");
  silent.on("error", () => {});
  await once(silent, "connect");
  const kept = connect(port, "127.0.0.1");
  kept.on("error", () => {});
  let text = "";
  kept.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  kept.write("GET / HTTP/1.1\r\nHost: localhost\r\n");
  await until(() => listener.standing.connections === 2);
  const closed = listener.close();
  await closed;
  assert.equal(text, "");
  silent.destroy();
  kept.destroy();
});

// --- TLS -------------------------------------------------------------------------------------------------------------

function secure(port: number, more: object = {}): TLSSocket {
  return tlsConnect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...more });
}

test("network (11): tailscale's entrance answers nobody else's program, and says so in the log", async (t) => {
  const asked: number[] = [];
  const { listener, port, logged } = await start(t, {
    gateway: { tailscale: { mode: "serve" } },
    isTailscaled: ({ localPort }) => {
      asked.push(localPort as number);
      return false;
    },
  });
  const { tailscalePort = 0 } = listener;
  await assert.rejects(ask(tailscalePort, {}), /ECONNRESET|hang up/);
  assert.equal((await ask(port, {})).status, 200);
  assert.deepEqual(asked, [tailscalePort], "only there");
  assert.ok(
    logged.some((line) => line.includes("network.peer_refused")),
    logged.join(),
  );
});

test("network (11): tailscale has an entrance of its own on loopback; forwarded clients need authentication there too", async (t) => {
  let secured = true;
  const { listener, port } = await start(t, {
    gateway: { tailscale: { mode: "serve" }, tls: { enabled: true }, trustedProxies: ["127.0.0.1"] },
    hasAuthentication: () => secured,
  });
  const { tailscalePort = 0 } = listener;
  assert.notEqual(tailscalePort, 0);
  assert.notEqual(tailscalePort, port);
  const served = { host: "gw.tail.ts.net", "x-forwarded-for": "100.64.0.9", "tailscale-user-login": "me" };
  const over = (headers: Record<string, string>) => ask(tailscalePort, { headers });
  const arrival = JSON.parse((await over(served)).body);
  assert.deepEqual(
    [arrival.entrance, arrival.address, arrival.identityHeaders],
    ["tailscale", "100.64.0.9", { "tailscale-user-login": "me" }],
  );
  assert.equal((await over({})).status, 403);
  (await openSocket(tailscalePort, served)).terminate();
  secured = false;
  assert.equal(errorType(await over(served)), "authentication_required");
});

test("network (10): TLS 1.3 and nothing older; the fingerprint is the certificate's; plain HTTP gets no answer", async (t) => {
  const { port, listener, arrivals } = await start(t, { gateway: { tls: { enabled: true } } });
  assert.equal(listener.urls[0], `https://127.0.0.1:${port}/`);
  const connection = secure(port);
  await once(connection, "secureConnect");
  assert.equal(connection.getProtocol(), "TLSv1.3");
  assert.equal(connection.getPeerCertificate().fingerprint256, listener.certificateFingerprint);
  connection.destroy();
  const old = secure(port, { maxVersion: "TLSv1.2" });
  const [error] = await once(old, "error");
  assert.match(String(error.code), /PROTOCOL_VERSION|ALERT/);
  const answer = await new Promise<string>((resolve, reject) => {
    httpsRequest({ port, host: "127.0.0.1", rejectUnauthorized: false, agent: false }, (response) => {
      let body = "";
      response.on("data", (piece) => {
        body += piece;
      });
      response.on("end", () => resolve(body));
    })
      .on("error", reject)
      .end();
  });
  assert.equal(JSON.parse(answer).scheme, "https");
  assert.doesNotMatch(await raw(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), /200/);
  const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { rejectUnauthorized: false });
  await once(socket, "open");
  assert.equal(arrivals[0]?.scheme, "https");
  socket.terminate();
  await until(() => listener.standing.connections === 0);
});

test("network (10): a new certificate is for new connections; open ones go on as they are", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "network-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [certPath, keyPath, caPath] = [join(folder, "c.pem"), join(folder, "k.pem"), join(folder, "ca.pem")];
  const pair = () =>
    selfSigned({
      names: ["localhost"],
      notBeforeMs: 0,
      notAfterMs: Date.UTC(2099, 0, 1),
      random: systemRandom,
    });
  const write = async ({ cert, key }: { readonly cert: string; readonly key: string }) => {
    await writeFile(certPath, cert);
    await writeFile(keyPath, key);
    await writeFile(caPath, cert);
  };
  await write(pair());
  const { port, listener, sockets } = await start(t, {
    gateway: { tls: { enabled: true, certPath, keyPath, caPath } },
  });
  const before = listener.certificateFingerprint;
  const open = new WebSocket(`wss://127.0.0.1:${port}/`, { rejectUnauthorized: false });
  await once(open, "open");
  await write(pair());
  await listener.checkCertificate();
  assert.notEqual(listener.certificateFingerprint, before);
  const connection = secure(port);
  await once(connection, "secureConnect");
  assert.equal(connection.getPeerCertificate().fingerprint256, listener.certificateFingerprint);
  assert.equal(connection.getProtocol(), "TLSv1.3");
  connection.destroy();
  const old = secure(port, { maxVersion: "TLSv1.2" });
  await once(old, "error");
  sockets[0]?.send("still here");
  assert.equal(String((await once(open, "message"))[0]), "still here");
  open.terminate();
});
