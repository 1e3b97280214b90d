import type { Stats } from "node:fs";
import { constants } from "node:fs";
import { type FileHandle, lchown, lstat, mkdir, open, readlink, realpath } from "node:fs/promises";
import { InputError } from "../kernel/mod.ts";
import { showPath } from "./workspace-path.ts";

/**
 * An opened directory of a workspace. Names are reached from its descriptor, never from a string that the kernel
 * would resolve again from "/", so whoever swaps a parent for a link in between changes nothing.
 */
export interface Folder {
  readonly handle: FileHandle;
  /** The path to hand to a system call for an entry (or, with "", for the folder itself). */
  at(name: string): string;
  /** Where the kernel says that it is now. */
  whereabouts(): Promise<string>;
  /** Throws when the folder is no longer where it was found. */
  verify(): Promise<void>;
  close(): Promise<void>;
}

const openFolderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Opens the root of a workspace. Links in the root's own path are the operator's and are followed, once.
 * Without `descriptorPaths` it works as on a system that has none.
 */
export async function openRootFolder(root: string, descriptorPaths: boolean): Promise<Folder> {
  const path = await realpath(root);
  const handle = await open(path, openFolderFlags);
  try {
    const stat = await handle.stat();
    return descriptorPaths && (await hasDescriptorPaths(handle))
      ? anchored(handle)
      : verified(handle, path, stat, undefined);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Walks `names` down from `root`, one descriptor at a time, following no link. The caller closes what it gets.
 * With `create`, missing folders are made (700). Throws an InputError that names the part that is wrong.
 */
export async function walk(
  root: Folder,
  names: readonly string[],
  options: { readonly create: boolean; readonly path: string },
): Promise<Folder> {
  let folder = await child(root, ".");
  const passed: string[] = [];
  for (const name of names) {
    passed.push(name);
    const parent = folder;
    try {
      if (options.create) await makeFolder(parent, name);
      folder = await child(parent, name);
    } catch (error) {
      throw folderFault(error, passed.join("/"), options.path);
    } finally {
      await parent.close();
    }
  }
  return folder;
}

async function child(parent: Folder, name: string): Promise<Folder> {
  const path = parent.at(name);
  const handle = await open(path, openFolderFlags);
  if (!isVerified(parent)) return anchored(handle);
  return verified(handle, path, await handle.stat(), name === "." ? parent.parent : parent);
}

async function makeFolder(parent: Folder, name: string): Promise<void> {
  try {
    await mkdir(parent.at(name), { mode: 0o700 });
    const { uid, gid } = await parent.handle.stat();
    // By name, but of the entry itself: a link in its place leads nowhere. Only root may, and only root has to.
    if (uid !== 0) await lchown(parent.at(name), uid, gid).catch(() => {});
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

/** Linux: /proc/self/fd/N/name starts at the descriptor itself, as openat would. */
function anchored(handle: FileHandle): Folder {
  const self = `/proc/self/fd/${handle.fd}`;
  const whereabouts = () => readlink(self);
  return {
    handle,
    at: (name) => (name === "" ? self : `${self}/${name}`),
    whereabouts,
    verify: async () => {},
    close: () => handle.close(),
  };
}

async function hasDescriptorPaths(handle: FileHandle): Promise<boolean> {
  try {
    await readlink(`/proc/self/fd/${handle.fd}`);
    return true;
  } catch {
    return false;
  }
}

interface VerifiedFolder extends Folder {
  readonly parent: Folder | undefined;
}

function isVerified(folder: Folder): folder is VerifiedFolder {
  return "parent" in folder;
}

/**
 * Elsewhere: paths are strings, so each use is surrounded by a check that every folder above still is the one that
 * was opened. This narrows a race but cannot close it; only Linux gives the full promise.
 */
function verified(
  handle: FileHandle,
  path: string,
  opened: Stats,
  parent: Folder | undefined,
): VerifiedFolder {
  return {
    handle,
    parent,
    at: (name) => (name === "" || name === "." ? path : `${path}/${name}`),
    whereabouts: async () => path,
    async verify() {
      await parent?.verify();
      const now = await lstat(path);
      if (now.dev !== opened.dev || now.ino !== opened.ino || !now.isDirectory())
        throw new InputError(
          `The folder ${showPath(path)} changed while it was being used. Try again; if it repeats, something is racing the agent.`,
        );
    },
    close: () => handle.close(),
  };
}

function folderFault(error: unknown, part: string, path: string): unknown {
  switch (codeOf(error)) {
    case "ENOENT":
      return new MissingFolder(
        `There is no folder ${showPath(part)} in the workspace (path ${showPath(path)}).`,
      );
    case "ENOTDIR":
    case "ELOOP":
      return new InputError(
        `${showPath(part)} in the path ${showPath(path)} is not a real folder: files have nothing below them, and symbolic links are not followed.`,
      );
    case "EACCES":
    case "EPERM":
      return new InputError(`The folder ${showPath(part)} may not be opened (permission denied).`);
    default:
      return error;
  }
}

/** A folder on the way does not exist; for a question like "does it exist?" that is an answer. */
export class MissingFolder extends InputError {}

/** The system's name for an error ("ENOENT"), or "". */
export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}
