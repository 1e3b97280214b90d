import { edit, exec, read, type Task, write } from "./task.ts";

const repository = [
  ["git", "init", "-q", "-b", "main"],
  ["git", "config", "user.name", "A"],
  ["git", "config", "user.email", "a@example.com"],
  ["git", "add", "-A"],
  ["git", "commit", "-q", "-m", "first"],
];
const packageJson = JSON.stringify({ scripts: { test: "node --test", build: "node build.js" } });
const addTest = `const { test } = require("node:test");
const assert = require("node:assert");
const { add } = require("./add.js");
test("adds", () => assert.equal(add(1, 2), 3));
`;
const source = {
  "src/app.js": "// TODO: colour\nfunction old() {}\n",
  "src/lib.js": "old();\n// TODO: test\n",
};

/** What a developer's assistant does all day. */
export const developerTasks: readonly Task[] = [
  {
    name: "git: what changed",
    files: source,
    prepare: [...repository, ["sed", "-i", "s/colour/color/", "src/app.js"]],
    calls: () => [exec("git status --short && git diff")],
    isDone: ({ said }) => / M src\/app\.js/.test(said) && said.includes("+// TODO: color"),
    needs: ["git"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "git: commit all changes",
    files: source,
    prepare: [...repository, ["sed", "-i", "s/colour/color/", "src/app.js"]],
    calls: () => [exec('git add -A && git commit -q -m "Spell color" && git log --oneline')],
    isDone: ({ said }) => said.includes("Spell color"),
    needs: ["git"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "git: history, then one commit of it",
    files: source,
    prepare: repository,
    calls: () => [exec("git log --oneline -5"), exec("git show --stat HEAD")],
    isDone: ({ said }) => said.includes("first") && said.includes("src/lib.js"),
    needs: ["git"],
    host: 2,
    sandbox: 0,
  },
  {
    name: "git: a new branch",
    files: source,
    prepare: repository,
    calls: () => [exec("git switch -c feature/report")],
    isDone: ({ file }) => file(".git/HEAD").includes("feature/report"),
    needs: ["git"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "npm test",
    files: {
      "package.json": packageJson,
      "add.js": "exports.add = (a, b) => a + b;\n",
      "add.test.js": addTest,
    },
    calls: () => [exec("npm test")],
    isDone: ({ said }) => said.includes("pass 1"),
    needs: ["npm"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "npm test, mend what fails, again",
    files: {
      "package.json": packageJson,
      "add.js": "exports.add = (a, b) => a - b;\n",
      "add.test.js": addTest,
    },
    calls: () => [exec("npm test"), read("add.js"), edit("add.js", "a - b", "a + b"), exec("npm test")],
    isDone: ({ said }) => said.includes("fail 1") && said.includes("pass 1"),
    needs: ["npm"],
    host: 2,
    sandbox: 0,
    slow: true,
  },
  {
    name: "npm run build",
    files: {
      "package.json": packageJson,
      "build.js": 'require("node:fs").writeFileSync("bundle.js", "built");\n',
    },
    calls: () => [exec("npm run build")],
    isDone: ({ file }) => file("bundle.js") === "built",
    needs: ["npm"],
    host: 1,
    sandbox: 0,
    slow: true,
  },
  {
    name: "run a Python script",
    files: { "report.py": 'open("report.txt", "w").write("total 3\\n")\n' },
    calls: () => [exec("python3 report.py")],
    isDone: ({ file }) => file("report.txt") === "total 3\n",
    needs: ["python3"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "write a Python script and run it",
    calls: () => [write("primes.py", "print([n for n in (2, 3, 4) if n != 4])\n"), exec("python3 primes.py")],
    isDone: ({ said }) => said.includes("[2, 3]"),
    needs: ["python3"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "a line of Python",
    calls: () => [exec("python3 -c 'print(2 ** 40)'")],
    isDone: ({ said }) => said.includes("1099511627776"),
    needs: ["python3"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "run a Node script",
    files: { "count.js": 'console.log("lines", 2);\n' },
    calls: () => [exec("node count.js")],
    isDone: ({ said }) => said.includes("lines 2"),
    needs: ["node"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "find every TODO",
    files: source,
    calls: () => [exec("grep -rn TODO src")],
    isDone: ({ said }) => said.includes("src/app.js:1") && said.includes("src/lib.js:2"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "find files by name",
    files: source,
    calls: () => [exec("find . -name '*.js' -not -path './node_modules/*'")],
    isDone: ({ said }) => said.includes("./src/lib.js"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "search and replace in files",
    files: source,
    calls: () => [exec("sed -i 's/TODO/DONE/' src/app.js src/lib.js")],
    isDone: ({ file }) => file("src/app.js").includes("DONE") && file("src/lib.js").includes("DONE"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "rename a function with edits",
    files: source,
    calls: () => [
      read("src/app.js"),
      edit("src/app.js", "old()", "fresh()"),
      edit("src/lib.js", "old()", "fresh()"),
    ],
    isDone: ({ file }) => file("src/app.js").includes("fresh()") && file("src/lib.js").includes("fresh()"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "apply a patch over several files",
    files: source,
    calls: () => [
      [
        "apply_patch",
        {
          input: `*** Begin Patch
*** Update File: src/app.js
-function old() {}
+function fresh() {}
*** Add File: src/new.js
+fresh();
*** Delete File: src/lib.js
*** End Patch`,
        },
      ],
    ],
    isDone: ({ file, has }) => file("src/new.js") === "fresh();\n" && !has("src/lib.js"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "patch -p1",
    files: {
      ...source,
      "fix.diff": "--- a/src/lib.js\n+++ b/src/lib.js\n@@ -1,2 +1,2 @@\n-old();\n+fresh();\n // TODO: test\n",
    },
    calls: () => [exec("patch -p1 < fix.diff")],
    isDone: ({ file }) => file("src/lib.js").startsWith("fresh();"),
    needs: ["patch"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "make",
    files: { Makefile: "out.txt: in.txt\n\ttr a-z A-Z < in.txt > out.txt\n", "in.txt": "made\n" },
    calls: () => [exec("make")],
    isDone: ({ file }) => file("out.txt") === "MADE\n",
    needs: ["make"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "compile a C program and run it",
    files: { "hello.c": '#include <stdio.h>\nint main(void) { puts("hello from C"); return 0; }\n' },
    calls: () => [exec("gcc -o hello hello.c && ./hello")],
    isDone: ({ said }) => said.includes("hello from C"),
    needs: ["gcc"],
    host: 1,
    sandbox: 0,
  },
  {
    // Its folder is none of those that programs are looked for in: a model tries again with the whole path.
    name: "go build",
    files: {
      "go.mod": "module hello\n\ngo 1.20\n",
      "main.go": 'package main\n\nfunc main() { println("hello from Go") }\n',
    },
    calls: () => [
      exec("go build -o hello ."),
      exec("/usr/local/go/bin/go build -o hello . && ./hello", { yieldMs: 300_000 }),
    ],
    isDone: ({ said }) => said.includes("hello from Go"),
    needs: ["/usr/local/go/bin/go"],
    host: 2,
    sandbox: 0,
    slow: true,
  },
  {
    name: "start a server, ask it, stop it",
    files: {
      "server.js":
        'const s = require("node:http").createServer((_, r) => r.end("alive")).listen(0, "127.0.0.1", () => console.log("on port " + s.address().port));\n',
    },
    calls: () => [
      exec("node server.js", { background: true }),
      ["process", { action: "poll", sessionId: "(the session)", timeout: 2000 }],
      exec("curl -s http://127.0.0.1:(the port)/"),
      ["process", { action: "kill", sessionId: "(the session)" }],
    ],
    isDone: ({ said }) => said.includes("alive"),
    needs: ["node", "curl"],
    host: 2,
    sandbox: "no result: each command has a network of its own, so the second one meets no server",
    slow: true,
  },
  {
    name: "download with curl from an allowed host",
    calls: (site) => [exec(`curl -sS -o prices.json ${site}/prices.json`)],
    isDone: ({ file }) => file("prices.json").includes("apples"),
    needs: ["curl"],
    host: 1,
    sandbox: "no result: a sandbox has no network",
  },
  {
    name: "the environment",
    calls: () => [exec("uname -s; pwd; date +%Y; whoami")],
    isDone: ({ said }) => said.includes("Linux"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "disk usage, largest last",
    files: { "big/a.bin": "x".repeat(50_000), "small/b.bin": "x" },
    calls: () => [exec("du -sh big small | sort -h")],
    isDone: ({ said }) => /small.*\n?.*big/s.test(said),
    host: 1,
    sandbox: 0,
  },
  {
    name: "a look into the folder",
    files: source,
    calls: () => [exec("ls -la"), read("src")],
    isDone: ({ said }) => said.includes("app.js"),
    host: 0,
    sandbox: 0,
  },
  {
    name: "count lines of code",
    files: source,
    calls: () => [exec("find src -name '*.js' | xargs wc -l")],
    isDone: ({ said }) => /4 total/.test(said),
    host: 1,
    sandbox: 0,
  },
  {
    name: "the end of a log",
    files: { "app.log": "one\ntwo\nERROR three\n" },
    calls: () => [exec("tail -n 2 app.log")],
    isDone: ({ said }) => said.includes("ERROR three") && !said.includes("one"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "the commonest addresses of a log",
    files: { "access.log": "10.0.0.1 /\n10.0.0.2 /\n10.0.0.1 /x\n" },
    calls: () => [exec("cut -d' ' -f1 access.log | sort | uniq -c | sort -rn | head -3")],
    isDone: ({ said }) => said.includes("2 10.0.0.1"),
    host: 1,
    sandbox: 0,
  },
  {
    name: "jq",
    files: { "data.json": '{"items":[{"id":1},{"id":2}]}' },
    calls: () => [exec("jq '.items | length' data.json")],
    isDone: ({ said }) => /"?2/.test(said),
    needs: ["jq"],
    host: 1,
    sandbox: 0,
  },
  {
    name: "query a SQLite database",
    prepare: [["sqlite3", "shop.db", "create table t(n); insert into t values (41),(1);"]],
    calls: () => [exec("sqlite3 shop.db 'select sum(n) from t'")],
    isDone: ({ said }) => said.includes("42"),
    needs: ["sqlite3"],
    host: 1,
    sandbox: 0,
  },
];
