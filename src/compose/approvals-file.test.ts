import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { InputError, systemClock, systemRandom } from "../kernel/mod.ts";
import { createApprovalsDocument } from "./approvals-document.ts";
import {
  hostWords,
  openApprovalsFile,
  ruleIndex,
  rulesOf,
  withRules,
  withStanding,
} from "./approvals-file.ts";

async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "approvals-file-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "exec-approvals.json");
  const file = () => openApprovalsFile({ path, clock: systemClock, random: systemRandom });
  return { path, file };
}

const rule = (name: string) => ({
  command: ["touch", name],
  workdir: ".",
  addedAt: "2026-01-01T00:00:00.000Z",
});

test("approvals (1): writers at the same time undo none of each other's changes", async (t) => {
  const { path, file } = await open(t);
  const writers = [file(), file(), file(), file()];
  const wanted = Array.from({ length: 24 }, (_, index) => `f${index}`);
  await Promise.all(
    wanted.map((name, index) =>
      writers[index % writers.length]?.change(({ document }) =>
        index % 2 === 0
          ? withRules(document, "main", [...rulesOf(document, "main"), rule(name)])
          : withStanding(document, "main", { commands: [["touch", name]], workdir: "." }, ""),
      ),
    ),
  );
  const { agents } = JSON.parse(await readFile(path, "utf8"));
  const names = agents.main.allowlist.map(({ command }: { command: string[] }) => command[1]).sort();
  assert.deepEqual(names, [...wanted].sort());
});

test("approvals (1): an editor that saves in between is not overwritten", async (t) => {
  const { path, file } = await open(t);
  const theirs = JSON.stringify({ version: 1, agents: { other: { allowlist: [] } } });
  const { writeFileSync } = await import("node:fs");
  const changing = file().change(({ document }) => {
    writeFileSync(path, theirs);
    return withRules(document, "main", [rule("x")]);
  });
  await assert.rejects(changing, /it changed while it was being written/);
  assert.equal(await readFile(path, "utf8"), theirs);
});

test("approvals (2): a file that is none of ours is never replaced, and no rule of it holds", async (t) => {
  const { path, file } = await open(t);
  for (const text of ["{", "null", "[]", '{"version":2,"agents":{}}', '{"version":1,"agents":[]}']) {
    await writeFile(path, text);
    await assert.rejects(file().read(), InputError, text);
    await assert.rejects(
      file().change(({ document }) => document),
      InputError,
    );
    assert.equal(await readFile(path, "utf8"), text);
  }
});

test("approvals (2): of what stands among the rules only rules count, and only for their own agent", async (t) => {
  const { path, file } = await open(t);
  const allowlist = [
    rule("x"),
    { command: "touch y", workdir: "." },
    { command: [], workdir: "." },
    { command: ["touch", 1], workdir: "." },
    { pattern: "relative" },
    { pattern: "/usr/bin/uptime", addedAt: "" },
    null,
    "touch z",
  ];
  await writeFile(
    path,
    JSON.stringify({ version: 1, agents: { main: { allowlist }, other: { allowlist: {} } } }),
  );
  const index = ruleIndex((await file().read()).document);
  assert.ok(index.command("main", ["touch", "x"], "."));
  assert.ok(index.program("main", "/usr/bin/uptime"));
  for (const found of [
    index.command("main", ["touch", "y"], "."),
    index.command("main", ["touch", "x"], "sub"),
    index.command("other", ["touch", "x"], "."),
    index.command("constructor", ["touch", "x"], "."),
    index.program("main", "relative"),
    // What a joined text could be mistaken for.
    index.command("main", ["touch x"], "."),
    index.command("main\n.", ["touch", "x"], ""),
  ])
    assert.equal(found, undefined);
});

test("policy (9): an agent's own words stand before those for every agent, and these before the defaults", async (t) => {
  const { path, file } = await open(t);
  const agents = { main: { security: "deny" }, "*": { ask: "always", security: "full" } };
  await writeFile(
    path,
    JSON.stringify({ version: 1, defaults: { security: "allowlist", ask: "off" }, agents }),
  );
  const { document } = await file().read();
  assert.deepEqual(hostWords(document, "main"), { security: "deny", ask: "always" });
  assert.deepEqual(hostWords(document, "other"), { security: "full", ask: "always" });
});

test("approvals (3): a document that was read before another's change is not written over it", async (t) => {
  const { file } = await open(t);
  const document = createApprovalsDocument(file(), () => 5);
  const first = (await document.get()) as { hash: string };
  const with_ = (name: string) => ({ version: 1, agents: { main: { allowlist: [rule(name)] } } });
  await document.set(with_("x"), first.hash);
  await assert.rejects(document.set(with_("y"), first.hash), /changed since last load/);
  await assert.rejects(document.set(with_("y"), undefined), /base hash required/);
  const shown = JSON.stringify(await document.get());
  assert.match(shown, /"lastUsedAt":5/);
  assert.doesNotMatch(shown, /touch y/);
});
