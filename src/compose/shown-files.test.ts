import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { systemRandom } from "../kernel/mod.ts";
import { openWorkspace } from "../sandbox/mod.ts";
import { createShownFiles } from "./shown-files.ts";

const idOf = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
const bytes = Buffer.from("content");

function scene(t: TestContext, sessions: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), "shown-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = new ManualClock();
  const files = createShownFiles({
    stateFolder: folder,
    openFolder: (root) => openWorkspace(root, { random: systemRandom }),
    hasSession: (id) => sessions.includes(id),
    messageIdOf: (runId) => (runId.startsWith("run-") ? idOf(Number(runId.slice(4))) : undefined),
    clock,
  });
  const at = (...path: string[]) => join(folder, "media/shown", ...path);
  return { folder, clock, files, at };
}

test("shown files: they are the gateway's user's alone, and nothing but one of their names leads to one", async (t) => {
  const { files, at, folder } = scene(t);
  assert.equal(await files.read(idOf(1), `${idOf(2)}-0.png`, 100), undefined);
  await files.keep(idOf(1), `${idOf(2)}-0.png`, bytes);
  assert.equal(statSync(at(idOf(1), `${idOf(2)}-0.png`)).mode & 0o777, 0o600);
  for (const path of [at(), at(idOf(1))]) assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.deepEqual(await files.read(idOf(1), `${idOf(2)}-0.png`, 100), bytes);
  assert.equal(await files.read(idOf(1), `${idOf(2)}-0.png`, 3), undefined, "half a file is none");
  assert.equal(await files.read(idOf(1), `${idOf(2)}-1.png`, 100), undefined);
  writeFileSync(join(folder, "secret.png"), bytes);
  for (const [session, name] of [
    ["..", "secret.png"],
    [".", `${idOf(1)}/${idOf(2)}-0.png`],
    [idOf(1), `../../../secret.png`],
    [idOf(1), `${idOf(2)}-0.png\0`],
  ] as const)
    assert.equal(await files.read(session, name, 100), undefined, name);
  symlinkSync(folder, at(idOf(3)));
  writeFileSync(join(folder, `${idOf(2)}-0.png`), bytes);
  assert.equal(await files.read(idOf(3), `${idOf(2)}-0.png`, 100), undefined, "a folder that is a link");
  await assert.rejects(files.keep(idOf(3), `${idOf(4)}-0.png`, bytes));
  assert.equal(existsSync(join(folder, `${idOf(4)}-0.png`)), false);
});

test("shown files: a session's go with it, a run's go with the run, a message's are found by the message", async (t) => {
  const { files, at } = scene(t);
  for (const [session, message] of [
    [1, 3],
    [1, 4],
    [2, 3],
  ] as const)
    await files.keep(idOf(session), `${idOf(message)}-0.png`, bytes);
  const found = await files.of(new Set([idOf(3)]));
  assert.deepEqual(
    found.map(({ path }) => path),
    [at(idOf(1), `${idOf(3)}-0.png`), at(idOf(2), `${idOf(3)}-0.png`)],
  );
  const conversation = { agentId: "main", key: "k", sessionId: idOf(1) };
  await files.forgetRuns(conversation, new Set(["run-3", "unknown"]));
  assert.equal(existsSync(at(idOf(1), `${idOf(3)}-0.png`)), false);
  assert.ok(existsSync(at(idOf(2), `${idOf(3)}-0.png`)) && existsSync(at(idOf(1), `${idOf(4)}-0.png`)));
  await files.forget(conversation);
  assert.equal(existsSync(at(idOf(1))), false);
  for (const sessionId of ["..", "../..", ".", ""]) await files.forget({ ...conversation, sessionId });
  assert.ok(existsSync(at(idOf(2), `${idOf(3)}-0.png`)), "a name that is no session's removes nothing");
  const left = await files.of(new Set([idOf(3)]));
  assert.equal(left.length, 1);
  for (const file of left) await file.remove();
  assert.equal(existsSync(at(idOf(2), `${idOf(3)}-0.png`)), false);
});

test("shown files: what a session left that is no more is swept, and nothing of one that may be about to be stored", async (t) => {
  const { files, at, clock } = scene(t, [idOf(1)]);
  await files.sweep();
  mkdirSync(at(), { recursive: true });
  const place = (name: string, ageSeconds: number) => {
    mkdirSync(at(name));
    const then = clock.now() / 1000 - ageSeconds;
    utimesSync(at(name), then, then);
  };
  place(idOf(1), 5000);
  place(idOf(2), 5000);
  place(idOf(3), 60);
  place("notes", 5000);
  await files.sweep();
  assert.deepEqual(
    [idOf(1), idOf(2), idOf(3), "notes"].map((name) => existsSync(at(name))),
    [true, false, true, true],
  );
});
