import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Cancel, Clock } from "../kernel/mod.ts";
import { type ConfigPath, formatPath } from "./config-path.ts";
import type { ConfigProblem } from "./config-problem.ts";
import { changedPaths } from "./diff.ts";
import { type LoadDeps, type LoadedConfig, loadConfig } from "./load.ts";
import { type ReloadKind, reloadKind } from "./reload-kinds.ts";

export interface ConfigChange {
  readonly before: LoadedConfig;
  readonly after: LoadedConfig;
  /** What differs, each with what it takes; never empty. In the order of the file. */
  readonly changes: readonly { readonly path: string; readonly kind: ReloadKind }[];
  /** The strictest of the kinds. */
  readonly kind: ReloadKind;
}

export interface WatchOptions {
  readonly load: LoadDeps;
  /** What is running now. */
  readonly current: LoadedConfig;
  readonly clock: Clock;
  /** Called after each valid change, one at a time. What is running counts as `after` from then on. */
  readonly onChange: (change: ConfigChange) => void | Promise<void>;
  /** Called when the file on disk is not valid; what is running stays. */
  readonly onInvalid: (problems: readonly ConfigProblem[]) => void;
  /** How long the files must be quiet: editors write in several steps. Default 150. */
  readonly settleMs?: number;
}

export interface ConfigWatch {
  /** Looks at the files now. Resolves when everything seen so far has been handled; with what keeps it from counting. */
  reload(): Promise<readonly ConfigProblem[]>;
  close(): void;
}

/**
 * Reloads when the config or an included file changes. Folders are watched, not files: an editor that renames a new
 * file over the old one would leave a file watch looking at the deleted one. `gateway.reload.mode: "off"` keeps
 * changes from being applied until {@link ConfigWatch.reload} is called.
 */
export function watchConfig(options: WatchOptions): ConfigWatch {
  const { clock, settleMs = 150 } = options;
  const watchers = new Map<string, FSWatcher>();
  let files: readonly string[] = options.current.files;
  let current = options.current;
  let lastInvalid: string | undefined;
  let pending: Cancel | undefined;
  let working: Promise<readonly ConfigProblem[]> = Promise.resolve([]);
  let closed = false;

  const soon = (delayMs = settleMs): void => {
    pending?.();
    pending = closed ? undefined : clock.after(delayMs, () => void run(false));
  };

  const run = (asked: boolean): Promise<readonly ConfigProblem[]> => {
    working = working.then(() => refresh(asked));
    return working;
  };

  const refresh = async (asked: boolean): Promise<readonly ConfigProblem[]> => {
    if (closed) return [];
    const next = await loadConfig(options.load);
    if (closed) return [];
    // A broken file may no longer name its includes: keep an eye on the old ones too.
    files = next.ok ? next.files : [...new Set([...current.files, ...next.files])];
    arm();
    if (!next.ok) {
      const state = JSON.stringify(next.problems);
      if (state !== lastInvalid) options.onInvalid(next.problems);
      lastInvalid = state;
      return next.problems;
    }
    lastInvalid = undefined;
    if (current.config.gateway?.reload?.mode === "off" && !asked) return [];
    const before = current;
    const paths = changedPaths(before.config, next.config);
    current = next;
    if (paths.length > 0) await options.onChange(describeChange(before, next, paths));
    return [];
  };

  const arm = (): void => {
    const folders = new Set(files.map((file) => dirname(file)));
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of folders) if (!watchers.has(folder)) watchFolder(folder);
  };

  const watchFolder = (folder: string): void => {
    const lost = (): void => {
      watchers.get(folder)?.close();
      watchers.delete(folder);
      // The folder went away, perhaps to be put back: look again until it is there.
      soon(Math.max(settleMs, 1_000));
    };
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        const mine = files.some((file) => dirname(file) === folder && basename(file) === name);
        if (name === null || mine) soon();
      });
      watcher.on("error", lost);
      watchers.set(folder, watcher);
    } catch {
      lost();
    }
  };

  arm();
  return {
    reload: () => run(true),
    close() {
      closed = true;
      pending?.();
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

/** What a change from one config to the other takes. */
export function describeChange(
  before: LoadedConfig,
  after: LoadedConfig,
  paths: readonly ConfigPath[] = changedPaths(before.config, after.config),
): ConfigChange {
  const changes = paths.map((path) => ({ path: formatPath(path), kind: reloadKind(path) }));
  const kinds = changes.map((change) => change.kind);
  const kind = kinds.includes("restart") ? "restart" : kinds.includes("hot") ? "hot" : "none";
  return { before, after, changes, kind };
}
