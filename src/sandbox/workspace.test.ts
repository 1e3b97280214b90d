import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { InputError, systemRandom } from "../kernel/mod.ts";
import { openWorkspace, type WorkspaceDeps } from "./workspace.ts";

const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof InputError && pattern.test(error.message);

/** A workspace `ws` beside a folder `out` that holds a secret. */
async function scene(t: TestContext, onStep?: WorkspaceDeps["onStep"], descriptorPaths = true) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "ws-")));
  const ws = join(base, "ws");
  const out = join(base, "out");
  mkdirSync(ws);
  mkdirSync(out);
  writeFileSync(join(out, "secret"), "SECRET");
  const workspace = await openWorkspace(ws, {
    random: systemRandom,
    descriptorPaths,
    ...(onStep ? { onStep } : {}),
  });
  t.after(async () => {
    await workspace.close();
    rmSync(base, { recursive: true, force: true });
  });
  return { ws, out, workspace };
}

/** As on Linux, and as on a system without /proc. */
const ways: readonly (readonly [string, boolean])[] = [
  ["", true],
  [" (checked paths)", false],
];

const read = async (workspace: { read: Awaited<ReturnType<typeof openWorkspace>>["read"] }, path: string) =>
  (await workspace.read(path, 1000)).bytes.toString();

for (const [how, descriptorPaths] of ways) {
  test(`a file is written, replaced, read, listed and removed${how}`, async (t) => {
    const { ws, workspace } = await scene(t, undefined, descriptorPaths);
    assert.deepEqual(await workspace.write("a/b/名前.md", Buffer.from("hello")), { created: true });
    assert.deepEqual(await workspace.write(join(ws, "a/b/名前.md"), Buffer.from("hello 2")), {
      created: false,
    });
    assert.equal(await read(workspace, "./a//b/名前.md"), "hello 2");
    assert.deepEqual(await workspace.list(".", 10), ["a/"]);
    assert.deepEqual(await workspace.list("a/b", 10), ["名前.md"]);
    assert.equal(statSync(join(ws, "a/b/名前.md")).mode & 0o777, 0o600);
    assert.equal(statSync(join(ws, "a")).mode & 0o777, 0o700);
    assert.equal(await workspace.exists("a/b/名前.md"), true);
    await workspace.remove("a/b/名前.md");
    assert.equal(await workspace.exists("a/b/名前.md"), false);
    assert.equal(await workspace.exists("no/such"), false);
    assert.deepEqual(readdirSync(join(ws, "a/b")), []);
  });
}

test("a read is cut at maxBytes and says so", async (t) => {
  const { workspace } = await scene(t);
  await workspace.write("f", Buffer.from("0123456789"));
  assert.deepEqual(await workspace.read("f", 4), { bytes: Buffer.from("0123"), truncated: true, size: 10 });
  assert.deepEqual(await workspace.read("f", 10), {
    bytes: Buffer.from("0123456789"),
    truncated: false,
    size: 10,
  });
});

test("an executable file stays executable", async (t) => {
  const { ws, workspace } = await scene(t);
  writeFileSync(join(ws, "run.sh"), "old");
  chmodSync(join(ws, "run.sh"), 0o755);
  await workspace.write("run.sh", Buffer.from("new"));
  assert.equal(statSync(join(ws, "run.sh")).mode & 0o777, 0o711);
});

for (const [how, descriptorPaths] of ways) {
  test(`sandbox (1): a link is not followed, by no operation; taking it away is none (A-145)${how}`, async (t) => {
    const { ws, out, workspace } = await scene(t, undefined, descriptorPaths);
    symlinkSync(join(out, "secret"), join(ws, "l"));
    symlinkSync(out, join(ws, "d"));
    symlinkSync(join(out, "new"), join(ws, "n"));
    symlinkSync("/proc/self/root", join(ws, "p"));
    await assert.rejects(workspace.read("l", 100), refusal(/symbolic link/));
    await assert.rejects(workspace.write("l", Buffer.from("x")), refusal(/symbolic link/));
    await assert.rejects(workspace.write("n", Buffer.from("x")), refusal(/symbolic link/));
    await assert.rejects(workspace.read("d/secret", 100), refusal(/not a real folder/));
    await assert.rejects(workspace.write("d/x", Buffer.from("x")), refusal(/not a real folder/));
    await assert.rejects(workspace.write("d/z/x", Buffer.from("x")), refusal(/not a real folder/));
    await assert.rejects(workspace.remove("d/secret"), refusal(/not a real folder/));
    await assert.rejects(workspace.exists("d/secret"), refusal(/not a real folder/));
    await assert.rejects(workspace.list("d", 10), refusal(/not a real folder/));
    await assert.rejects(workspace.openFolder("d"), refusal(/not a real folder/));
    await assert.rejects(workspace.read("p/etc/passwd", 10), refusal(/not a real folder/));
    await workspace.remove("l");
    assert.equal(readFileSync(join(out, "secret"), "utf8"), "SECRET");
    assert.deepEqual(readdirSync(out), ["secret"]);
  });
}

for (const [how, descriptorPaths] of ways) {
  test(`sandbox (1): a link that stays inside is read through, and through nothing else (B-06)${how}`, async (t) => {
    const { ws, out, workspace } = await scene(t, undefined, descriptorPaths);
    mkdirSync(join(ws, "store/pkg/deep"), { recursive: true });
    writeFileSync(join(ws, "store/pkg/f"), "mine");
    mkdirSync(join(ws, "a/b"), { recursive: true });
    for (const [name, target] of [
      ["to-file", "store/pkg/f"],
      ["to-folder", "./store/pkg"],
      ["a/b/up", "../../store"],
      ["absolute", join(workspace.root, "store")],
      ["chain", "a/b/up"],
    ] as const)
      symlinkSync(target, join(ws, name));
    const links = ["to-file", "to-folder/f", "a/b/up/pkg/f", "absolute/pkg/f", "chain/pkg/f"];
    for (const path of links) assert.equal(await read(workspace, path), "mine", path);
    assert.deepEqual(await workspace.list("chain/pkg", 10), ["deep/", "f"]);
    // Nothing is changed, started in or taken away through one.
    for (const path of links) {
      await assert.rejects(
        workspace.write(path, Buffer.from("x")),
        refusal(/symbolic link|not a real folder/),
      );
      await assert.rejects(workspace.openFolder(path), refusal(/not a real folder/));
    }
    await assert.rejects(workspace.remove("chain/pkg/f"), refusal(/not a real folder/));
    for (const [name, target] of [
      ["out", "../out/secret"],
      ["up", "store/../../out/secret"],
      ["past", "a/../../ws/../out/secret"],
      ["root", "/"],
      ["sibling", `${workspace.root}-evil/secret`],
      ["itself", "itself"],
      // Above the root there is nothing, least of all the root again.
      ["over", "../store/pkg/f"],
      ["hidden", "store/pkg/away"],
    ] as const)
      symlinkSync(target, join(ws, name));
    symlinkSync(join(out, "secret"), join(ws, "store/pkg/away"));
    linkSync(join(out, "secret"), join(ws, "store/pkg/second"));
    symlinkSync("store/pkg/second", join(ws, "hard"));
    for (const path of ["out", "up", "past", "root/etc/passwd", "sibling", "itself", "over", "hidden"])
      await assert.rejects(workspace.read(path, 10), refusal(/symbolic link|not a real folder/), path);
    await assert.rejects(workspace.read("hard", 10), refusal(/hard link/));
  });
}

for (const [how, descriptorPaths] of ways) {
  test(`sandbox (1): a file with two names is neither read nor written (A-145)${how}`, async (t) => {
    const { ws, out, workspace } = await scene(t, undefined, descriptorPaths);
    linkSync(join(out, "secret"), join(ws, "h"));
    await assert.rejects(workspace.read("h", 100), refusal(/hard link/));
    await assert.rejects(workspace.write("h", Buffer.from("x")), refusal(/hard link/));
    assert.equal(readFileSync(join(out, "secret"), "utf8"), "SECRET");
  });
}

test("sandbox (1): pipes, sockets and folders are not files, and nothing waits for them", async (t) => {
  const { ws, workspace } = await scene(t);
  execFileSync("mkfifo", [join(ws, "pipe")]);
  mkdirSync(join(ws, "folder"));
  await assert.rejects(workspace.read("pipe", 100), refusal(/not a regular file/));
  await assert.rejects(workspace.write("pipe", Buffer.from("x")), refusal(/not a regular file/));
  await assert.rejects(workspace.read("folder", 100), refusal(/folder/));
  await assert.rejects(workspace.write("folder", Buffer.from("x")), refusal(/folder/));
  await assert.rejects(workspace.remove("folder"), refusal(/folder/));
  await assert.rejects(workspace.read("pipe/x", 100), refusal(/not a real folder/));
  await assert.rejects(workspace.read(".", 100), refusal(/workspace itself/));
});

test("sandbox (2): a file that becomes a link, or another file, between check and use is refused", async (t) => {
  let attack = () => {};
  const { ws, out, workspace } = await scene(t, (step) => {
    if (step === "checked") attack();
  });
  writeFileSync(join(ws, "f"), "mine");
  attack = () => {
    unlinkSync(join(ws, "f"));
    symlinkSync(join(out, "secret"), join(ws, "f"));
  };
  await assert.rejects(workspace.read("f", 100), refusal(/changed identity/));

  rmSync(join(ws, "f"));
  writeFileSync(join(ws, "f"), "mine");
  await assert.rejects(workspace.write("f", Buffer.from("x")), refusal(/changed identity/));
  assert.equal(readFileSync(join(out, "secret"), "utf8"), "SECRET");

  attack = () => symlinkSync(join(out, "new"), join(ws, "fresh"));
  await assert.rejects(workspace.write("fresh", Buffer.from("x")), refusal(/changed identity/));
  assert.equal(existsSync(join(out, "new")), false);

  writeFileSync(join(ws, "other"), "other");
  writeFileSync(join(ws, "g"), "mine");
  attack = () => renameSync(join(ws, "other"), join(ws, "g"));
  await assert.rejects(workspace.read("g", 100), refusal(/changed identity/));

  writeFileSync(join(ws, "p"), "mine");
  attack = () => {
    unlinkSync(join(ws, "p"));
    execFileSync("mkfifo", [join(ws, "p")]);
  };
  await assert.rejects(workspace.read("p", 100), refusal(/not a regular file/));
  assert.deepEqual(
    readdirSync(ws).filter((name) => name.startsWith(".openclaw-")),
    [],
  );
});

test("sandbox (2): a folder that is swapped after it was opened leads nowhere else", async (t) => {
  let attack = () => {};
  const { ws, out, workspace } = await scene(t, (step) => {
    if (step === "checked") attack();
  });
  mkdirSync(join(ws, "d"));
  writeFileSync(join(ws, "d/secret"), "mine");
  attack = () => {
    renameSync(join(ws, "d"), join(ws, "moved"));
    symlinkSync(out, join(ws, "d"));
  };
  assert.equal(await read(workspace, "d/secret"), "mine");
  rmSync(join(ws, "d"));
  renameSync(join(ws, "moved"), join(ws, "d"));
  await workspace.write("d/secret", Buffer.from("x"));
  assert.equal(readFileSync(join(out, "secret"), "utf8"), "SECRET");
  assert.equal(readFileSync(join(ws, "moved/secret"), "utf8"), "x");
});

test("sandbox (2): a folder that was carried out of the workspace is refused", async (t) => {
  let attack = () => {};
  const { ws, out, workspace } = await scene(t, (step) => {
    if (step === "resolved") attack();
  });
  mkdirSync(join(ws, "d"));
  attack = () => renameSync(join(ws, "d"), join(out, "d"));
  await assert.rejects(workspace.write("d/x", Buffer.from("x")), refusal(/changed identity/));
  assert.deepEqual(readdirSync(join(out, "d")), []);
});

test("sandbox (2): a thread that swaps a folder for a link all the time gains nothing", async (t) => {
  const { ws, out, workspace } = await scene(t);
  mkdirSync(join(ws, "d"));
  writeFileSync(join(ws, "d/secret"), "mine");
  const racer = new Worker(
    `const { renameSync, rmSync, symlinkSync, unlinkSync } = require("node:fs");
     const { workerData: { ws, out } } = require("node:worker_threads");
     const attempt = (act) => { try { act(); } catch {} };
     for (;;) {
       attempt(() => { renameSync(ws + "/d", ws + "/real"); symlinkSync(out, ws + "/d"); });
       attempt(() => unlinkSync(ws + "/d"));
       attempt(() => renameSync(ws + "/real", ws + "/d"));
       attempt(() => { renameSync(ws + "/real/secret", ws + "/d/secret"); rmSync(ws + "/real", { recursive: true }); });
     }`,
    { eval: true, workerData: { ws, out } },
  );
  const ended = new Promise((resolve) => racer.on("exit", resolve));
  await new Promise((resolve) => racer.on("online", resolve));
  const outcomes = { done: 0, refused: 0 };
  for (let round = 0; round < 300; round += 1) {
    for (const act of [
      () => read(workspace, "d/secret"),
      () => workspace.write("d/secret", Buffer.from("mine")),
    ]) {
      try {
        const result = await act();
        if (typeof result === "string") assert.equal(result, "mine");
        outcomes.done += 1;
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        outcomes.refused += 1;
      }
    }
  }
  await racer.terminate();
  await ended;
  assert.equal(readFileSync(join(out, "secret"), "utf8"), "SECRET");
  assert.deepEqual(readdirSync(out), ["secret"]);
  assert.equal(outcomes.done + outcomes.refused, 600);
  t.diagnostic(`${outcomes.done} done, ${outcomes.refused} refused`);
});

test("sandbox (1): nothing of ours writes into a repository's own folder, where programs are named (A-116)", async (t) => {
  const { ws, workspace } = await scene(t);
  mkdirSync(join(ws, "sub", ".git"), { recursive: true });
  writeFileSync(join(ws, "sub", ".git", "config"), "[core]\n");
  const own = refusal(/repository's own folder/);
  for (const path of [
    ".git",
    ".git/config",
    "sub/.git/config",
    "sub/.GIT/hooks/pre-commit",
    `${ws}/.git/x`,
  ]) {
    await assert.rejects(workspace.write(path, Buffer.from("[core]\nfsmonitor = touch evil\n")), own, path);
    await assert.rejects(workspace.remove(path), own, path);
  }
  const folder = await workspace.openFolder("sub/.git");
  for (const access of ["write", "append"] as const)
    await assert.rejects(folder.openFile("config", access), own, access);
  await folder.close();
  assert.equal(await read(workspace, "sub/.git/config"), "[core]\n");
  assert.equal(existsSync(join(ws, ".git")), false);
  await workspace.write(".gitignore", Buffer.from("x"));
});

test("a root that is itself reached through a link is opened where it really is", async (t) => {
  const { ws, out } = await scene(t);
  symlinkSync(ws, join(out, "link"));
  const workspace = await openWorkspace(join(out, "link"), { random: systemRandom });
  t.after(() => workspace.close());
  await workspace.write(join(out, "link", "f"), Buffer.from("x"));
  assert.equal(workspace.root, ws);
  assert.equal(readFileSync(join(ws, "f"), "utf8"), "x");
});

test("sandbox (2): with checked paths, too, a folder that became a link is noticed", async (t) => {
  let attack = () => {};
  const { ws, out, workspace } = await scene(
    t,
    (step) => (step === "resolved" ? attack() : undefined),
    false,
  );
  mkdirSync(join(ws, "d"));
  attack = () => {
    renameSync(join(ws, "d"), join(ws, "moved"));
    symlinkSync(out, join(ws, "d"));
  };
  await assert.rejects(workspace.read("d/secret", 100), refusal(/changed while it was being used/));
  assert.deepEqual(readdirSync(out), ["secret"]);
});

test("sandbox (2): a file that a redirection opens is the one that was looked at, or none", async (t) => {
  let swap = () => {};
  const { ws, out, workspace } = await scene(t, (step) => {
    if (step === "checked") swap();
  });
  const folder = await workspace.openFolder(".");
  t.after(() => folder.close());
  const swaps: readonly (readonly [string, () => void])[] = [
    ["a link", () => symlinkSync(join(out, "secret"), join(ws, "f"))],
    ["a second name", () => linkSync(join(out, "secret"), join(ws, "f"))],
    ["a pipe", () => execFileSync("mkfifo", [join(ws, "f")])],
    ["a folder", () => mkdirSync(join(ws, "f"))],
  ];
  for (const [what, put] of swaps)
    for (const access of ["read", "write", "append"] as const) {
      const clear = () => rmSync(join(ws, "f"), { recursive: true, force: true });
      // Already there: said what it is.
      clear();
      put();
      swap = () => {};
      await assert.rejects(
        folder.openFile("f", access),
        refusal(/symbolic link|more than one name|not a regular file|is a folder/),
        what,
      );
      // Put there after the look.
      for (const before of access === "read" ? [true] : [true, false]) {
        clear();
        if (before) writeFileSync(join(ws, "f"), "mine");
        swap = () => {
          clear();
          put();
        };
        await assert.rejects(folder.openFile("f", access), InputError, `${what}, ${access}`);
      }
    }
  assert.equal(readFileSync(join(out, "secret"), "utf8"), "SECRET");
});
