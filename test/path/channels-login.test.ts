/** Linking an account to a platform's app, against a gateway whose channel asks for it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocketServer } from "ws";
import { qrText } from "../../src/cli/qr-symbol.ts";
import { runCommand } from "../support/command-line.ts";

/** Answers each look at the channel with the next of these states. */
async function gatewayWith(t: TestContext, states: readonly object[]) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const stateFolder = await mkdtemp(join(tmpdir(), "login-"));
  t.after(async () => {
    server.close();
    await rm(stateFolder, { recursive: true });
  });
  const asked: string[] = [];
  let looks = 0;
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      const { id, method, params } = JSON.parse(String(data));
      if (method === "channels.start") asked.push(`start ${params.channel}:${params.accountId}`);
      const state = states[Math.min(looks, states.length - 1)];
      if (method === "channels.status") looks += 1;
      const payload =
        method === "connect"
          ? { type: "hello-ok", auth: { role: "operator", scopes: params.scopes }, server: { version: "x" } }
          : { channelAccounts: { whatsapp: [{ accountId: "default", ...state }] } };
      socket.send(JSON.stringify({ type: "res", id, ok: true, payload }));
    });
    socket.send(
      JSON.stringify({ type: "event", event: "connect.challenge", payload: { nonce: "n", ts: 1 } }),
    );
  });
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    login: (...args: string[]) =>
      runCommand(["channels", "login", "whatsapp", "--token", "t", ...args], { stateFolder, port }),
  };
}

test("channels login starts the account, shows each code once, and ends when it is connected", async (t) => {
  const { asked, login } = await gatewayWith(t, [
    { state: "starting", linkCode: "one" },
    { state: "starting", linkCode: "one" },
    { state: "connected", identity: "+43 1" },
  ]);
  const { code, out, err } = await login();
  assert.equal(code, 0, err);
  assert.deepEqual(asked, ["start whatsapp:default"]);
  assert.equal(err.split(qrText("one", false)).length, 2, "shown once");
  assert.equal(out, "whatsapp:default is connected as +43 1.\n");
  assert.deepEqual(JSON.parse((await login("--json")).out).identity, "+43 1");
});

test("channels login says why an account did not connect", async (t) => {
  const { login } = await gatewayWith(t, [{ state: "failed", detail: "logged out \x1b[2J by the phone" }]);
  const { code, err } = await login();
  assert.equal(code, 1);
  assert.match(err, /whatsapp:default is not connected: logged out \\x1b\[2J by the phone/);
});
