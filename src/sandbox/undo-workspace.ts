import { hash } from "node:crypto";
import { InputError, type Log } from "../kernel/mod.ts";
import type { FileVersions, Workspace } from "./tool.ts";
import { digestOf, type FileVersion, type VersionStore } from "./undo-store.ts";
import { parseWorkspacePath, showPath } from "./workspace-path.ts";

/** Larger files are changed without keeping what they were. */
const maxKeptBytes = 10 * 1024 * 1024;

/** Whose change it is. */
export interface Change {
  readonly sessionKey: string;
  readonly runId: string;
  readonly tool: string;
}

/**
 * The workspace of one call, which keeps each file as it was before the call changed it. A version that cannot be kept
 * does not keep a file from being written; the log says so.
 */
export function keepingVersions(
  workspace: Workspace,
  /** Opened when the first file is changed. */
  open: () => VersionStore,
  change: Change,
  log: Log,
): { readonly workspace: Workspace; readonly versions: FileVersions } {
  const root = hash("sha256", workspace.root);
  const plain = (path: string) => parseWorkspacePath(workspace.root, path).join("/");
  /** What this call kept, by path: a call that fails puts back what it did, and leaves no version. */
  const kept = new Map<string, FileVersion>();

  /** Undefined: there is no file. "unknown": it cannot be kept. */
  async function contentOf(path: string): Promise<Buffer | undefined | "unknown"> {
    if (!(await workspace.exists(path))) return undefined;
    try {
      const { bytes, truncated } = await workspace.read(path, maxKeptBytes);
      return truncated ? "unknown" : bytes;
    } catch (error) {
      // A link that is to be removed, for one.
      if (error instanceof InputError) return "unknown";
      throw error;
    }
  }

  async function changing<T>(path: string, after: Buffer | undefined, act: () => Promise<T>): Promise<T> {
    const before = await contentOf(path);
    const result = await act();
    const name = plain(path);
    const first = kept.get(name);
    if (first && first.before === (after && digestOf(after))) {
      open().drop(first.id);
      kept.delete(name);
    } else if (before !== "unknown") keep(name, before, after);
    return result;
  }

  function keep(path: string, before: Buffer | undefined, after: Buffer | undefined): void {
    try {
      const version = open().add(
        {
          ...{ ...change, workspace: root, path },
          ...(before ? { before: digestOf(before) } : {}),
          ...(after ? { after: digestOf(after) } : {}),
        },
        before ?? Buffer.alloc(0),
      );
      kept.set(path, version);
    } catch (error) {
      log("warn", "what a file was before could not be kept", {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }

  async function restore(path: string): Promise<{ readonly version: FileVersion; readonly left: number }> {
    const store = open();
    const [version, ...older] = store.of(root, plain(path));
    if (!version)
      throw new InputError(
        `Nothing is kept of ${showPath(path)}: no tool changed it lately, or it was too large.`,
      );
    const now = await contentOf(path);
    if (now === "unknown" || (now && digestOf(now)) !== version.after)
      throw new InputError(
        `${showPath(path)} was changed again since then, by a command or somebody else. It was left as it is.`,
      );
    if (version.before === undefined) await workspace.remove(path);
    else await workspace.write(path, store.contentOf(version));
    store.drop(version.id);
    return { version, left: older.length };
  }

  return {
    workspace: {
      ...workspace,
      write: (path, bytes) => changing(path, bytes, () => workspace.write(path, bytes)),
      remove: (path) => changing(path, undefined, () => workspace.remove(path)),
    },
    versions: { of: (path) => open().of(root, plain(path)), restore },
  };
}
