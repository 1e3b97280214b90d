import assert from "node:assert/strict";
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
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { InputError, systemClock, systemRandom } from "../kernel/mod.ts";
import type { CommandRun, FileIdentity } from "../policy/command-tree.ts";
import { readCommandLine } from "../shell/mod.ts";
import { createCommands } from "./commands.ts";
import { identifyFile } from "./file-identity.ts";
import { openWorkspace } from "./workspace.ts";

const never = new AbortController().signal;

async function scene(t: TestContext) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "line-")));
  const ws = join(base, "ws");
  mkdirSync(join(ws, "sub"), { recursive: true });
  const workspace = await openWorkspace(ws, { random: systemRandom });
  const host = createCommands({
    clock: systemClock,
    random: systemRandom,
    sendSignal: process.kill.bind(process),
    baseEnv: { PATH: "/usr/bin:/bin" },
    stateDir: base,
    maxOutputChars: 100_000,
    spawnLimits: { maxRunning: 8, maxRunningPerSession: 8, maxKeptPerSession: 8, killGraceMs: 100 },
  });
  t.after(async () => {
    await host.closeAll();
    await workspace.close();
    rmSync(base, { recursive: true, force: true });
  });
  const start = (
    command: string,
    bound: { files?: readonly FileIdentity[]; folder?: FileIdentity } = {},
    workdir = ".",
  ) => {
    const read = readCommandLine(command);
    assert.ok(read.understood, command);
    const run: CommandRun = { kind: "tree", line: read.line, files: [], ...bound };
    return host.forSession("s", workspace).start({ command, workdir, env: {}, timeoutMs: 20_000, run });
  };
  const run = async (command: string, bound = {}, workdir = ".") => {
    const running = await start(command, bound, workdir);
    await running.wait(20_000, never);
    return { text: running.output().text, ...running.exit };
  };
  const script = (name: string, text: string) => {
    writeFileSync(join(ws, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(ws, name), 0o755);
    return join(ws, name);
  };
  return { base, ws, start, run, script };
}

const lines: readonly (readonly [line: string, text: string, code: number])[] = [
  ["printf 'b\\na\\n' | sort | tr a-z A-Z", "A\nB\n", 0],
  ["false && echo no || echo yes; echo end", "yes\nend\n", 0],
  ["false | true", "", 0],
  ["true | false", "", 1],
  ["! true", "", 1],
  ["! false | false", "", 0],
  ["exit 3; echo no", "", 3],
  ["false || exit", "", 1],
  ["nosuch; echo $", "nosuch: command not found\n$\n", 0],
  ["true; ./sub", "./sub: is not a program\n", 126],
  ["echo > f; f/x", "f/x: is not a program\n", 126],
  ["true; ./none", "./none: command not found\n", 127],
  ["true; nosuch", "nosuch: command not found\n", 127],
  ["cd sub && pwd | sed s,.*/,,", "sub\n", 0],
  ["cd nowhere || echo stayed", "stayed\n", 0],
  ["A=1; export A; env | grep ^A=", "A=1\n", 0],
  ["export A=2; A=3 env | grep ^A=; env | grep ^A=", "A=3\nA=2\n", 0],
  ["LANG=C; env | grep ^LANG=", "LANG=C\n", 0],
  ["B=1; env | grep ^B=", "", 1],
  ["cat <<E | tr a b\na\nE", "b\n", 0],
  ["cat <<< 'a  b'", "a  b\n", 0],
  ["echo err >&2 2>/dev/null | cat", "err\n", 0],
  ["echo one > f; echo two >> f; cat < f; cat f | wc -l", "one\ntwo\n2\n", 0],
  ["> made; test -f made && echo made", "made\n", 0],
  ["cat /dev/stdin < /dev/null; echo ok", "ok\n", 0],
  ["sh -c 'kill -9 $$'; echo after", "after\n", 0],
  ["head -c 300000 /dev/zero | wc -c", "300000\n", 0],
];
for (const [line, text, code] of lines)
  test(`sandbox (7): ${JSON.stringify(line)} comes to what bash makes of it`, async (t) => {
    const { run } = await scene(t);
    const ended = await run(line);
    assert.match(ended.text, new RegExp(`${text.replace(/[.$\\]/g, "\\$&")}$`));
    assert.equal(ended.code, code);
  });

test("sandbox (7): file patterns become names as bash orders them, and stay text where nothing fits", async (t) => {
  const { run, ws } = await scene(t);
  for (const name of ["b.txt", "a.txt", ".h.txt", "B.txt", "é.txt", "a]", "-n", "sub/z.txt", "sub/.q"])
    writeFileSync(join(ws, name), "");
  symlinkSync("nowhere", join(ws, "loose.txt"));
  const words = async (line: string) => (await run(`printf '%s|' ${line}`)).text;
  assert.equal(await words("*.txt"), "B.txt|a.txt|b.txt|loose.txt|é.txt|");
  assert.equal(
    await words("?.txt '*'.txt \\*.txt *'.t'xt .*.txt"),
    "B.txt|a.txt|b.txt|é.txt|*.txt|*.txt|B.txt|a.txt|b.txt|loose.txt|é.txt|.h.txt|",
  );
  assert.equal(await words("[a-b].txt [!a-b].txt [[:upper:]]* *]"), "a.txt|b.txt|B.txt|é.txt|B.txt|a]|");
  assert.equal(
    await words("*/ */* sub/* sub//z* s*b/z.txt"),
    "sub/|sub/z.txt|sub/z.txt|sub//z.txt|sub/z.txt|",
  );
  assert.equal(await words(`no*such [z-a]* ${ws}/a.*`), `no*such|[z-a]*|${ws}/a.txt|`);
  assert.match(await words(`'${"x".repeat(3000)}'*`), /too long/);
  // One match is the folder's, whatever the pattern costs a matcher that goes back at every star.
  assert.equal(await words(`${"*a".repeat(60)}*b`), `${"*a".repeat(60)}*b|`);
});

test("sandbox (7), A-094: the line itself opens regular files of the workspace only, and follows no link", async (t) => {
  const { run, ws, base } = await scene(t);
  writeFileSync(join(base, "outside"), "secret");
  writeFileSync(join(ws, "two"), "x");
  linkSync(join(ws, "two"), join(ws, "names"));
  symlinkSync(join(base, "outside"), join(ws, "link"));
  symlinkSync(base, join(ws, "folder"));
  for (const target of [
    "link",
    "folder/outside",
    "names",
    "sub",
    "new/",
    "../outside",
    "/etc/passwd",
    join(base, "outside"),
  ]) {
    for (const operator of [">", ">>", "<", "2>"]) {
      const ended = await run(`cat ${operator} '${target}'; true`);
      assert.doesNotMatch(ended.text, /secret|root:/, operator + target);
    }
  }
  assert.equal((await run("cat > link")).code, 1);
  assert.equal(readFileSync(join(base, "outside"), "utf8"), "secret");
  assert.equal(readFileSync(join(ws, "two"), "utf8"), "x");
  assert.equal(existsSync(join(ws, "new")), false);
  assert.equal((await run("echo hi > new")).code, 0);
  assert.equal(statSync(join(ws, "new")).mode & 0o777, 0o600);
});

test("sandbox (7): a folder outside is not entered, by a link neither", async (t) => {
  const { run, ws, base } = await scene(t);
  symlinkSync(base, join(ws, "out"));
  for (const folder of ["..", "/", "out", "sub/../.."]) {
    const ended = await run(`cd ${folder}; pwd`);
    assert.match(ended.text, new RegExp(`${ws}\n$`), folder);
  }
});

test("sandbox (7), A-112, A-121: a program, script or folder that changed after it was judged is not started", async (t) => {
  const { run, script, ws } = await scene(t);
  const path = script("run.sh", "touch ran");
  const judged = () => [identifyFile(path)].filter((file) => file !== undefined);
  const before = judged();
  assert.equal(before.length, 1);
  assert.equal((await run("./run.sh", { files: before })).code, 0);
  rmSync(join(ws, "ran"));
  const stat = statSync(path);
  const changes: readonly (() => void)[] = [
    () => script("run.sh", "touch ran; id"),
    // The same size, the same content even, but another file.
    () => {
      writeFileSync(join(ws, "other"), readFileSync(path), { mode: 0o755 });
      renameSync(join(ws, "other"), path);
    },
    () => {
      renameSync(path, join(ws, "moved"));
      symlinkSync("moved", path);
    },
    () => rmSync(path),
  ];
  for (const change of changes) {
    rmSync(path, { force: true });
    script("run.sh", "touch ran");
    const files = judged();
    change();
    await assert.rejects(run("./run.sh", { files }), (error) => error instanceof InputError, `${change}`);
    await assert.rejects(run("true; sh run.sh", { files }), /not what it was/);
  }
  assert.equal(existsSync(join(ws, "ran")), false);
  assert.ok(stat.isFile());
});

test("sandbox (7): a script that an earlier part of the same line rewrites is not run", async (t) => {
  const { run, script, ws } = await scene(t);
  const path = script("run.sh", "touch ran");
  const files = [identifyFile(path)].filter((file) => file !== undefined);
  const ended = await run("cp /bin/true ./new; mv ./new run.sh; ./run.sh", { files });
  assert.match(ended.text, /run\.sh" is not what it was/);
  assert.equal(ended.code, 1);
  assert.equal(existsSync(join(ws, "ran")), false);
});

test("sandbox (7), A-112: a folder that was swapped for another of the same name is not worked in", async (t) => {
  const { run, ws } = await scene(t);
  const folder = identifyFile(join(ws, "sub"));
  assert.ok(folder);
  assert.equal((await run("touch here", { folder }, "sub")).code, 0);
  renameSync(join(ws, "sub"), join(ws, "old"));
  mkdirSync(join(ws, "sub"));
  await assert.rejects(run("touch here", { folder }, "sub"), /not the one that this command was judged for/);
  assert.deepEqual(readdirSync(join(ws, "sub")), []);
});

test("sandbox (7), A-126: a variable that redirects programs stops its command, judged or not", async (t) => {
  const { run, ws } = await scene(t);
  for (const line of [
    "LD_PRELOAD=./e.so touch ran",
    "export PATH=/tmp && touch ran",
    "BASH_ENV=x; touch ran2 | cat",
  ]) {
    const ended = await run(line);
    assert.match(ended.text, /may not be set/, line);
  }
  assert.equal(existsSync(join(ws, "ran")), false);
});

test("sandbox (6): ending a line ends all of its parts, and starts no further one", async (t) => {
  const { start, ws } = await scene(t);
  const command = await start("sleep 600 | sleep 600; > after; touch after");
  while (
    command.exit === undefined &&
    !/sleep/.test(
      readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => {
          try {
            return readFileSync(`/proc/${pid}/cmdline`, "utf8");
          } catch {
            return "";
          }
        })
        .join(),
    )
  )
    await new Promise((resolve) => setImmediate(resolve));
  await command.kill();
  assert.equal(command.exit?.signal, "SIGTERM");
  assert.equal(existsSync(join(ws, "after")), false);
});

test("sandbox (7): nothing of the pipes is left on the disk", async (t) => {
  const { base, run } = await scene(t);
  await run("echo a | cat <<< b | cat");
  const [folder = ""] = readdirSync(base).filter((name) => name.startsWith("pipes-"));
  assert.equal(statSync(join(base, folder)).mode & 0o777, 0o700);
  assert.ok(readdirSync(join(base, folder)).every((name) => statSync(join(base, folder, name)).isFIFO()));
});
