import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { findProgram, searchFolders, systemFolders } from "./program-folders.ts";

async function home(t: TestContext) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "programs-")));
  t.after(() => rm(folder, { recursive: true }));
  for (const name of ["bin", "state/bin", "work/bin"]) await mkdir(join(folder, name), { recursive: true });
  await chmod(join(folder, "bin"), 0o755);
  return folder;
}

test("an operator's folders come first; one that agents' files lie in is none (A-109)", async (t) => {
  const folder = await home(t);
  await symlink(join(folder, "work/bin"), join(folder, "link"));
  const problems: string[] = [];
  const found = searchFolders(
    ["~/bin", "bin", `${folder}/gone`, `${folder}/state/bin`, `${folder}/link`, `${folder}/work`, "/a:/b"],
    { home: folder, kept: [join(folder, "state"), join(folder, "work")] },
    (text, problem) => problems.push(`${text.replace(folder, "")}: ${problem.replace(folder, "")}`),
  );
  assert.deepEqual(found, [join(folder, "bin"), ...systemFolders]);
  assert.deepEqual(problems, [
    "bin: it must be an absolute path without a colon",
    "/gone: there is no such folder",
    "/state/bin: it lies in /state, where agents' files are",
    "/link: it lies in /work, where agents' files are",
    "/work: it lies in /work, where agents' files are",
    "/a:/b: it must be an absolute path without a colon",
  ]);
});

test("a program is a bare name's first executable file that nobody else can write to (A-109)", async (t) => {
  const folder = await home(t);
  const bin = join(folder, "bin");
  const put = (name: string, mode: number) => writeFile(join(bin, name), "#!/bin/sh\n", { mode });
  await put("mine", 0o755);
  await put("ls", 0o755);
  await put("text", 0o644);
  await put("open", 0o755);
  await chmod(join(bin, "open"), 0o777);
  const find = (name: string) => findProgram(name, [bin, ...systemFolders]);
  assert.equal(find("mine"), join(bin, "mine"));
  assert.equal(find("ls"), join(bin, "ls"));
  assert.match(findProgram("ls", systemFolders) ?? "", /bin\/ls$/);
  for (const name of ["text", "open", "", "./mine", `${bin}/mine`, "no-such-program"])
    assert.equal(find(name), undefined, name);
  await chmod(bin, 0o777);
  assert.equal(find("mine"), undefined, "a folder that others write to");
});
