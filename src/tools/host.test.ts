import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { schema, silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import { addressVerdict, hostVerdict } from "../policy/address.ts";
import type { CommandRun } from "../policy/command-tree.ts";
import type { Effect } from "../policy/effect.ts";
import { createCommands, createWeb, execute, type HostPowers, openWorkspace } from "../sandbox/mod.ts";
import { readCommandLine } from "../shell/mod.ts";
import { loadTools, toolNames } from "./mod.ts";

/** All tools on the real host: real files, real processes, a real page on a loopback port. */
async function scene(t: TestContext) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "host-")));
  const workspace = await openWorkspace(root, { random: systemRandom });
  const commands = createCommands({
    clock: systemClock,
    random: systemRandom,
    sendSignal: process.kill.bind(process),
    baseEnv: { PATH: "/usr/bin:/bin" },
    stateDir: root,
    maxOutputChars: 30_000,
    spawnLimits: { maxRunning: 4, maxRunningPerSession: 4, maxKeptPerSession: 8, killGraceMs: 100 },
  });
  const server = createServer((_, response) =>
    response.setHeader("content-type", "text/html").end("<title>T</title>hi"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  t.after(async () => {
    server.close();
    await commands.closeAll();
    await workspace.close();
    rmSync(root, { recursive: true, force: true });
  });
  const tools = await loadTools(toolNames);
  const host: HostPowers = {
    workspace,
    commands: commands.forSession("s", workspace),
    web: createWeb({
      resolve: async () => [{ address: "127.0.0.1", family: 4 }],
      ssrf: {
        dangerouslyAllowPrivateNetwork: false,
        allowedHostnames: [`site.test:${port}`],
        blockedHostnames: [],
        allowRfc2544BenchmarkRange: false,
        allowIpv6UniqueLocalRange: false,
      },
      clock: systemClock,
      hostVerdict,
      addressVerdict,
    }),
    clock: systemClock,
    log: silentLog,
    progress: () => {},
  };
  const call = async (name: string, args: object) => {
    const tool = tools.get(name);
    assert.ok(tool);
    assert.deepEqual(schema.check(tool.spec.parameters, args), []);
    const permit = {
      request: { id: "c", tool: name, arguments: args },
      effects: tool.plan(args).map((effect): Effect => {
        if (effect.kind !== "command") return effect;
        const read = readCommandLine(effect.command);
        const run: CommandRun = read.understood
          ? { kind: "tree", line: read.line, files: [] }
          : { kind: "shell" };
        return { ...effect, run };
      }),
      spend: () => true,
    };
    return execute(permit, tool, () => host, new AbortController().signal);
  };
  return { call, port };
}

test("files, commands and the web work together on the host", async (t) => {
  const { call, port } = await scene(t);
  await call("write", { path: "src/a.txt", content: "one\ntwo\n" });
  assert.equal((await call("exec", { command: "cat a.txt", workdir: "src" })).text, "one\ntwo\n");
  assert.match(
    (await call("exec", { command: "cat a.txt | wc -l; exit 3", workdir: "src" })).text,
    /2\n\[exit code 3\]$/,
  );
  assert.equal((await call("exec", { command: "pwd", workdir: "../" })).isError, true);
  assert.equal((await call("exec", { command: "env", env: { PATH: "/tmp" } })).isError, true);
  assert.equal((await call("web_fetch", { url: `http://site.test:${port}/` })).text, "Title: T\n\nhi");
  assert.match((await call("web_fetch", { url: `http://127.0.0.1:${port}/` })).text, /not a public address/);
});

test("a command in the background is written to, polled, ended and forgotten", async (t) => {
  const { call } = await scene(t);
  const started = await call("exec", { command: "cat", background: true });
  const sessionId = (started.details as { sessionId: string }).sessionId;
  assert.equal((await call("process", { action: "submit", sessionId, data: "hello" })).isError, false);
  let seen = "";
  while (!seen.includes("hello"))
    seen += (await call("process", { action: "poll", sessionId, timeout: 20 })).text;
  assert.match((await call("process", { action: "list" })).text, new RegExp(`^${sessionId}  running  cat$`));
  assert.match((await call("process", { action: "kill", sessionId })).text, /SIGTERM/);
  await call("process", { action: "remove", sessionId });
  assert.equal((await call("process", { action: "list" })).text, "No commands.");
});
