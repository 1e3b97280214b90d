import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
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
import type { RecordLimits } from "./command-records.ts";
import type { SpawnLimits } from "./command-start.ts";
import { createCommands } from "./commands.ts";
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

async function scene(
  t: TestContext,
  more: {
    maxOutputChars?: number;
    keeps?: boolean;
    recordLimits?: RecordLimits;
    maxProcesses?: number;
  } = {},
) {
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
      spawnLimits: more.maxProcesses === undefined ? limits : { ...limits, maxProcesses: more.maxProcesses },
      keeps: () => more.keeps ?? true,
      ...(more.recordLimits ? { recordLimits: more.recordLimits } : {}),
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
  const { run, base } = await scene(t);
  const lines = (await run("env", { env: { FOO: "bar" } })).output().text.trim().split("\n").sort();
  assert.equal(lines.find((line) => line.startsWith("OPENCLAW_RUN="))?.split(".").length, 3);
  assert.deepEqual(
    lines.filter((line) => !line.startsWith("OPENCLAW_RUN=")),
    [
      "FOO=bar",
      "GIT_CONFIG_COUNT=1",
      "GIT_CONFIG_KEY_0=safe.bareRepository",
      "GIT_CONFIG_VALUE_0=explicit",
      `HOME=${base}/homes/shared`,
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

const filesIn = (folder: string) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
        /\.(?:log|jsonl)$/.test(name),
      )
    : [];

test("sandbox (6): what memory does not hold is read from the disk, line by line, also by a later gateway", async (t) => {
  const { base, run, host, open, workspace } = await scene(t, { maxOutputChars: 1000 });
  const command = await run("seq 20000");
  assert.equal(command.output().text.length, 1000);
  assert.deepEqual(await command.lines(7, 2), { first: 7, lines: ["7", "8"], total: 20_000 });
  assert.deepEqual((await command.lines(undefined, 2)).lines, ["19999", "20000"]);
  const [folder = ""] = readdirSync(join(base, "commands"));
  assert.equal(statSync(join(base, "commands", folder)).mode & 0o777, 0o700);
  for (const name of filesIn(join(base, "commands")))
    assert.equal(statSync(join(base, "commands", name)).mode & 0o777, 0o600);

  const next = open();
  const [stored] = next.forSession("s", workspace).list();
  assert.deepEqual([stored?.id, stored?.command, stored?.exit?.code], [command.id, "seq 20000", 0]);
  assert.deepEqual((await stored?.lines(20_000, 5))?.lines, ["20000"]);
  assert.throws(() => stored?.write("x"), InputError);
  assert.equal(next.forSession("other", workspace).get(command.id), undefined);
  assert.equal(
    next.forSession("s", workspace, { id: "box", proven: () => Promise.reject() }).get(command.id),
    undefined,
  );

  host.forgetEnded("s");
  assert.equal(command.exit && host.forSession("s", workspace).get(command.id), undefined);
  assert.deepEqual(filesIn(join(base, "commands")), []);
});

test("sandbox (6): what is kept of output on the disk is bounded, and what is missing is said", async (t) => {
  const recordLimits = { maxOutputBytes: 10_000, maxTotalBytes: 30_000, maxAgeMs: 60_000 };
  const { base, run } = await scene(t, { maxOutputChars: 100, recordLimits });
  const command = await run("yes 123456789 | head -n 50000; printf 'the end'");
  const { lines, total } = await command.lines(undefined, 100);
  assert.ok(total > 300 && total < 1100, `${total}`);
  assert.match(lines.join("\n"), /\n\[\.\.\. \d+ characters were not kept \.\.\.\]\n[\d\n]*the end$/);
  for (let n = 0; n < 60; n += 1) await run("head -c 9000 /dev/zero");
  const bytes = filesIn(join(base, "commands")).reduce(
    (sum, name) => sum + statSync(join(base, "commands", name)).size,
    0,
  );
  assert.ok(bytes < 30_000 + 50 * 9000, `${bytes}`);
  assert.equal((await run("sleep 0")).exit?.code, 0);
});

test("sandbox (6): with its session goes what it printed; where nothing is kept, nothing is written", async (t) => {
  const { base, host, run } = await scene(t);
  await run("echo kept");
  assert.notDeepEqual(filesIn(join(base, "commands")), []);
  await host.endSession("s");
  assert.deepEqual(filesIn(join(base, "commands")), []);

  const other = await scene(t, { keeps: false });
  const running = await other.start("echo secret words; sleep 600");
  await printed(running, /words/);
  const texts = filesIn(join(other.base, "commands")).map((name) =>
    readFileSync(join(other.base, "commands", name), "utf8"),
  );
  assert.equal(texts.length, 1);
  assert.doesNotMatch(texts.join(""), /secret|echo/);
  assert.deepEqual((await running.lines(1, 5)).lines, ["secret words"]);
  await running.kill();
  assert.deepEqual(filesIn(join(other.base, "commands")), []);
});

test("sandbox (6): what a crashed gateway left is found by its number and start, without its mark, and is told once", async (t) => {
  const { base, start, open, workspace } = await scene(t);
  const command = await start("env -i sh -c 'echo pid=$$; exec sleep 600'; true");
  const pid = Number((await printed(command, /pid=(\d+)/))[1]);
  assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, "latin1"), /OPENCLAW_RUN/);
  const bystander = spawn("sleep", ["600"], { stdio: "ignore" });
  t.after(() => bystander.kill());
  await once(bystander, "spawn");
  const [record = ""] = filesIn(join(base, "commands")).filter((name) => name.endsWith(".jsonl"));
  appendFileSync(
    join(base, "commands", record),
    `\n{"leader":{"pid":${bystander.pid},"startTicks":1}}\n{"torn`,
  );
  const next = open();
  assert.deepEqual(next.lost(), []);
  assert.ok((await next.reapOrphans()) >= 1);
  // Before the host that "crashed" here sees it end.
  const lost = next.lost();
  assert.deepEqual(
    lost.map(({ id, sessionKey }) => [id, sessionKey]),
    [[command.id, "s"]],
  );
  lost[0]?.settle();
  assert.deepEqual(next.lost(), []);
  assert.equal(next.forSession("s", workspace).list()[0]?.exit?.lost, true);
  while (lives(pid)) await pause(10);
  assert.equal(lives(bystander.pid ?? 0), true);
});

test("sandbox (6): a gateway that stops ends its commands, and the next one knows of it", async (t) => {
  const { host, start, open } = await scene(t);
  const command = await start("sleep 600");
  await host.closeAll();
  assert.deepEqual(
    open()
      .lost()
      .map(({ id }) => id),
    [command.id],
  );
});

test("sandbox (6): input that nobody reads is refused before it fills the memory", async (t) => {
  const { start } = await scene(t);
  const command = await start("sleep 600");
  assert.throws(
    () => {
      for (let n = 0; n < 100; n += 1) command.write("x".repeat(100_000));
    },
    (error) => error instanceof InputError && /does not read/.test(error.message),
  );
  await command.kill();
});

test("a terminal is one: its size, its name, its signals, and no second line of control", async (t) => {
  const { run, start, ws } = await scene(t);
  writeFileSync(
    join(ws, "look"),
    "#!/bin/sh\n[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && stty size && echo $TERM && tty\nexit 5\n",
  );
  chmodSync(join(ws, "look"), 0o755);
  const looked = await run("./look", { pty: true });
  assert.match(looked.output().text, /^30 120\nxterm-256color\n\/dev\/pts\/\d+\n$/);
  assert.equal(looked.exit?.code, 5);

  const cat = await start("cat", { pty: true });
  cat.write("one\r");
  await printed(cat, /one\none/);
  cat.closeInput();
  await cat.wait(20_000, never);
  assert.equal(cat.exit?.code, 0);

  const sleeper = await start("sleep 600", { pty: true });
  sleeper.write("\u0003");
  await sleeper.wait(20_000, never);
  assert.equal(sleeper.exit?.signal, "SIGINT");

  const shell = await run("for x in 1; do printf '\\033[31mred\\033[0m 10%%\\r100%%\\n'; done", {
    pty: true,
  });
  assert.equal(shell.output().text, "100%\n");
  await assert.rejects(start("cd . && ls", { pty: true }), /holds one program/);
  await assert.rejects(start("no-such-program", { pty: true }), /no program/);
});

test("sandbox (6): killing what runs in a terminal ends all of it", async (t) => {
  const { start } = await scene(t);
  const command = await start("(trap '' HUP TERM; setsid sleep 600 & echo pid=$!; wait)", { pty: true });
  const pid = Number((await printed(command, /pid=(\d+)\n/))[1]);
  assert.equal(lives(pid), true);
  await command.kill();
  assert.equal(lives(pid), false);
});

// Only where a thread can be put into a group by itself is a process in it from its very beginning.
const noGroups = (() => {
  const folder = "/sys/fs/cgroup/pids/test-of-commands";
  try {
    mkdirSync(folder);
    const holds = existsSync(join(folder, "tasks"));
    rmdirSync(folder);
    return holds ? false : "threads cannot be moved by themselves";
  } catch {
    return "this process may make no control groups";
  }
})();

test("sandbox (6): a fork bomb stays in its bounds, and ends", { skip: noGroups }, async (t) => {
  const { start } = await scene(t, { maxProcesses: 64 });
  const command = await start(
    "bomb() { [ $1 = 9 ] || { bomb $(($1 + 1)) & bomb $(($1 + 1)) & sleep 5; }; }; bomb 0",
  );
  await printed(command, /fork|Resource|annot/);
  await command.kill();
  assert.notEqual(command.exit, undefined);
});

test("sandbox (6): killing ends also what took its mark off, left its session and lost its parents", {
  skip: noGroups,
}, async (t) => {
  const { start, open } = await scene(t, { maxProcesses: 64 });
  const line = "(setsid env -i sh -c '(setsid sh -c \"echo pid=\\$\\$; exec sleep 600\" &)' &); sleep 600";
  const command = await start(line);
  const pid = Number((await printed(command, /pid=(\d+)\n/))[1]);
  assert.equal(readFileSync(`/proc/${pid}/environ`, "latin1").includes("OPENCLAW_RUN"), false);
  await command.kill();
  assert.equal(lives(pid), false);

  const left = await start(line);
  const other = Number((await printed(left, /pid=(\d+)\n/))[1]);
  await open().reapOrphans();
  while (lives(other)) await pause(10);
  await left.wait(20_000, never);
});

test("sandbox (6): arguments that are too long end in a message, not in a fault", async (t) => {
  const { run } = await scene(t);
  const command = await run(`printf %s ${"x".repeat(1_000_000)}`);
  assert.equal(command.exit?.code, 126);
  assert.match(command.output().text, /^sh: could not be started: its arguments are longer than/);
  const nul = await run("echo a\0b", { run: { kind: "shell" } });
  assert.match(nul.output().text, /an argument holds a NUL/);
});

test("sandbox (6): ended processes that nobody waits for do not keep a command alive", async (t) => {
  const { start } = await scene(t);
  const command = await start("sh -c 'true & echo ready; exec sleep 600'");
  await printed(command, /ready/);
  await command.kill();
  assert.equal(command.exit?.signal, "SIGTERM");
});

test("sandbox (6): a flood from a terminal is slowed down, and the gateway goes on meanwhile", async (t) => {
  const { start } = await scene(t, { maxOutputChars: 1000 });
  const command = await start("yes", { pty: true });
  await printed(command, /y\ny/);
  let turns = 0;
  for (; turns < 50 && !command.exit; turns += 1) await pause(1);
  assert.equal(turns, 50);
  await command.kill();
  assert.ok(command.output().text.length <= 1000);
});
