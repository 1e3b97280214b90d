import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  write,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { InputError } from "../kernel/mod.ts";

/** Where this user's log lies: the folder, or one beside it where another user of the machine was first. */
export function ownLogFolder(folder: string, uid: number): string {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat && uid >= 0 && stat.uid !== uid ? `${folder}-${uid}` : folder;
}

/** Appends lines to one file per day. */
export interface LogFile {
  append(line: string, at: Date): void;
  /** Resolves when everything is written. */
  flush(): Promise<void>;
  close(): void;
  path(at: Date): string;
}

/**
 * Opens the day's file in a folder that only this user can write to. `/tmp` is everybody's: somebody else may have
 * made the folder or put a link there first, so owner, kind and mode are checked before anything is written.
 */
export function openLogFile(folder: string, name: string, uid: number, fixedPath?: string): LogFile {
  let descriptor = -1;
  let openPath = "";
  let waiting = "";
  let writing: Promise<void> | undefined;

  const path = (at: Date) => fixedPath ?? join(folder, `${name}-${localDay(at)}.log`);

  function ensure(at: Date): void {
    const wanted = path(at);
    if (descriptor >= 0 && wanted === openPath) return;
    if (fixedPath === undefined) checkFolder(folder, uid);
    const flags =
      constants.O_WRONLY |
      constants.O_APPEND |
      constants.O_CREAT |
      constants.O_NOFOLLOW |
      constants.O_NONBLOCK;
    const next = openSync(wanted, flags, 0o600);
    const stat = fstatSync(next);
    if (!stat.isFile() || (uid >= 0 && stat.uid !== uid)) {
      closeSync(next);
      throw new InputError(
        `the log file ${wanted} is not a regular file of this user; remove it, or set logging.file`,
      );
    }
    if ((stat.mode & 0o077) !== 0) fchmodSync(next, 0o600);
    if (descriptor >= 0) closeSync(descriptor);
    descriptor = next;
    openPath = wanted;
  }

  function drain(): Promise<void> {
    return new Promise((resolve) => {
      const text = waiting;
      waiting = "";
      // A full disk must not stop the gateway: the line is lost, the message path goes on.
      write(descriptor, text, () => {
        if (waiting !== "") void drain().then(resolve);
        else {
          writing = undefined;
          resolve();
        }
      });
    });
  }

  return {
    path,
    append(line, at) {
      ensure(at);
      waiting += `${line}\n`;
      if (waiting.length > 8_000_000) waiting = waiting.slice(-1_000_000);
      writing ??= Promise.resolve().then(drain);
    },
    flush: async () => {
      while (writing) await writing;
    },
    close() {
      if (descriptor < 0) return;
      if (waiting !== "") {
        try {
          writeSync(descriptor, waiting);
        } catch {
          // As above: what the disk refuses is lost, the stop goes on.
        }
        waiting = "";
      }
      closeSync(descriptor);
      descriptor = -1;
      openPath = "";
    },
  };
}

function checkFolder(folder: string, uid: number): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  if (!stat.isDirectory())
    throw new InputError(`${folder} is a link or a file, not a folder; remove it, or set logging.file`);
  if (uid >= 0 && stat.uid !== uid) {
    throw new InputError(
      `${folder} belongs to another user (uid ${stat.uid}); set logging.file to a path of your own`,
    );
  }
  if ((stat.mode & 0o077) !== 0) {
    const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    fchmodSync(descriptor, 0o700);
    closeSync(descriptor);
  }
}

/** YYYY-MM-DD by the host's own clock and zone. */
function localDay(at: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}
