import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { runVariable } from "./environment.ts";

/** Sends a signal to a process, or with a negative id to a process group; throws when there is none. */
export type SendSignal = (pid: number, signal: "SIGTERM" | "SIGKILL" | 0) => void;

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot. */
  readonly startTicks: number;
  /** Ended, and not waited for by its parent yet. */
  readonly hasEnded: boolean;
}

/** A process that was started by us and leads a session of its own. */
export interface Leader {
  readonly pid: number;
  /** Clock ticks since boot; 0 when it could not be told. */
  readonly startTicks: number;
  /** It has been waited for, so its number may be somebody else's by now. */
  hasEnded: boolean;
}

/**
 * All processes of one run: what is in a leader's group or session, descends from it, or carries the run's mark in
 * its environment (which finds what forked twice and began a session of its own). Linux only; elsewhere empty.
 * What clears its environment AND leaves the session AND outlives its parent before this looks is not found: only a
 * control group or a container holds that.
 */
export async function processesOfRun(leaders: readonly Leader[], mark: string): Promise<number[]> {
  const rows = await processRows();
  const alive = new Map(rows.map((row) => [row.pid, row]));
  // A number in use again after its leader ended: nothing of the run was left that kept it taken.
  const leading = new Map(
    leaders
      .filter(({ pid, hasEnded }) => !(hasEnded && alive.has(pid)))
      .map((leader) => [leader.pid, leader]),
  );
  const oldest = Math.min(...leaders.map((leader) => leader.startTicks));
  const found = new Set<number>(leading.keys());
  const undecided: ProcessRow[] = [];
  for (const row of rows) {
    // Older than the run: a process that only has a recycled number.
    if (row.startTicks < oldest) continue;
    const leader = leading.get(row.session) ?? leading.get(row.group);
    if (leader && row.startTicks >= leader.startTicks) found.add(row.pid);
    else undecided.push(row);
  }
  for (const row of undecided) {
    if ((await runMark(row.pid)) === mark) found.add(row.pid);
  }
  for (let grew = true; grew; ) {
    grew = false;
    for (const row of undecided) {
      if (!found.has(row.pid) && found.has(row.parent)) {
        found.add(row.pid);
        grew = true;
      }
    }
  }
  return [...found].filter((pid) => alive.has(pid));
}

/** Processes whose run mark passes `matches`. Never this process or one of its ancestors. */
export async function markedProcesses(matches: (mark: string) => boolean): Promise<number[]> {
  const rows = await processRows();
  const parents = new Map(rows.map((row) => [row.pid, row.parent]));
  const own = new Set<number>();
  for (let pid = processRow("self")?.pid; pid !== undefined && pid > 0; pid = parents.get(pid)) {
    own.add(pid);
  }
  const found: number[] = [];
  for (const row of rows) {
    if (own.has(row.pid)) continue;
    const mark = await runMark(row.pid);
    if (mark !== undefined && matches(mark)) found.push(row.pid);
  }
  return found;
}

/** Names this run of the system; empty where it has no name. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/** When a process that was not waited for yet started, in clock ticks since boot; 0 when that cannot be told. */
export function startTicksOf(pid: number): number {
  return processRow(pid)?.startTicks ?? 0;
}

/** Small reads from memory: this many take about a millisecond. */
const rowsPerSlice = 100;

/** Processes that still run (not zombies). */
async function processRows(): Promise<ProcessRow[]> {
  let names: string[];
  try {
    names = await readdir("/proc");
  } catch {
    return [];
  }
  const rows: ProcessRow[] = [];
  let looked = 0;
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const row = processRow(name);
    if (row && !row.hasEnded) rows.push(row);
    looked += 1;
    if (looked % rowsPerSlice === 0) await setImmediate();
  }
  return rows;
}

function processRow(pid: number | string): ProcessRow | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is a name in parentheses that may hold anything; the rest follows its last parenthesis.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const field = (index: number) => Number(fields[index] ?? 0);
    return {
      pid: Number.parseInt(text, 10),
      parent: field(1),
      group: field(2),
      session: field(3),
      startTicks: field(19),
      hasEnded: fields[0] === "Z" || fields[0] === "X",
    };
  } catch {
    return undefined;
  }
}

/** The run mark in a process's environment. Unreadable for other users' processes, which are never ours. */
async function runMark(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/environ`, "latin1");
    const entry = text.split("\0").find((item) => item.startsWith(`${runVariable}=`));
    return entry?.slice(runVariable.length + 1);
  } catch {
    return undefined;
  }
}
