import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { InputError, schema, silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import type { Effect } from "../policy/effect.ts";
import { execute, type PermitLike } from "./execute.ts";
import type { Commands, Powers, RunningCommand, Tool, ToolOutput, Web } from "./tool.ts";
import { openWorkspace } from "./workspace.ts";

async function scene(t: TestContext) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "exe-")));
  const workspace = await openWorkspace(root, { random: systemRandom });
  t.after(async () => {
    await workspace.close();
    rmSync(root, { recursive: true, force: true });
  });
  const reached: string[] = [];
  const running = { id: "p1" } as RunningCommand;
  const commands: Commands = {
    start: async (request) => {
      reached.push(request.command);
      return running;
    },
    list: () => [running],
    get: () => running,
  };
  const web: Web = {
    fetch: async (request) => {
      reached.push(request.url);
      return {
        url: request.url,
        finalUrl: request.url,
        status: 200,
        contentType: "",
        body: Buffer.alloc(0),
        truncated: false,
      };
    },
  };
  const run = (
    effects: readonly Effect[],
    act: (powers: Powers) => Promise<unknown>,
    signal = new AbortController().signal,
  ) => {
    const tool: Tool = {
      spec: { name: "probe", description: "", parameters: schema.object({}) },
      plan: () => effects,
      run: async (_, powers): Promise<ToolOutput> => ({
        text: JSON.stringify(await act(powers)) ?? "",
        isError: false,
      }),
    };
    return execute(
      permitFor(effects),
      tool,
      () => ({ workspace, commands, web, clock: systemClock, log: silentLog, progress: () => {} }),
      signal,
    );
  };
  return { root, workspace, reached, run };
}

function permitFor(effects: readonly Effect[], tool = "probe"): PermitLike {
  let spent = false;
  return {
    request: { id: "c1", tool, arguments: {} },
    effects,
    spend: () => {
      const first = !spent;
      spent = true;
      return first;
    },
  };
}

test("sandbox (3): a file power reaches the permitted path, however it is spelled, and no other", async (t) => {
  const { root, workspace, run } = await scene(t);
  await workspace.write("a/f", Buffer.from("text"));
  await workspace.write("g", Buffer.from("other"));
  const read: Effect[] = [{ kind: "file.read", path: "a/f" }];
  assert.equal(
    (await run(read, async (powers) => (await powers.workspace.read(`${root}/a//f`, 10)).bytes.toString()))
      .text,
    '"text"',
  );
  const beyond: ((powers: Powers) => Promise<unknown>)[] = [
    (powers) => powers.workspace.read("g", 10),
    (powers) => powers.workspace.list(".", 10),
    (powers) => powers.workspace.exists("g"),
    (powers) => powers.workspace.write("a/f", Buffer.from("x")),
    (powers) => powers.workspace.remove("a/f"),
    (powers) => powers.workspace.read("a/../g", 10),
    (powers) => powers.commands.start({ command: "ls", workdir: ".", env: {}, timeoutMs: 0 }),
    async (powers) => powers.commands.list(),
    async (powers) => powers.commands.get("p1"),
    (powers) =>
      powers.web.fetch({
        url: "http://example.com/",
        maxBytes: 1,
        timeoutMs: 1,
        maxRedirects: 0,
        headers: {},
        signal: powers.signal,
      }),
  ];
  for (const act of beyond) {
    const outcome = await run(read, act);
    assert.equal(outcome.isError, true, act.toString());
    assert.match(outcome.text, /not permitted|outside the workspace/);
  }
  assert.deepEqual(readdirSync(root), ["a", "g"]);
});

test("sandbox (3): a call may take back the file it made, and no other", async (t) => {
  const { workspace, run } = await scene(t);
  await workspace.write("old", Buffer.from("x"));
  const effects: Effect[] = [
    { kind: "file.write", path: "new" },
    { kind: "file.write", path: "old" },
  ];
  const outcome = await run(effects, async (powers) => {
    await powers.workspace.write("new", Buffer.from("x"));
    await powers.workspace.remove("new");
    await powers.workspace.write("old", Buffer.from("y"));
    await powers.workspace.remove("old");
  });
  assert.match(outcome.text, /file.delete of "old"/);
  assert.equal(await workspace.exists("old"), true);
  assert.equal(await workspace.exists("new"), false);
});

test("sandbox (3): below a permitted folder new files are made, nothing that was there is changed, and nothing beside it", async (t) => {
  const { run, workspace } = await scene(t);
  await workspace.write("out/old", Buffer.from("old"));
  const below: Effect = { kind: "file.write", path: "./out/", below: true };
  const x = Buffer.from("x");
  const made = await run([below], async ({ workspace: files }) => {
    await files.write("out/new", x);
    await files.write("out/deep/er", x);
    await files.remove("out/new");
  });
  assert.equal(made.isError, false, made.text);
  for (const act of [
    (files: Powers["workspace"]) => files.write("out/old", x),
    (files: Powers["workspace"]) => files.write("out", x),
    (files: Powers["workspace"]) => files.write("outside", x),
    (files: Powers["workspace"]) => files.remove("out/old"),
    (files: Powers["workspace"]) => files.read("out/old", 10),
    (files: Powers["workspace"]) => files.list("out", 10),
  ]) {
    const refused = await run([below], ({ workspace: files }) => act(files));
    assert.match(refused.text, /not permitted/, String(act));
  }
  // The workspace as a whole is no such folder.
  for (const path of [".", "./", workspace.root]) {
    const refused = await run([{ kind: "file.write", path, below: true }], ({ workspace: files }) =>
      files.write("x", x),
    );
    assert.match(refused.text, /not permitted/, path);
  }
  assert.deepEqual(await workspace.list(".", 10), ["out/"]);
});

test("sandbox (3): exactly the permitted command is started, once", async (t) => {
  const { reached, run } = await scene(t);
  const effect = {
    kind: "command",
    command: "make test",
    workdir: "a",
    env: { CI: "1" },
    background: false,
  } as const;
  const effects: Effect[] = [{ ...effect, run: { kind: "shell" } }];
  const request = { command: "make test", workdir: "a", env: { CI: "1" }, timeoutMs: 5 };
  const others = [
    { command: "make test " },
    { workdir: "." },
    { env: {} },
    { env: { CI: "2" } },
    { env: { CI: "1", X: "1" } },
    { env: { X: "1" } },
  ];
  for (const other of others)
    assert.equal(
      (await run(effects, (powers) => powers.commands.start({ ...request, ...other }))).isError,
      true,
      JSON.stringify(other),
    );
  // Policy did not say how it runs: the zero value runs nothing.
  assert.equal((await run([effect], (powers) => powers.commands.start(request))).isError, true);
  assert.deepEqual(reached, []);
  const twice = await run(effects, async (powers) => {
    await powers.commands.start(request);
    await powers.commands.start(request);
  });
  assert.equal(twice.isError, true);
  assert.deepEqual(reached, ["make test"]);
});

test("sandbox (3): only the named process and the permitted URL are reached", async (t) => {
  const { reached, run } = await scene(t);
  const effects: Effect[] = [
    { kind: "process", action: "poll", processId: "p1" },
    { kind: "fetch", url: "http://a.test/" },
  ];
  assert.equal((await run(effects, async (powers) => powers.commands.get("p1")?.id)).text, '"p1"');
  assert.equal((await run(effects, async (powers) => powers.commands.get("p2"))).isError, true);
  assert.equal((await run(effects, async (powers) => powers.commands.list())).isError, true);
  const get = (url: string) => (powers: Powers) =>
    powers.web.fetch({ url, maxBytes: 1, timeoutMs: 1, maxRedirects: 0, headers: {}, signal: powers.signal });
  assert.equal((await run(effects, get("http://a.test/?x"))).isError, true);
  assert.equal((await run(effects, get("http://a.test/"))).isError, false);
  assert.deepEqual(reached, ["http://a.test/"]);
});

test("sandbox (3): a spent permit, another tool's permit, and a cancelled call run nothing", async (t) => {
  const { workspace, run } = await scene(t);
  let ran = 0;
  const tool: Tool = {
    spec: { name: "probe", description: "", parameters: schema.object({}) },
    plan: () => [],
    run: async () => {
      ran += 1;
      return { text: "", isError: false };
    },
  };
  const unused = { start: async () => assert.fail(), list: () => [], get: () => undefined };
  const powers = () => ({
    workspace,
    commands: unused,
    web: { fetch: async () => assert.fail() },
    clock: systemClock,
    log: silentLog,
    progress: () => {},
  });
  const signal = new AbortController().signal;
  const permit = permitFor([]);
  await execute(permit, tool, powers, signal);
  await assert.rejects(execute(permit, tool, powers, signal), /used before/);
  await assert.rejects(execute(permitFor([], "other"), tool, powers, signal), /is for other/);
  assert.equal((await execute(permitFor([]), tool, powers, AbortSignal.abort())).isError, true);
  assert.equal(ran, 1);
  assert.equal((await run([], () => Promise.reject(new InputError("bad")))).text, "bad");
  const fault = await run([], () => Promise.reject(new Error("/private/path")));
  assert.equal(fault.isError, true);
  assert.doesNotMatch(fault.text, /private/);
});
