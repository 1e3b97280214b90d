// The measuring socket must read every frame that a server may send: a lost frame would hang a run.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { LeanSocket } from "./socket.ts";

interface Pair {
  readonly client: LeanSocket;
  readonly server: WebSocket;
  readonly texts: string[];
  readonly ended: Promise<string>;
  next(): Promise<string>;
}

async function pair(t: test.TestContext): Promise<Pair> {
  const listener = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  t.after(() => listener.close());
  await once(listener, "listening");
  const accepted = once(listener, "connection");
  const texts: string[] = [];
  const waiting: ((text: string) => void)[] = [];
  const ended = Promise.withResolvers<string>();
  const client = await LeanSocket.open((listener.address() as AddressInfo).port, {
    text: (text) => {
      texts.push(text);
      waiting.shift()?.(text);
    },
    pong: () => waiting.shift()?.("pong"),
    closed: (why) => ended.resolve(why),
  });
  const [server] = (await accepted) as [WebSocket];
  const next = (): Promise<string> => new Promise((resolve) => waiting.push(resolve));
  return { client, server, texts, ended: ended.promise, next };
}

for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
  test(`socket: a text of ${size} bytes arrives whole, both ways`, async (t) => {
    const { client, server, next, ended } = await pair(t);
    server.once("message", (data) => server.send(String(data)));
    const text = "x".repeat(size);
    const echoed = next();
    client.send(text);
    assert.equal(await echoed, text);
    client.close();
    assert.equal(await ended, "closed by the client");
  });
}

test("socket: a text in fragments is one text", async (t) => {
  const { client, server, next, ended } = await pair(t);
  const whole = next();
  server.send("one ", { fin: false });
  server.send("two", { fin: true });
  assert.equal(await whole, "one two");
  client.close();
  await ended;
});

test("socket: many texts in one packet stay apart and in order", async (t) => {
  const { client, server, texts, next, ended } = await pair(t);
  const all = Promise.all(Array.from({ length: 100 }, next));
  for (let index = 0; index < 100; index += 1) server.send(String(index));
  await all;
  assert.deepEqual(
    texts,
    Array.from({ length: 100 }, (_, index) => String(index)),
  );
  client.close();
  await ended;
});

test("socket: a server's ping is answered, and a ping of ours too", async (t) => {
  const { client, server, next, ended } = await pair(t);
  const answered = once(server, "pong");
  server.ping();
  await answered;
  const pong = next();
  client.ping();
  assert.equal(await pong, "pong");
  client.close();
  await ended;
});

test("socket: a close by the server is told with its code and reason", async (t) => {
  const { server, ended } = await pair(t);
  server.close(1012, "service restart");
  assert.match(await ended, /1012 service restart/);
});

test("socket: a server that does not upgrade is told by its status line", async (t) => {
  const { createServer } = await import("node:http");
  const http = createServer((_request, response) => response.writeHead(503).end()).listen(0, "127.0.0.1");
  http.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 503 Service Unavailable\r\n\r\n"));
  t.after(() => http.close());
  await once(http, "listening");
  const events = { text: () => {}, pong: () => {}, closed: () => {} };
  await assert.rejects(LeanSocket.open((http.address() as AddressInfo).port, events), /503/);
});
