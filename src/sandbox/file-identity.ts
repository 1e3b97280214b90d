import { createHash } from "node:crypto";
import { type BigIntStats, closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { InputError } from "../kernel/mod.ts";
import type { FileIdentity } from "../policy/command-tree.ts";
import { showPath } from "./workspace-path.ts";

/** Larger files are told apart by size and time of change alone, which only root can forge. */
const maxHashedBytes = 16 * 1024 * 1024;

/**
 * What stands at an absolute path, links followed: a file with its content, or a folder. Undefined when there is
 * nothing, when it cannot be read, or when it is neither. Synchronous, so that nothing of ours happens between this
 * look and what follows it.
 */
export function identifyFile(path: string): FileIdentity | undefined {
  try {
    const realPath = realpathSync.native(path);
    const stat = statSync(realPath, { bigint: true });
    const identity = {
      path,
      realPath,
      device: `${stat.dev}`,
      inode: `${stat.ino}`,
      bornAtNs: `${stat.birthtimeNs}`,
    };
    if (stat.isDirectory()) return identity;
    if (!stat.isFile()) return undefined;
    const facts = { size: `${stat.size}`, changedAtNs: `${stat.ctimeNs}` };
    return {
      ...identity,
      content: needsHash(realPath, stat) ? { ...facts, sha256: hashOf(realPath, stat) } : facts,
    };
  } catch {
    return undefined;
  }
}

/**
 * Programs of the system, which nobody but root may write, change when a package does, and the time of their change
 * tells it. Who owns a file is not enough: a gateway that runs as root owns its workspace.
 */
function needsHash(realPath: string, stat: BigIntStats): boolean {
  const isOfSystem =
    /^\/(?:usr|bin|sbin|lib|lib64|nix\/store)\//.test(realPath) &&
    stat.uid === 0n &&
    (stat.mode & 0o022n) === 0n;
  return stat.size <= maxHashedBytes && !isOfSystem;
}

function hashOf(path: string, expected: BigIntStats): string {
  const descriptor = openSync(path, "r");
  try {
    const stat = fstatSync(descriptor, { bigint: true });
    if (stat.ino !== expected.ino || stat.dev !== expected.dev) throw new Error("changed while it was read");
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(65_536);
    for (let length = readSync(descriptor, buffer); length > 0; length = readSync(descriptor, buffer))
      hash.update(buffer.subarray(0, length));
    return hash.digest("hex");
  } finally {
    closeSync(descriptor);
  }
}

/** Throws an InputError that names the first file that is no longer what was judged. */
export function requireSame(files: readonly FileIdentity[]): void {
  for (const file of files) {
    const now = identifyFile(file.path);
    const same =
      now !== undefined &&
      now.realPath === file.realPath &&
      isSameFile(now, file) &&
      now.content?.size === file.content?.size &&
      now.content?.changedAtNs === file.content?.changedAtNs &&
      now.content?.sha256 === file.content?.sha256;
    if (!same)
      throw new InputError(
        `${showPath(file.path)} is not what it was when this command was judged. Nothing more was started; make the call again to have it judged as it is now.`,
      );
  }
}

/** Throws an InputError when the folder is another one than was judged, whatever its name. */
export function requireSameFolder(path: string, judged: FileIdentity): void {
  const now = identifyFile(path);
  if (now === undefined || !isSameFile(now, judged))
    throw new InputError(
      `The folder ${showPath(judged.path)} is not the one that this command was judged for. Nothing was started; make the call again.`,
    );
}

function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode && a.bornAtNs === b.bornAtNs;
}
