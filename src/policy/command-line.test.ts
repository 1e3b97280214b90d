import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { parseCommand } from "./command-line.ts";

const simple: readonly (readonly [string, readonly string[]])[] = [
  ["ls", ["ls"]],
  ["  ls   -la\t/tmp ", ["ls", "-la", "/tmp"]],
  ['echo "a; b && c"', ["echo", "a; b && c"]],
  ["echo 'literal $(x) and ;'", ["echo", "literal $(x) and ;"]],
  ["echo a\\ b \\$HOME \\;", ["echo", "a b", "$HOME", ";"]],
  ['echo "a\\"b" "\\$x" "\\`" "\\\\" "\\n"', ["echo", 'a"b', "$x", "`", "\\", "\\n"]],
  ['t""ouch \'\' ""', ["touch", "", ""]],
  ["git log --format=%h^ HEAD~1", ["git", "log", "--format=%h^", "HEAD~1"]],
  ["./run.sh a#b c=d", ["./run.sh", "a#b", "c=d"]],
  ["echo 名前 ü", ["echo", "名前", "ü"]],
];
for (const [text, argv] of simple) {
  test(`parseCommand: ${JSON.stringify(text)} is a plain command`, () => {
    assert.deepEqual(parseCommand(text), { simple: true, argv });
  });
}

const complex: readonly (readonly [string, RegExp])[] = [
  ["", /empty/],
  ["   ", /empty/],
  ["echo ok && touch C", /&/],
  ["echo ok; touch C", /;/],
  ["echo ok || touch C", /\|/],
  ["echo ok & touch C", /&/],
  ["echo ok\ntouch C", /line/],
  ["echo ok\rtouch C", /line/],
  ["ec\\\nho ok", /line/],
  ["(touch C)", /subshell/],
  ["{ touch C; }", /group/],
  ["! touch C", /!/],
  ["if true", /"if"/],
  ["coproc touch C", /"coproc"/],
  ["f(){ touch C", /subshell/],
  ['echo "$(touch C)"', /double quotes/],
  ['echo "`touch C`"', /double quotes/],
  ["echo $((a))", /expansion/],
  ["echo ${x", /expansion/],
  ["echo $'\\x74'", /expansion/],
  ["cat <(touch C)", /redirection/],
  ["echo x > C", /redirection/],
  ["echo x &> C", /&/],
  ["cat <<EOF", /redirection/],
  ["FOO=1 touch C", /assignment/],
  ["eval touch C", /"eval"/],
  ["exec touch C", /"exec"/],
  ["command touch C", /"command"/],
  ["builtin eval x", /"builtin"/],
  [". ./x", /"."/],
  ["head *", /pattern/],
  ["ls ?", /pattern/],
  ["[ -f x ]", /pattern/],
  ["{touch,C}", /brace/],
  ["cat ~/.ssh/id", /home/],
  ["cat --file=~/.ssh/id", /home/],
  ["ls # x", /comment/],
  ["echo 'a", /single quote/],
  ['echo "a', /double quote/],
  ['echo "a\\', /double quote/],
  ["echo a\\", /backslash/],
  ["echo a\0b", /U\+0000/],
  ["echo \u001b[2K", /U\+001B/],
  ["echo \u202e", /U\+202E/],
  ["echo \u200b", /U\+200B/],
  ["echo\u00a0x", /U\+00A0/],
  ["echo \u3164", /U\+3164/],
  ["echo \ud800", /surrogate/],
  ["ｔｏｕｃｈ C", /ASCII/],
  ['"echo " x', /blanks/],
  ["'' x", /empty/],
  [`echo ${"a".repeat(40_000)}`, /longer/],
];
for (const [text, why] of complex) {
  test(`parseCommand: ${JSON.stringify(text).slice(0, 60)} needs a shell`, () => {
    const parsed = parseCommand(text);
    assert.equal(parsed.simple, false);
    assert.match(parsed.simple ? "" : parsed.why, why);
  });
}

test("parseCommand: what is simple, a real shell splits the same way", () => {
  const piece = fc.constantFrom(
    "a",
    "-x",
    "'",
    '"',
    "\\",
    " ",
    "$",
    "=",
    "~",
    ":",
    "#",
    "é",
    ";",
    "%",
    "b c",
    "''",
  );
  const lines = fc.sample(
    fc.array(piece, { maxLength: 10 }).map((parts) => `printf ${parts.join("")}`),
    {
      numRuns: 400,
      seed: 7,
    },
  );
  let compared = 0;
  const script: string[] = [];
  const expected: string[] = [];
  for (const line of lines) {
    const parsed = parseCommand(line);
    if (!parsed.simple || parsed.argv[0] !== "printf") continue;
    compared += 1;
    script.push(`f${line.slice("printf".length)}`);
    expected.push(
      `${parsed.argv
        .slice(1)
        .map((word) => `<${word}>`)
        .join("")}.`,
    );
  }
  const prelude = 'f() { for w in "$@"; do printf "<%s>" "$w"; done; echo .; }\n';
  const shell = spawnSync("/bin/sh", ["-c", prelude + script.join("\n")], { encoding: "utf8" });
  assert.equal(shell.stderr, "");
  assert.deepEqual(shell.stdout.trimEnd().split("\n"), expected);
  assert.ok(compared > 50);
});
