import assert from "node:assert/strict";
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  commandUser,
  containerPlaceProblem,
  giveToCommands,
  readSeccompProfile,
} from "./container-places.ts";
import { containerSettings } from "./container-settings.ts";
import type { SandboxSpec } from "./sandbox-host.ts";

function scene(t: TestContext) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "places-")));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const state = join(base, "state");
  const workspace = join(base, "workspace");
  const home = join(base, "home");
  for (const path of [
    `${state}/sandboxes/a`,
    `${state}/credentials`,
    `${workspace}/sub`,
    `${home}/.ssh/x`,
    `${home}/projects`,
    `${base}/data`,
  ])
    mkdirSync(path, { recursive: true });
  const places = { stateDir: state, homes: [home], engineSocket: join(base, "engine.sock") };
  const spec: SandboxSpec = { id: "a", workspace, maxProcesses: 1, maxMemoryBytes: 1 };
  const problem = (bind: string, outside = true) => {
    const settings = containerSettings(
      { binds: [`${bind}:/mnt/x:ro`], dangerouslyAllowExternalBindSources: outside },
      1e9,
      "/none",
    );
    assert.ok(typeof settings === "object", String(settings));
    return containerPlaceProblem(spec, settings, places);
  };
  return { base, state, workspace, home, spec, problem, places };
}

test("sandbox (8), A-131, A-132: what must stay hidden is never bound, by whatever path and whatever is allowed", (t) => {
  const { base, state, workspace, home, problem, places } = scene(t);
  writeFileSync(places.engineSocket, "");
  for (const [link, to] of [
    ["to-etc", "/etc"],
    ["to-state", state],
    ["to-ssh", join(home, ".ssh")],
  ] as const) {
    symlinkSync(to, join(base, link));
    symlinkSync(to, join(workspace, link));
  }
  for (const path of [
    ...[
      "/etc",
      "/etc/ssl",
      "/proc",
      "/proc/1/root",
      "/sys",
      "/dev",
      "/root",
      "/boot",
      "/run",
      "/var/run",
      "/usr/lib",
      "/bin",
    ],
    ...["/var", "/data/../etc", "//etc", "/./etc/", "/tmp/../var/run", base, home, state, "/home/.."],
    ...[
      `${state}/credentials`,
      `${state}/sandboxes`,
      `${home}/.ssh`,
      `${home}/.ssh/x`,
      `${home}/projects/../.ssh`,
    ],
    ...[
      `${base}/to-etc`,
      `${base}/to-state`,
      `${base}/to-ssh`,
      `${workspace}/to-etc`,
      `${workspace}/to-state/credentials`,
    ],
    ...[`${base}/absent`, places.engineSocket],
  ])
    assert.ok(problem(path) !== undefined, path);
  assert.equal(problem(`${base}/data`), undefined);
  assert.equal(problem(`${home}/projects`), undefined);
});

test("sandbox (8), A-132: without its own word the config binds nothing but the workspace's", (t) => {
  const { base, workspace, problem } = scene(t);
  assert.match(problem(`${base}/data`, false) ?? "", /dangerouslyAllowExternalBindSources/);
  assert.equal(problem(join(workspace, "sub"), false), undefined);
});

test("sandbox (8), A-132: a bound folder that became a link is refused", (t) => {
  const { base, problem } = scene(t);
  rmSync(join(base, "data"), { recursive: true });
  symlinkSync("/usr/share", join(base, "data"));
  assert.match(problem(join(base, "data")) ?? "", /reached through a link/);
});

test("sandbox (8): commands are never root, and get a folder of their own", {
  skip: process.getuid?.() === 0 ? false : "needs root",
}, (t) => {
  const { workspace, spec } = scene(t);
  assert.match(JSON.stringify(commandUser(spec, undefined, 0)), /belongs to user 0/);
  assert.match(JSON.stringify(commandUser(spec, undefined, 1000)), /belongs to user 0/);
  assert.deepEqual(commandUser({ ...spec, ownsWorkspace: true }, undefined, 0), { user: "65532:65532" });
  assert.deepEqual(commandUser({ ...spec, ownsWorkspace: true }, "7:8", 0), { user: "7:8" });
  giveToCommands(spec, "7:8", 0);
  assert.equal(statSync(workspace).uid, 0, "what is the agent's is not given away");
  giveToCommands({ ...spec, ownsWorkspace: true }, "7:8", 0);
  assert.deepEqual([statSync(workspace).uid, statSync(workspace).gid], [7, 8]);
  chownSync(workspace, 1000, 0);
  assert.deepEqual(commandUser(spec, undefined, 1000), { user: "1000:1000" });
  assert.deepEqual(commandUser(spec, "1000:5", 1000), { user: "1000:5" });
  assert.match(JSON.stringify(commandUser(spec, "1001:5", 1000)), /would run as 1001/);
});

test("sandbox (8), A-131: a profile that allows what it does not list is none", (t) => {
  const { base } = scene(t);
  const file = join(base, "profile.json");
  const read = (text: string) => {
    writeFileSync(file, text);
    return readSeccompProfile(file);
  };
  for (const text of [
    "",
    "{}",
    "null",
    "[]",
    '{"defaultAction":"SCMP_ACT_ALLOW"}',
    '{"defaultAction":"SCMP_ACT_LOG"}',
  ])
    assert.throws(() => read(text), /seccompProfile/, text);
  assert.equal(read('{"defaultAction":"SCMP_ACT_ERRNO"}'), '{"defaultAction":"SCMP_ACT_ERRNO"}');
  assert.throws(() => readSeccompProfile(join(base, "absent")), /ENOENT/);
});
