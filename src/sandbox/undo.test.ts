import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { InputError, systemClock, systemRandom } from "../kernel/mod.ts";
import { loadTools } from "../tools/mod.ts";
import { execute } from "./execute.ts";
import type { ToolOutput } from "./tool.ts";
import { openVersions, type VersionLimits, type VersionStore } from "./undo-store.ts";
import { keepingVersions } from "./undo-workspace.ts";
import { openWorkspace } from "./workspace.ts";

const unused = () => {
  throw new Error("not needed");
};
const never = { commands: { start: unused, list: unused, get: unused }, web: { fetch: unused } };
const limits: VersionLimits = {
  maxVersions: 100,
  maxVersionsPerWorkspace: 50,
  maxBytes: 1_000_000,
  maxBytesPerWorkspace: 500_000,
  maxAgeMs: 1000,
};

async function scene(t: TestContext, more: { limits?: Partial<VersionLimits>; keeps?: boolean } = {}) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "undo-")));
  const root = join(base, "ws");
  mkdirSync(root);
  const steps: { onStep?: (step: string, path: string) => void } = {};
  const workspace = await openWorkspace(root, {
    random: systemRandom,
    onStep: (step, path) => steps.onStep?.(step, path),
  });
  const folder = join(base, "undo");
  const time = { now: 1_700_000_000_000 };
  const clock = { ...systemClock, now: () => time.now };
  const open = () =>
    openVersions({ folder, clock, random: systemRandom, limits: { ...limits, ...more.limits } });
  const held: { store: VersionStore | undefined } = { store: undefined };
  t.after(async () => {
    await workspace.close();
    rmSync(base, { recursive: true, force: true });
  });
  const tools = await loadTools(["read", "write", "edit", "apply_patch", "undo"]);
  const logged: string[] = [];
  const call = (name: string, args: object, change: object = {}): Promise<ToolOutput> => {
    const tool = tools.get(name);
    assert.ok(tool);
    time.now += 1;
    const request = { id: "c", tool: name, arguments: args };
    const permit = { request, effects: tool.plan(args), spend: () => true };
    const store = () => {
      held.store ??= open();
      return held.store;
    };
    const log = (_: string, text: string) => void logged.push(text);
    const kept = keepingVersions(
      workspace,
      store,
      { sessionKey: "s", runId: "r", tool: name, ...change },
      log,
    );
    const host = {
      ...never,
      clock,
      log,
      progress: () => {},
      ...(more.keeps === false ? { workspace } : kept),
    };
    return execute(permit, tool, () => host, new AbortController().signal);
  };
  const text = (name: string) => readFileSync(join(root, name), "utf8");
  const restart = () => {
    held.store = undefined;
  };
  return {
    base,
    root,
    folder,
    call,
    text,
    time,
    steps,
    held,
    restart,
    logged,
    store: () => (held.store ??= open()),
  };
}

test("sandbox (10): each change is taken back, one after another, newest first, also after a restart", async (t) => {
  const { call, text, root, restart, folder } = await scene(t);
  writeFileSync(join(root, "a.txt"), "by a person");
  await call("write", { path: "a.txt", content: "one" });
  await call("edit", { path: "a.txt", oldText: "one", newText: "two" });
  await call("write", { path: "./b.txt", content: "new" });
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  restart();
  assert.match(
    (await call("undo", { path: "a.txt", list: true })).text,
    /edit {2}before: 3 bytes\n.*write {2}before: 11 bytes/,
  );
  assert.match((await call("undo", { path: "a.txt" })).text, /as it was before edit.*1 earlier change/);
  assert.equal(text("a.txt"), "one");
  assert.match((await call("undo", { path: "a.txt" })).text, /before write \(11 bytes\)\.$/);
  assert.equal(text("a.txt"), "by a person");
  assert.match((await call("undo", { path: "a.txt" })).text, /Nothing is kept/);
  assert.match((await call("undo", { path: "b.txt" })).text, /Removed b\.txt, which write had made/);
  assert.equal(existsSync(join(root, "b.txt")), false);
  assert.deepEqual(readdirSync(folder), []);
});

const patch = (body: string) => ({ input: `*** Begin Patch\n${body}\n*** End Patch` });

test("sandbox (10): a patch that added, changed, moved and deleted is taken back file by file", async (t) => {
  const { call, text, root } = await scene(t);
  for (const name of ["change", "move", "delete"]) writeFileSync(join(root, name), `${name}\n`);
  const made = await call(
    "apply_patch",
    patch(
      "*** Add File: add\n+x\n*** Update File: change\n@@\n-change\n+changed\n*** Update File: move\n*** Move to: moved\n@@\n-move\n+moved\n*** Delete File: delete",
    ),
  );
  assert.equal(made.isError, false, made.text);
  for (const path of ["add", "change", "move", "moved", "delete"])
    assert.equal((await call("undo", { path })).isError, false, path);
  assert.deepEqual(readdirSync(root).sort(), ["change", "delete", "move"]);
  assert.deepEqual(["change", "move", "delete"].map(text), ["change\n", "move\n", "delete\n"]);
});

test("sandbox (10): a patch that failed half way and put everything back leaves nothing to take back", async (t) => {
  const { call, text, root, steps, folder } = await scene(t);
  for (const name of ["a", "b"]) writeFileSync(join(root, name), `${name}\n`);
  steps.onStep = (step, path) => {
    if (step === "checked" && path === "b" && readFileSync(join(root, "a"), "utf8") === "A\n")
      throw new InputError("no");
  };
  const failed = await call(
    "apply_patch",
    patch("*** Update File: a\n@@\n-a\n+A\n*** Update File: b\n@@\n-b\n+B"),
  );
  assert.match(failed.text, /Nothing was changed/);
  delete steps.onStep;
  assert.equal(text("a"), "a\n");
  assert.deepEqual(readdirSync(folder), []);
});

test("sandbox (10): a file that was changed since is left as it is, and so is one that is gone, or is another thing now", async (t) => {
  const { call, text, root, base } = await scene(t);
  writeFileSync(join(base, "outside"), "outside");
  for (const path of ["changed", "gone", "link", "folder"])
    await call("write", { path, content: "by the agent" });
  writeFileSync(join(root, "changed"), "by a person");
  for (const path of ["gone", "link", "folder"]) rmSync(join(root, path));
  symlinkSync(join(base, "outside"), join(root, "link"));
  mkdirSync(join(root, "folder"));
  for (const path of ["changed", "gone", "link", "folder"]) {
    const output = await call("undo", { path });
    assert.equal(output.isError, true, path);
    assert.match(output.text, /changed again since/, path);
  }
  assert.equal(text("changed"), "by a person");
  assert.equal(readFileSync(join(base, "outside"), "utf8"), "outside");
  await call("write", { path: "back", content: "one" });
  rmSync(join(root, "back"));
  await call("write", { path: "back", content: "two" });
  await call("undo", { path: "back" });
  assert.match((await call("undo", { path: "back" })).text, /changed again since/);
});

test("sandbox (10), FS: no path leads to a version of another workspace, or outside (A-143)", async (t) => {
  const { call, store } = await scene(t);
  await call("write", { path: "a", content: "x" });
  for (const path of ["../ws/a", "/etc/passwd", "~/a", "a\0"])
    assert.match((await call("undo", { path })).text, /outside the workspace|control characters/, path);
  const [version] = store().of("another", "a");
  assert.equal(version, undefined);
});

test("sandbox (10): what is kept is bounded in number, in bytes and in age; what is too large is changed without it", async (t) => {
  const few = await scene(t, { limits: { maxVersionsPerWorkspace: 3 } });
  for (const content of ["1", "2", "3", "4", "5"]) await few.call("write", { path: "a", content });
  assert.equal(readdirSync(few.folder).length, 3);
  const small = await scene(t, { limits: { maxBytesPerWorkspace: 10 } });
  for (const content of ["123456", "1234567", "12345678"]) await small.call("write", { path: "a", content });
  assert.equal(readdirSync(small.folder).length, 1);
  few.time.now += limits.maxAgeMs + 1;
  await few.call("write", { path: "a", content: "6" });
  assert.equal(readdirSync(few.folder).length, 1);
  const large = await scene(t);
  writeFileSync(join(large.root, "a"), Buffer.alloc(11_000_000));
  assert.equal((await large.call("write", { path: "a", content: "small" })).isError, false);
  assert.match((await large.call("undo", { path: "a" })).text, /Nothing is kept/);
});

test("sandbox (10): what conversations or runs left is erased with them", async (t) => {
  const { call, folder, store } = await scene(t);
  await call("write", { path: "a", content: "1" }, { sessionKey: "one", runId: "r1" });
  await call("write", { path: "b", content: "1" }, { sessionKey: "two", runId: "r2" });
  await call("write", { path: "c", content: "1" }, { sessionKey: "two", runId: "r3" });
  assert.equal(store().erase({ sessionKeys: new Set(["one"]), runIds: new Set(["r2"]) }), 2);
  assert.equal(readdirSync(folder).length, 1);
  assert.match((await call("undo", { path: "c" })).text, /Removed/);
});

test("sandbox (10): a version that is broken, planted or a link restores nothing; one that cannot be kept stops nothing", async (t) => {
  const { call, folder, restart, base, text, logged } = await scene(t);
  await call("write", { path: "a", content: "1" });
  await call("write", { path: "a", content: "2" });
  const [first = "", second = ""] = readdirSync(folder).sort();
  writeFileSync(join(folder, second), readFileSync(join(folder, second)).subarray(0, -1));
  writeFileSync(join(folder, "planted.version"), readFileSync(join(folder, first)));
  symlinkSync(join(base, "ws", "a"), join(folder, "link.version"));
  restart();
  assert.match((await call("undo", { path: "a" })).text, /changed again since/);
  assert.deepEqual(readdirSync(folder), [first]);
  assert.equal(text("a"), "2");
  await call("write", { path: "a", content: "3" });
  const [, third = ""] = readdirSync(folder).sort();
  const bytes = readFileSync(join(folder, third));
  bytes[bytes.length - 1] = 65;
  writeFileSync(join(folder, third), bytes);
  assert.match((await call("undo", { path: "a" })).text, /failed inside the gateway/);
  assert.equal(text("a"), "3");
  rmSync(folder, { recursive: true });
  assert.equal((await call("write", { path: "a", content: "4" })).isError, false);
  assert.ok(logged.some((line) => /could not be kept/.test(line)));
});

test("sandbox (3), (10): without leave to write and delete a file nothing of it is taken back, and nothing where nothing is kept", async (t) => {
  const { call } = await scene(t, { keeps: false });
  await call("write", { path: "a", content: "1" });
  assert.match((await call("undo", { path: "a" })).text, /Nothing of conversations is kept/);
  const { narrowVersions } = await import("./narrow.ts");
  const versions = { of: () => [], restore: unused };
  for (const effects of [
    [],
    [{ kind: "file.read", path: "a" }],
    [
      { kind: "file.read", path: "a" },
      { kind: "file.write", path: "a" },
    ],
    [
      { kind: "file.read", path: "a" },
      { kind: "file.write", path: "a", below: true },
      { kind: "file.delete", path: "a" },
    ],
  ] as const)
    await assert.rejects(narrowVersions(versions, "/ws", effects).restore("a"), /not permitted/);
  assert.throws(() => narrowVersions(versions, "/ws", []).of("a"), /not permitted/);
});
