import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { InputError } from "../kernel/mod.ts";
import { createPipes, removeLeftPipes } from "./pipes.ts";

function scene(t: TestContext) {
  const base = mkdtempSync(join(tmpdir(), "pipes-"));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const folder = join(base, "pipes-1");
  return { base, folder, pipes: createPipes(folder, ["/usr/bin", "/bin"]) };
}

test("a pipe carries bytes from one end to the other, ends when its writer does, and has no name", async (t) => {
  const { pipes, folder } = scene(t);
  const [one, two] = await Promise.all([pipes.open(), pipes.open()]);
  const before = readdirSync(folder).length;
  const three = await pipes.open();
  assert.equal(readdirSync(folder).length, before - 1);
  writeSync(one.write, "one");
  writeSync(two.write, "two");
  for (const { write } of [one, two, three]) closeSync(write);
  const buffer = Buffer.alloc(10);
  for (const [{ read }, text] of [
    [one, "one"],
    [two, "two"],
    [three, ""],
  ] as const) {
    assert.equal(buffer.toString("utf8", 0, readSync(read, buffer)), text);
    closeSync(read);
  }
  pipes.close();
  assert.equal(existsSync(folder), false);
});

test("text is read from a file that has no name", (t) => {
  const { pipes, folder } = scene(t);
  const text = "ä".repeat(100_000);
  const descriptor = pipes.ofText(text);
  assert.deepEqual(readdirSync(folder), []);
  const buffer = Buffer.alloc(300_000);
  assert.equal(buffer.toString("utf8", 0, readSync(descriptor, buffer)), text);
  closeSync(descriptor);
});

test("what took a pipe's name is not opened, and a missing mkfifo is named", async (t) => {
  const { pipes, folder, base } = scene(t);
  closePair(await pipes.open());
  for (const name of readdirSync(folder)) {
    unlinkSync(join(folder, name));
    writeFileSync(join(folder, name), "");
  }
  await assert.rejects(pipes.open(), /taken by something else/);
  await assert.rejects(
    createPipes(join(base, "other"), [base]).open(),
    (error) => error instanceof InputError && /mkfifo/.test(error.message),
  );
});

test("sandbox (6): what a crashed gateway left of its pipes is removed, and nothing else", (t) => {
  const { base } = scene(t);
  for (const name of ["pipes-old", "pipes-own", "other"]) mkdirSync(join(base, name));
  removeLeftPipes(base, "pipes-", "pipes-own");
  assert.deepEqual(readdirSync(base).sort(), ["other", "pipes-own"]);
  removeLeftPipes(join(base, "none"), "pipes-", "x");
});

function closePair({ read, write }: { read: number; write: number }): void {
  closeSync(read);
  closeSync(write);
}
