import { existsSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ControlGroups } from "./control-groups.ts";

/**
 * All processes of one command on the host together, where this process may make control groups. What is in it stays in
 * it, whatever it does to its environment, its session and its parents.
 */
export interface CommandGroup {
  /** What `start` starts is in the group from its beginning. Where threads cannot be moved by themselves: see enter. */
  within<T>(start: () => T): T;
  /** Right after its start; what has forked before that is outside. Needed only where `within` does nothing. */
  enter(pid: number): void;
  processes(): readonly number[];
  /** No process in it can start another one any more. */
  stopForks(): void;
  /** Once nothing is in it. */
  remove(): void;
}

/** Undefined: this process may make none. */
export function openCommandGroup(
  groups: ControlGroups,
  id: string,
  maxProcesses: number,
): CommandGroup | undefined {
  const open = () => groups.open(id, { maxProcesses })[0];
  const file = open();
  if (file === undefined) return undefined;
  const folder = dirname(file);
  // Only the first version of control groups moves single threads; this one then starts programs for the group.
  const door = join(folder, "tasks");
  const home = existsSync(door) ? ownThreads(dirname(folder)) : undefined;

  function write(path: string, value: string): boolean {
    try {
      writeFileSync(path, value);
      return true;
    } catch {
      return false;
    }
  }

  return {
    within(start) {
      // It may have been tidied away while it was empty. 0 is whoever writes.
      if (home === undefined || !(write(door, "0") || (open() && write(door, "0")))) return start();
      try {
        return start();
      } finally {
        writeFileSync(home, "0");
      }
    },
    enter(pid) {
      if (home === undefined && !write(file, String(pid)) && open()) write(file, String(pid));
    },
    processes: () => groups.processes(id),
    stopForks: () => void write(join(folder, "pids.max"), "0"),
    remove() {
      try {
        rmdirSync(folder);
      } catch {
        // Somebody is still ending in it; it goes with the next tidying.
      }
    },
  };
}

/** The file that a thread of this process goes back into; a container sees its own group as the first. */
function ownThreads(parent: string): string | undefined {
  try {
    const path = /^\d+:(?:[^:]*,)?pids(?:,[^:]*)?:(.*)$/m.exec(
      readFileSync("/proc/self/cgroup", "utf8"),
    )?.[1];
    const own = join(parent, path ?? "", "tasks");
    return existsSync(own) ? own : join(parent, "tasks");
  } catch {
    return undefined;
  }
}
