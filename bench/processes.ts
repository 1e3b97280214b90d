// Child processes of a run: started, watched through /proc, ended by their own pids and nothing else.

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
}

export interface Running {
  readonly pid: number;
  readonly startedAt: number;
  /** The last output lines, for the reason when it dies. */
  output(): string;
  exited(): boolean;
  /** Resident memory of the process and all that it started, in MB. */
  residentMb(): number;
  /** Processor time, user and system, of the process and all that it started, in ms. */
  cpuMs(): number;
  stop(): Promise<void>;
}

/** Everything a run must undo: processes and temporary folders, also when it is interrupted. */
export class Workshop {
  readonly #running = new Set<Running>();
  readonly #folders = new Set<string>();

  async folder(name: string): Promise<string> {
    const made = await mkdtemp(path.join(tmpdir(), `openclaw-bench-${name}-`));
    this.#folders.add(made);
    return made;
  }

  async drop(folder: string): Promise<void> {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    this.#folders.delete(folder);
  }

  start(command: Command): Running {
    const running = launch(command, () => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.stop()));
    await Promise.all([...this.#folders].map((folder) => this.drop(folder)));
  }
}

/** Runs a command to its end; resolves to its wall time. Throws with its last output when it fails. */
export async function runOnce(command: Command, timeoutMs: number): Promise<{ ms: number; stdout: string }> {
  const startedAt = performance.now();
  const child = spawn(command.file, command.args, {
    cwd: command.folder,
    env: command.env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => stdout.push(bytes));
  child.stderr.on("data", (bytes: Buffer) => stderr.push(bytes));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const ms = performance.now() - startedAt;
  if (code !== 0) {
    const said = lastLine(Buffer.concat(stderr).toString()) || lastLine(Buffer.concat(stdout).toString());
    throw new Error(`${command.args.slice(-2).join(" ")} ended with ${code}: ${said}`);
  }
  return { ms, stdout: Buffer.concat(stdout).toString() };
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

function launch(command: Command, ended: () => void): Running {
  const startedAt = performance.now();
  // 10,000 sockets need more open files than most shells allow; `exec` keeps the pid.
  const raise = 'ulimit -n 65535 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"';
  const child = spawn("/bin/sh", ["-c", raise, "sh", command.file, ...command.args], {
    cwd: command.folder,
    env: command.env,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`could not start ${command.file}`);
  const tail = keepTail(child);
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    const finish = (): void => {
      isOver = true;
      ended();
      resolve();
    };
    child.once("close", finish);
    child.once("error", finish);
  });
  return {
    pid,
    startedAt,
    output: () => tail.join("").slice(-2_000),
    exited: () => isOver || child.exitCode !== null,
    residentMb: () => tree(pid).reduce((sum, each) => sum + residentKb(each), 0) / 1024,
    cpuMs: () => tree(pid).reduce((sum, each) => sum + cpuTicks(each), 0) * 10,
    stop: async () => {
      if (isOver) return;
      const mine = tree(pid).map((each) => ({ each, born: readStat(each)?.born }));
      child.kill("SIGTERM");
      await Promise.race([over, wait(8_000, undefined, { ref: false })]);
      // The time of birth tells a process of ours from a stranger that got its number since.
      for (const { each, born } of mine) {
        const now = readStat(each)?.born;
        if (now !== undefined && now === born) endPid(each);
      }
      await Promise.race([over, wait(2_000, undefined, { ref: false })]);
    },
  };
}

function keepTail(child: ChildProcess): string[] {
  const tail: string[] = [];
  const keep = (bytes: Buffer): void => {
    tail.push(bytes.toString());
    if (tail.length > 50) tail.shift();
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  return tail;
}

function endPid(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself, as it should.
  }
}

interface Stat {
  readonly parent: number;
  readonly ticks: number;
  /** Start time, in ticks since boot. */
  readonly born: number;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command name may hold spaces and brackets: fields are counted from its last bracket.
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [user = 0, system = 0, reapedUser = 0, reapedSystem = 0] = fields.slice(11, 15);
    const ticks = user + system + reapedUser + reapedSystem;
    return { parent: fields[1] ?? 0, ticks, born: fields[19] ?? 0 };
  } catch {
    return undefined;
  }
}

/** The process and all its descendants that are alive now. */
function tree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = readStat(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** In clock ticks of 10 ms (USER_HZ is 100 on every Linux that Node runs on). */
function cpuTicks(pid: number): number {
  return readStat(pid)?.ticks ?? 0;
}

function residentKb(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
