import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Limits on all processes of a sandbox together, where this process may make control groups (mostly: as root, whose
 * processes the kernel limits in no other way). Without any, each process has limits of its own; whether those hold is
 * for the proof to find out.
 */
export interface ControlGroups {
  /** Makes or adjusts the groups of a sandbox, or of a command. Gives the files that a process is written into; empty: there are none. */
  open(
    id: string,
    limits: { readonly maxProcesses: number; readonly maxMemoryBytes?: number },
  ): readonly string[];
  /** What runs in a group, also in one that an earlier gateway made. */
  processes(id: string): readonly number[];
  /** Removes every group of this state folder that has no process left, an earlier gateway's too. */
  removeEmpty(): void;
}

/** `mark` tells this state folder's groups from another's. `root` is where control groups are mounted. */
export function createControlGroups(mark: string, root = "/sys/fs/cgroup"): ControlGroups {
  const prefix = `openclaw-${mark}-`;
  const isUnified = existsSync(join(root, "cgroup.controllers"));
  const parents = isUnified ? [root] : [join(root, "pids"), join(root, "memory")];

  function set(folder: string, values: Readonly<Record<string, number>>): void {
    mkdirSync(folder, { recursive: true });
    for (const [name, value] of Object.entries(values)) writeFileSync(join(folder, name), String(value));
  }

  return {
    open(id, { maxProcesses, maxMemoryBytes }) {
      const limited = maxMemoryBytes === undefined ? parents.slice(0, 1) : parents;
      const folders = limited.map((parent) => join(parent, prefix + id));
      try {
        if (isUnified) {
          const enabled = readFileSync(join(root, "cgroup.subtree_control"), "utf8").split(/\s+/);
          if (!enabled.includes("pids") || !enabled.includes("memory")) return [];
          const memory = maxMemoryBytes === undefined ? {} : { "memory.max": maxMemoryBytes };
          set(folders[0] as string, { "pids.max": maxProcesses, ...memory });
        } else {
          set(folders[0] as string, { "pids.max": maxProcesses });
          if (maxMemoryBytes !== undefined)
            set(folders[1] as string, { "memory.limit_in_bytes": maxMemoryBytes });
        }
        return folders.map((folder) => join(folder, "cgroup.procs"));
      } catch {
        // Not for us to make.
        return [];
      }
    },
    processes(id) {
      try {
        const text = readFileSync(join(parents[0] as string, prefix + id, "cgroup.procs"), "utf8");
        // 0 stands for what another namespace of processes holds.
        return text
          .split("\n")
          .map(Number)
          .filter((pid) => pid > 0);
      } catch {
        return [];
      }
    },
    removeEmpty() {
      for (const parent of parents) {
        for (const name of namesIn(parent)) {
          if (!name.startsWith(prefix)) continue;
          try {
            rmdirSync(join(parent, name));
          } catch {
            // Somebody is still in it.
          }
        }
      }
    },
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
