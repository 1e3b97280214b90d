import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, lstatSync, openSync, writeFile } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { InputError } from "../kernel/mod.ts";
import type { CommandLine, FileIdentity, SimpleCommand, Step } from "../policy/command-tree.ts";
import { requireSame } from "./file-identity.ts";
import { expandPattern } from "./file-pattern.ts";
import { codeOf } from "./folder.ts";
import type { Pipes } from "./pipes.ts";
import { type Leader, startTicksOf } from "./process-tree.ts";
import { resolveProgram } from "./program.ts";
import type { OpenedFolder } from "./workspace.ts";

/** How a line, or a part of it, ended; both null: its program could not be started. */
export interface LineEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface LineDeps {
  readonly line: CommandLine;
  readonly files: readonly FileIdentity[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute folders in which bare names are looked for. */
  readonly searchFolders: readonly string[];
  readonly pipes: Pipes;
  /** The folder that it starts in, and how others, named relative to it, are opened. Closed at the end. */
  readonly folder: OpenedFolder;
  readonly streams: { readonly stdin: number; readonly stdout: number; readonly stderr: number };
  /** Why this variable may not be set; asked again here, so that no judgement needs to be trusted. */
  readonly environmentProblem: (env: Readonly<Record<string, string>>) => string | undefined;
  /** What starts a program in a terminal; the line is then one program. */
  readonly terminal?: (
    file: string,
    argv: readonly string[],
  ) => { readonly file: string; readonly args: readonly string[] };
  /** Of each process, right after its start. */
  readonly started?: (leader: Leader) => void;
  /** Around each start. */
  readonly within?: <T>(start: () => T) => T;
}

export interface LineRun {
  /** Every process started so far, each of which leads a session of its own. */
  readonly leaders: readonly Leader[];
  /** Starts nothing more. What runs goes on until it is ended. */
  stop(): void;
  /** When the last of its commands has ended. Never rejects. */
  readonly done: Promise<LineEnd>;
}

type Descriptors = readonly [stdin: number, stdout: number, stderr: number];

interface Ready {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly descriptors: Descriptors;
}

const writeTo = promisify(writeFile);
const ok: LineEnd = { code: 0, signal: null };
const failed = (code: number): LineEnd => ({ code, signal: null });

/** Runs a line as bash would run its text, except that each program is started by us, with the arguments judged. */
export function runLine(deps: LineDeps): LineRun {
  const leaders: Leader[] = [];
  const first: Descriptors = [deps.streams.stdin, deps.streams.stdout, deps.streams.stderr];
  let folder = deps.folder;
  let env: Record<string, string> = { ...deps.env };
  /** Set by the line, and not handed to programs unless they are exported. */
  const ownVariables = new Map<string, string>();
  let last = ok;
  let exited = false;
  let stopped = false;

  async function run(): Promise<LineEnd> {
    for (const step of deps.line) {
      if (stopped || exited) break;
      if (step.when === "success" ? !succeeded(last) : step.when === "failure" && succeeded(last)) continue;
      last = await pipeline(step);
    }
    return stopped && last.signal === null ? { code: null, signal: "SIGTERM" } : last;
  }

  async function pipeline({ commands, negated }: Step): Promise<LineEnd> {
    const running: Promise<LineEnd>[] = [];
    let input = first[0];
    for (const [index, command] of commands.entries()) {
      const isLast = index === commands.length - 1;
      const pipe = isLast ? undefined : await deps.pipes.open().catch(() => null);
      if (pipe === null) {
        if (index > 0) close([input]);
        await say(first[2], "No pipe could be made; the rest of the pipeline was not started.");
        await Promise.all(running);
        return failed(1);
      }
      const mine = [...(index > 0 ? [input] : []), ...(pipe ? [pipe.write] : [])];
      const given: Descriptors = [input, pipe?.write ?? first[1], first[2]];
      // One after another, so that a later part sees the files that an earlier one opens, as it mostly does in a shell.
      await new Promise<void>((goOn) => {
        const started = simple(command, given, () => {
          // Closed here as soon as the process has its own, or readers would never see the end.
          close(mine);
          goOn();
        });
        running.push(started);
      });
      if (pipe) input = pipe.read;
    }
    const ends = await Promise.all(running);
    const end = ends.at(-1) ?? ok;
    return negated && end.signal === null && !exited ? failed(succeeded(end) ? 1 : 0) : end;
  }

  /** `handedOver` is called once the process has its descriptors, or will never have them. */
  async function simple(
    command: SimpleCommand,
    given: Descriptors,
    handedOver: () => void,
  ): Promise<LineEnd> {
    const opened: number[] = [];
    const descriptors: [number, number, number] = [...given];
    try {
      const argv = await expand(command);
      await redirect(command, descriptors, opened);
      return await perform({ argv, env: withAssignments(command, argv), descriptors }, command, () => {
        close(opened.splice(0));
        handedOver();
      });
    } catch (error) {
      await say(
        descriptors[2],
        error instanceof InputError ? error.message : "The command could not be started.",
      );
      return failed(1);
    } finally {
      close(opened);
      handedOver();
    }
  }

  async function expand({ words }: SimpleCommand): Promise<string[]> {
    const argv: string[] = [];
    for (const { text, pattern } of words) {
      const found = pattern === undefined ? [] : await expandPattern(pattern, folder.path);
      argv.push(...(found.length > 0 ? found : [text]));
    }
    return argv;
  }

  async function redirect(
    { redirections }: SimpleCommand,
    descriptors: [number, number, number],
    opened: number[],
  ): Promise<void> {
    for (const item of redirections) {
      if (item.kind === "copy") descriptors[item.descriptor] = descriptors[item.from] ?? -1;
      else {
        const descriptor =
          item.kind === "text"
            ? deps.pipes.ofText(item.text)
            : item.path === "/dev/null"
              ? openSync("/dev/null", item.access === "read" ? "r" : "w")
              : await folder.openFile(item.path, item.access);
        opened.push(descriptor);
        descriptors[item.descriptor] = descriptor;
      }
    }
  }

  function withAssignments({ assignments }: SimpleCommand, argv: readonly string[]): Record<string, string> {
    const set = Object.fromEntries(assignments.map(({ name, value }) => [name, value]));
    requireSettable(set);
    if (argv.length > 0) return { ...env, ...set };
    for (const [name, value] of Object.entries(set))
      if (Object.hasOwn(env, name)) env[name] = value;
      else ownVariables.set(name, value);
    return env;
  }

  function requireSettable(set: Readonly<Record<string, string>>): void {
    const problem = deps.environmentProblem(set);
    if (problem !== undefined) throw new InputError(problem);
  }

  async function perform(ready: Ready, { words }: SimpleCommand, handedOver: () => void): Promise<LineEnd> {
    const [name, ...args] = ready.argv;
    if (name === undefined) return ok;
    if (words[0]?.text === name) {
      if (name === ":") return ok;
      if (name === "cd") return changeFolder(args[0]);
      if (name === "export") return exportVariables(args);
      if (name === "exit") {
        exited = true;
        return failed(Number(args[0] ?? last.code ?? signalCode(last)) % 256);
      }
    }
    return start(name, args, ready, handedOver);
  }

  async function changeFolder(target: string | undefined): Promise<LineEnd> {
    const next = await folder.openFolder(target);
    const before = folder;
    folder = next;
    await before.close();
    return ok;
  }

  function exportVariables(args: readonly string[]): LineEnd {
    for (const arg of args) {
      const [name = ""] = arg.split("=", 1);
      const value = arg.includes("=") ? arg.slice(name.length + 1) : ownVariables.get(name);
      if (value === undefined) continue;
      requireSettable({ [name]: value });
      env = { ...env, [name]: value };
    }
    return ok;
  }

  async function start(
    name: string,
    args: readonly string[],
    { env: variables, descriptors }: Ready,
    handedOver: () => void,
  ): Promise<LineEnd> {
    const file = await resolveProgram(name, deps.searchFolders, folder.path);
    if (file === undefined) {
      const stands = name.includes("/") && !isAbsent(resolve(folder.path, name));
      await say(descriptors[2], `${name}: ${stands ? "is not a program" : "command not found"}`);
      return failed(stands ? 126 : 127);
    }
    if (stopped) return { code: null, signal: "SIGTERM" };
    // Nothing waits between this look and the start.
    requireSame(deps.files);
    const through = deps.terminal?.(file, [name, ...args]);
    const begin = () =>
      spawn(through?.file ?? file, through?.args ?? args, {
        ...(through ? {} : { argv0: name }),
        cwd: folder.path,
        env: variables,
        // A session of its own: the whole of it can be ended, and it has no terminal to type into.
        detached: true,
        shell: false,
        stdio: [...descriptors],
      });
    let child: ChildProcess;
    try {
      child = deps.within ? deps.within(begin) : begin();
    } catch (error) {
      await say(descriptors[2], `${name}: could not be started: ${whyNot(error)}`);
      return failed(126);
    }
    const leader = { pid: child.pid ?? 0, startTicks: startTicksOf(child.pid ?? 0), hasEnded: false };
    if (child.pid !== undefined) {
      leaders.push(leader);
      deps.started?.(leader);
    }
    const ended = new Promise<LineEnd | Error>((settle) => {
      child.once("error", settle);
      child.once("exit", (code, signal) => {
        leader.hasEnded = true;
        settle({ code, signal });
      });
    });
    if (child.pid !== undefined) handedOver();
    const end = await ended;
    if (!(end instanceof Error)) return end;
    await say(descriptors[2], `${name}: could not be started: ${whyNot(end)}`);
    return failed(126);
  }

  const done = run()
    .catch((): LineEnd => ({ code: null, signal: null }))
    .finally(() => folder.close());
  return {
    leaders,
    stop: () => {
      stopped = true;
    },
    done,
  };
}

/** Like a shell's own messages: to wherever the command's errors go. */
async function say(descriptor: number, message: string): Promise<void> {
  try {
    await writeTo(descriptor, `${message}\n`);
  } catch {
    // Nobody reads it any more.
  }
}

/** False, too, for what cannot be reached: a shell tells the two apart (127 and 126). */
function isAbsent(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

function whyNot(error: unknown): string {
  switch (codeOf(error)) {
    case "E2BIG":
      return "its arguments are longer than the system takes; give it a file, or fewer at a time";
    case "ERR_INVALID_ARG_VALUE":
      return "an argument holds a NUL character";
    case "EAGAIN":
      return "too many processes run already";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

function succeeded(end: LineEnd): boolean {
  return end.code === 0;
}

/** What a shell makes of an end by a signal. */
function signalCode({ signal }: LineEnd): number {
  return signal === null ? 1 : 128 + constants.signals[signal];
}

function close(descriptors: number[]): void {
  for (const descriptor of descriptors.splice(0)) closeSync(descriptor);
}
