import type { Stats } from "node:fs";
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from "node:fs";
import { type FileHandle, lstat, open, opendir, rename, unlink } from "node:fs/promises";
import { InputError, type Random } from "../kernel/mod.ts";
import { codeOf, type Folder, MissingFolder, openRootFolder, walk } from "./folder.ts";
import { targetInside } from "./inside-links.ts";
import type { Workspace } from "./tool.ts";
import { parseWorkspacePath, refuseRepositoryFolder, showPath } from "./workspace-path.ts";

/** A workspace on this host. */
export interface HostWorkspace extends Workspace {
  /**
   * Opens a folder for a command to start in. `path` is what to hand to the spawn: on Linux it leads through the
   * descriptor, so the command starts in the folder that was checked, whatever its name means by then.
   */
  openFolder(path: string): Promise<OpenedFolder>;
  close(): Promise<void>;
}

/** A folder that a command works in. */
export interface OpenedFolder {
  readonly path: string;
  /** Another folder of the workspace, named as seen from this one; the workspace itself without a name. */
  openFolder(path: string | undefined): Promise<OpenedFolder>;
  /**
   * A descriptor of a file, named as seen from this folder, that the caller closes: a regular file of the workspace
   * with one name, reached through no link. "write" empties it; new files are 600.
   */
  openFile(path: string, access: "read" | "write" | "append"): Promise<number>;
  close(): Promise<void>;
}

/** Moments between a check and its use, where a test lets the attacker move. */
export type WorkspaceStep = "resolved" | "checked" | "staged";

export interface WorkspaceDeps {
  readonly random: Random;
  readonly onStep?: (step: WorkspaceStep, path: string) => void | Promise<void>;
  /** False: work as on a system without /proc, by checking paths before and after. Default: what the system has. */
  readonly descriptorPaths?: boolean;
}

const maxListedNames = 100_000;
const noFollow = constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens the folder `root` (which must exist) as a workspace. No operation goes through a symbolic link below the root.
 * For what is read, a link that stays inside is looked up first, and then what it comes to is opened like any other
 * path: through no link. Removing a link itself is allowed.
 */
export async function openWorkspace(root: string, deps: WorkspaceDeps): Promise<HostWorkspace> {
  const rootFolder = await openRootFolder(root, deps.descriptorPaths ?? true);
  const rootPath = await rootFolder.whereabouts();

  /** Runs `use` in the folder that holds the last name of `path`. */
  async function inParent<T>(
    path: string,
    create: boolean,
    use: (folder: Folder, name: string) => Promise<T>,
    names = parse(path),
  ): Promise<T> {
    const name = names.at(-1);
    if (name === undefined) throw new InputError(`${showPath(path)} is the workspace itself, not a file.`);
    return inFolder(path, names.slice(0, -1), create, (folder) => use(folder, name));
  }

  async function inFolder<T>(
    path: string,
    names: readonly string[],
    create: boolean,
    use: (folder: Folder) => Promise<T>,
  ): Promise<T> {
    const folder = await walk(rootFolder, names, { create, path });
    try {
      await deps.onStep?.("resolved", path);
      await confirmPlace(folder, names, path);
      const result = await use(folder);
      await folder.verify();
      return result;
    } finally {
      await folder.close();
    }
  }

  // A folder that was moved away after it was opened keeps its descriptor: asking the kernel where it is now stops
  // an attacker who carries an opened folder out of the workspace.
  async function confirmPlace(folder: Folder, names: readonly string[], path: string): Promise<void> {
    await folder.verify();
    const expected = [await rootFolder.whereabouts(), ...names].join("/");
    if ((await folder.whereabouts()) !== expected) throw changed(path);
  }

  /** For reading: when the path itself fails and has links that stay inside, what they come to is tried instead. */
  async function reading<T>(path: string, use: (names: readonly string[]) => Promise<T>): Promise<T> {
    const names = parse(path);
    try {
      return await use(names);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const target = await targetInside(rootFolder, rootPath, names);
      if (target === undefined) throw error;
      return await use(target);
    }
  }

  function parse(path: string): readonly string[] {
    // The root may be named as it was given, or as it really is.
    if (root !== rootPath && (path === root || path.startsWith(`${root}/`)))
      return parseWorkspacePath(root, path);
    return parseWorkspacePath(rootPath, path);
  }

  function namesToChange(path: string): readonly string[] {
    const names = parse(path);
    refuseRepositoryFolder(names, path);
    return names;
  }

  async function openAt(names: readonly string[], path: string): Promise<OpenedFolder> {
    const folder = await walk(rootFolder, names, { create: false, path });
    try {
      await confirmPlace(folder, names, path);
    } catch (error) {
      await folder.close();
      throw error;
    }
    // Absolute names start at the root, all others here.
    const from = (other: string) => (other.startsWith("/") ? parse(other) : [...names, ...parse(other)]);
    return {
      path: folder.at(""),
      openFolder: (other) => openAt(other === undefined ? [] : from(other), other ?? "."),
      openFile: (other, access) => openFor(from(other), other, access),
      close: () => folder.close(),
    };
  }

  async function openFor(
    names: readonly string[],
    path: string,
    access: "read" | "write" | "append",
  ): Promise<number> {
    const name = names.at(-1);
    if (name === undefined || path.endsWith("/"))
      throw new InputError(`${showPath(path)} names a folder, not a file.`);
    if (access !== "read") refuseRepositoryFolder(names, path);
    return inFolder(path, names.slice(0, -1), false, async (folder) => {
      for (let left = 3; ; left -= 1) {
        const before = await look(folder, name);
        if (before || access === "read") requireFile(before, path);
        await deps.onStep?.("checked", path);
        const descriptor = openChecked(folder, name, path, access, before);
        if (descriptor !== undefined) return descriptor;
        // Another part of the same pipeline may have made it in the meantime.
        if (left === 0) throw changed(path);
      }
    });
  }

  async function readIn(folder: Folder, name: string, path: string, maxBytes: number) {
    const before = await look(folder, name);
    requireFile(before, path);
    await deps.onStep?.("checked", path);
    const handle = await openFile(folder, name, path);
    try {
      const stat = await handle.stat();
      requireFile(stat, path);
      if (!sameFile(before, stat)) throw changed(path);
      return await readAtMost(handle, maxBytes, stat.size);
    } finally {
      await handle.close();
    }
  }

  return {
    root: rootPath,

    read: (path, maxBytes) =>
      reading(path, (names) =>
        inParent(path, false, (folder, name) => readIn(folder, name, path, maxBytes), names),
      ),

    list: (path, limit) =>
      reading(path, (names) => inFolder(path, names, false, (folder) => namesIn(folder, limit))),

    write: async (path, bytes) =>
      inParent(
        path,
        true,
        async (folder, name) => {
          const before = await look(folder, name);
          if (before) requireFile(before, path);
          await deps.onStep?.("checked", path);
          const temporary = `.openclaw-${deps.random.bytes(12).toString("hex")}.tmp`;
          try {
            // Kept: what made the file executable. Not kept: other users' right to read what the agent writes.
            await stage(
              folder.at(temporary),
              bytes,
              0o600 | ((before?.mode ?? 0) & 0o111),
              await folder.handle.stat(),
            );
            await deps.onStep?.("staged", path);
            await folder.verify();
            const now = await look(folder, name);
            if (before ? !now || !sameFile(before, now) : now !== undefined) throw changed(path);
            await rename(folder.at(temporary), folder.at(name));
          } catch (error) {
            await unlink(folder.at(temporary)).catch(() => {});
            throw fileFault(error, path);
          }
          await folder.handle.sync();
          return { created: before === undefined };
        },
        namesToChange(path),
      ),

    remove: async (path) =>
      inParent(
        path,
        false,
        async (folder, name) => {
          const stat = await look(folder, name);
          if (!stat) throw absent(path);
          if (stat.isDirectory())
            throw new InputError(`${showPath(path)} is a folder; only files are removed.`);
          await deps.onStep?.("checked", path);
          try {
            await unlink(folder.at(name));
          } catch (error) {
            throw fileFault(error, path);
          }
          await folder.handle.sync();
        },
        namesToChange(path),
      ),

    async exists(path) {
      const names = parse(path);
      if (names.length === 0) return true;
      try {
        return await inParent(path, false, async (folder, name) => (await look(folder, name)) !== undefined);
      } catch (error) {
        if (error instanceof MissingFolder) return false;
        throw error;
      }
    },

    openFolder: (path) => openAt(parse(path), path),

    close: () => rootFolder.close(),
  };
}

async function namesIn(folder: Folder, limit: number): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const entry of await opendir(folder.at(""))) {
    names.push(entry.isDirectory() ? `${entry.name}/` : entry.name);
    if (names.length >= maxListedNames) break;
  }
  return names.sort().slice(0, limit);
}

async function look(folder: Folder, name: string): Promise<Stats | undefined> {
  try {
    return await lstat(folder.at(name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function requireFile(stat: Stats | undefined, path: string): asserts stat is Stats {
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

async function openFile(folder: Folder, name: string, path: string): Promise<FileHandle> {
  try {
    return await open(folder.at(name), constants.O_RDONLY | noFollow);
  } catch (error) {
    throw codeOf(error) === "ELOOP" ? changed(path) : fileFault(error, path);
  }
}

/** Emptied only once it is known to be the file that was looked at. Undefined: it was made in between. */
function openChecked(
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

async function readAtMost(
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
async function stage(path: string, bytes: Buffer, mode: number, owner: Stats): Promise<void> {
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
function sameFile(a: Stats, b: Stats): boolean {
  const sameType = (a.mode & constants.S_IFMT) === (b.mode & constants.S_IFMT);
  return sameType && a.dev === b.dev && a.ino === b.ino && a.birthtimeMs === b.birthtimeMs;
}

function fileFault(error: unknown, path: string): unknown {
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

function absent(path: string): InputError {
  return new InputError(`There is no file ${showPath(path)} in the workspace.`);
}

function changed(path: string): InputError {
  return new InputError(
    `${showPath(path)} changed identity between the check and its use. Try again; if it repeats, something is racing the agent.`,
  );
}
