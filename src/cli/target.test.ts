import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { gatewayTarget, type TargetOptions } from "./target.ts";

const livePid = 4242;
let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "target-"));
  await writeFile(
    join(folder, "openclaw.json"),
    `{ gateway: { mode: "local", port: 19001, auth: { mode: "token", token: "configured-token-of-32-characters" } } }`,
  );
});
after(() => rm(folder, { recursive: true }));

async function found(options: TargetOptions, env: Record<string, string> = {}) {
  const sendSignal = (pid: number) => {
    if (pid !== livePid) throw new Error("ESRCH");
  };
  const paths = { configFile: join(folder, "openclaw.json"), root: folder };
  const cli = { env, paths, sendSignal } as unknown as Cli;
  const { url, credentialFrom, token } = await gatewayTarget(cli, options);
  return [url, credentialFrom, token?.reveal()];
}

test("options come before the environment, and that before the config", async () => {
  const configured = "configured-token-of-32-characters";
  assert.deepEqual(await found({}), ["ws://127.0.0.1:19001/", "gateway.auth.token", configured]);
  assert.deepEqual(await found({}, { OPENCLAW_GATEWAY_PORT: "19002", OPENCLAW_GATEWAY_TOKEN: "e" }), [
    "ws://127.0.0.1:19002/",
    "OPENCLAW_GATEWAY_TOKEN",
    "e",
  ]);
  assert.deepEqual(await found({ port: 19003, token: "o" }, { OPENCLAW_GATEWAY_TOKEN: "e" }), [
    "ws://127.0.0.1:19003/",
    "--token",
    "o",
  ]);
});

test("a gateway that runs on another port than the config's is found while its process lives", async (t) => {
  const note = (text: string) => writeFile(join(folder, "state", "gateway.lock.json"), text);
  await mkdir(join(folder, "state"));
  t.after(() => rm(join(folder, "state"), { recursive: true }));
  const url = async (options: TargetOptions = {}) => (await found(options))[0];
  await note(JSON.stringify({ pid: livePid, port: 19_555 }));
  assert.equal(await url(), "ws://127.0.0.1:19555/");
  assert.equal(await url({ port: 19_003 }), "ws://127.0.0.1:19003/", "what the user says comes first");
  for (const text of [
    JSON.stringify({ pid: livePid + 1, port: 19_555 }),
    JSON.stringify({ pid: 0, port: 19_555 }),
    JSON.stringify({ pid: livePid, port: "19555" }),
    "{",
  ]) {
    await note(text);
    assert.equal(await url(), "ws://127.0.0.1:19001/", text);
  }
});

test("cli (6): no configured credential goes to an address of the command line", async () => {
  await assert.rejects(found({ url: "wss://evil.example" }), UsageError);
  await assert.rejects(found({ url: "wss://evil.example" }, { OPENCLAW_GATEWAY_TOKEN: "e" }), UsageError);
  assert.deepEqual(await found({ url: "https://gw.example/", token: "o" }), [
    "wss://gw.example/",
    "--token",
    "o",
  ]);
});

test("a secret never leaves this machine over plain ws, and an address carries none", async () => {
  for (const url of ["ws://gw.example", "http://10.0.0.1:1", "ftp://x", "wss://user:pw@host", "nonsense"])
    await assert.rejects(found({ url, token: "o" }), UsageError, url);
  assert.equal((await found({ url: "ws://127.0.0.1:5/", token: "o" }))[0], "ws://127.0.0.1:5/");
});
