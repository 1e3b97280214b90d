import type { ChildProcessWithoutNullStreams } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { type Clock, InputError, sleep } from "../kernel/mod.ts";
import type { CommandGroup } from "./command-group.ts";
import type { CommandOutput } from "./command-output.ts";
import type { LineEnd, LineRun } from "./line-run.ts";
import { processesOfRun, type SendSignal, startTicksOf } from "./process-tree.ts";
import type { CommandExit, RunningCommand } from "./tool.ts";

const lookAgainMs = 50;
const killRounds = 20;
/** A command that prints without end is slowed down to this, so that it cannot occupy the gateway. */
const burstBytes = 4 * 1024 * 1024;
const burstMs = 50;
/** Of input that the program has not read yet. */
const maxWaitingBytes = 1024 * 1024;

export interface CommandStreams {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

export interface RunningDeps {
  readonly clock: Clock;
  readonly sendSignal: SendSignal;
  readonly id: string;
  readonly command: string;
  readonly mark: string;
  /** 0: none. */
  readonly timeoutMs: number;
  /** From TERM to KILL. */
  readonly killGraceMs: number;
  /** The system itself ends whatever the line leaves, so nothing has to be looked for: a sandbox's processes. */
  readonly endsWhole?: boolean;
  /** Ends all of it where that is not done by signals from here. */
  readonly end?: (graceMs: number) => Promise<void>;
  readonly output: CommandOutput;
  readonly hasTerminal?: boolean;
  readonly group?: CommandGroup | undefined;
  ended?(exit: CommandExit): void;
  remove(): void;
}

/** Follows one spawned process, as followLine does a line of them. */
export function followCommand(child: ChildProcessWithoutNullStreams, deps: RunningDeps): RunningCommand {
  const pid = child.pid ?? 0;
  const leader = { pid, startTicks: startTicksOf(pid), hasEnded: false };
  const done = new Promise<LineEnd>((resolve) => {
    child.once("error", (error) => {
      deps.output.add(`The command could not be started: ${error.message}\n`);
      resolve({ code: null, signal: null });
    });
    child.once("exit", (code, signal) => {
      leader.hasEnded = true;
      resolve({ code, signal });
    });
  });
  return followLine({ leaders: pid === 0 ? [] : [leader], stop: () => {}, done }, child, deps);
}

/** Follows a line to its end; when it ends, so does everything it started. */
export function followLine(run: LineRun, streams: CommandStreams, deps: RunningDeps): RunningCommand {
  const { clock, output, killGraceMs: graceMs } = deps;
  const { stdin } = streams;
  let exit: RunningCommand["exit"];
  let timedOut = false;
  let lineEnded = false;
  let killing: Promise<void> | undefined;
  let remainders = Promise.resolve();
  const ended = Promise.withResolvers<void>();

  const outputs = [streams.stdout, streams.stderr];
  const outputEnded = Promise.all(outputs.map((stream) => collect(stream, output, clock)));
  // A program that closes its input early is no fault of ours.
  stdin.on("error", () => {});

  const cancelTimeout =
    deps.timeoutMs > 0
      ? clock.after(deps.timeoutMs, () => {
          timedOut = true;
          void kill();
        })
      : () => {};

  void run.done.then(async ({ code, signal }) => {
    lineEnded = true;
    // What it left behind is ended: a process that no tool lists and nobody can stop must not stay. Ending it also
    // closes the pipes, so the output is complete.
    if (!killing && !deps.endsWhole) remainders = endTree();
    void remainders.then(() => deps.group?.remove());
    // What escaped may hold the pipes open; the command has ended all the same.
    const cancel = clock.after(2 * graceMs + killRounds * lookAgainMs, () => {
      for (const stream of outputs) stream.destroy();
    });
    await outputEnded;
    cancel();
    exit = { code, signal, timedOut };
    deps.ended?.(exit);
    void output.close();
    cancelTimeout();
    stdin.destroy();
    ended.resolve();
  });

  async function endTree(): Promise<void> {
    let left = await remaining();
    if (left.length === 0) return;
    signalAll(left, "SIGTERM");
    for (let waited = 0; waited < graceMs; waited += lookAgainMs) {
      await sleep(clock, lookAgainMs);
      left = await remaining();
      if (left.length === 0) return;
    }
    deps.group?.stopForks();
    for (let round = 0; round < killRounds && left.length > 0; round += 1) {
      signalAll(left, "SIGKILL");
      await sleep(clock, lookAgainMs);
      left = await remaining();
    }
  }

  /** Looks again before it says "nobody": a process in the middle of starting a program shows no environment. */
  async function remaining(): Promise<number[]> {
    const found = await look();
    if (found.length > 0) return found;
    await sleep(clock, lookAgainMs);
    return look();
  }

  async function look(): Promise<number[]> {
    const found = new Set(await processesOfRun(run.leaders, deps.mark));
    for (const pid of deps.group?.processes() ?? []) found.add(pid);
    return [...found].filter((pid) => !run.leaders.some((leader) => leader.pid === pid && leader.hasEnded));
  }

  function signalAll(pids: readonly number[], signal: "SIGTERM" | "SIGKILL"): void {
    for (const pid of pids) trySignal(pid, signal);
  }

  function trySignal(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
    try {
      deps.sendSignal(pid, signal);
    } catch {
      // It ended by itself in the meantime.
    }
  }

  async function endByForce(): Promise<void> {
    run.stop();
    if (!lineEnded && deps.end) {
      await deps.end(graceMs);
      await ended.promise;
    } else if (!lineEnded) {
      // The whole groups at once, also where there is no /proc to look through.
      signalGroups("SIGTERM");
      const cancel = clock.after(graceMs, () => signalGroups("SIGKILL"));
      await endTree();
      await ended.promise;
      cancel();
    }
    await remainders;
  }

  function signalGroups(signal: "SIGTERM" | "SIGKILL"): void {
    for (const leader of run.leaders) if (!leader.hasEnded) trySignal(-leader.pid, signal);
  }

  function kill(): Promise<void> {
    if (exit) return remainders;
    killing ??= endByForce();
    return killing;
  }

  function write(text: string): void {
    if (exit || stdin.destroyed || stdin.writableEnded)
      throw new InputError(`Command ${deps.id} takes no more input: it has ended or its input was closed.`);
    if (stdin.writableLength > maxWaitingBytes)
      throw new InputError(`Command ${deps.id} does not read what was written to it. Nothing more was sent.`);
    stdin.write(text);
  }

  return {
    id: deps.id,
    command: deps.command,
    startedAtMs: clock.now(),
    get exit() {
      return exit;
    },
    hasTerminal: deps.hasTerminal ?? false,
    output: () => output.read(),
    poll: () => output.poll(),
    lines: (offset, limit) => output.lines(offset, limit),
    write,
    paste: (text) => write(output.pasted(text)),
    closeInput() {
      stdin.end();
    },
    kill,
    async wait(ms, signal) {
      if (exit || signal.aborted) return;
      const over = new AbortController();
      const stop = () => over.abort();
      signal.addEventListener("abort", stop, { once: true });
      void ended.promise.then(stop);
      await sleep(clock, ms, over.signal);
      signal.removeEventListener("abort", stop);
    },
    remove() {
      if (!exit) throw new InputError(`Command ${deps.id} still runs. End it first (action "kill").`);
      deps.remove();
    },
  };
}

/** Resolves when the stream has been closed. */
function collect(stream: Readable, output: CommandOutput, clock: Clock): Promise<void> {
  const closed = Promise.withResolvers<void>();
  const decoder = new StringDecoder("utf8");
  let burst = 0;
  stream.on("data", (chunk: Buffer) => {
    output.add(decoder.write(chunk));
    burst += chunk.length;
    if (burst < burstBytes) return;
    burst = 0;
    stream.pause();
    clock.after(burstMs, () => stream.resume());
  });
  stream.on("end", () => output.add(decoder.end()));
  stream.on("error", () => {});
  stream.once("close", closed.resolve);
  return closed.promise;
}
