import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readCommandLine } from "./mod.ts";
import { agreed, NotUnderstood } from "./word.ts";

/** Words of each command; a pattern is shown as <pattern>. */
function shown(text: string): string[][] | string {
  const read = readCommandLine(text);
  if (!read.understood) return read.why;
  return read.line.flatMap(({ commands }) =>
    commands.map(({ words }) =>
      words.map((word) => (word.pattern === undefined ? word.text : `<${word.pattern}>`)),
    ),
  );
}

const understood: readonly (readonly [string, readonly (readonly string[])[]])[] = [
  ["ls", [["ls"]]],
  ["  ls   -la\t/tmp ", [["ls", "-la", "/tmp"]]],
  ['echo "a; b && c"', [["echo", "a; b && c"]]],
  ["echo 'literal $(x) and ;'", [["echo", "literal $(x) and ;"]]],
  ["echo a\\ b \\$HOME \\;", [["echo", "a b", "$HOME", ";"]]],
  ['echo "a\\"b" "\\$x" "\\`" "\\\\" "\\n"', [["echo", 'a"b', "$x", "`", "\\", "\\n"]]],
  ['t""ouch \'\' ""', [["touch", "", ""]]],
  ["git log --format=%h^ HEAD~1 HEAD@{1}", [["git", "log", "--format=%h^", "HEAD~1", "HEAD@{1}"]]],
  ["./run.sh a#b c=d export=x", [["./run.sh", "a#b", "c=d", "export=x"]]],
  ["echo 名前 ü 😀", [["echo", "名前", "ü", "😀"]]],
  ["grep 'x$' y$ \"z$\"", [["grep", "x$", "y$", "z$"]]],
  ["find . -name {} -o {a} '{a,b}' \\{a,b}", [["find", ".", "-name", "{}", "-o", "{a}", "{a,b}", "{a,b}"]]],
  ["a | b |& c && d || e; f\ng # h (\n# i", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"], ["g"]]],
  ["rm *.o 'a'*'*' \\*? [a-c]", [["rm", "<*.o>", "<a*\\*>", "<\\*?>", "<[a-c]>"]]],
  [
    "[ -f a ] && test a = b",
    [
      ["[", "-f", "a", "]"],
      ["test", "a", "=", "b"],
    ],
  ],
  ["command ls", [["ls"]]],
  ["command command ls", [["ls"]]],
  ["printf '%s\\n' *", [["printf", "%s\\n", "<*>"]]],
  ["printf -- '%-3d|' 7", [["printf", "--", "%-3d|", "7"]]],
  ["kill 12", [["kill", "12"]]],
];
for (const [text, words] of understood)
  test(`shell (3): ${JSON.stringify(text)} is understood`, () => {
    assert.deepEqual(shown(text), words);
  });

const notUnderstood: readonly (readonly [string, RegExp])[] = [
  ["", /no command/],
  ["   # x", /no command/],
  ["echo ok & touch C", /background/],
  ["echo ok\rtouch C", /U\+000D/],
  ["ec\\\nho ok", /continued/],
  ['echo "a\\\nb"', /continued/],
  ["(touch C)", /subshell/],
  ["{ touch C; }", /group/],
  ["{ touch C; } > x", /redirected block/],
  ["if true; then a; fi", /"if"/],
  ["while a; do b; done", /while/],
  ["for x in a; do b; done", /for/],
  ["for ((;;)); do b; done", /for/],
  ["select x in a; do b; done", /select/],
  ["case x in a) b;; esac", /case/],
  ["coproc touch C", /"coproc"/],
  ["f(){ touch C; }", /function/],
  ["[[ a ]]", /\[\[/],
  ["((1))", /arithmetic/],
  ["time ls", /"time"/],
  ['echo "$(touch C)"', /substitution/],
  ['echo "`touch C`"', /substitution/],
  ["echo `a`", /substitution/],
  ["echo $((a))", /substitution/],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's, not ours
  ["echo ${x}", /variable/],
  ['echo $x "$@"', /variable/],
  ['echo "$x"', /variable/],
  ["echo $'\\x74'", /escape string/],
  ['echo $"x"', /escape string/],
  ["cat <(touch C)", /process substitution/],
  ["cat <<EOF", /not closed/],
  ["cat <<EOF\n$x\nEOF", /expanded/],
  ["a <> b", /reads and writes/],
  ["a 3> b", /above 2/],
  ["a {fd}> b", /descriptor in a variable/],
  ["a >&-", /closes or moves/],
  ["a 2>&3", /closes or moves/],
  ["a 1>&b", /closes or moves/],
  ["a >&'$(id)'", /expands twice/],
  ['a >&"\'b"', /expands twice/],
  ["a >&b\\\\c", /expands twice/],
  ["a > *", /file pattern/],
  ["a > ''", /to nothing/],
  ["a < 2>&2", /word or a descriptor/],
  ["A=(1 2)", /array/],
  ["A[1]=2 b", /array|mistake|two ways/],
  ["A+=x b", /appends/],
  ["eval touch C", /"eval"/],
  ["exec touch C", /"exec"/],
  ["'exec' touch C", /"exec"/],
  ["command -v ls", /"command"/],
  [". ./x", /"\."/],
  ["a | cd b", /"cd"/],
  ["A=1 cd b", /"cd"/],
  ["a | A=1", /runs nothing/],
  ["exit -1", /"exit"/],
  ["export -p", /"export"/],
  ["export A=*", /"export"/],
  ["printf '%q' x", /"printf"/],
  ["printf -v a x", /"printf"/],
  ["printf '%d' 010", /"printf"/],
  ["printf *", /"printf"/],
  ["printf", /"printf"/],
  ["test -v x", /"test"/],
  ["[ a", /"\["/],
  ["test *", /"test"/],
  ["echo --help", /"echo"/],
  ["kill %1", /"kill"/],
  ["%1", /job/],
  ["{touch,C}", /brace/],
  ["echo {1..3}", /brace/],
  ["cat ~/.ssh/id", /home/],
  ["cat --file=~/.ssh/id", /home/],
  ["echo 'a", /mistake in its syntax/],
  ["echo a\\", /backslash at the end/],
  ["* a", /program name that is a file pattern/],
  ["echo a\0b", /U\+0000/],
  ["echo \u001b[2K", /U\+001B/],
  ["echo \u202e", /U\+202E/],
  ["echo\u00a0x", /U\+00A0/],
  ["echo \ud800", /surrogate/],
  ["ｔｏｕｃｈ C", /ASCII/],
  ['"echo " x', /blanks/],
  ["'' x", /empty/],
  ["#!/bin/sh\nls", /first line of a script/],
  [`echo ${"a".repeat(40_000)}`, /characters/],
  ["ls;".repeat(65), /more than 64/],
  ["ls (", /belongs to no command/],
  ["! ", /empty pipeline|mistake/],
];
for (const [text, why] of notUnderstood)
  test(`shell (1): ${JSON.stringify(text).slice(0, 60)} is not understood`, () => {
    assert.match(String(shown(text)), why);
  });

test("shell (2): a word that the parser reads in another way than we do is not understood", () => {
  const ours = { text: "a b" };
  assert.equal(agreed(ours, "a b"), ours);
  assert.throws(() => agreed(ours, "a  b"), NotUnderstood);
});

test("shell (3): assignments and redirections keep their order and their values", () => {
  const read = readCommandLine("A=1 B='x y' C= cmd < in >>out 2>&1 <<< 'a b' <<-'E' &> both\n\tt\n\tE");
  assert.ok(read.understood);
  const [command] = read.line[0]?.commands ?? [];
  assert.deepEqual(command?.assignments, [
    { name: "A", value: "1" },
    { name: "B", value: "x y" },
    { name: "C", value: "" },
  ]);
  assert.deepEqual(command?.redirections, [
    { kind: "file", descriptor: 0, access: "read", path: "in" },
    { kind: "file", descriptor: 1, access: "append", path: "out" },
    { kind: "copy", descriptor: 2, from: 1 },
    { kind: "text", descriptor: 0, text: "a b\n" },
    { kind: "text", descriptor: 0, text: "t\n" },
    { kind: "file", descriptor: 1, access: "write", path: "both" },
    { kind: "copy", descriptor: 2, from: 1 },
  ]);
  const chain = readCommandLine("a && ! ! b || ! c; d");
  assert.deepEqual(chain.understood && chain.line.map(({ when, negated }) => [when, negated]), [
    ["always", false],
    ["success", false],
    ["failure", true],
    ["always", false],
  ]);
});

test("shell (1): no text makes the reader throw, and what it understands has no character that it left out", () => {
  const piece = fc.constantFrom(..."ab'\"\\$`(){}<>|&;\n#!*~ \t=[]-01é".split(""), "<<E", "if ", "done");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const text = pieces.join("");
      const read = readCommandLine(text);
      if (!read.understood) return;
      const kept = JSON.stringify(read.line);
      for (const char of new Set(text.replace(/#.*/g, "").match(/[abé]/g) ?? []))
        assert.ok(kept.includes(char), text);
    }),
    { numRuns: 3000, seed: 3 },
  );
});
