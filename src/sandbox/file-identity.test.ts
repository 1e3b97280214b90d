import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { InputError } from "../kernel/mod.ts";
import { identifyFile, requireSame, requireSameFolder } from "./file-identity.ts";

function scene(t: TestContext) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "identity-")));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const path = join(base, "run.sh");
  writeFileSync(path, "one");
  chmodSync(path, 0o755);
  return { base, path };
}

test("sandbox (7): a file is the same only when each of its facts is", (t) => {
  const { path } = scene(t);
  const file = identifyFile(path);
  assert.ok(file?.content?.sha256, "what is outside the system's folders is hashed, whoever owns it");
  requireSame([file]);
  const others = [
    { ...file, path: `${path}x` },
    { ...file, realPath: "/x" },
    { ...file, device: "0" },
    { ...file, inode: "0" },
    { ...file, bornAtNs: "0" },
    { ...file, content: { ...file.content, size: "4" } },
    { ...file, content: { ...file.content, changedAtNs: "1" } },
    { ...file, content: { ...file.content, sha256: "" } },
  ];
  for (const other of others)
    assert.throws(() => requireSame([file, other]), InputError, JSON.stringify(other));
});

test("sandbox (7): a change of the content alone is seen, of the same size and within one tick of the clock", (t) => {
  const { path } = scene(t);
  const file = identifyFile(path);
  assert.ok(file?.content);
  writeFileSync(path, "two");
  const now = identifyFile(path);
  assert.notEqual(now?.content?.sha256, file.content.sha256);
  // Even if the time of change were the same.
  const disguised = { ...file, content: { ...file.content, changedAtNs: now?.content?.changedAtNs ?? "" } };
  assert.throws(() => requireSame([disguised]), /is not what it was/);
});

test("sandbox (7): a file or folder that was removed and made anew is another one, with the same number too", (t) => {
  const { base, path } = scene(t);
  const folder = join(base, "sub");
  mkdirSync(folder);
  const [oldFile, oldFolder] = [identifyFile(path), identifyFile(folder)];
  assert.ok(oldFile?.content && oldFolder);
  unlinkSync(path);
  writeFileSync(path, "one", { mode: 0o755 });
  rmdirSync(folder);
  mkdirSync(folder);
  const [file, newFolder] = [identifyFile(path), identifyFile(folder)];
  const content = file?.content;
  assert.ok(content && newFolder);
  // File systems like ext4 give the number again at once; on others this says the same as they would.
  assert.throws(() => requireSameFolder(folder, { ...oldFolder, inode: newFolder.inode }), InputError);
  assert.throws(() => requireSame([{ ...oldFile, inode: file.inode, content }]), /is not what it was/);
});

test("a link is followed, a folder has no content, and what is neither is not identified", (t) => {
  const { base, path } = scene(t);
  symlinkSync(path, join(base, "link"));
  assert.equal(identifyFile(join(base, "link"))?.realPath, path);
  const folder = identifyFile(base);
  assert.ok(folder && folder.content === undefined);
  requireSameFolder(base, folder);
  assert.throws(() => requireSameFolder(tmpdir(), folder), /not the one that this command was judged for/);
  assert.throws(() => requireSameFolder(join(base, "none"), folder), InputError);
  for (const other of [join(base, "none"), "/dev/null", `${path}/x`])
    assert.equal(identifyFile(other), undefined);
  assert.equal(identifyFile("/bin/sh")?.content?.sha256, undefined, "a program of the system is not read");
});
