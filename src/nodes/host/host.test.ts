/** A node's own side: what is prepared, what its rules say, what is shown. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../../kernel/mod.ts";
import { commandText, nodeArgv, plainArgv, quoteArgv } from "../command-text.ts";
import { openIdentity } from "./identity.ts";
import { createNodeRules, type RulesFile } from "./rules.ts";
import { createRunner, NodeCommandError, type StartRequest } from "./runner.ts";
import { findProgram, trustedFolders } from "./snapshot.ts";

interface Stored extends RulesFile {
  value: unknown;
}

function rulesFile(value?: unknown): Stored {
  return {
    path: "/node/exec-approvals.json",
    value,
    async read() {
      if (this.value === "broken") throw new Error("not JSON");
      return this.value;
    },
    async write(next) {
      this.value = next;
    },
  };
}

const open = { version: 1, defaults: { security: "full", ask: "off" } };

async function runner(t: TestContext, file: Stored = rulesFile(open)) {
  const home = await realpath(await mkdtemp(join(tmpdir(), "node-runner-")));
  t.after(() => rm(home, { recursive: true, force: true }));
  const started: StartRequest[] = [];
  const events: string[] = [];
  let now = 0;
  const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => {} };
  const made = createRunner({
    clock,
    rules: createNodeRules(file),
    folders: async () => ["/usr/bin", "/bin"],
    home,
    isInterpreter: (program) => /(?:^|\/)(?:sh|dash|bash)$/.test(program),
    environmentProblem: (env) => ("LD_PRELOAD" in env ? "LD_PRELOAD may not be set" : undefined),
    async start(request) {
      started.push(request);
      return { exitCode: 0, timedOut: false, stdout: "out", stderr: "" };
    },
  });
  const call = {
    signal: new AbortController().signal,
    output: () => {},
    event: (name: string) => void events.push(name),
  };
  return {
    home,
    started,
    events,
    later: (ms: number) => {
      now += ms;
    },
    prepare: async (params: object) =>
      (await made.prepare(params)) as { plan: { argv: string[]; cwd: string; commandText: string } },
    run: (params: object) => made.run(params, call),
  };
}

const denied = (code: string) => (error: unknown) => error instanceof NodeCommandError && error.code === code;

test("node host (2): A-121: only exactly what was prepared runs, once", async (t) => {
  const { home, started, prepare, run, later, events } = await runner(t);
  const base = { command: ["uname", "-s"], agentId: "main", sessionKey: "s1", env: { A: "1" } };
  const other = join(home, "other");
  await mkdir(other);
  const { plan } = await prepare(base);
  const good = { ...base, cwd: plan.cwd, systemRunPlan: plan };
  for (const change of [
    { systemRunPlan: undefined },
    { command: ["uname", "-a"] },
    { command: ["uname", "-a"], systemRunPlan: { ...plan, argv: ["uname", "-a"] } },
    { cwd: other },
    { cwd: other, systemRunPlan: { ...plan, cwd: other } },
    { env: { A: "2" } },
    { env: { A: "1", B: "1" } },
    { env: {} },
    { agentId: "other" },
    { agentId: "other", systemRunPlan: { ...plan, agentId: "other" } },
    { sessionKey: "s2" },
    { sessionKey: "s2", systemRunPlan: { ...plan, sessionKey: "s2" } },
  ])
    await assert.rejects(run({ ...good, ...change }), denied("SYSTEM_RUN_DENIED"), JSON.stringify(change));
  assert.equal(started.length, 0);
  assert.ok(events.every((name) => name === "exec.denied"));
  await run(good);
  assert.equal(started.length, 1);
  assert.deepEqual(started[0]?.argv, ["uname", "-s"]);
  await assert.rejects(run(good), denied("SYSTEM_RUN_DENIED"), "twice");
  // Prepared, but too long ago.
  const old = (await prepare(base)).plan;
  later(41 * 60_000);
  await assert.rejects(run({ ...good, systemRunPlan: old }), denied("SYSTEM_RUN_DENIED"));
  assert.equal(started.length, 1);
});

test("node host (2): A-112: a program, script or folder that changed in between does not run", async (t) => {
  const { home, started, prepare, run } = await runner(t);
  const script = join(home, "job.sh");
  await writeFile(script, "echo 1\n");
  await chmod(script, 0o755);
  for (const command of [["./job.sh"], ["sh", "job.sh"], ["/bin/sh", "-lc", "cd . && sh ./job.sh"]]) {
    const { plan } = await prepare({ command });
    await writeFile(script, `echo ${Math.random()}\n`);
    await assert.rejects(
      run({ command, systemRunPlan: plan }),
      denied("SYSTEM_RUN_DENIED"),
      command.join(" "),
    );
  }
  const folder = join(home, "work");
  await mkdir(folder);
  const { plan } = await prepare({ command: ["uname"], cwd: folder });
  await rm(folder, { recursive: true });
  await mkdir(folder);
  await assert.rejects(
    run({ command: ["uname"], cwd: folder, systemRunPlan: plan }),
    denied("SYSTEM_RUN_DENIED"),
  );
  assert.deepEqual(started, []);
});

test("node host (4): A-103, A-125: text that does not fit its argv, and variables that redirect programs, are refused", async (t) => {
  const { prepare, home } = await runner(t);
  const bad: readonly object[] = [
    { command: ["touch", "C"], rawCommand: "echo hi" },
    { command: ["echo", "a b"], rawCommand: "echo a b" },
    { command: ["/bin/sh", "-lc", "touch C"], rawCommand: "echo hi" },
    { command: ["uname"], env: { LD_PRELOAD: "x" } },
    { command: ["uname"], cwd: "relative" },
    { command: ["uname"], cwd: join(home, "nowhere") },
    { command: ["no-such-program"] },
    { command: [] },
    { command: "uname" },
  ];
  for (const params of bad)
    await assert.rejects(prepare(params), denied("INVALID_REQUEST"), JSON.stringify(params));
  await prepare({ command: ["echo", "a b"], rawCommand: "echo 'a b'" });
  await prepare({ command: ["/bin/sh", "-lc", "echo hi"], rawCommand: "echo hi" });
});

test("node host (3): the node's rules hold whatever the gateway says", async (t) => {
  const rows: readonly [rules: unknown, approved: boolean, runs: boolean][] = [
    [undefined, false, false],
    [undefined, true, true],
    [open, false, true],
    ["broken", true, false],
    [{ version: 2 }, true, false],
    [{ version: 1, defaults: { security: "deny" } }, true, false],
    [{ version: 1, defaults: { security: "full" }, agents: { main: { security: "deny" } } }, true, false],
    [{ version: 1, defaults: { security: "full", ask: "always" } }, false, false],
    [{ version: 1, defaults: { security: "allowlist", ask: "off" } }, true, false],
    [{ version: 1, agents: { "*": { allowlist: [{ pattern: "uname" }] } } }, false, true],
    [{ version: 1, agents: { other: { allowlist: [{ pattern: "uname" }] } } }, false, false],
    [{ version: 1, agents: { main: { allowlist: [{ pattern: "/tmp/uname" }] } } }, false, false],
  ];
  for (const [rules, approved, runs] of rows) {
    const { prepare, run } = await runner(t, rulesFile(rules));
    const params = { command: ["uname"], agentId: "main" };
    const { plan } = await prepare(params).catch(() => ({ plan: undefined }));
    const attempt = run({ ...params, systemRunPlan: plan, ...(approved ? { approved } : {}) });
    const label = `${JSON.stringify(rules)} ${approved}`;
    if (runs) await attempt;
    else await assert.rejects(attempt, denied("SYSTEM_RUN_DENIED"), label);
  }
});

test("node host (3): rules that cannot be read any more allow not even what a person said yes to", async (t) => {
  const file = rulesFile(open);
  const { prepare, run } = await runner(t, file);
  const { plan } = await prepare({ command: ["uname"] });
  file.value = "broken";
  await assert.rejects(
    run({ command: ["uname"], systemRunPlan: plan, approved: true }),
    denied("SYSTEM_RUN_DENIED"),
  );
});

test("node host (5): A-100, A-109, A-113: allow-always covers one command, and never an interpreter", async (t) => {
  const file = rulesFile();
  const { prepare, run, home, started } = await runner(t, file);
  const params = { command: ["uname", "-s"], agentId: "main", sessionKey: "s" };
  const { plan } = await prepare(params);
  await run({ ...params, systemRunPlan: plan, approved: true, approvalDecision: "allow-always" });
  const runsFreely = async (more: object) => {
    const asked = { ...params, ...more };
    const prepared = await prepare(asked);
    return run({ ...asked, cwd: prepared.plan.cwd, systemRunPlan: prepared.plan }).then(
      () => true,
      () => false,
    );
  };
  assert.equal(await runsFreely({}), true);
  assert.equal(await runsFreely({ sessionKey: "other" }), true, "a rule is for good");
  for (const more of [{ command: ["uname", "-a"] }, { cwd: "/" }, { agentId: "other" }, { env: { A: "1" } }])
    assert.equal(await runsFreely(more), false, JSON.stringify(more));
  // Another program by the same name.
  const fake = join(home, "uname");
  await writeFile(fake, "#!/bin/sh\n");
  await chmod(fake, 0o755);
  assert.equal(await runsFreely({ command: [fake, "-s"] }), false);
  const before = JSON.stringify(file.value);
  const shell = { ...params, command: ["sh", "-c", "id"] };
  const made = await prepare(shell);
  await run({ ...shell, systemRunPlan: made.plan, approved: true, approvalDecision: "allow-always" });
  assert.equal(JSON.stringify(file.value), before);
  assert.equal(started.length, 4);
});

test("node host (3): rules are replaced only by who read the newest, and only by rules that it follows", async () => {
  const file = rulesFile();
  const rules = createNodeRules(file);
  const { hash: absent } = (await rules.get()) as { hash: string };
  assert.equal(absent, "absent");
  const wanted = { version: 1, agents: { main: { allowlist: [{ pattern: "/usr/bin/uname" }] } } };
  const { hash: first } = (await rules.set(wanted, "absent")) as { hash: string };
  await assert.rejects(rules.set(wanted, undefined), /base hash required/);
  await assert.rejects(rules.set(wanted, "absent"), /changed since last load/);
  for (const bad of [
    { version: 1, agents: { main: { allowlist: [{ pattern: "/usr/bin/*", argPattern: ".*" }] } } },
    { version: 1, defaults: { security: "none" } },
    { version: 1, more: true },
    [],
  ])
    await assert.rejects(rules.set(bad, first), /exec approvals file/, JSON.stringify(bad));
  assert.deepEqual(file.value, wanted);
});

test("node host (2): A-109: programs are found in folders that nobody else can write to", async (t) => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "node-path-")));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [good, bad] = [join(folder, "good"), join(folder, "bad")];
  for (const place of [good, bad]) {
    await mkdir(place);
    await writeFile(join(place, "jq"), "#!/bin/sh\n");
    await chmod(join(place, "jq"), 0o755);
  }
  await chmod(bad, 0o777);
  const folders = await trustedFolders(`${bad}::relative:${good}:${folder}/none`);
  assert.deepEqual(folders, [good]);
  await symlink(join(good, "jq"), join(good, "alias"));
  assert.equal(await findProgram("alias", folders, "/"), join(good, "jq"), "the real file");
  assert.equal(await findProgram("jq ", folders, "/"), undefined);
  assert.equal(await findProgram("good", [folder], "/"), undefined, "a folder is no program");
});

test("node host (1): an identity is kept, and a broken one is not replaced", async () => {
  const file = {
    value: undefined as unknown,
    read: async () => file.value,
    async write(value: unknown) {
      file.value = value;
    },
  };
  const first = await openIdentity(file);
  assert.equal((await openIdentity(file)).deviceId, first.deviceId);
  for (const broken of [{}, { privateKeyPem: "x" }, null]) {
    file.value = broken;
    await assert.rejects(openIdentity(file), /no Ed25519 key/);
    assert.equal(file.value, broken);
  }
});

test("node host (4): argv as text is argv again for any shell, and only plain lines skip the shell", () => {
  const shell = (script: string): string[] =>
    execFileSync("/bin/sh", ["-c", `for word in ${script}; do printf '%s\\0' "$word"; done`], {
      encoding: "utf8",
    })
      .split("\0")
      .slice(0, -1);
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom(..."ab'\" $`\\|;&*?~#=!-/{}[]()\n\t".split("")) }), {
        minLength: 1,
        maxLength: 5,
      }),
      (words) => assert.deepEqual(shell(quoteArgv(words)), words),
    ),
    { numRuns: 60 },
  );
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."ab'\" $`\\|;&*?~#=!-/".split("")), maxLength: 14 }),
      (line) => {
        const argv = plainArgv(line);
        if (argv) assert.deepEqual(shell(line), argv, JSON.stringify(line));
      },
    ),
    { numRuns: 300 },
  );
  assert.deepEqual(nodeArgv("printf '%s' \"a b\""), ["printf", "%s", "a b"]);
  for (const line of ["a | b", "a; b", "$(a)", "a > b", "~/x", "A=1 b", "a *", "", "a\nb"])
    assert.deepEqual(nodeArgv(line), ["/bin/sh", "-lc", line], line);
  assert.equal(commandText(["/bin/sh", "-lc", "a | b"]), "a | b");
  assert.equal(commandText(["/bin/sh", "-c", "a | b"]), "/bin/sh -c 'a | b'");
});
