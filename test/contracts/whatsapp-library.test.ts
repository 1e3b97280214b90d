/**
 * Our adapter with the real Baileys, as far as it goes without WhatsApp: up to the noise handshake, whose answer only
 * WhatsApp can sign. Runs where the library was added: OPENCLAW_TEST_EXTENSIONS names the folder.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocketServer } from "ws";
import { Credentials } from "../../src/channels/whatsapp/credentials.ts";
import { isInstalled, loadBaileys, type SocketOptions } from "../../src/channels/whatsapp/library.ts";
import { openWhatsApp } from "../../src/channels/whatsapp/mod.ts";
import { systemClock, systemRandom } from "../../src/kernel/mod.ts";
import { RecordingHost } from "./channel.ts";

const extensions = process.env.OPENCLAW_TEST_EXTENSIONS ?? "";
const skip = !(await isInstalled(extensions)) && "the library is not installed";

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "whatsapp-real-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("whatsapp (3): the real library's keys are written whole, 600, and read back as they were", {
  skip,
}, async (t) => {
  const folder = join(folderOf(t), "keys");
  const library = await loadBaileys(extensions);
  const first = await Credentials.open(folder, library);
  await first.update({ registrationId: 7 });
  const keyPair = { public: Buffer.from("public"), private: Buffer.from("private") };
  await first.state.keys.set({
    "pre-key": { "1": keyPair },
    "app-state-sync-key": { "AA/+": { keyData: Buffer.from("secret"), timestamp: 5 } },
  });
  for (const name of readdirSync(folder))
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const again = await Credentials.open(folder, library);
  assert.deepEqual(
    again.state.creds,
    JSON.parse(JSON.stringify(first.state.creds, library.BufferJSON.replacer), library.BufferJSON.reviver),
  );
  assert.ok(Buffer.isBuffer((again.state.creds as { noiseKey: { private: unknown } }).noiseKey.private));
  assert.deepEqual(await again.state.keys.get("pre-key", ["1"]), { "1": keyPair });
  const synced = await again.state.keys.get("app-state-sync-key", ["AA/+"]);
  assert.equal(Buffer.from((synced["AA/+"] as { keyData: Uint8Array }).keyData).toString(), "secret");
});

test("whatsapp: the real library says hello by our settings; what nobody signed ends the connection, which is tried again", {
  skip,
}, async (t) => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  t.after(() => server.close());
  const hello = new Promise<Buffer>((resolve) => {
    server.on("connection", (socket) => {
      socket.on("message", (data) => {
        resolve(Buffer.from(data as Buffer));
        // A frame that is no server's hello.
        socket.send(Buffer.concat([Buffer.from([0, 0, 4]), Buffer.from("none")]));
      });
    });
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const load = async () => {
    const library = await loadBaileys(extensions);
    const waWebSocketUrl = `ws://127.0.0.1:${port}/ws/chat`;
    return {
      ...library,
      makeWASocket: (options: SocketOptions) =>
        library.makeWASocket(Object.assign(options, { waWebSocketUrl })),
    };
  };
  const host = new RecordingHost(() => {});
  const settings = { accountId: "default", sendReadReceipts: false, textChunkLimit: 4000 };
  const deps = { clock: systemClock, random: systemRandom, log: () => {}, stateFolder: folderOf(t) };
  const channel = openWhatsApp(settings, deps, load);
  await channel.start(host);
  const frame = await hello;
  // The prologue of the protocol, a length, and a ClientHello with an ephemeral key of 32 bytes.
  assert.equal(frame.subarray(0, 2).toString(), "WA");
  const length = frame.readUIntBE(4, 3);
  assert.equal(frame.length, 7 + length);
  assert.deepEqual([...frame.subarray(7, 11)], [0x12, 34, 0x0a, 32]);
  await channel.stop();
  const states = host.statuses.map(({ state }) => state);
  assert.ok(states.includes("reconnecting"), states.join());
  assert.ok(host.statuses.every(({ linkCode }) => linkCode === undefined));
});
