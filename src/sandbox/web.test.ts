import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { type Clock, InputError, systemClock } from "../kernel/mod.ts";
import { addressVerdict, hostVerdict, type SsrfSettings } from "../policy/address.ts";
import { createWeb } from "./web.ts";
import type { Resolve } from "./web-address.ts";

const strict: SsrfSettings = {
  dangerouslyAllowPrivateNetwork: false,
  allowedHostnames: [],
  blockedHostnames: [],
  allowRfc2544BenchmarkRange: false,
  allowIpv6UniqueLocalRange: false,
};
const toLoopback: Resolve = async () => [{ address: "127.0.0.1", family: 4 }];
const never = new AbortController().signal;

async function site(t: TestContext, listener: RequestListener) {
  const hits: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    hits.push(request);
    listener(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, hits };
}

function web(more: { ssrf?: Partial<SsrfSettings>; resolve?: Resolve; clock?: Clock } = {}) {
  const powers = createWeb({
    resolve: more.resolve ?? toLoopback,
    ssrf: { ...strict, ...more.ssrf },
    clock: more.clock ?? systemClock,
    hostVerdict,
    addressVerdict,
  });
  return (url: string, request: Partial<Parameters<typeof powers.fetch>[0]> = {}) =>
    powers.fetch({
      url,
      maxBytes: 100_000,
      timeoutMs: 20_000,
      maxRedirects: 3,
      headers: {},
      signal: never,
      ...request,
    });
}

const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof InputError && pattern.test(error.message);
const listed = (port: number) => ({
  ssrf: { allowedHostnames: [`site.test:${port}`, `other.test:${port}`] },
});

test("a listed page is fetched from the address that was checked", async (t) => {
  const { port, hits } = await site(t, (_, response) =>
    response.setHeader("content-type", "text/plain").end("hello"),
  );
  const asked: string[] = [];
  const resolve: Resolve = async (hostname) => {
    asked.push(hostname);
    return toLoopback(hostname, never);
  };
  const response = await web({ ...listed(port), resolve })(`http://site.test:${port}/a?b=1#c`);
  assert.deepEqual(
    { ...response, body: response.body.toString() },
    {
      url: `http://site.test:${port}/a?b=1#c`,
      finalUrl: `http://site.test:${port}/a?b=1`,
      status: 200,
      contentType: "text/plain",
      body: "hello",
      truncated: false,
    },
  );
  assert.deepEqual(asked, ["site.test"]);
  assert.equal(hits[0]?.headers.host, `site.test:${port}`);
});

test("sandbox (5): private addresses are refused in every spelling, before anything connects", async (t) => {
  const { port, hits } = await site(t, (_, response) => response.end("secret"));
  const fetch = web();
  const hosts = [
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "[::ffff:127.0.0.1]",
    "[::1]",
    "0",
    "localhost",
    "１２７.0.0.1",
    "127.0.0.1.",
  ];
  for (const host of hosts)
    await assert.rejects(fetch(`http://${host}:${port}/`), refusal(/may not be fetched/), host);
  await assert.rejects(fetch("file:///etc/passwd"), refusal(/may not be fetched/));
  assert.equal(hits.length, 0);
});

test("sandbox (5): a name with one private address among its answers is refused", async (t) => {
  const { port, hits } = await site(t, (_, response) => response.end("secret"));
  const resolve: Resolve = async () => [
    { address: "93.184.216.34", family: 4 },
    { address: "127.0.0.1", family: 4 },
  ];
  await assert.rejects(web({ resolve })(`http://site.test:${port}/`), refusal(/site.test is 127.0.0.1/));
  assert.equal(hits.length, 0);
});

test("sandbox (5): a name that answers public first and 127.0.0.1 next is not asked twice in one hop", async (t) => {
  const { port, hits } = await site(t, (_, response) => response.end("secret"));
  let asked = 0;
  const rebinding: Resolve = async () => {
    asked += 1;
    // An address that is public for the check and refuses the connection: nothing listens on port 1 of the test net.
    return asked === 1 ? [{ address: "0.0.0.0", family: 4 }] : [{ address: "127.0.0.1", family: 4 }];
  };
  const fetch = createWeb({
    resolve: rebinding,
    ssrf: strict,
    clock: systemClock,
    hostVerdict,
    // The first answer passes as if it were public; the connection must still go there and nowhere else.
    addressVerdict: (ip, destination, ssrf) =>
      ip === "0.0.0.0" ? { ok: true, value: ip } : addressVerdict(ip, destination, ssrf),
  });
  const request = { maxBytes: 100, timeoutMs: 20_000, maxRedirects: 3, headers: {}, signal: never };
  await fetch.fetch({ ...request, url: `http://site.test:${port}/` });
  assert.equal(asked, 1);
  await assert.rejects(fetch.fetch({ ...request, url: `http://site.test:${port}/` }), refusal(/127.0.0.1/));
  assert.equal(asked, 2);
  assert.equal(hits.length, 1);
});

test("sandbox (5): each redirect is judged like a first URL", async (t) => {
  let target = "";
  const { port, hits } = await site(t, (request, response) => {
    if (request.url === "/secret") return void response.end("secret");
    response.writeHead(302, { location: target }).end();
  });
  const fetch = web(listed(port));
  const targets = [
    `http://127.0.0.1:${port}/secret`,
    `http://2130706433:${port}/secret`,
    `//169.254.169.254/`,
    "file:///etc/passwd",
    `http://hidden.test:${port}/secret`,
    `http://u:p@site.test:${port}/secret`,
    "http://[::1]/",
    "ht tp://x",
  ];
  for (target of targets) await assert.rejects(fetch(`http://site.test:${port}/`), InputError, target);
  assert.equal(hits.filter((hit) => hit.url === "/secret").length, 0);
  target = "/secret";
  const response = await fetch(`http://site.test:${port}/`);
  assert.equal(response.finalUrl, `http://site.test:${port}/secret`);
  target = "/again";
  await assert.rejects(fetch(`http://site.test:${port}/`), refusal(/more than 3 times/));
});

test("sandbox (5): headers of the caller stay with its own origin, and framing headers are never the caller's", async (t) => {
  const { port, hits } = await site(t, (request, response) => {
    if (request.url === "/next") return void response.end("ok");
    response.writeHead(302, { location: `http://other.test:${port}/next` }).end();
  });
  const headers = {
    Authorization: "Bearer x",
    Cookie: "a",
    "X-Api-Key": "k",
    "User-Agent": "test",
    Host: "evil",
    "Transfer-Encoding": "chunked",
  };
  await web(listed(port))(`http://site.test:${port}/`, { headers });
  assert.equal(hits[0]?.headers.authorization, "Bearer x");
  assert.equal(hits[0]?.headers.host, `site.test:${port}`);
  assert.equal(hits[0]?.headers["transfer-encoding"], undefined);
  assert.deepEqual(Object.keys(hits[1]?.headers ?? {}).sort(), [
    "accept-encoding",
    "connection",
    "host",
    "user-agent",
  ]);
});

test("sandbox (6): bodies are decoded, and bounded after decoding", async (t) => {
  const text = "x".repeat(5_000_000);
  const codings: Record<string, (text: string) => Buffer> = {
    gzip: gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
  };
  const { port } = await site(t, (request, response) => {
    const [, coding = "", size = ""] = (request.url ?? "").split("/");
    response.setHeader("content-encoding", coding);
    response.end(codings[coding]?.(size === "small" ? "hello" : text) ?? "hello");
  });
  const fetch = web(listed(port));
  for (const coding of Object.keys(codings)) {
    const small = await fetch(`http://site.test:${port}/${coding}/small`);
    assert.equal(small.body.toString(), "hello", coding);
    const bomb = await fetch(`http://site.test:${port}/${coding}/bomb`, { maxBytes: 1000 });
    assert.equal(bomb.body.length, 1000, coding);
    assert.equal(bomb.truncated, true, coding);
  }
  assert.equal((await fetch(`http://site.test:${port}/identity/x`)).body.toString(), "hello");
  await assert.rejects(fetch(`http://site.test:${port}/zstd/x`), refusal(/zstd/));
});

test("sandbox (6): compressed data that decodes to nothing is bounded too", async (t) => {
  const padding = Buffer.concat([
    gzipSync("").subarray(0, 10),
    Buffer.alloc(5 * 60_000, Buffer.from([0, 0, 0, 255, 255])),
  ]);
  const { port } = await site(t, (_, response) => {
    response.setHeader("content-encoding", "gzip");
    const more = () => {
      while (response.write(padding.subarray(10)));
    };
    response.on("drain", more);
    response.write(padding.subarray(0, 10));
    more();
  });
  const response = await web(listed(port))(`http://site.test:${port}/`);
  assert.deepEqual([response.body.length, response.truncated], [0, true]);
});

test("sandbox (6): an endless body, and one that breaks off, come to an end", async (t) => {
  const { port } = await site(t, (request, response) => {
    if (request.url === "/endless") {
      const more = () => {
        while (response.write("y".repeat(10_000)));
      };
      response.on("drain", more);
      return more();
    }
    response.writeHead(200, { "content-encoding": "gzip", "content-length": "1000" });
    response.write(gzipSync("hello").subarray(0, 12));
    setImmediate(() => response.destroy());
  });
  const fetch = web(listed(port));
  assert.equal((await fetch(`http://site.test:${port}/endless`)).body.length, 100_000);
  await assert.rejects(fetch(`http://site.test:${port}/broken`), refusal(/could not be fetched/));
});

test("sandbox (6): a site that never answers, or a resolver that does not, is given up; so is what is cancelled", async (t) => {
  const { port, hits } = await site(t, () => {});
  let fire = () => {};
  const clock: Clock = {
    ...systemClock,
    after(_, action) {
      fire = action;
      return () => {};
    },
  };
  const late = web({ ...listed(port), clock })(`http://site.test:${port}/`);
  while (hits.length === 0) await new Promise(setImmediate);
  fire();
  await assert.rejects(late, refusal(/did not answer within/));

  const stuck = web({ ...listed(port), clock, resolve: () => new Promise(() => {}) })(
    `http://site.test:${port}/`,
  );
  fire();
  await assert.rejects(stuck, refusal(/did not answer within/));

  const controller = new AbortController();
  const cancelled = web(listed(port))(`http://site.test:${port}/`, { signal: controller.signal });
  controller.abort();
  await assert.rejects(cancelled, refusal(/cancelled/));
});

test("a name that does not exist, and a port where nobody listens, say so", async (t) => {
  const { port } = await site(t, () => {});
  const fetch = web({ resolve: () => Promise.reject(new Error("ENOTFOUND")) });
  await assert.rejects(fetch("http://missing.test/"), refusal(/missing.test was not found/));
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const closed = (server.address() as AddressInfo).port;
  server.close();
  assert.notEqual(closed, port);
  await assert.rejects(
    web({ ssrf: { dangerouslyAllowPrivateNetwork: true } })(`http://127.0.0.1:${closed}/`),
    refusal(/could not be fetched/),
  );
});

test("sandbox (5), SS: what is posted goes to its address and no other: no redirect is followed with it, or without (A-164)", async (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    const { port, hits } = await site(t, (_, response) =>
      response.writeHead(status, { location: "/b" }).end(),
    );
    await assert.rejects(
      web(listed(port))(`http://site.test:${port}/a`, { json: { query: "x" } }),
      refusal(/redirects, which is not followed/),
    );
    assert.deepEqual(
      hits.map(({ method, url }) => [method, url]),
      [["POST", "/a"]],
    );
  }
});
