import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceFiles } from "../auth/mod.ts";
import type { Cancel, Clock } from "../kernel/mod.ts";
import type { SurfaceFile } from "./surfaces.ts";

export interface DeviceFileParts {
  /** nodes/ of the state folder; it exists. */
  readonly folder: string;
  readonly readJson: (path: string) => Promise<unknown>;
  /** Replaces the file as a whole, mode 600. */
  readonly writeJson: (path: string, value: unknown) => Promise<void>;
  readonly clock: Clock;
}

const settleMs = 50;
// Network file systems and containers' mounts tell nothing: a look at the file costs some microseconds.
const pollMs = 700;

export function openDeviceFiles(parts: DeviceFileParts): DeviceFiles {
  const paired = join(parts.folder, "paired.json");
  const pending = join(parts.folder, "pending.json");
  return {
    readPaired: () => parts.readJson(paired),
    writePaired: (value) => parts.writeJson(paired, value),
    readPending: () => parts.readJson(pending),
    writePending: (value) => parts.writeJson(pending, value),
    watch: (changed) => watchFile(parts, paired, changed),
  };
}

/** nodes/surfaces.json: what each paired node may be asked for. */
export function openSurfaceFile(parts: DeviceFileParts): SurfaceFile {
  const path = join(parts.folder, "surfaces.json");
  return {
    read: () => parts.readJson(path),
    write: (value) => parts.writeJson(path, value),
    watch: (changed) => watchFile(parts, path, changed),
  };
}

/** Calls back once now and then soon after each change of the file at `path`, in `folder`. */
export function watchFile(
  parts: Pick<DeviceFileParts, "folder" | "clock">,
  path: string,
  changed: () => void,
): Cancel {
  let last = "";
  let closed = false;
  let settling: Cancel | undefined;
  const look = async (): Promise<void> => {
    const now = await stampOf(path);
    if (closed || now === last) return;
    last = now;
    changed();
  };
  // The folder, not the file: an editor that renames a new file over the old one would leave us watching the old.
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(parts.folder, { persistent: false }, () => {
      settling ??= parts.clock.after(settleMs, () => {
        settling = undefined;
        void look();
      });
    });
    watcher.on("error", () => watcher?.close());
  } catch {
    watcher = undefined;
  }
  let cancelPoll = parts.clock.after(pollMs, function poll() {
    void look();
    cancelPoll = parts.clock.after(pollMs, poll);
  });
  return () => {
    closed = true;
    settling?.();
    cancelPoll();
    watcher?.close();
  };
}

/** Differs when the file does; "" when there is none. */
async function stampOf(path: string): Promise<string> {
  try {
    const found = await stat(path, { bigint: true });
    return `${found.ino}:${found.size}:${found.mtimeNs}:${found.mode}`;
  } catch {
    return "";
  }
}
