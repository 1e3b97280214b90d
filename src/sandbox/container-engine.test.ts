/** An engine that misbehaves, on a real unix socket. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Clock, systemClock } from "../kernel/mod.ts";
import { connectEngine, EngineError } from "./container-engine.ts";
import { engineProblem, imageId } from "./container-facts.ts";

async function scene(t: TestContext, answer: RequestListener, clock: Clock = systemClock) {
  const folder = mkdtempSync(join(tmpdir(), "engine-"));
  const socketPath = join(folder, "s");
  const server = createServer(answer).listen(socketPath);
  await once(server, "listening");
  const engine = connectEngine({ clock, socketPath });
  t.after(() => {
    engine.close();
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
  });
  return { engine, server, socketPath };
}

test("sandbox (8): an engine is asked in its version of the API, and its answers are read", async (t) => {
  const asked: unknown[] = [];
  const { engine } = await scene(t, (incoming, response) => {
    let body = "";
    incoming.on("data", (piece) => {
      body += piece;
    });
    incoming.on("end", () => {
      asked.push([incoming.method, incoming.url, body]);
      response.writeHead(201).end('{"Id":"x"}');
    });
  });
  assert.deepEqual(await engine.call("POST", "/a?b=c", { d: [1] }), { Id: "x" });
  assert.deepEqual(asked, [["POST", "/v1.41/a?b=c", '{"d":[1]}']]);
});

for (const [what, answer, message] of [
  [
    "says no",
    (_: unknown, response) => response.writeHead(500).end('{"message":"disk full"}'),
    /said: disk full/,
  ],
  ["says something else", (_: unknown, response) => response.writeHead(502).end("<html>"), /said: <html>/],
  ["says nothing", (_: unknown, response) => response.writeHead(409).end(), /status 409/],
  [
    "breaks off",
    (_: unknown, response) =>
      response.writeHead(200, { "content-length": "99" }).write("x", () => response.destroy()),
    /broke off/,
  ],
  ["hangs up", (incoming) => incoming.socket.destroy(), /does not answer/],
  [
    "answers without end",
    (_: unknown, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 97)));
      };
      response.on("drain", more);
      more();
    },
    /too long/,
  ],
] as readonly (readonly [string, RequestListener, RegExp])[])
  test(`sandbox (8): an engine that ${what} is an error that says so, for calls and for streams`, async (t) => {
    const { engine } = await scene(t, answer);
    await assert.rejects(
      engine.call("GET", "/x"),
      (error) => error instanceof EngineError && message.test(error.message),
    );
    await assert.rejects(engine.open("/x"), EngineError);
    assert.match((await engineProblem(engine, "i")) ?? "", message);
  });

test("sandbox (8): an engine that does not answer is not waited for without end", async (t) => {
  const waiting: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    after: (_ms, action) => {
      waiting.push(action);
      return () => {};
    },
  };
  const { engine, server } = await scene(t, () => {}, clock);
  const asked = [engine.call("GET", "/x"), engine.open("/x")];
  const errors = Promise.all(asked.map((promise) => promise.then(() => "answered", String)));
  let seen = 0;
  await new Promise<void>((resolve) => {
    server.on("request", () => {
      seen += 1;
      if (seen === 2) resolve();
    });
  });
  for (const action of waiting) action();
  for (const error of await errors) assert.match(error, /did not answer in time/);
});

test("sandbox (8): an engine that is not there, and an image that is not, say what to do", async (t) => {
  const { engine } = await scene(t, (incoming, response) => {
    if (incoming.url?.endsWith("/_ping")) response.end("OK");
    else response.writeHead(404).end('{"message":"no such image"}');
  });
  await assert.rejects(imageId(engine, "openclaw-sandbox:go"), /Make it: openclaw sandbox image go/);
  await assert.rejects(imageId(engine, "other/image:1"), /Import or pull it there/);
  const absent = connectEngine({ clock: systemClock, socketPath: "/nowhere/engine.sock" });
  assert.match(
    (await engineProblem(absent, "i")) ?? "",
    /at \/nowhere\/engine\.sock does not answer \(.*ENOENT/,
  );
});
