import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { type Clock, InputError, type Random } from "../kernel/mod.ts";
import { CommandOutput } from "./command-output.ts";
import { type BaseEnvironment, buildEnvironment } from "./environment.ts";
import { OutputTail } from "./output-tail.ts";
import type { SendSignal } from "./process-tree.ts";
import { followCommand } from "./running-command.ts";

export interface ArgvRequest {
  /** The real file that runs, absolute: nothing is searched for. */
  readonly file: string;
  /** As the program sees it; the first is its own name. Never empty. */
  readonly argv: readonly string[];
  /** Absolute, without links in it. */
  readonly cwd: string;
  /** Device and inode that `cwd` must still have. */
  readonly cwdIdentity: string;
  readonly env: Readonly<Record<string, string>>;
  /** 0: none. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What it prints, as it comes. */
  readonly output: (text: string) => void;
}

export interface ArgvOutcome {
  /** Null when a signal ended it, or it never began. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ArgvDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly sendSignal: SendSignal;
  readonly baseEnv: BaseEnvironment;
  readonly home: string;
  readonly maxOutputChars: number;
  readonly killGraceMs: number;
}

/**
 * Runs one program without a shell, for a node: on this machine, in any of its folders. Aborting ends the whole
 * process tree. Rejects with an InputError when it cannot be started.
 */
export async function runArgv(deps: ArgvDeps, request: ArgvRequest): Promise<ArgvOutcome> {
  const [argv0, ...args] = request.argv;
  const run = deps.random.bytes(12).toString("hex");
  const env = buildEnvironment(deps.baseEnv, request.env, { home: deps.home, run });
  const folder = await open(request.cwd, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const { dev, ino } = await folder.stat();
    if (`${dev}:${ino}` !== request.cwdIdentity)
      throw new InputError(`the folder ${request.cwd} is another one than was approved`);
    const child = spawn(request.file, args, {
      ...(argv0 === undefined ? {} : { argv0 }),
      cwd: request.cwd,
      env,
      detached: true,
      shell: false,
      stdio: "pipe",
    });
    const stdout = collect(child.stdout, deps.maxOutputChars, request.output);
    const stderr = collect(child.stderr, deps.maxOutputChars, request.output);
    const command = followCommand(child, {
      clock: deps.clock,
      sendSignal: deps.sendSignal,
      id: run,
      command: request.argv.join(" "),
      mark: run,
      timeoutMs: request.timeoutMs,
      killGraceMs: deps.killGraceMs,
      // What it prints is kept apart above; here only what the system says about a failed start is of use.
      output: new CommandOutput(4000),
      remove: () => {},
    });
    child.stdin.end();
    const onAbort = () => void command.kill();
    if (request.signal.aborted) onAbort();
    else request.signal.addEventListener("abort", onAbort, { once: true });
    const forever = new AbortController();
    while (!command.exit) await command.wait(60_000, forever.signal);
    request.signal.removeEventListener("abort", onAbort);
    const { code, signal, timedOut } = command.exit;
    if (code === null && signal === null && !timedOut)
      throw new InputError(command.output().text.trim() || "the command could not be started");
    return { exitCode: code, timedOut, stdout: stdout(), stderr: stderr() };
  } finally {
    await folder.close();
  }
}

function collect(
  stream: NodeJS.ReadableStream,
  maxChars: number,
  output: (text: string) => void,
): () => string {
  const tail = new OutputTail(maxChars);
  const decoder = new StringDecoder("utf8");
  const add = (text: string) => {
    if (text === "") return;
    tail.add(text);
    output(text);
  };
  stream.on("data", (chunk: Buffer) => add(decoder.write(chunk)));
  stream.on("end", () => add(decoder.end()));
  return () => {
    const { text, droppedChars } = tail.read();
    return droppedChars > 0 ? `[${droppedChars} characters dropped]\n${text}` : text;
  };
}
