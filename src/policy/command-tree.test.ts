import assert from "node:assert/strict";
import { test } from "node:test";
import { readCommandLine } from "../shell/mod.ts";
import { literalArgv } from "./command-tree.ts";

test("policy (4): only a line that is one program with literal arguments has an argument list", () => {
  const argv = (text: string) => {
    const read = readCommandLine(text);
    return read.understood ? literalArgv(read.line) : undefined;
  };
  assert.deepEqual(argv("git log 'a b'"), ["git", "log", "a b"]);
  for (const text of [
    "a | b",
    "a; b",
    "a && b",
    "! a",
    "A=1 a",
    "a > b",
    "a *",
    "> b",
    "A=1",
    "! a; b",
    "a $x",
  ])
    assert.equal(argv(text), undefined, text);
  assert.equal(literalArgv([]), undefined);
});
