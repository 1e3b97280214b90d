import assert from "node:assert/strict";
import { test } from "node:test";
import { type Effect, effectFacts, plainPath } from "./effect.ts";

test("policy: the record of an effect says where it goes, never what it carries", () => {
  const effects: Effect[] = [
    { kind: "file.write", path: "notes.md" },
    {
      kind: "command",
      command: "curl -H token=SECRET x",
      workdir: ".",
      env: { PASSWORD: "SECRET" },
      background: false,
    },
    { kind: "fetch", url: "https://x/?key=SECRET" },
    { kind: "process", action: "write", processId: "1", input: "SECRET" },
    {
      kind: "node.command",
      nodeId: "n1",
      command: "curl -H token=SECRET x",
      cwd: "/home/ada",
      env: { PASSWORD: "SECRET" },
    },
  ];
  const facts = effectFacts(effects, (text) => text.replace("SECRET", "[redacted]"));
  assert.doesNotMatch(JSON.stringify(facts), /SECRET/);
  assert.deepEqual(facts, [
    { kind: "file.write", path: "notes.md" },
    { kind: "command", command: "curl -H token=[redacted] x", workdir: ".", background: false },
    { kind: "fetch", url: "https://x/?key=[redacted]" },
    { kind: "process", action: "write" },
    { kind: "node.command", nodeId: "n1", command: "curl -H token=[redacted] x", cwd: "/home/ada" },
  ]);
});

test("policy: the record tells what was written below a folder, and what was to leave its sandbox", () => {
  const facts = effectFacts(
    [
      { kind: "file.write", path: "out", below: true },
      { kind: "file.read", path: "a" },
      { kind: "command", command: "ls", workdir: ".", env: {}, background: false, elevated: true },
    ],
    (text) => text,
  );
  assert.deepEqual(facts, [
    { kind: "file.write", path: "out", below: true },
    { kind: "file.read", path: "a" },
    { kind: "command", command: "ls", workdir: ".", background: false, elevated: true },
  ]);
});

test("policy: one file has one name for its label", () => {
  for (const path of ["a/b.md", "./a/b.md", "a//b.md", "a/./b.md", "a/c/../b.md"])
    assert.equal(plainPath(path), "a/b.md");
});
