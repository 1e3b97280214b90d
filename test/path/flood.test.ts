/** Strangers in numbers beside a hundred who belong here: what they cost is bounded, and nobody who came in notices. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { type GatewayClient, GatewayProcess, gatewayToken } from "../support/gateway.ts";

/** Resident memory of a process, bytes; undefined where there is no /proc. */
function residentBytes(pid: number): number | undefined {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
  } catch {
    return undefined;
  }
}

const upgrade = (port: number) =>
  `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

/** Opens connections that never say who they are: silent ones, half a request, and upgrades without a connect. */
async function flood(
  t: TestContext,
  port: number,
  count: number,
): Promise<{ readonly opened: () => number }> {
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const said = ["", "GET / HTTP/1.1\r\nHost: 127", upgrade(port)];
  let opened = 0;
  for (let index = 0; index < count; index++) {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {});
    socket.resume();
    sockets.push(socket);
    await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => {});
    opened += 1;
    socket.write(said[index % said.length] as string);
  }
  return { opened: () => opened };
}

test("network (9): two thousand strangers beside a hundred who came in: all of these are answered, in bounded memory (A-183)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const good: GatewayClient[] = [];
  for (let index = 0; index < 100; index++) good.push(await gateway.connect());
  const answered = () => Promise.all(good.map((client) => client.ask("health")));
  await answered();
  const before = residentBytes(gateway.pid);
  const coming = flood(t, gateway.port, 2000);
  let rounds = 0;
  let isOver = false;
  void coming.then(() => {
    isOver = true;
  });
  while (!isOver) {
    for (const answer of await answered()) assert.equal(answer.ok, true);
    rounds += 1;
  }
  assert.equal((await coming).opened(), 2000);
  assert.ok(rounds > 0);
  for (const answer of await answered()) assert.equal(answer.ok, true);
  const after = residentBytes(gateway.pid);
  if (before !== undefined && after !== undefined)
    assert.ok(after - before < 100e6, `${Math.round((after - before) / 1e6)} MB more`);
  assert.equal(gateway.running, true);
});

test("auth (5): a thousand wrong secrets at once wait; who came in does not, and the owner still can (A-240)", async (t) => {
  const http = { endpoints: { chatCompletions: { enabled: true } } };
  const auth = { mode: "token", token: gatewayToken };
  const gateway = await GatewayProcess.start(t, {
    config: { gateway: { mode: "local", bind: "loopback", auth, http } },
  });
  const client = await gateway.connect();
  const statuses: (number | undefined)[] = [];
  const requests = Array.from({ length: 1000 }, (_, index) => {
    const headers = { authorization: `Bearer wrong-${index}` };
    const request = httpRequest({
      port: gateway.port,
      host: "127.0.0.1",
      path: "/v1/models",
      headers,
      agent: false,
    });
    request.on("error", () => {});
    request.on("response", (response) => void statuses.push(response.resume().statusCode));
    request.end();
    return request;
  });
  for (let index = 0; index < 50; index++) assert.equal((await client.ask("health")).ok, true);
  const owner = await gateway.connect();
  assert.notDeepEqual(owner.hello.auth.scopes, []);
  for (const request of requests) request.destroy();
  assert.equal(
    statuses.some((status) => status !== 401),
    false,
    "a wrong secret is never anything else",
  );
});
