import { execFile } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { InputError } from "../kernel/mod.ts";
import { codeOf } from "./folder.ts";
import { resolveProgram } from "./program.ts";

/** Both ends of a kernel pipe. Whoever gets them closes them. */
export interface PipeEnds {
  readonly read: number;
  readonly write: number;
}

/**
 * Pipes between processes. The runtime gives its children sockets, which are no pipes to them (they cannot be opened
 * again by /dev/stdin) and cannot be handed from one child to the next; so a pipe is made by name, opened and unlinked.
 */
export interface Pipes {
  open(): Promise<PipeEnds>;
  /** A descriptor that reads `text`. */
  ofText(text: string): number;
  /** Removes what stands on the disk. */
  close(): void;
}

const atOnce = 24;
const run = promisify(execFile);

/** `folder` is made when first needed (700); names in it stand for moments only. `mkfifo` is looked for in the others. */
export function createPipes(folder: string, searchFolders: readonly string[]): Pipes {
  let names: string[] = [];
  let filling: Promise<void> | undefined;
  let made = 0;

  function nextName(): string {
    if (made === 0) mkdirSync(folder, { recursive: true, mode: 0o700 });
    made += 1;
    return join(folder, `${made}`);
  }

  async function fill(): Promise<void> {
    const makeFifo = await resolveProgram("mkfifo", searchFolders, "/");
    if (makeFifo === undefined)
      throw new InputError("Commands need the program mkfifo, which is not installed.");
    const fresh = Array.from({ length: atOnce }, nextName);
    await run(makeFifo, ["-m", "600", "--", ...fresh], { env: {}, cwd: folder });
    names.push(...fresh);
  }

  return {
    async open() {
      for (;;) {
        const name = names.pop();
        if (name !== undefined) return openBoth(name);
        filling ??= fill().finally(() => {
          filling = undefined;
        });
        await filling;
      }
    },
    ofText(text) {
      const name = nextName();
      const write = openSync(name, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        const bytes = Buffer.from(text);
        for (let at = 0; at < bytes.length; ) at += writeSync(write, bytes, at);
        return openSync(name, constants.O_RDONLY | constants.O_NOFOLLOW);
      } finally {
        closeSync(write);
        unlinkSync(name);
      }
    },
    close() {
      names = [];
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Neither end waits for the other: while one descriptor has both, each can be opened alone. They are opened through
 * that descriptor, so whatever the name has become in the meantime, they are ends of the same pipe.
 */
function openBoth(name: string): PipeEnds {
  const opened: number[] = [];
  const open = (path: string, flags: number) => {
    const descriptor = openSync(path, flags);
    opened.push(descriptor);
    return descriptor;
  };
  try {
    const both = open(name, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    const stat = fstatSync(both);
    if (!stat.isFIFO()) throw new Error("a pipe's name was taken by something else");
    const again = existsSync(`/proc/self/fd/${both}`) ? `/proc/self/fd/${both}` : name;
    const read = open(again, constants.O_RDONLY);
    const write = open(again, constants.O_WRONLY);
    for (const end of [read, write]) {
      const now = fstatSync(end);
      if (now.ino !== stat.ino || now.dev !== stat.dev) throw new Error("a pipe changed while it was opened");
    }
    closeSync(both);
    return { read, write };
  } catch (error) {
    for (const descriptor of opened) closeSync(descriptor);
    throw error;
  } finally {
    unlinkSync(name);
  }
}

/** Folders of pipes that a crashed gateway left in `parent`. */
export function removeLeftPipes(parent: string, prefix: string, own: string): void {
  let names: string[];
  try {
    names = readdirSync(parent);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  for (const name of names)
    if (name.startsWith(prefix) && name !== own) rmSync(join(parent, name), { recursive: true, force: true });
}
