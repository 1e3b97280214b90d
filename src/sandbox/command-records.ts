import { createHash } from "node:crypto";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { createOutputFile, linesOfFile, type OutputFile, type OutputLines } from "./output-file.ts";
import type { Leader } from "./process-tree.ts";
import type { CommandExit } from "./tool.ts";

/** What stands at the beginning of a command's record. */
export interface RecordedCommand {
  readonly id: string;
  readonly sessionKey: string;
  /** The sandbox that it runs in. */
  readonly place?: string;
  readonly mark: string;
  /** Absent where conversations are not kept. */
  readonly command?: string;
  readonly startedAtMs: number;
}

/** The record of a command that may still run. Writing never throws: a full disk must not keep anybody from tidying up. */
export interface OpenRecord {
  readonly output: OutputFile | undefined;
  leader(leader: Leader): void;
  end(exit: CommandExit): void;
  remove(): void;
}

/** A command of an earlier gateway, as its record tells it. */
export interface StoredCommand extends RecordedCommand {
  readonly leaders: readonly Leader[];
  /** Undefined: it was not seen to end. */
  readonly exit?: CommandExit;
  /** Its conversation has been told that it was lost. */
  readonly isTold: boolean;
  lines(offset: number | undefined, limit: number): Promise<OutputLines>;
  end(exit: CommandExit): void;
  told(): void;
  remove(): void;
}

/**
 * Commands on the disk, one record and one file of output each, in a folder for each conversation: how commands that a
 * crashed gateway left are found without trusting what they did to their environment, and where the output is read
 * that memory does not hold.
 */
export interface CommandRecords {
  open(command: RecordedCommand): OpenRecord;
  /** Oldest first. */
  ofSession(sessionKey: string): readonly StoredCommand[];
  all(): readonly StoredCommand[];
  forgetSession(sessionKey: string): void;
  /** Removes what is older or more than is kept; never what `isOpen`. */
  tidy(isOpen: (id: string) => boolean): void;
}

export interface RecordLimits {
  readonly maxOutputBytes: number;
  readonly maxTotalBytes: number;
  readonly maxAgeMs: number;
}

interface Entry {
  readonly leader?: { readonly pid: number; readonly startTicks: number };
  readonly exit?: CommandExit;
  readonly told?: true;
}

export function createCommandRecords(deps: {
  readonly folder: string;
  readonly limits: RecordLimits;
  readonly now: () => number;
  /** Tells this run of the system from others: numbers of processes begin anew with each. */
  readonly bootId: string;
  /** False: conversations are not kept, so neither text nor output of a command is, and no record outlives it. */
  readonly keeps: () => boolean;
}): CommandRecords {
  const { folder, limits } = deps;
  const folderOf = (sessionKey: string) =>
    join(folder, createHash("sha256").update(sessionKey).digest("hex").slice(0, 32));

  function writer(file: string): (entry: Entry) => void {
    return (entry) => {
      try {
        // The line end comes first: what a crash tore off does not spoil what follows.
        appendFileSync(file, `\n${JSON.stringify(entry)}`);
      } catch {
        // Its processes carry a mark as well.
      }
    };
  }

  const outputOf = (file: string) => file.replace(/\.jsonl$/, ".log");

  function removeBoth(file: string): void {
    for (const path of [file, outputOf(file)]) rmSync(path, { force: true });
  }

  function read(file: string): StoredCommand | undefined {
    try {
      const [first = "", ...rest] = readFileSync(file, "utf8").split("\n");
      const { bootId, ...command } = JSON.parse(first) as RecordedCommand & { readonly bootId: string };
      if (command.id !== basename(file, ".jsonl") || typeof command.sessionKey !== "string") return undefined;
      const entries = rest.flatMap((line) => parsed(line) ?? []);
      const exit = entries.find((entry) => entry.exit)?.exit;
      const write = writer(file);
      return {
        ...command,
        leaders: entries.flatMap(({ leader }) =>
          leader && bootId === deps.bootId && bootId !== "" ? [{ ...leader, hasEnded: false }] : [],
        ),
        ...(exit === undefined ? {} : { exit }),
        isTold: entries.some((entry) => entry.told),
        lines: (offset, limit) => linesOfFile(outputOf(file), offset, limit),
        end: (how) => write({ exit: how }),
        told: () => write({ told: true }),
        remove: () => removeBoth(file),
      };
    } catch {
      return undefined;
    }
  }

  const recordsIn = (path: string) =>
    namesIn(path)
      .filter((name) => name.endsWith(".jsonl"))
      .flatMap((name) => read(join(path, name)) ?? [])
      .sort((a, b) => a.startedAtMs - b.startedAtMs);

  return {
    open({ command, ...rest }) {
      const place = folderOf(rest.sessionKey);
      const file = join(place, `${rest.id}.jsonl`);
      const isKept = deps.keeps();
      const write = writer(file);
      try {
        mkdirSync(place, { recursive: true, mode: 0o700 });
        const first = { ...rest, bootId: deps.bootId, ...(isKept ? { command } : {}) };
        writeFileSync(file, JSON.stringify(first), { mode: 0o600, flag: "wx" });
      } catch {
        // As above.
      }
      return {
        output: isKept ? createOutputFile(outputOf(file), limits.maxOutputBytes) : undefined,
        leader: ({ pid, startTicks }) => write({ leader: { pid, startTicks } }),
        end: (exit) => (isKept ? write({ exit }) : removeBoth(file)),
        remove: () => removeBoth(file),
      };
    },
    ofSession: (sessionKey) => recordsIn(folderOf(sessionKey)),
    all: () => namesIn(folder).flatMap((name) => recordsIn(join(folder, name))),
    forgetSession: (sessionKey) => rmSync(folderOf(sessionKey), { recursive: true, force: true }),
    tidy(isOpen) {
      const files = namesIn(folder)
        .flatMap((name) => namesIn(join(folder, name)).map((file) => join(folder, name, file)))
        .flatMap((file) => {
          const stat = statSync(file, { throwIfNoEntry: false });
          return stat ? [{ file, bytes: stat.size, atMs: stat.mtimeMs }] : [];
        })
        .sort((a, b) => b.atMs - a.atMs);
      let total = 0;
      for (const { file, bytes, atMs } of files) {
        total += bytes;
        const isOver = total > limits.maxTotalBytes || deps.now() - atMs > limits.maxAgeMs;
        if (isOver && !isOpen(basename(file).replace(/\..*$/, ""))) rmSync(file, { force: true });
      }
    },
  };
}

function parsed(line: string): Entry | undefined {
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
