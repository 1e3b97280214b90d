import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../kernel/mod.ts";
import { parseWorkspacePath } from "./workspace-path.ts";

const root = "/ws/a";

const inside: readonly (readonly [string, readonly string[]])[] = [
  [".", []],
  ["./", []],
  ["/ws/a", []],
  ["/ws/a/", []],
  ["/ws/a/b//c", ["b", "c"]],
  ["./a/./b", ["a", "b"]],
  ["..note.txt", ["..note.txt"]],
  ["a..b/c.txt", ["a..b", "c.txt"]],
  ["ünï.txt", ["ünï.txt"]],
  ["名前.md", ["名前.md"]],
  ["n".repeat(200), ["n".repeat(200)]],
  ["@scope/pkg", ["@scope", "pkg"]],
  ["$id.tsx", ["$id.tsx"]],
];
for (const [path, names] of inside) {
  test(`sandbox (1): ${JSON.stringify(path).slice(0, 40)} is inside the workspace`, () => {
    assert.deepEqual(parseWorkspacePath(root, path), names);
  });
}

const outside = [
  "../../etc/passwd",
  "..",
  "a/../b",
  "/etc/passwd",
  "/",
  "~/.ssh/id_rsa",
  "~root/x",
  "$HOME/x",
  "file:///etc/passwd",
  "/ws/a-evil/x",
  "/ws/a/../b",
  "/ws",
  "..\\..\\x",
  "C:\\x",
  "c:x",
  "\\\\?\\C:\\x",
  "//server/share",
  "a\0/../../etc/passwd",
  "a\nb",
  "/proc/self/root/etc/passwd",
  "/dev/fd/0",
  "\ud800",
  "",
  "n".repeat(256),
  "a/".repeat(3000),
];
for (const path of outside) {
  test(`sandbox (1): ${JSON.stringify(path).slice(0, 40)} is refused`, () => {
    assert.throws(() => parseWorkspacePath(root, path), InputError);
  });
}
