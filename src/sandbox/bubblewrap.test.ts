/** The promises of bubblewrap sandboxes, tried for real, and each of them taken away once. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
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
import { createBubblewrap } from "./bubblewrap.ts";
import { createCommands } from "./commands.ts";
import type { SandboxProof, SandboxSpec } from "./sandbox-host.ts";
import { openWorkspace } from "./workspace.ts";

const never = new AbortController().signal;
const found = (name: string) => {
  const path = `/usr/bin/${name}`;
  return existsSync(path) ? path : undefined;
};
const skip =
  found("bwrap") && found("prlimit")
    ? false
    : "bubblewrap is not installed: no sandbox was tried on this machine";

function place(t: TestContext) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "bwrap-")));
  const state = join(base, "state");
  const home = join(base, "home");
  const workspace = join(state, "sandboxes", "a");
  for (const folder of [workspace, home]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const spec: SandboxSpec = { id: "a", workspace, maxProcesses: 64, maxMemoryBytes: 512 * 1024 * 1024 };
  const open = (change: Partial<Parameters<typeof createBubblewrap>[0]> = {}) => {
    const host = createBubblewrap({
      clock: systemClock,
      random: systemRandom,
      stateDir: state,
      homes: [home, join(base, "no-home"), "/usr/sbin", "/"],
      findProgram: found,
      architecture: process.arch,
      ...change,
    });
    t.after(() => host.sweep());
    return host;
  };
  t.after(() => rmSync(base, { recursive: true, force: true }));
  return { base, state, home, workspace, spec, open };
}

const whyOf = (proof: SandboxProof) => (proof.ok ? "it was proved" : proof.why);

/** A bwrap that does as it is told, except for this. */
function weakened(base: string, cases: string): (name: string) => string | undefined {
  const file = join(base, "bwrap");
  writeFileSync(
    file,
    `#!/bin/sh
n=$#
while [ $n -gt 0 ]; do
  a=$1; shift; n=$((n-1)); b=$1
  case "$a" in
${cases}
  esac
  set -- "$@" "$a"
done
exec /usr/bin/bwrap "$@"
`,
  );
  chmodSync(file, 0o755);
  return (name) => (name === "bwrap" ? file : found(name));
}

test("sandbox (8): a sandbox whose promises all hold is proved, and says which they are", {
  skip,
}, async (t) => {
  const { spec, open } = place(t);
  const proof = await open().prove(spec);
  assert.equal(whyOf(proof), "it was proved");
  assert.ok(proof.ok);
  for (const name of ["secret", "connect", "capabilities", "system-calls", "processes", "pid-namespace"])
    assert.ok(proof.held.includes(name), name);
});

const drop = (option: string) => `  ${option}) continue;;`;
const dropPair = (option: string) => `  ${option}) shift; n=$((n-1)); continue;;`;
const layers: readonly (readonly [layer: string, cases: string, broken: RegExp])[] = [
  ["no network", drop("--unshare-net"), /over the network.*interface.*net namespace/],
  [
    "processes of its own",
    drop("--unshare-pid"),
    /pid namespace is not its own.*processes that are not its own/,
  ],
  ["memory shared with nobody", drop("--unshare-ipc"), /ipc namespace is not its own/],
  ["a name of its own", drop("--unshare-uts") + dropPair("--hostname"), /uts namespace is not its own/],
  ["the filter of system calls", dropPair("--seccomp"), /system calls are not filtered/],
  ["a read-only root", dropPair("--remount-ro"), /write to its own system folders/],
  ["read-only programs", "  --ro-bind) a=--bind;;", /parts of the host are mounted writable/],
  ["no capabilities", "  --cap-drop) a=--cap-add;;", /holds capabilities/],
  ["limited memory", "  --data=*) a=--data=unlimited;;", /memory is not limited/],
  ["no dumps", "  --core=0) a=--core=unlimited;;", /dumps/],
];
for (const [layer, cases, broken] of layers) {
  test(`sandbox (8): without "${layer}" there is no sandbox`, { skip }, async (t) => {
    const { base, spec, open } = place(t);
    const proof = await open({ findProgram: weakened(base, cases) }).prove(spec);
    assert.match(whyOf(proof), broken);
  });
}

test("sandbox (8): without a limit on processes there is no sandbox", { skip }, async (t) => {
  const { base, spec, open } = place(t);
  const findProgram = weakened(base, "  --nproc=*) continue;;");
  const proof = await open({ findProgram, groupsRoot: join(base, "none") }).prove(spec);
  assert.match(whyOf(proof), /more processes than it was given/);
});

test("sandbox (8): a sandbox that shows the state folder is none", { skip }, async (t) => {
  const { base, state, spec, open } = place(t);
  const findProgram = weakened(
    base,
    `  --remount-ro) [ -n "$seen" ] || set -- "$@" --ro-bind ${state} ${state}; seen=1;;`,
  );
  assert.match(
    whyOf(await open({ findProgram }).prove(spec)),
    /read the gateway's state folder.*folders of the host/,
  );
});

test("sandbox (8): the agent's workspace, shown read-only, cannot be written", { skip }, async (t) => {
  const { base, spec, open } = place(t);
  const agentWorkspace = join(base, "agent");
  mkdirSync(agentWorkspace);
  const proof = await open().prove({ ...spec, agentWorkspace });
  assert.equal(proof.ok && proof.held.includes("write-agent"), true, whyOf(proof));
  const findProgram = weakened(base, `  --ro-bind) [ "$b" = ${agentWorkspace} ] && a=--bind;;`);
  assert.match(whyOf(await open({ findProgram }).prove({ ...spec, agentWorkspace })), /shown read-only/);
});

test("sandbox (8): a probe that says nothing, or says what it was not asked, proves nothing", {
  skip,
}, async (t) => {
  const { base, spec, open } = place(t);
  for (const script of ["exit 0", "echo secret closed", "echo no >&2; exit 1"]) {
    const file = join(base, "bwrap");
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
    const findProgram = (name: string) => (name === "bwrap" ? file : found(name));
    assert.match(whyOf(await open({ findProgram }).prove(spec)), /does not start/, script);
  }
});

test("sandbox (8): without its programs, or a known processor, there is no sandbox", { skip }, async (t) => {
  const { spec, open } = place(t);
  for (const missing of ["bwrap", "prlimit"]) {
    const findProgram = (name: string) => (name === missing ? undefined : found(name));
    assert.match(
      whyOf(await open({ findProgram }).prove(spec)),
      new RegExp(`There is no ${missing} .*Install`),
    );
  }
  assert.match(whyOf(await open({ architecture: "mips" }).prove(spec)), /mips/);
});

test("sandbox (8), A-131, A-132: what must stay hidden is not shown, however its path is written", {
  skip,
}, async (t) => {
  const { base, state, home, spec, open } = place(t);
  symlinkSync("/etc", join(base, "link"));
  for (const workspace of [
    ...[
      "/",
      "/etc",
      "/etc/ssl",
      "/proc",
      "/proc/self",
      "/sys",
      "/dev",
      "/run",
      "/usr",
      "/usr/share",
      "/boot",
    ],
    ...[base, state, home, join(base, "link"), join(base, "absent"), `${base}/../..`, `${spec.workspace}/`],
  ]) {
    assert.equal((await open().prove({ ...spec, workspace })).ok, false, workspace);
    assert.equal(
      (await open().prove({ ...spec, agentWorkspace: workspace })).ok,
      false,
      `agent: ${workspace}`,
    );
  }
});

async function inside(t: TestContext) {
  const at = place(t);
  const proof = await at.open().prove(at.spec);
  assert.ok(proof.ok, whyOf(proof));
  const workspace = await openWorkspace(at.workspace, { random: systemRandom });
  const host = createCommands({
    clock: systemClock,
    random: systemRandom,
    sendSignal: process.kill.bind(process),
    baseEnv: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    stateDir: at.state,
    maxOutputChars: 20_000,
    spawnLimits: { maxRunning: 8, maxRunningPerSession: 4, maxKeptPerSession: 3, killGraceMs: 100 },
  });
  t.after(async () => {
    await host.closeAll();
    await workspace.close();
  });
  const commands = host.forSession("s", workspace, { id: "a", proven: async () => proof.sandbox });
  const permitted: CommandRun = { kind: "sandbox", sandboxId: "bubblewrap-a" };
  const start = (command: string, run: CommandRun = permitted, more = {}) =>
    commands.start({ command, workdir: ".", env: {}, timeoutMs: 20_000, run, ...more });
  const run = async (command: string, more = {}) => {
    const running = await start(command, permitted, more);
    await running.wait(20_000, never);
    return { text: running.output().text, exit: running.exit, dropped: running.output().droppedChars };
  };
  return { ...at, host, workspaceOpen: workspace, commands, start, run };
}

test("sandbox (8): a real shell runs inside, in its workspace, with the environment that was built", {
  skip,
}, async (t) => {
  const { run, workspace } = await inside(t);
  mkdirSync(join(workspace, "sub"));
  const { text, exit } = await run(
    "for x in 1 2; do echo $((x * 2)) >> n; done; cat n; pwd; echo $A; id -u",
    {
      workdir: "sub",
      env: { A: "b" },
    },
  );
  assert.deepEqual([text, exit?.code], ["2\n4\n/workspace/sub\nb\n1000\n", 0]);
  assert.equal(readFileSync(join(workspace, "sub/n"), "utf8"), "2\n4\n");
  assert.equal((await run("exit 7")).exit?.code, 7);
});

test("sandbox (8): a terminal is one inside, with its keys that interrupt, and sends nothing out but text", {
  skip,
}, async (t) => {
  const { run, start } = await inside(t);
  const { text, exit } = await run("test -t 0 && test -t 1 && stty size && echo 'it'\\''s'; exit 5", {
    pty: true,
  });
  assert.deepEqual([text, exit?.code], ["30 120\nit's\n", 5]);
  // What says that it is ready is what is interrupted: a shell between two commands may let a key pass by.
  const ready = `exec python3 -c 'import time; print("ready", flush=True); time.sleep(600)'`;
  const sleeper = await start(ready, undefined, { pty: true });
  while (!/ready/.test(sleeper.output().text)) await pause(10);
  sleeper.write("\u0003");
  await sleeper.wait(20_000, never);
  assert.notEqual(sleeper.exit, undefined);
  assert.equal(sleeper.exit?.timedOut, false);
});

test("sandbox (8): what was permitted for one place does not run in another", { skip }, async (t) => {
  const { start, host, workspaceOpen, workspace } = await inside(t);
  for (const run of [
    { kind: "shell" },
    { kind: "tree", line: [], files: [] },
    { kind: "sandbox", sandboxId: "b" },
  ] as const)
    await assert.rejects(start("touch here", run), InputError, JSON.stringify(run));
  const onHost = host.forSession("s", workspaceOpen);
  await assert.rejects(
    onHost.start({
      command: "touch here",
      workdir: ".",
      env: {},
      timeoutMs: 1000,
      run: { kind: "sandbox", sandboxId: "bubblewrap-a" },
    }),
    /has no sandbox/,
  );
  assert.equal(existsSync(join(workspace, "here")), false);
});

test("sandbox (8): commands of the host and of the sandbox are not each other's, and end with their session", {
  skip,
}, async (t) => {
  const { start, host, workspaceOpen } = await inside(t);
  const running = await start("echo up; sleep 1000");
  const onHost = host.forSession("s", workspaceOpen);
  assert.deepEqual(onHost.list(), []);
  assert.equal(onHost.get(running.id), undefined);
  await host.endSession("s");
  assert.ok(running.exit);
});

test("sandbox (6): a command that forks without end, or floods, is held and ends whole", {
  skip,
}, async (t) => {
  const { run } = await inside(t);
  const bomb = await run("f() { f | f & }; f; sleep 1; echo still here; exit 3", { timeoutMs: 8000 });
  assert.ok(bomb.exit, "it ended");
  const flood = await run("yes | head -c 3000000");
  assert.ok(flood.dropped > 2_900_000, String(flood.dropped));
  const left = `sleep 7${process.pid}.25`;
  await run(
    `setsid ${left} >/dev/null 2>&1 & sleep 0.2; cat /proc/[0-9]*/cmdline | grep -c "7${process.pid}.25"`,
  );
  while (processesWith(left.slice(6)) > 0) await pause(10);
  const late = await run("sleep 1000", { timeoutMs: 100 });
  assert.equal(late.exit?.timedOut, true);
});

test("sandbox (1), A-139: a link that a sandbox leaves in its workspace is not followed by the file tools", {
  skip,
}, async (t) => {
  const { run, base, workspaceOpen } = await inside(t);
  writeFileSync(join(base, "secret"), "s");
  await run(`ln -s ${base}/secret link; ln -s / root`);
  await assert.rejects(workspaceOpen.read("link", 10), InputError);
  await assert.rejects(workspaceOpen.write("root/x", Buffer.from("x")), InputError);
});

test("sandbox (2), A-140: a sandbox that swaps a folder for a link all the time leads no file tool outside", {
  skip,
}, async (t) => {
  const { start, base, workspaceOpen } = await inside(t);
  const outside = join(base, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "f"), "secret");
  const swapping = await start(
    `mkdir d; echo own > d/f; echo ready; while :; do mv d e; ln -s ${outside} d; rm d; mv e d; done`,
  );
  while (!swapping.output().text.includes("ready")) await swapping.wait(10, never);
  let done = 0;
  for (let round = 0; round < 300; round += 1) {
    const read = await workspaceOpen.read("d/f", 100).catch((error) => error);
    assert.ok(read instanceof InputError || read.bytes.toString() !== "secret", "it read outside");
    const wrote = await workspaceOpen.write("d/f", Buffer.from("x")).catch((error) => error);
    if (!(wrote instanceof InputError)) done += 1;
  }
  assert.equal(swapping.exit, undefined, "it swapped to the end");
  await swapping.kill();
  assert.equal(readFileSync(join(outside, "f"), "utf8"), "secret");
  assert.ok(done > 0, "some got through to the real folder");
});

test("sandbox (8), A-132: a folder that became a link after the proof is not entered", {
  skip,
}, async (t) => {
  const { start, base, workspace } = await inside(t);
  const outside = join(base, "outside");
  mkdirSync(outside);
  renameSync(workspace, `${workspace}-old`);
  symlinkSync(outside, workspace);
  await assert.rejects(start("touch here"), /reached through a link/);
  assert.equal(existsSync(join(outside, "here")), false);
});

/** How many processes of this machine have the text among their arguments. */
function processesWith(text: string): number {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  }).length;
}
