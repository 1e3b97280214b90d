/** TLS as others see it: OpenSSL's client, clients that pin, and calls that go on while the certificate changes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { WebSocket } from "ws";
import { systemRandom } from "../../src/kernel/mod.ts";
import { selfSigned } from "../../src/network/certificate.ts";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { connectParams } from "../support/gateway-client.ts";
import { programFile } from "../support/program.ts";

async function encrypted(t: TestContext) {
  const gateway = await GatewayProcess.start(t, {
    config: {
      gateway: {
        mode: "local",
        bind: "loopback",
        auth: { mode: "token", token: gatewayToken },
        tls: { enabled: true },
      },
    },
  });
  const file = (name: string) => join(gateway.stateFolder, "gateway", "tls", `gateway-${name}.pem`);
  const fingerprint = async () => new X509Certificate(await readFile(file("cert"))).fingerprint256;
  return { gateway, file, fingerprint };
}

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end();
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
  return new Promise((resolve) => {
    child.on("error", () => resolve({ code: -1, text }));
    child.on("close", (code) => resolve({ code, text }));
  });
}

test("network (10): OpenSSL's client gets TLS 1.3, and nothing older", async (t) => {
  if ((await run("openssl", ["version"])).code !== 0) return t.skip("openssl is not installed");
  const { gateway } = await encrypted(t);
  const offer = (...version: string[]) =>
    run("openssl", ["s_client", "-connect", `127.0.0.1:${gateway.port}`, ...version]);
  const newest = await offer("-tls1_3");
  assert.equal(newest.code, 0, newest.text);
  assert.match(newest.text, /TLSv1\.3, Cipher is TLS_/);
  for (const old of ["-tls1_2", "-tls1_1", "-tls1"]) {
    const refused = await offer(old);
    assert.notEqual(refused.code, 0, old);
    assert.doesNotMatch(refused.text, /Cipher is (?!\(NONE\))/);
  }
});

test("network (10): the command line pins by itself, by an option, and refuses another certificate", async (t) => {
  const { gateway, fingerprint } = await encrypted(t);
  const status = (...more: string[]) =>
    run(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", programFile, "gateway", "status", ...more],
      {
        HOME: join(gateway.folder, "home"),
        OPENCLAW_STATE_DIR: gateway.stateFolder,
      },
    );
  const elsewhere = ["--url", `wss://127.0.0.1:${gateway.port}`, "--token", gatewayToken];
  const pin = await fingerprint();
  const right = await status(...elsewhere, "--tls-fingerprint", pin);
  assert.equal(right.code, 0, right.text);
  assert.ok(right.text.includes(`SHA-256 ${pin}`), right.text);
  const wrong = await status(...elsewhere, "--tls-fingerprint", "00".repeat(32));
  assert.equal(wrong.code, 1);
  assert.match(wrong.text, /is not the gateway that was pinned/);
  const unknown = await status(...elsewhere);
  assert.match(unknown.text, /not signed by an authority/);
});

/** Calls `health` without a pause on a connection of its own; resolves with how many were answered. */
function caller(port: number) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { rejectUnauthorized: false });
  let stopped = false;
  let answered = 0;
  const done = new Promise<number>((resolve, reject) => {
    const call = () => socket.send(JSON.stringify({ type: "req", id: `h${answered}`, method: "health" }));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`the connection was dropped after ${answered} answers`)));
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data));
      if (frame.event === "connect.challenge") {
        const params = connectParams({ token: gatewayToken });
        socket.send(JSON.stringify({ type: "req", id: "c", method: "connect", params }));
      } else if (frame.id === "c") call();
      else if (frame.id === `h${answered}`) {
        if (!frame.ok) return reject(new Error(frame.error.message));
        answered += 1;
        if (!stopped) return call();
        socket.removeAllListeners("close");
        socket.terminate();
        resolve(answered);
      }
    });
  });
  return {
    done,
    stop: () => {
      stopped = true;
    },
  };
}

test("network (10): the certificate changes under load, and no call is lost", async (t) => {
  const { gateway, file, fingerprint } = await encrypted(t);
  const before = await fingerprint();
  const served = async () => {
    const connection = tlsConnect({ port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false });
    await once(connection, "secureConnect");
    const found = connection.getPeerCertificate().fingerprint256;
    connection.destroy();
    return found;
  };
  assert.equal(await served(), before);
  const callers = Array.from({ length: 20 }, () => caller(gateway.port));
  const failed = Promise.race(callers.map((one) => one.done));
  failed.catch(() => {});
  const nowMs = Date.now();
  const pair = selfSigned({
    names: ["127.0.0.1"],
    notBeforeMs: nowMs - 60_000,
    notAfterMs: nowMs + 86_400_000,
    random: systemRandom,
  });
  for (const name of ["key", "cert"] as const) {
    await writeFile(`${file(name)}.new`, pair[name], { mode: 0o600 });
    await rename(`${file(name)}.new`, file(name));
  }
  const after = await fingerprint();
  assert.notEqual(after, before);
  // New connections are made all the while; each gets one of the two, and in the end the new one.
  while ((await Promise.race([served(), failed])) !== after);
  for (const one of callers) one.stop();
  const counts = await Promise.all(callers.map((one) => one.done));
  assert.ok(counts.every((count) => count > 0));
});
