import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CommandOutput } from "./command-output.ts";
import { createOutputFile } from "./output-file.ts";

function folder(t: TestContext) {
  const base = mkdtempSync(join(tmpdir(), "output-"));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  return base;
}

async function linesWith(path: string, texts: readonly string[]) {
  const output = new CommandOutput(1000, { file: createOutputFile(path, 1024 * 1024) });
  for (const text of texts) {
    output.add(text);
    await new Promise(setImmediate);
  }
  await output.close();
  return output.lines(undefined, 1000);
}

test("sandbox (6): output that no file takes is read from memory", async (t) => {
  const { lines, total } = await linesWith(join(folder(t), "no", "such", "folder"), ["one\n", "two\n"]);
  assert.deepEqual([lines, total], [["one", "two"], 2]);
});

test("sandbox (6): output stays whole when the disk fills up, or it is said what is missing", async (t) => {
  const place = join(folder(t), "small");
  mkdirSync(place);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", place], { stdio: "ignore" });
  } catch {
    return t.skip("this process may mount nothing");
  }
  const pieces = Array.from({ length: 100 }, (_, n) => `${"x".repeat(1000)} ${n}\n`);
  const { lines } = await linesWith(join(place, "c.log"), [...pieces, "the end\n"]).finally(() =>
    execFileSync("umount", [place]),
  );
  assert.equal(lines.at(-1), "the end");
  assert.ok(
    lines.some((line) => /^\[\.\.\. \d+ characters were not kept \.\.\.\]$/.test(line)),
    lines.slice(-5).join("\n"),
  );
});

test("lines are numbered over all of them, cut when they are long, and many characters are no answer", async (t) => {
  const output = new CommandOutput(1000, { file: createOutputFile(join(folder(t), "c.log"), 1024 * 1024) });
  output.add(`a\n${"b".repeat(10_000)}\nc\n`);
  const { lines } = await output.lines(1, 10);
  assert.deepEqual([lines[0], lines[2]], ["a", "c"]);
  assert.match(lines[1] ?? "", /^b{4000}\[\.\.\. cut\]$/);
  output.add(`${"d".repeat(3000)}\n`.repeat(200));
  assert.ok((await output.lines(undefined, 2000)).lines.join("").length <= 200_000);
  assert.deepEqual(await output.lines(999, 5), { first: 999, lines: [], total: 203 });
  await output.close();
});
