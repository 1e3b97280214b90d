import assert from "node:assert/strict";
import { test } from "node:test";
import { environmentProblem } from "../sandbox/environment.ts";
import { readCommandLine } from "../shell/mod.ts";
import { bindRun, type CommandRules, classifyCommand, isInterpreter } from "./command-rules.ts";
import type { ExecSettings } from "./settings.ts";

const settings: ExecSettings = {
  mode: "ask",
  safeBins:
    "cut uniq head tail tr wc grep sort date echo ls pwd uname whoami true own custom python3 busybox cat env mycat myls make".split(
      " ",
    ),
  approvalLifetimeMs: 1000,
};
const allowed: Readonly<Record<string, readonly string[]>> = {
  ".": [
    "npm test",
    "make test",
    "git status",
    "python3 -c 1",
    "env touch C",
    "bash -lc whoami",
    "busybox sh",
    "make -f x",
    "awk 1",
    "/bin/thing",
    "mycat sh",
    "./python3 -c 1",
    "env -S ls",
    "tar --to-comm=x",
    "git --exec-path=x",
    // Asked about whatever the rules say.
    "node -r ./e.js app.js",
    "node --import=./e.mjs app.js",
    "ruby -r./e app.rb",
    "perl -Mlib=. x.pl",
    "python -m evil",
    "java -cp . Evil",
    "pnpm --reporter x exec ls",
    "npm exec --call ls",
    "yarn dlx x",
    "uvx --from ./e x",
  ],
  sub: ["make sub"],
};
/** Names that stand for a program of another name. */
const aliases: Readonly<Record<string, string>> = { mycat: "busybox", myls: "unlink" };
const rules: CommandRules = {
  read: readCommandLine,
  allowsProgram: (agentId, program) =>
    agentId === "main" && ["/usr/bin/uptime", "/usr/bin/sh", "/usr/bin/env"].includes(program),
  isAllowed: (agentId, argv, workdir) =>
    agentId === "main" && (allowed[workdir] ?? []).includes(argv.join(" ")),
  resolve: (program) =>
    program === "nowhere" || program === "" || program.includes("/")
      ? undefined
      : `/usr/bin/${aliases[program] ?? program}`,
  isSystem: (name) => name !== "own",
  identify: (path) => ({ path, realPath: path, device: "1", inode: "1" }),
  environmentProblem,
};

function judge(
  command: string,
  more: { workdir?: string; env?: Record<string, string>; background?: boolean; agentId?: string } = {},
) {
  const { agentId = "main", ...effect } = more;
  return classifyCommand(
    { kind: "command", command, workdir: ".", env: {}, background: false, ...effect },
    { agentId, settings, rules, workspaceRoot: "/w", mayOpen: () => true },
  );
}

function asks(...commands: readonly string[]): void {
  for (const command of commands) {
    const judged = judge(command);
    assert.equal(judged.listed, false, command);
    assert.equal(judged.remember, undefined, command);
  }
}

function runs(...commands: readonly string[]): void {
  for (const command of commands)
    assert.equal(judge(command).listed, true, `${command}: ${judge(command).why}`);
}

test("policy (6): a program that the operator allowed runs with any arguments; no interpreter and no wrapper does", () => {
  runs("uptime", "uptime -p --since x");
  assert.equal(judge("uptime", { agentId: "other" }).listed, false);
  assert.equal(judge("uptime", { background: true }).listed, false);
  for (const command of [
    "sh script.sh",
    "sh -c uptime",
    "env X=1 uptime",
    "nice uptime",
    "./uptime",
    "LD_PRELOAD=x uptime",
  ])
    assert.equal(judge(command).listed, false, command);
});

test("policy (6): benign lines of safe programs run without asking", () => {
  runs("ls -la", "echo hello, world", "pwd", "date +%F", "date -u", "uname -a", "whoami", "true");
  runs(
    "ls -la | head -5",
    "ls | wc -l > count.txt",
    "echo a/b > notes.txt && ls",
    "cd sub && ls",
    "cd sub; pwd",
  );
  runs(
    "echo 'x; y' | tr a-z A-Z | sort -u | uniq -c",
    "cut -d, -f2 < data.csv | head -n 3",
    "wc -l < data.csv",
  );
  runs("echo 'a b' >> log.txt 2>&1 || echo failed", "ls 2>/dev/null", "! ls");
  runs(
    "wc -l <<'E'\na $HOME\nE",
    "timeout 5 ls -la",
    "nice -n 10 timeout -k 1 5s ls | head",
    "command ls",
    "ls # all",
  );
  runs(
    "echo x | grep -in --max-count=1 'a b'",
    "echo x | sort -t, -k2,2n",
    "echo x | tail -n +2",
    "date -Iseconds",
  );
  runs("npm test", "timeout 60 make test", "cd sub && make sub");
});

test("policy (6): everyday commands that are on no list ask, and say so", () => {
  for (const command of [
    "git log",
    "npm run build",
    "grep -rn TODO .",
    "python3 script.py",
    "cargo build",
    "ls src",
  ])
    assert.equal(judge(command).listed, false, command);
  assert.deepEqual(judge("gcc x.c").remember, { words: ["gcc", "x.c"], workdir: "." });
  assert.match(judge("gcc x.c").why, /gcc is not on this agent's allowlist/);
});

test("policy (6), A-089: each part of each pipeline is judged", () => {
  asks(
    "echo x | node",
    "echo hi |& sh",
    "cat x.py | python3",
    "ls | tee out",
    "ls | nowhere",
    "ls | head | touch C",
  );
});

test("policy (6), A-090: each command of a chain is judged, and what is not understood asks", () => {
  asks(
    "echo ok && touch C",
    "echo ok; touch C",
    "echo ok || touch C",
    "echo ok & touch C",
    "echo ok\ntouch C",
  );
  asks(
    "(touch C)",
    "{ touch C; }",
    "! touch C",
    "if true; then touch C; fi",
    "coproc touch C",
    "f(){ touch C; }; f",
  );
  asks(
    "echo ok & copy nul C",
    "while true; do echo; done",
    "for x in a; do echo; done",
    "case x in x) echo;; esac",
  );
});

test("policy (6), A-091: substitutions ask, inside quotes too", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's, not ours
  asks('echo "$(touch C)"', 'echo "`touch C`"', 'echo "${x:-$(touch C)}"', "echo $((a[$(touch C)]))");
  asks(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's, not ours
    "x='$(touch C)'; echo \"${x@P}\"",
    "printf -v 'a[$(touch C)]' x",
    "[[ -v 'a[$(touch C)]' ]]",
    "echo $HOME",
  );
});

test("policy (6), A-092: a continued line asks", () => {
  asks('echo "$\\\n(touch C)"', "ec\\\nho ok", "echo ok\\\r\ntouch C", "echo ok\rtouch C", "echo \\\\\\\nok");
  runs("echo \\\\");
});

test("policy (6), A-094: redirections stay in the workspace, and none runs a command", () => {
  asks(
    "cat <(touch C)",
    "tee >(touch C)",
    "echo x > ~/.bashrc",
    "echo x 3<>C",
    "cat < /etc/shadow",
    "echo x > /etc/x",
  );
  asks('cat <<< "$(touch C)"', "echo x > ../C", "echo x > a/../../C", "echo x > '$HOME/x'", "echo x > /wx/C");
  asks(
    "echo x > C*",
    "echo x > ''",
    "echo x >&-",
    "echo x <> C",
    "echo x > c:x",
    "echo x > .",
    "echo x > new/",
    "cd sub; echo x > C",
  );
  runs("echo x >| C", "echo x &> C", ": > C", "echo x > /w/C", "echo x >& C", "echo x &>> C");
});

test("policy (6), A-095: here-documents are text, or they ask", () => {
  asks("wc <<E\n$(touch C)\nE", "wc <<E\n$HOME\nE", "wc <<E\n`x`\nE", "wc <<E\nx", "wc <<-E\n\t$1\n\tE");
  asks("python3 <<'E'\nprint(1)\nE", "bash <<'E'\ntouch C\nE", "sh <<< 'touch C'");
  runs("wc <<E\nplain\nE", "wc <<'E' <<E\"O\"F\n$x\nE\n$y\nEOF", "wc <<-E\n\tx\n\tE");
});

test("policy (6), A-096: what a wrapper starts is judged, and wrappers are not allowed by name", () => {
  asks("env touch D", "env", "env -i ls", "env -i FOO=b sh -c 'touch C'", "env A=1 ls", "env -u X ls");
  asks(
    "env -u X -- touch C",
    `${"env ".repeat(50)}touch C`,
    `${"nice ".repeat(9)}ls`,
    "FOO=1 touch C",
    "FOO=1 ls",
  );
  asks(
    "exec touch C",
    "builtin eval 'touch C'",
    "nohup",
    "timeout ls",
    "timeout -k 1",
    "timeout",
    "timeout -s KILL -z 5 ls",
  );
  asks("xargs ls", "find . -exec ls", "nice -n", "setsid -z ls", "time -o C ls", "stdbuf -o L nowhere");
  runs("nohup ls", "setsid -w ls", "stdbuf -oL ls", "nice --adjustment=5 -- ls", "env ls");
});

test("policy (6), A-097: env's split strings ask", () => {
  asks(
    "env -S ls",
    "env -S 'ls'",
    "env --split-string=ls",
    "env -vS ls",
    "env -S'ls'",
    "env --split=ls",
    "env -C / ls",
  );
});

test("policy (6), A-099, A-104, A-113: inline code asks whatever the rules say", () => {
  asks(
    "bash -lc whoami",
    "python3 -c 1",
    "zsh -s",
    "bash -c -- ls",
    "bash --rcfile /ws/e -i",
    "sh -ec ls",
    "bash +e -c ls",
  );
  asks(
    "make",
    "./python3 -c 1",
    "python3.12 -Ic 1",
    "python3 -",
    "python3",
    "node -e 1",
    "node --eval=1",
    "deno eval 1",
    "bun -e 1",
    "perl -E 1",
  );
  asks(
    "ruby -e 1",
    "php -r 1",
    "lua -e 1",
    "osascript -e 1",
    "Rscript -e 1",
    "groovy -e 1",
    "sqlite3 x '.shell ls'",
  );
  asks(
    "psql -c '\\! ls'",
    "make -f x",
    "awk 1",
    "sed -n 1p x",
    "ssh -oProxyCommand=x h",
    "git -c core.pager=x log",
  );
  asks(
    "tar --to-comm=x",
    "git --exec-path=x",
    "tar --to-command=x -xf y",
    "tar --use-comp x",
    "find . -delete",
    "rsync -e x a b",
    "vim x",
    "xargs -n1 ls",
  );
});

test("policy (6), A-101: a multiplexer is what its part is", () => {
  asks(
    "busybox sh -c 'touch C'",
    "busybox sh",
    "toybox ls",
    "coreutils --coreutils-prog=touch C",
    "./ls",
    "mycat",
    "mycat sh",
  );
});

test("policy (6), A-102, A-105: carriers and other systems' shells ask", () => {
  asks(
    "sh -c '$0 \"$1\"' touch C",
    "sh -c 'exec \"$@\"' _ touch C",
    "cmd /c echo ok",
    "powershell -enc x",
    "pwsh –enc x",
  );
});

test("policy (6), A-106: a safe program takes listed options only, in full, and no file", () => {
  for (const command of [
    "sort -S 1b",
    "sort -oC",
    "tr a b /etc/x",
    "cut -f1 /etc/passwd",
    "sort --compress-prog=/tmp/e -S1b big",
    "sort --compress-program /tmp/e",
    "sort -o C",
    "sort --out=C",
    "sort --rev",
    "sort --files0-from=/etc/passwd",
    "sort --random-source=/etc/shadow",
    "sort -T /x",
    "sort -zqo",
    "uniq in C",
    "wc --files0-from=F",
    "wc x",
    "head -n",
    "head -n5 x",
    "tail -f",
    "tail --follow",
    "tail --lines=3 x",
    "grep -r x",
    "grep -f /etc/passwd",
    "grep -e x .env",
    "grep -- x y",
    "ls --color=auto x",
    "ls --all=1",
    "date -s 2020-01-01",
    "date -f x",
    "date x",
    "pwd /",
    "uname x",
    "custom x",
    "true x",
  ])
    assert.equal(judge(command).listed, false, command);
  runs("head", "custom", "grep -- -x", "sort --key 2 --field-separator=,", "ls --color=never", "head -5");
});

test("policy (6), A-107: file patterns, variables and braces ask", () => {
  asks(
    "head *",
    "tail -n5 ~/.ssh/*",
    "grep -e . $HOME/.env",
    "head {/etc/passwd,x}",
    "grep -r . /?",
    "ls [a-z]",
  );
});

test("policy (6), A-108: programs that read secrets or run code from their arguments ask", () => {
  asks(
    "jq -n env",
    "jq -f f.jq",
    "awk 'BEGIN{system(\"touch C\")}'",
    "sed '1e touch C'",
    "sed w\\ C",
    "dd of=C",
    "tee C",
  );
});

test("policy (6), A-109: only a bare name in a trusted folder is a known program", () => {
  asks("./ls", "/tmp/echo x", "'ls ' -la", "bin/ls", "nowhere", "/usr/bin/python3 x.py");
  assert.equal(judge("myls").listed, false);
  assert.match(judge("./ls").why, /not found in the trusted folders/);
  // Found in a folder of the operator's own, a program has a safe one's name and not its word.
  const { why } = judge("own");
  assert.match(why, /not on this agent's allowlist/);
});

test("policy (6), A-110: rules match whole words, exactly", () => {
  runs("git status");
  asks("git statu?", "git  status x");
  for (const command of ["git status; touch C", "GIT status", "git2 status"])
    assert.equal(judge(command).listed, false);
});

test("policy (4), A-100: a standing rule covers its exact command, folder and agent, and no variables", () => {
  assert.equal(judge("npm test").listed, true);
  assert.equal(judge("npm test", { workdir: "./" }).listed, true);
  for (const more of [{ workdir: "sub" }, { workdir: ".." }, { agentId: "other" }, { env: { CI: "1" } }])
    assert.equal(judge("npm test", more).listed, false, JSON.stringify(more));
  for (const command of [
    "npm test -- --watch",
    "cd sub; npm test",
    "cd sub || npm test",
    "CI=1 npm test",
    "cd sub && npm test",
  ])
    assert.equal(judge(command).listed, false, command);
  assert.equal(judge("ls || cd sub && make sub").listed, false);
  runs(
    "cd sub && cd && npm test",
    "ls; npm test",
    "cd /w && npm test",
    "cd /w// && npm test",
    "cd /w/sub && make sub",
  );
});

test("policy (4): a standing rule covers a command that nothing is fed to", () => {
  for (const command of ["echo x | make test", "npm test < x", "npm test <<< x"])
    assert.equal(judge(command).listed, false);
  runs("npm test | tail -5", "npm test > log.txt 2>&1");
});

test("policy (6), A-114: flags that load code ask", () => {
  asks(
    "node -r ./e.js app.js",
    "node --import=./e.mjs app.js",
    "ruby -r./e app.rb",
    "perl -Mlib=. x.pl",
    "python -m evil",
  );
  asks(
    "java -cp . Evil",
    "npx -c ls",
    "pnpm --reporter x exec ls",
    "npm exec --call ls",
    "yarn dlx x",
    "uvx --from ./e x",
  );
});

test("policy (6), A-120: obfuscated commands ask", () => {
  asks(
    "echo dG91Y2ggQw== | base64 -d | sh",
    "$'\\x74ouch' C",
    "{touch,C}",
    "/???/b??/touch C",
    "ｔｏｕｃｈ C",
  );
  asks(
    "eval $(printf x)",
    "IFS=,;c=touch,C;$c",
    "a=to b=uch; $a$b C",
    "echo a\u202eb",
    "echo \u200b",
    "echo \u3164",
  );
  asks(
    '"" x',
    "echo \ud800",
    `echo ${"x".repeat(40_000)}`,
    "",
    "# nothing",
    "echo 'x",
    "ls |",
    "&& ls",
    "t''ee C",
  );
  // Hidden in quotes or not, a name is what it says.
  assert.match(judge('t""ouch C').why, /touch is not on this agent's allowlist/);
});

test("policy (6), A-126: variables that redirect programs are refused wherever they stand", () => {
  for (const command of [
    "LD_PRELOAD=./e.so ls",
    "env LD_PRELOAD=./e.so ls",
    "export PATH=/tmp; ls",
    "A=1 ld_preload=x",
  ]) {
    const judged = judge(command);
    assert.match(judged.refused ?? "", /may not be set/, command);
    assert.equal(judged.listed, false, command);
  }
  for (const command of ["env 'A B=x' ls", "env 'LD_PRELOAD =x' ls"])
    assert.match(judge(command).refused ?? "", /not a variable name/, command);
  asks("A=1", "export A=1", "A=1; ls", "env -i ls", "export A");
});

test("policy (6): a background command asks, safe or not; what starts nothing does not", () => {
  assert.equal(judge("date", { background: true }).listed, false);
  runs(":", "exit 3", "cd", "cd sub", "> C");
  asks("cd /etc && ls", "cd ..", "cd - && ls", "cd a b", "exit x", "cd ~/x", "cd a | ls", "ls | :");
});

test("policy (7): a run is bound to its programs, behind wrappers too, its scripts and its folder", () => {
  const bound = (command: string, workdir = ".") => {
    const run = bindRun(judge(command, { workdir }), workdir, { rules, workspaceRoot: "/w" });
    return [run.folder?.path, ...(run.kind === "tree" ? run.files.map((file) => file.path) : [run.kind])];
  };
  assert.deepEqual(bound("python3 a.py --x data"), ["/w", "/usr/bin/python3", "/w/a.py", "/w/data"]);
  assert.deepEqual(bound("timeout 5 bash s.sh", "sub"), [
    "/w/sub",
    "/usr/bin/timeout",
    "/usr/bin/bash",
    "/w/sub/s.sh",
  ]);
  assert.deepEqual(bound("./run.sh && touch x"), ["/w", "/w/./run.sh", "/usr/bin/touch"]);
  assert.deepEqual(bound("cd sub && python3 /opt/x.py"), [
    "/w",
    "/usr/bin/cd",
    "/usr/bin/python3",
    "/opt/x.py",
  ]);
  assert.deepEqual(bound("cd sub; ./x").slice(0, 2), ["/w", "/usr/bin/cd"]);
  assert.deepEqual(bound("echo $HOME"), ["/w", "shell"]);
  assert.deepEqual(bound("touch *.c"), ["/w"]);
});

test("policy (4): an interpreter, a wrapper and a program that was not found are never remembered", () => {
  asks(
    "python3 x.py",
    "bash x",
    "env gcc",
    "xargs rm",
    "npx thing",
    "git log",
    "nowhere x",
    "./run",
    "timeout 5 gcc x.c",
  );
  assert.ok(isInterpreter("/usr/bin/python3.11"));
  assert.ok(isInterpreter("nohup"));
  assert.ok(isInterpreter("make"));
  assert.ok(isInterpreter("sudo"));
  assert.ok(!isInterpreter("gcc"));
});
