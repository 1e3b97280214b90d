/** The proxy as its clients meet it: real sockets, real TLS, servers on loopback. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { type Clock, Secret, silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import { issueCertificate, makeAuthority } from "../network/certificate.ts";
import { addressVerdict } from "../policy/address.ts";
import { defaultEgressLimits } from "./egress-limits.ts";
import { type EgressDeps, type EgressEvent, openEgressProxy } from "./egress-proxy.ts";
import type { EgressRule } from "./egress-rules.ts";

const validity = { notBeforeMs: Date.now() - 1000, notAfterMs: Date.now() + 3_600_000, random: systemRandom };
/** Whom the world trusts, and whom sandboxes do. */
const world = makeAuthority(validity);
const own = makeAuthority(validity);

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function scene(
  t: TestContext,
  rules: (ports: { plain: number; secure: number }) => readonly EgressRule[],
  more: { handler?: Handler; deps?: Partial<EgressDeps>; answers?: readonly string[] } = {},
) {
  const hits: IncomingMessage[] = [];
  const handler: Handler = (incoming, response) => {
    hits.push(incoming);
    if (more.handler) more.handler(incoming, response);
    else response.end(`${incoming.method} ${incoming.url}`);
  };
  const plain = createServer(handler).listen(0, "127.0.0.1");
  const secure = createSecureServer(
    issueCertificate(world, { ...validity, host: "site.test" }),
    handler,
  ).listen(0, "127.0.0.1");
  await Promise.all([once(plain, "listening"), once(secure, "listening")]);
  const ports = {
    plain: (plain.address() as AddressInfo).port,
    secure: (secure.address() as AddressInfo).port,
  };
  const folder = mkdtempSync(join(tmpdir(), "egress-"));
  const socketPath = join(folder, "s");
  const events: EgressEvent[] = [];
  const asked: string[] = [];
  const proxy = await openEgressProxy(
    {
      clock: systemClock,
      log: silentLog,
      limits: defaultEgressLimits,
      resolve: async (name) => {
        asked.push(name);
        return (more.answers ?? ["127.0.0.1"]).map((address) => ({ address, family: 4 as const }));
      },
      addressVerdict,
      issue: (host) => issueCertificate(own, { ...validity, host }),
      roots: [world.cert],
      record: async (event) => void events.push(event),
      ...more.deps,
    },
    socketPath,
    rules(ports),
  );
  t.after(async () => {
    await proxy.close();
    plain.close();
    secure.close();
    plain.closeAllConnections();
    secure.closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
  });
  const site = `http://site.test:${ports.plain}`;
  const refusals = () => events.filter(({ outcome }) => outcome === "refuse");
  return { ...ports, hits, events, refusals, asked, socketPath, proxy, site };
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingMessage["headers"];
}

/** A request in absolute form, or, over `through`, the plain one of a browser. */
function ask(
  socketPath: string,
  path: string,
  options: {
    method?: string;
    headers?: Record<string, string>;
    body?: string | Buffer;
    through?: Duplex;
  } = {},
): Promise<Answer> {
  const { method = "GET", headers = {}, body, through } = options;
  return new Promise((resolve, reject) => {
    const client = request({
      ...(through ? { createConnection: () => through } : { socketPath }),
      path,
      method,
      headers: { host: "ignored.test", ...headers },
      setHost: false,
    });
    client.on("error", reject).on("response", (response) => {
      let text = "";
      response
        .setEncoding("utf8")
        .on("data", (piece) => {
          text += piece;
        })
        .on("aborted", () => reject(new Error("aborted")))
        .on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    client.end(body);
  });
}

/** What CONNECT gives: the tunnel, or the refusal. */
function tunnel(
  socketPath: string,
  authority: string,
): Promise<{ status: number; socket: Duplex; text: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, method: "CONNECT", path: authority })
      .on("error", reject)
      .on("connect", (response, socket, head) => {
        let text = String(head);
        if (response.statusCode === 200) return resolve({ status: 200, socket, text });
        socket
          .on("data", (piece) => {
            text += piece;
          })
          .on("error", () => {})
          .on("close", () => resolve({ status: response.statusCode ?? 0, socket, text }));
      })
      .end();
  });
}

async function secureThrough(
  socketPath: string,
  authority: string,
  trust: string,
  servername = authority.split(":")[0] ?? "",
) {
  const { status, socket } = await tunnel(socketPath, authority);
  assert.equal(status, 200);
  const secure = connectTls({ socket, servername, ca: trust });
  await once(secure, "secureConnect");
  return secure;
}

test("sandbox (9), SS: what no rule names is refused with a sentence, on record, and nobody is asked for its address", async (t) => {
  const s = await scene(t, ({ plain }) => [{ host: "site.test", port: plain, allowPrivate: true }]);
  for (const url of [
    `http://other.test:${s.plain}/`,
    "http://site.test/",
    `http://127.0.0.1:${s.plain}/`,
    `http://2130706433:${s.plain}/`,
    `http://[::1]:${s.plain}/`,
    "http://169.254.169.254/latest/meta-data/",
  ]) {
    const { status, text } = await ask(s.socketPath, url);
    assert.equal(status, 403, url);
    assert.match(text, /No rule of this sandbox's egress names/);
  }
  for (const authority of [`other.test:${s.secure}`, "site.test:443", `127.0.0.1:${s.plain}`]) {
    const { status, text } = await tunnel(s.socketPath, authority);
    assert.equal(status, 403, authority);
    assert.match(text, /No rule of this sandbox's egress names/);
  }
  assert.deepEqual([s.hits.length, s.asked.length, s.refusals().length, s.events.length], [0, 0, 9, 9]);
  assert.equal(statSync(s.socketPath).mode & 0o777, 0o600);
});

test("sandbox (9): what a rule names is passed on whole, and is on record before and after with the rule that decided", async (t) => {
  const s = await scene(
    t,
    ({ plain }) => [{ host: "no.test" }, { host: "site.test", port: plain, allowPrivate: true }],
    {
      handler: (incoming, response) => {
        response.writeHead(201, {
          "x-kind": "thing",
          "set-cookie": ["a=1", "b=2"],
          connection: "x-hop",
          "x-hop": "1",
        });
        incoming.pipe(response);
      },
    },
  );
  const body = "x".repeat(300_000);
  const answer = await ask(s.socketPath, `${s.site}/a?token=hidden`, { method: "POST", body });
  assert.deepEqual([answer.status, answer.text === body, answer.headers["x-kind"]], [201, true, "thing"]);
  assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
  assert.equal(answer.headers["x-hop"], undefined);
  assert.equal(s.hits[0]?.headers.host, `site.test:${s.plain}`);
  assert.deepEqual(
    s.events.map(({ kind, outcome, rule, path }) => [kind, outcome, rule, path]),
    [
      ["verdict", "permit", 1, "/a"],
      ["end", "ok", 1, "/a"],
    ],
  );
  assert.deepEqual(s.events[1]?.end, { sentBytes: 300_000, receivedBytes: 300_000, status: 201 });
  assert.deepEqual(s.asked, ["site.test"]);
});

test("sandbox (9), SS: a listed name that leads to a private address is refused, one of several included; the address is asked for once (A-161, A-163)", async (t) => {
  const rules = ({ plain }: { plain: number }) => [{ host: "site.test", port: plain }];
  for (const answers of [["127.0.0.1"], ["93.184.216.34", "10.0.0.5"], ["0.0.0.0"], ["169.254.169.254"]]) {
    const s = await scene(t, rules, { answers });
    const { status, text } = await ask(s.socketPath, `${s.site}/`);
    assert.equal(status, 403);
    assert.match(text, /not a public address.*allowPrivate/);
    assert.equal((await tunnel(s.socketPath, `site.test:${s.plain}`)).status, 403);
    assert.deepEqual([s.hits.length, s.refusals().length, s.asked.length], [0, 2, 2]);
  }
});

test("sandbox (9): a tunnel is passed on unread where its rules are about host and port alone", async (t) => {
  const s = await scene(t, ({ secure }) => [{ host: "site.test", port: secure, allowPrivate: true }]);
  const secure = await secureThrough(s.socketPath, `site.test:${s.secure}`, world.cert);
  const { text } = await ask("", "/x", { through: secure });
  assert.equal(text, "GET /x");
  assert.deepEqual(s.events[0], {
    ...{ method: "CONNECT", host: "site.test", port: s.secure, secure: true, rule: 0 },
    ...{ kind: "verdict", outcome: "permit" },
  });
});

const key = "Bearer the-real-credential";
const inject = { header: "Authorization", value: new Secret(key) };
const github = ({ secure }: { secure: number }): readonly EgressRule[] => [
  { host: "site.test", port: secure, allowPrivate: true, methods: ["GET"], paths: ["/repos/*"], inject },
];

test("sandbox (9): a credential is set at the proxy alone, in place of whatever the sandbox sent, and only where the rule says", async (t) => {
  const s = await scene(t, github, {
    handler: (incoming, response) => response.end(String(incoming.headers.authorization)),
  });
  const to = `site.test:${s.secure}`;
  const open = () => secureThrough(s.socketPath, to, own.cert);
  const headers = {
    host: to,
    authorization: "Bearer of the sandbox",
    AUTHORIZATION: "twice",
    connection: "x-secret",
    "x-secret": "1",
    "x-http-method-override": "DELETE",
    "x-method-override": "DELETE",
    "proxy-authorization": "Basic x",
  };
  const { text } = await ask("", "/repos/a", { headers, through: await open() });
  assert.equal(text, key);
  const [hit] = s.hits;
  assert.deepEqual(
    ["x-secret", "x-http-method-override", "x-method-override", "proxy-authorization"].map(
      (name) => hit?.headers[name],
    ),
    [undefined, undefined, undefined, undefined],
  );
  for (const [path, method] of [
    ["/user", "GET"],
    ["/repos/../user", "GET"],
    ["/repos/a", "POST"],
  ] as const) {
    const refused = await ask("", path, { method, headers: { host: to }, through: await open() });
    assert.equal(refused.status, 403, `${method} ${path}`);
  }
  assert.equal((await ask(s.socketPath, `http://${to}/repos/a`)).status, 403);
  assert.equal(s.hits.length, 1);
  assert.doesNotMatch(JSON.stringify(s.events), /the-real-credential|Bearer/);
});

test("sandbox (9): inside a tunnel that is read, no other host can be named, by Host, by SNI, or by another CONNECT", async (t) => {
  const s = await scene(t, (ports) => [...github(ports), { host: "b.test", paths: ["/"] }]);
  const to = `site.test:${s.secure}`;
  for (const host of ["b.test", `b.test:${s.secure}`, `site.test:${s.plain}`]) {
    const through = await secureThrough(s.socketPath, to, own.cert);
    assert.equal((await ask("", "/repos/a", { headers: { host }, through })).status, 400, host);
  }
  const absolute = await secureThrough(s.socketPath, to, own.cert);
  assert.equal((await ask("", "https://b.test/", { headers: { host: to }, through: absolute })).status, 400);
  // A client that does not look at certificates would not mind.
  const { socket } = await tunnel(s.socketPath, to);
  const careless = connectTls({ socket, servername: "b.test", rejectUnauthorized: false });
  await assert.rejects(once(careless, "secureConnect"));
  const inner = await secureThrough(s.socketPath, to, own.cert);
  inner.write(`CONNECT b.test:443 HTTP/1.1\r\nHost: b.test\r\n\r\n`);
  assert.match(String((await once(inner, "data"))[0]), /^HTTP\/1\.1 400/);
  assert.equal(s.hits.length, 0);
});

test("sandbox (9): an upstream whose certificate nobody vouches for gets no credential", async (t) => {
  const s = await scene(t, github, { deps: { roots: [own.cert] } });
  const to = `site.test:${s.secure}`;
  const through = await secureThrough(s.socketPath, to, own.cert);
  const { status, text } = await ask("", "/repos/a", { headers: { host: to }, through });
  assert.equal(status, 502);
  assert.match(text, /failed:.*certificate/);
  assert.equal(s.hits.length, 0);
  assert.match(s.events.at(-1)?.end?.fault ?? "", /certificate/);
});

test("sandbox (9): a redirect is handed to the client and not followed", async (t) => {
  const s = await scene(t, ({ plain }) => [{ host: "site.test", port: plain, allowPrivate: true }], {
    handler: (_, response) => response.writeHead(302, { location: "http://169.254.169.254/" }).end(),
  });
  const { status, headers } = await ask(s.socketPath, `${s.site}/`);
  assert.deepEqual([status, headers.location, s.hits.length], [302, "http://169.254.169.254/", 1]);
});

test("sandbox (9): what cannot be put on record is not done", async (t) => {
  const record = async () => {
    throw new Error("the disk is full");
  };
  const s = await scene(
    t,
    ({ plain, secure }) => [plain, secure].map((port) => ({ host: "site.test", port, allowPrivate: true })),
    {
      deps: { record },
    },
  );
  const { status, text } = await ask(s.socketPath, `${s.site}/`);
  assert.equal(status, 503);
  assert.match(text, /not put this request on record|not.*record/);
  assert.equal((await tunnel(s.socketPath, `site.test:${s.secure}`)).status, 503);
  assert.equal(s.hits.length, 0);
});

test("sandbox (9): a request that is none for a proxy is told so", async (t) => {
  const s = await scene(t, ({ plain }) => [{ host: "site.test", port: plain, allowPrivate: true }]);
  for (const path of [
    "/",
    "*",
    `https://site.test:${s.plain}/`,
    `http://u:p@site.test:${s.plain}/`,
    "ftp://site.test/",
  ])
    assert.equal((await ask(s.socketPath, path)).status, 400, path);
  for (const authority of ["site.test", `u@site.test:${s.plain}`, "site.test:99999"])
    assert.equal((await tunnel(s.socketPath, authority)).status, 400, authority);
  assert.equal((await ask(s.socketPath, `${s.site}?q`)).text, "GET /?q");
});

function manualClock() {
  let now = 0;
  const timers = new Set<{ at: number; action: () => void }>();
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(delayMs, action) {
      const timer = { at: now + delayMs, action };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  };
  const pass = (ms: number) => {
    now += ms;
    for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.action();
  };
  return { clock, pass };
}

test("sandbox (9): time, bytes and pace are bounded, in a request and in a tunnel", async (t) => {
  const { clock, pass } = manualClock();
  const arrived: (() => void)[] = [];
  const limits = { ...defaultEgressLimits, maxBytes: 100_000, maxRequestsPerMinute: 4, idleMs: 10_000 };
  const s = await scene(t, ({ plain }) => [{ host: "site.test", port: plain, allowPrivate: true }], {
    deps: { clock, limits },
    handler: (incoming, response) => {
      arrived.shift()?.();
      if (incoming.url === "/big") response.end(Buffer.alloc(1_000_000));
      else if (incoming.url === "/small") response.end("small");
    },
  });
  await assert.rejects(ask(s.socketPath, `${s.site}/big`), /aborted|socket hang up/);
  const slow = new Promise<void>((resolve) => arrived.push(resolve));
  const waiting = ask(s.socketPath, `${s.site}/never`);
  await slow;
  pass(limits.idleMs);
  assert.equal((await waiting).status, 502);
  const { socket } = await tunnel(s.socketPath, `site.test:${s.plain}`);
  socket.on("error", () => {});
  const closed = once(socket, "close");
  socket.resume();
  pass(limits.idleMs);
  await closed;
  const { socket: fat } = await tunnel(s.socketPath, `site.test:${s.plain}`);
  fat.on("error", () => {}).resume();
  const cut = once(fat, "close");
  let received = 0;
  fat.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  fat.write("GET /big HTTP/1.1\r\nhost: x\r\n\r\n");
  await cut;
  assert.ok(received < 1_000_000);
  assert.equal((await ask(s.socketPath, `${s.site}/small`)).status, 429);
  assert.equal((await tunnel(s.socketPath, `site.test:${s.plain}`)).status, 429);
  assert.equal(s.refusals().length, 1);
  pass(60_000);
  assert.equal((await ask(s.socketPath, `${s.site}/small`)).text, "small");
});

test("sandbox (9): closing ends every connection, and nothing is let in afterwards", async (t) => {
  const s = await scene(t, ({ plain }) => [{ host: "site.test", port: plain, allowPrivate: true }]);
  const { socket } = await tunnel(s.socketPath, `site.test:${s.plain}`);
  socket.on("error", () => {}).resume();
  const closed = once(socket, "close");
  await s.proxy.close();
  await closed;
  await assert.rejects(ask(s.socketPath, `${s.site}/`), /ENOENT|ECONNREFUSED/);
});

test("sandbox (9): a request that is under way ends with the proxy", async (t) => {
  const arrived = Promise.withResolvers<void>();
  const s = await scene(t, ({ plain }) => [{ host: "site.test", port: plain, allowPrivate: true }], {
    handler: () => arrived.resolve(),
  });
  const waiting = assert.rejects(ask(s.socketPath, `${s.site}/never`), /hang up|aborted|ECONNRESET/);
  await arrived.promise;
  await s.proxy.close();
  await waiting;
});

test("sandbox (9): more connections than a sandbox may have are not taken", async (t) => {
  const limits = { ...defaultEgressLimits, maxConnections: 2 };
  const s = await scene(t, ({ plain }) => [{ host: "site.test", port: plain, allowPrivate: true }], {
    deps: { limits },
  });
  const first = await tunnel(s.socketPath, `site.test:${s.plain}`);
  const second = await tunnel(s.socketPath, `site.test:${s.plain}`);
  await assert.rejects(ask(s.socketPath, `${s.site}/`), /hang up|ECONNRESET|EPIPE/);
  for (const { socket } of [first, second]) {
    const closed = once(socket.on("error", () => {}).resume(), "close");
    socket.destroy();
    await closed;
  }
});
