import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import { silentLog, systemRandom } from "../kernel/mod.ts";
import { listen, networkSettings, type Socket } from "../network/mod.ts";
import { connectDeadline, keepAlive } from "./liveness.ts";

/** A client, our end of its socket, and the time. */
async function connected(t: TestContext, options: { readonly autoPong: boolean }) {
  const clock = new ManualClock();
  const stateFolder = await mkdtemp(join(tmpdir(), "liveness-"));
  t.after(() => rm(stateFolder, { recursive: true, force: true }));
  const arrived = Promise.withResolvers<Socket>();
  const listener = await listen({
    settings: networkSettings({} as OpenClawConfig, {}, 0, {
      stateFolder,
      machine: { addresses: ["127.0.0.1"], inContainer: false, hostName: "h" },
      identityHeaders: [],
    }),
    hasAuthentication: () => true,
    routes: [],
    onSocket: arrived.resolve,
    isTailscaled: () => false,
    clock,
    random: systemRandom,
    log: silentLog,
  });
  const client = new WebSocket(`ws://127.0.0.1:${listener.port}/`, options);
  const [socket] = await Promise.all([arrived.promise, once(client, "open")]);
  t.after(async () => {
    client.terminate();
    await listener.close();
  });
  socket.authenticated();
  return { clock, client, socket };
}

test("control (5): a half-open socket is found out: who answers no ping until the next one is gone", async (t) => {
  const { clock, client, socket } = await connected(t, { autoPong: false });
  const closed = Promise.withResolvers<number>();
  socket.onClose((code) => closed.resolve(code));
  keepAlive(socket, clock);
  const pinged = once(client, "ping");
  clock.advance(25_000);
  await pinged;
  clock.advance(24_999);
  assert.equal(client.readyState, WebSocket.OPEN);
  const gone = once(client, "close");
  clock.advance(1);
  assert.equal(await closed.promise, 1006);
  const [code] = await gone;
  assert.equal(code, 1006, "no closing handshake: nobody is there to take part");
  assert.ok(!clock.waiting.includes(25_000));
});

test("control (5): who answers stays, for as long as he does", async (t) => {
  const { clock, client, socket } = await connected(t, { autoPong: true });
  let answered = Promise.withResolvers<void>();
  keepAlive(socket, clock);
  socket.onPong(() => answered.resolve());
  for (let beat = 0; beat < 5; beat++) {
    clock.advance(25_000);
    await answered.promise;
    answered = Promise.withResolvers();
  }
  assert.equal(client.readyState, WebSocket.OPEN);
});

test("control (1): a socket that does not connect in its time is closed, without a word", async (t) => {
  const { clock, client, socket } = await connected(t, { autoPong: true });
  connectDeadline(socket, clock, 15_000);
  const cancel = connectDeadline(socket, clock, 10_000);
  cancel();
  clock.advance(14_999);
  assert.equal(client.readyState, WebSocket.OPEN);
  const gone = once(client, "close");
  clock.advance(1);
  const [code, reason] = await gone;
  assert.deepEqual([code, String(reason)], [1000, ""]);
});
