import { opendir, rename, unlink } from "node:fs/promises";
import { InputError, type Random } from "../kernel/mod.ts";
import { type Folder, MissingFolder, openRootFolder, walk } from "./folder.ts";
import { targetInside } from "./inside-links.ts";
import type { Workspace } from "./tool.ts";
import {
  absent,
  changed,
  fileFault,
  look,
  openChecked,
  openFile,
  readAtMost,
  requireFile,
  sameFile,
  stage,
} from "./workspace-file.ts";
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
