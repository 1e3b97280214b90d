import { createHash } from "node:crypto";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
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
  /** Of this run of the system. */
  readonly leaders: readonly Leader[];
  /** Undefined: it was not seen to end. */
  readonly exit?: CommandExit;
  lines(offset: number | undefined, limit: number): Promise<OutputLines>;
  end(exit: CommandExit): void;
  /** Its conversation knows how it ended. */
  settle(): void;
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
  /** Those that run, that were left running, or that ended with their gateway and were not settled. */
  unsettled(): readonly StoredCommand[];
  forgetSession(sessionKey: string): void;
  /** Removes what is older or more than is kept; never what `isOpen`. */
  tidy(isOpen: (id: string) => boolean): Promise<void>;
}

export interface RecordLimits {
  readonly maxOutputBytes: number;
  readonly maxTotalBytes: number;
  readonly maxAgeMs: number;
}

interface Entry {
  readonly leader?: { readonly pid: number; readonly startTicks: number };
  readonly exit?: CommandExit;
}

/** By its name alone a record says whether it must be read at the next start. */
const unsettledEnd = ".open.jsonl";
const settledEnd = ".jsonl";

export function createCommandRecords(deps: {
  readonly folder: string;
  readonly limits: RecordLimits;
  readonly now: () => number;
  /** Tells this run of the system from others: numbers of processes begin anew with each. Empty: it cannot be told. */
  readonly bootId: string;
  /** False: conversations are not kept, so neither text nor output of a command is, and no record outlives it. */
  readonly keeps: () => boolean;
}): CommandRecords {
  const { folder, limits } = deps;
  const folderOf = (sessionKey: string) =>
    join(folder, createHash("sha256").update(sessionKey).digest("hex").slice(0, 32));

  function files(place: string, id: string) {
    const at = (end: string) => join(place, id + end);
    const [open, settled, output] = [at(unsettledEnd), at(settledEnd), at(".log")];
    const write = (entry: Entry) =>
      // The line end comes first: what a crash tore off does not spoil what follows.
      attempt(() => appendFileSync(open, `\n${JSON.stringify(entry)}`));
    const settle = () => attempt(() => renameSync(open, settled));
    return {
      open,
      output,
      write,
      settle,
      end(exit: CommandExit): void {
        write({ exit });
        if (!exit.lost) settle();
      },
      remove: () =>
        attempt(() => {
          for (const path of [open, settled, output]) rmSync(path, { force: true });
        }),
    };
  }

  function read(place: string, name: string): StoredCommand | undefined {
    try {
      const [first = "", ...rest] = readFileSync(join(place, name), "utf8").split("\n");
      const { bootId, ...command } = JSON.parse(first) as RecordedCommand & { readonly bootId: string };
      if (name !== command.id + unsettledEnd && name !== command.id + settledEnd) return undefined;
      if (typeof command.sessionKey !== "string" || typeof command.mark !== "string") return undefined;
      const own = files(place, command.id);
      const entries = rest.flatMap((line) => parsed(line) ?? []);
      const exit = entries.find((entry) => entry.exit)?.exit;
      const isThisRun = bootId === deps.bootId && bootId !== "";
      return {
        ...command,
        leaders: entries.flatMap(({ leader }) =>
          leader && isThisRun ? [{ ...leader, hasEnded: false }] : [],
        ),
        ...(exit === undefined ? {} : { exit }),
        lines: (offset, limit) => linesOfFile(own.output, offset, limit),
        end: own.end,
        settle: own.settle,
        remove: own.remove,
      };
    } catch {
      return undefined;
    }
  }

  const recordsIn = (place: string, end: string) =>
    namesIn(place)
      .filter((name) => name.endsWith(end))
      .flatMap((name) => read(place, name) ?? [])
      .sort((a, b) => a.startedAtMs - b.startedAtMs);

  let tidying: Promise<void> | undefined;

  async function tidy(isOpen: (id: string) => boolean): Promise<void> {
    const found: { readonly path: string; readonly bytes: number; readonly atMs: number }[] = [];
    for (const place of await readdir(folder))
      for (const name of await readdir(join(folder, place))) {
        const path = join(folder, place, name);
        const { size: bytes, mtimeMs: atMs } = await stat(path);
        found.push({ path, bytes, atMs });
      }
    let total = 0;
    for (const { path, bytes, atMs } of found.sort((a, b) => b.atMs - a.atMs)) {
      total += bytes;
      const isOver = total > limits.maxTotalBytes || deps.now() - atMs > limits.maxAgeMs;
      if (isOver && !isOpen(basename(path).replace(/\..*$/, ""))) await rm(path, { force: true });
    }
  }

  return {
    open({ command, ...rest }) {
      const place = folderOf(rest.sessionKey);
      const isKept = deps.keeps();
      const own = files(place, rest.id);
      attempt(() => {
        mkdirSync(place, { recursive: true, mode: 0o700 });
        const first = { ...rest, bootId: deps.bootId, ...(isKept ? { command } : {}) };
        writeFileSync(own.open, JSON.stringify(first), { mode: 0o600, flag: "wx" });
      });
      return {
        output: isKept ? createOutputFile(own.output, limits.maxOutputBytes) : undefined,
        leader: ({ pid, startTicks }) => own.write({ leader: { pid, startTicks } }),
        end: isKept ? own.end : own.remove,
        remove: own.remove,
      };
    },
    ofSession: (sessionKey) => recordsIn(folderOf(sessionKey), settledEnd),
    unsettled: () => namesIn(folder).flatMap((name) => recordsIn(join(folder, name), unsettledEnd)),
    forgetSession: (sessionKey) => rmSync(folderOf(sessionKey), { recursive: true, force: true }),
    async tidy(isOpen) {
      // A file that goes in between is looked for another time.
      tidying ??= tidy(isOpen)
        .catch(() => {})
        .finally(() => {
          tidying = undefined;
        });
      await tidying;
    },
  };
}

/** Processes carry a mark as well, and what could not be written now is not what anybody waits for. */
function attempt(act: () => void): void {
  try {
    act();
  } catch {
    // As above.
  }
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
