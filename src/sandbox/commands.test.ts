import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { InputError, systemClock, systemRandom } from "../kernel/mod.ts";
import type { CommandRun } from "../policy/command-tree.ts";
import { readCommandLine } from "../shell/mod.ts";
import { createCommands, type SpawnLimits } from "./commands.ts";
import type { PermittedCommand, RunningCommand } from "./tool.ts";
import { openWorkspace } from "./workspace.ts";

const never = new AbortController().signal;
const limits: SpawnLimits = {
  maxRunning: 8,
  maxRunningPerSession: 4,
  maxKeptPerSession: 3,
  killGraceMs: 100,
};

/** As policy says it: from the tree where the line is understood, by a shell where it is not. */
function runOf(command: string): CommandRun {
  const read = readCommandLine(command);
  return read.understood ? { kind: "tree", line: read.line, files: [] } : { kind: "shell" };
}

async function scene(t: TestContext, more: { maxOutputChars?: number } = {}) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "cmd-")));
  const ws = join(base, "ws");
  mkdirSync(ws);
  const workspace = await openWorkspace(ws, { random: systemRandom });
  const open = () =>
    createCommands({
      clock: systemClock,
      random: systemRandom,
      sendSignal: process.kill.bind(process),
      baseEnv: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      stateDir: base,
      maxOutputChars: more.maxOutputChars ?? 10_000,
      spawnLimits: limits,
    });
  const host = open();
  t.after(async () => {
    await host.closeAll();
    await workspace.close();
    rmSync(base, { recursive: true, force: true });
  });
  const commands = host.forSession("s", workspace);
  const start = (command: string, request: Partial<PermittedCommand> = {}) =>
    commands.start({ command, workdir: ".", env: {}, timeoutMs: 20_000, run: runOf(command), ...request });
  const run = async (command: string, request: Partial<PermittedCommand> = {}) => {
    const running = await start(command, request);
    await running.wait(20_000, never);
    return running;
  };
  return { base, ws, workspace, host, commands, start, run, open };
}

/** Waits until the command has printed what matches; real processes give no other event. */
async function printed(command: RunningCommand, pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const match = pattern.exec(command.output().text);
    if (match) return match;
    assert.equal(command.exit, undefined, `it ended: ${command.output().text}`);
    await pause(10);
  }
}

function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test("a plain command runs without a shell, with its literal arguments", async (t) => {
  const { run } = await scene(t);
  const command = await run("printf '%s|' '$HOME;' a\\ b \"c d\"");
  assert.equal(command.output().text, "$HOME;|a b|c d|");
  assert.deepEqual(command.exit, { code: 0, signal: null, timedOut: false });
});

test("what needs a shell gets one, and its exit code and both outputs come back", async (t) => {
  const { run } = await scene(t);
  const command = await run("echo one | tr o 0; echo two >&2; exit 7");
  assert.match(command.output().text, /0ne/);
  assert.match(command.output().text, /two/);
  assert.equal(command.exit?.code, 7);
  assert.equal((await run("-x; echo dash")).output().text.includes("dash"), true);
});

test("sandbox (4): a command inherits nothing from the gateway", async (t) => {
  process.env.OPENCLAW_TEST_SECRET = "leak";
  t.after(() => delete process.env.OPENCLAW_TEST_SECRET);
  const { run, ws } = await scene(t);
  const lines = (await run("env", { env: { FOO: "bar" } })).output().text.trim().split("\n").sort();
  assert.equal(lines.find((line) => line.startsWith("OPENCLAW_RUN="))?.split(".").length, 3);
  assert.deepEqual(
    lines.filter((line) => !line.startsWith("OPENCLAW_RUN=")),
    [
      "FOO=bar",
      `HOME=${ws}`,
      "LANG=C.UTF-8",
      "OPENCLAW_SHELL=exec",
      "PATH=/usr/local/bin:/usr/bin:/bin",
      "TERM=dumb",
    ],
  );
});

test("sandbox (4): a refused variable starts nothing", async (t) => {
  const { start, commands, ws } = await scene(t);
  await assert.rejects(
    start("touch C", { env: { LD_PRELOAD: "./e.so" } }),
    (error) => error instanceof InputError && /LD_PRELOAD/.test(error.message),
  );
  assert.deepEqual(commands.list(), []);
  assert.equal(existsSync(join(ws, "C")), false);
});

test("sandbox (1): a command starts inside the workspace only", async (t) => {
  const { run, start, ws, base } = await scene(t);
  mkdirSync(join(ws, "a"));
  symlinkSync(base, join(ws, "link"));
  assert.equal((await run("pwd", { workdir: "a" })).output().text, `${ws}/a\n`);
  assert.equal((await run("pwd -P | cat", { workdir: join(ws, "a") })).output().text, `${ws}/a\n`);
  for (const workdir of ["..", "/", "link", "missing", "~"])
    await assert.rejects(start("pwd", { workdir }), InputError, workdir);
});

test("a program is looked for in the given folders only, and is an executable file", async (t) => {
  const { run, start, ws } = await scene(t);
  writeFileSync(join(ws, "ls"), "#!/bin/sh\necho shadow\n");
  chmodSync(join(ws, "ls"), 0o755);
  assert.doesNotMatch((await run("ls -la")).output().text, /shadow/);
  assert.match((await run("./ls")).output().text, /shadow/);
  for (const command of ["no-such-program-here", "./none", "/etc/passwd", "/tmp"])
    await assert.rejects(
      start(command),
      (error) => error instanceof InputError && /no program/.test(error.message),
      command,
    );
});

test("input goes in, polls give what is new, and closing the input ends a reader", async (t) => {
  const { start } = await scene(t);
  const command = await start("cat");
  command.write("one\n");
  await printed(command, /one/);
  assert.equal(command.poll(), "one\n");
  command.write("two\n");
  command.closeInput();
  await command.wait(20_000, never);
  assert.equal(command.poll(), "two\n");
  assert.equal(command.exit?.code, 0);
  assert.throws(() => command.write("x"), InputError);
});

test("sandbox (6): a flood of output is bounded and counted", async (t) => {
  const { run } = await scene(t, { maxOutputChars: 1000 });
  const { text, droppedChars } = (await run("head -c 5000000 /dev/zero | tr '\\0' x; printf END")).output();
  assert.equal(text.length, 1000);
  assert.ok(text.endsWith("xEND"));
  assert.equal(droppedChars, 5_000_003 - 1000);
});

test("sandbox (6): a command that takes too long is ended", async (t) => {
  const { run } = await scene(t);
  const command = await run("sleep 600", { timeoutMs: 50 });
  assert.deepEqual(command.exit, { code: null, signal: "SIGTERM", timedOut: true });
});

test("sandbox (6): a command that ignores TERM is killed", async (t) => {
  const { start } = await scene(t);
  const command = await start("trap '' TERM; echo ready; while true; do sleep 1; done");
  await printed(command, /ready/);
  await command.kill();
  assert.equal(command.exit?.signal, "SIGKILL");
});

const escapes: readonly (readonly [what: string, command: string])[] = [
  ["a child in the group", "sleep 600 & echo pid=$!; wait"],
  [
    "a child that was forked twice into a session of its own",
    "(setsid sh -c 'echo pid=$$; exec sleep 600' &) ; sleep 600",
  ],
  [
    "an orphan in its session that cleared its environment and ignores TERM",
    "(env -i sh -c 'trap \"\" TERM; echo pid=$$; while true; do sleep 1; done' &) ; sleep 600",
  ],
  [
    "one forked twice, ignoring TERM, with its output elsewhere",
    "(setsid sh -c 'trap \"\" TERM; echo pid=$$; exec >/dev/null 2>&1; while true; do sleep 1; done' &) ; sleep 600",
  ],
];
for (const [what, line] of escapes) {
  test(`sandbox (6): killing a command ends ${what}`, async (t) => {
    const { start } = await scene(t);
    const command = await start(line);
    const pid = Number((await printed(command, /pid=(\d+)\n/))[1]);
    assert.equal(lives(pid), true);
    await command.kill();
    assert.equal(lives(pid), false);
    assert.notEqual(command.exit, undefined);
  });
}

test("sandbox (6): what a command leaves behind ends with it", async (t) => {
  const { run } = await scene(t);
  const command = await run("setsid sleep 600 & echo pid=$!");
  await command.kill();
  assert.equal(lives(Number(/pid=(\d+)/.exec(command.output().text)?.[1])), false);
});

test("sandbox (6): ended sessions and a closed gateway leave nothing running and start nothing", async (t) => {
  const { host, workspace, start } = await scene(t);
  const first = await start("echo pid=$$; exec sleep 600");
  const pid = Number((await printed(first, /pid=(\d+)/))[1]);
  await host.endSession("s");
  assert.equal(lives(pid), false);
  await assert.rejects(start("true"), /session has ended/);

  const other = host.forSession("other", workspace);
  const request = { workdir: ".", env: {}, timeoutMs: 0 };
  const second = await other.start({ ...request, command: "sleep 600", run: runOf("sleep 600") });
  await host.closeAll();
  assert.notEqual(second.exit, undefined);
  await assert.rejects(other.start({ ...request, command: "true", run: runOf("true") }), /stopping/);
});

test("commands are limited per session, seen by their session only, and forgotten oldest first", async (t) => {
  const { host, workspace, commands, start, run } = await scene(t);
  const burst = await Promise.allSettled([1, 2, 3, 4, 5, 6].map(() => start("sleep 600")));
  const sleepers = burst.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  assert.equal(sleepers.length, 4);
  await assert.rejects(start("sleep 600"), /Too many/);
  assert.equal(host.forSession("other", workspace).get(sleepers[0]!.id), undefined);
  assert.throws(() => sleepers[0]?.remove(), /still runs/);
  await Promise.all(sleepers.map((command) => command.kill()));
  const last = await run("true");
  assert.equal(commands.list().length, 4);
  assert.equal(commands.get(last.id), last);
  last.remove();
  assert.equal(commands.get(last.id), undefined);
});

test("sandbox (6): a new gateway ends what a crashed one left, and nothing else", async (t) => {
  const { start, open } = await scene(t);
  const orphan = await start("echo pid=$$; exec sleep 600");
  const pid = Number((await printed(orphan, /pid=(\d+)/))[1]);
  const mark = /OPENCLAW_RUN=([0-9a-f]+)\./.exec(readFileSync(`/proc/${pid}/environ`, "latin1"))?.[1];
  const bystander = spawn("sleep", ["600"], { env: { OPENCLAW_RUN: `x${mark}.0.0` }, stdio: "ignore" });
  t.after(() => bystander.kill());
  await once(bystander, "spawn");
  const next = open();
  assert.equal(await next.reapOrphans(), 1);
  await orphan.wait(20_000, never);
  assert.equal(orphan.exit?.signal, "SIGKILL");
  assert.equal(lives(bystander.pid ?? 0), true);
  assert.equal(await next.reapOrphans(), 0);
});
