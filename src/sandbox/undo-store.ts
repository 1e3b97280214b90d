import { hash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Clock, Random } from "../kernel/mod.ts";

/** A file as it was before one change. */
export interface FileVersion {
  readonly id: string;
  /** Which workspace: its root, hashed. */
  readonly workspace: string;
  /** Relative to the workspace, in its only spelling. */
  readonly path: string;
  readonly sessionKey: string;
  readonly runId: string;
  readonly tool: string;
  /** Unix ms, of the change. */
  readonly at: number;
  /** SHA-256 of what the file held before; absent: there was no file. */
  readonly before?: string;
  /** SHA-256 of what the change left; absent: it removed the file. */
  readonly after?: string;
  /** Of the content before; 0 when there was none. */
  readonly bytes: number;
}

export interface VersionLimits {
  readonly maxVersions: number;
  readonly maxVersionsPerWorkspace: number;
  readonly maxBytes: number;
  readonly maxBytesPerWorkspace: number;
  readonly maxAgeMs: number;
}

export const defaultVersionLimits: VersionLimits = Object.freeze({
  maxVersions: 2000,
  maxVersionsPerWorkspace: 200,
  maxBytes: 256 * 1024 * 1024,
  maxBytesPerWorkspace: 64 * 1024 * 1024,
  maxAgeMs: 7 * 86_400_000,
});

/** Earlier versions of agents' files, in one folder (700), a file (600) for each. The oldest make room for new ones. */
export interface VersionStore {
  add(version: Omit<FileVersion, "id" | "at" | "bytes">, content: Buffer): FileVersion;
  /** Of one file, newest first. */
  of(workspace: string, path: string): readonly FileVersion[];
  /** Throws when its file is gone, or is not what it was. */
  contentOf(version: FileVersion): Buffer;
  drop(id: string): void;
  /** Removes all that these conversations or runs left. Gives how many there were. */
  erase(of: { readonly sessionKeys: ReadonlySet<string>; readonly runIds: ReadonlySet<string> }): number;
}

const ending = ".version";

export function openVersions(deps: {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: VersionLimits;
}): VersionStore {
  const { folder, clock, random, limits = defaultVersionLimits } = deps;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const fileOf = (id: string) => join(folder, `${id}${ending}`);
  /** Oldest first. */
  const versions = new Map<string, FileVersion>();
  for (const name of readdirSync(folder).sort()) {
    const version = name.endsWith(ending) ? readHeader(join(folder, name)) : undefined;
    // Half a file of a gateway that was killed, or what somebody else put there: it restores nothing.
    if (version && `${version.id}${ending}` === name) versions.set(version.id, version);
    else rmSync(join(folder, name), { force: true, recursive: true });
  }
  tidy();

  function drop(id: string): void {
    versions.delete(id);
    rmSync(fileOf(id), { force: true });
  }

  function tidy(workspace?: string): void {
    const oldest = clock.now() - limits.maxAgeMs;
    for (const version of versions.values()) if (version.at < oldest) drop(version.id);
    const own = [...versions.values()].filter((version) => version.workspace === workspace);
    dropOldest(own, limits.maxVersionsPerWorkspace, limits.maxBytesPerWorkspace);
    dropOldest([...versions.values()], limits.maxVersions, limits.maxBytes);
  }

  function dropOldest(list: readonly FileVersion[], maxVersions: number, maxBytes: number): void {
    let count = list.length;
    let bytes = list.reduce((sum, version) => sum + version.bytes, 0);
    for (const version of list) {
      if (count <= maxVersions && bytes <= maxBytes) return;
      drop(version.id);
      count -= 1;
      bytes -= version.bytes;
    }
  }

  return {
    add(told, content) {
      const at = clock.now();
      // Names sort by time, so that the order is known without reading.
      const id = `${String(at).padStart(15, "0")}-${random.bytes(8).toString("hex")}`;
      const version: FileVersion = { id, at, bytes: content.length, ...told };
      writeFileSync(fileOf(id), Buffer.concat([Buffer.from(`${JSON.stringify(version)}\n`), content]), {
        mode: 0o600,
        flag: "wx",
      });
      versions.set(id, version);
      tidy(version.workspace);
      return version;
    },
    of: (workspace, path) =>
      [...versions.values()]
        .filter((version) => version.workspace === workspace && version.path === path)
        .reverse(),
    contentOf({ id, before }) {
      const bytes = readFileSync(fileOf(id));
      const content = bytes.subarray(bytes.indexOf(10) + 1);
      if (before !== digestOf(content)) throw new Error(`the version ${id} is not what it was`);
      return content;
    },
    drop,
    erase({ sessionKeys, runIds }) {
      const going = [...versions.values()].filter(
        (version) => sessionKeys.has(version.sessionKey) || runIds.has(version.runId),
      );
      for (const { id } of going) drop(id);
      return going.length;
    },
  };
}

export function digestOf(content: Buffer): string {
  return hash("sha256", content);
}

/** Longer than any path that a workspace has, and what stands around it. */
const maxHeaderBytes = 32 * 1024;

/** Its first line alone: the contents may be many megabytes. */
function readHeader(file: string): FileVersion | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const start = Buffer.alloc(maxHeaderBytes);
    const end = start.subarray(0, readSync(descriptor, start)).indexOf(10);
    const version = JSON.parse(start.toString("utf8", 0, end)) as FileVersion;
    const isWhole = fstatSync(descriptor).size === end + 1 + version.bytes;
    return isWhole && typeof version.path === "string" && typeof version.at === "number"
      ? version
      : undefined;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
