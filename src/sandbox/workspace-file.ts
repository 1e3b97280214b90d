/** One file of a workspace, in a folder that is open: looked at, opened through no link, read and written. */
import type { Stats } from "node:fs";
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { InputError } from "../kernel/mod.ts";
import { codeOf, type Folder } from "./folder.ts";
import { showPath } from "./workspace-path.ts";

const noFollow = constants.O_NOFOLLOW | constants.O_NONBLOCK;

export async function look(folder: Folder, name: string): Promise<Stats | undefined> {
  try {
    return await lstat(folder.at(name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

export function requireFile(stat: Stats | undefined, path: string): asserts stat is Stats {
  if (!stat) throw absent(path);
  if (stat.isSymbolicLink())
    throw new InputError(
      `${showPath(path)} is a symbolic link. Links are not followed; use the file's own path.`,
    );
  if (stat.isDirectory()) throw new InputError(`${showPath(path)} is a folder, not a file.`);
  // A pipe would block, a device would act.
  if (!stat.isFile())
    throw new InputError(`${showPath(path)} is not a regular file (pipe, socket or device).`);
  // The other name may be a file outside the workspace: reading would leak it, writing would detach it.
  if (stat.nlink > 1)
    throw new InputError(
      `${showPath(path)} has more than one name (hard links). Copy it to a new file first.`,
    );
}

export async function openFile(folder: Folder, name: string, path: string): Promise<FileHandle> {
  try {
    return await open(folder.at(name), constants.O_RDONLY | noFollow);
  } catch (error) {
    throw codeOf(error) === "ELOOP" ? changed(path) : fileFault(error, path);
  }
}

/** Emptied only once it is known to be the file that was looked at. Undefined: it was made in between. */
export function openChecked(
  folder: Folder,
  name: string,
  path: string,
  access: "read" | "write" | "append",
  before: Stats | undefined,
): number | undefined {
  const writing = constants.O_WRONLY | (access === "append" ? constants.O_APPEND : 0);
  const creating = before ? 0 : constants.O_CREAT | constants.O_EXCL;
  let descriptor: number;
  try {
    const flags = access === "read" ? constants.O_RDONLY : writing | creating;
    descriptor = openSync(folder.at(name), flags | noFollow, 0o600);
  } catch (error) {
    if (creating && codeOf(error) === "EEXIST") return undefined;
    throw ["ELOOP", "ENXIO", "EISDIR"].includes(codeOf(error)) ? changed(path) : fileFault(error, path);
  }
  try {
    const stat = fstatSync(descriptor);
    requireFile(stat, path);
    if (before && !sameFile(before, stat)) throw changed(path);
    if (access === "write") ftruncateSync(descriptor);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

export async function readAtMost(
  handle: FileHandle,
  maxBytes: number,
  size: number,
): Promise<{ readonly bytes: Buffer; readonly truncated: boolean; readonly size: number }> {
  // One byte more than asked tells whether there was more, also for a file that grows while it is read.
  const buffer = Buffer.alloc(Math.min(maxBytes, size + 65_536) + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  const kept = Math.min(length, maxBytes);
  return { bytes: buffer.subarray(0, kept), truncated: length > kept || size > kept, size };
}

/**
 * What the gateway writes as root belongs to whom the folder belongs to, as if they had written it: a container's
 * commands, which are not root.
 */
export async function stage(path: string, bytes: Buffer, mode: number, owner: Stats): Promise<void> {
  const handle = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow,
    0o600,
  );
  try {
    await handle.writeFile(bytes);
    await handle.chmod(mode);
    if (owner.uid !== 0) await handle.chown(owner.uid, owner.gid).catch(() => {});
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** An inode number alone is not enough: a link made right after the file was deleted often gets the same one. */
export function sameFile(a: Stats, b: Stats): boolean {
  const sameType = (a.mode & constants.S_IFMT) === (b.mode & constants.S_IFMT);
  return sameType && a.dev === b.dev && a.ino === b.ino && a.birthtimeMs === b.birthtimeMs;
}

export function fileFault(error: unknown, path: string): unknown {
  switch (codeOf(error)) {
    case "ENOENT":
      return absent(path);
    case "EACCES":
    case "EPERM":
      return new InputError(`${showPath(path)} may not be opened (permission denied).`);
    case "ENOSPC":
    case "EDQUOT":
      return new InputError(`${showPath(path)} was not written: the disk is full. Free some space first.`);
    case "EROFS":
      return new InputError(`${showPath(path)} was not written: the workspace is read-only.`);
    default:
      return error;
  }
}

export function absent(path: string): InputError {
  return new InputError(`There is no file ${showPath(path)} in the workspace.`);
}

export function changed(path: string): InputError {
  return new InputError(
    `${showPath(path)} changed identity between the check and its use. Try again; if it repeats, something is racing the agent.`,
  );
}
