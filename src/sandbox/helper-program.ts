import { spawn } from "node:child_process";
import { basename } from "node:path";
import { InputError } from "../kernel/mod.ts";
import { runVariable, searchPath } from "./environment.ts";
import { resolveProgram } from "./program.ts";
import { helperMark } from "./run-mark.ts";

/** How a helper ended. `code` is null when a signal ended it; the texts are cut at the end. */
export interface HelperOutput {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningHelper {
  /** Never rejects. */
  readonly ended: Promise<HelperOutput>;
  /** Asks it to end; whoever does not is ended. */
  stop(): void;
}

/**
 * Starts programs of the operator's own choice on behalf of the gateway itself: never a model's, never with a shell,
 * and never with the gateway's environment, where its secrets are.
 */
export interface HelperPrograms {
  /** Throws an InputError when there is no such program. */
  start(program: string, args: readonly string[]): Promise<RunningHelper>;
  /** Runs it to its end, or for so long; a helper that does not end by then is stopped and gives code null. */
  run(program: string, args: readonly string[], timeoutMs: number): Promise<HelperOutput>;
  /**
   * Gives one its whole input and takes its whole output, with these variables and no others beside PATH and LANG.
   * `failure` says what went wrong, never what it wrote.
   */
  exchange(order: HelperExchange): Promise<{ readonly output: string } | { readonly failure: string }>;
  /** Starts one to talk with over its input and output. Rejects with an InputError when there is no such program. */
  talk(program: string, args: readonly string[], onOutput: (text: string) => void): Promise<TalkingHelper>;
}

export interface HelperExchange {
  /** Absolute: it is not looked for. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
  readonly timeoutMs: number;
  /** Without a word for so long it is ended too. */
  readonly idleTimeoutMs: number;
  readonly maxOutputBytes: number;
}

export interface TalkingHelper {
  /** False once it does not read any more: surely not written. */
  write(text: string): boolean;
  /** Never rejects. `stderr` is its end. */
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
  /** Closes its input and asks it to end; whoever does not is ended. */
  stop(): void;
}

const maxOutputChars = 1_000_000;
const killGraceMs = 3000;
const keptErrorChars = 2000;
const systemFolders = ["/usr/bin", "/bin"];

export interface HelperDeps {
  /** A PATH; only its absolute folders count. */
  readonly path: string;
  readonly after: (delayMs: number, action: () => void) => () => void;
  /** The gateway that they belong to: the next one finds by it what this one left. */
  readonly gateway?: { readonly stateDir: string; readonly instance: string };
}

export function createHelperPrograms(deps: HelperDeps): HelperPrograms {
  const folders = searchPath(deps.path);

  async function fileOf(program: string): Promise<string> {
    const file = await resolveProgram(program, folders, "/");
    if (file === undefined)
      throw new InputError(`there is no program ${JSON.stringify(program)} in PATH (${folders.join(":")})`);
    return file;
  }

  const { gateway } = deps;
  const mark = gateway ? { [runVariable]: helperMark(gateway.stateDir, gateway.instance) } : {};
  const options = {
    cwd: "/",
    env: { PATH: folders.join(":"), LANG: "C.UTF-8", ...mark },
    shell: false,
  } as const;

  /** What to spawn so that the system asks the program to end when this process is gone, however it went. */
  async function bound(program: string, args: readonly string[]): Promise<[string, readonly string[]]> {
    const file = await fileOf(program);
    const setpriv = await resolveProgram("setpriv", systemFolders, "/");
    // The one of BusyBox has the name, but not the option.
    if (setpriv === undefined || basename(setpriv) !== "setpriv") return [file, args];
    return [setpriv, ["--pdeathsig", "TERM", "--", file, ...args]];
  }

  async function talk(
    program: string,
    args: readonly string[],
    onOutput: (text: string) => void,
  ): Promise<TalkingHelper> {
    const child = spawn(...(await bound(program, args)), { ...options, stdio: ["pipe", "pipe", "pipe"] });
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", onOutput);
    child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      stderr = (stderr + piece).slice(-keptErrorChars);
    });
    // Its end is told by `ended`; a broken pipe says nothing more.
    child.stdin.on("error", () => {});
    const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
      child.once("error", (error) => resolve({ code: null, stderr: error.message }));
      child.once("close", (code) => resolve({ code, stderr }));
    });
    return {
      ended,
      write(text) {
        if (!child.stdin.writable || child.exitCode !== null) return false;
        child.stdin.write(text);
        return true;
      },
      stop() {
        child.stdin.end();
        child.kill("SIGTERM");
        const cancel = deps.after(killGraceMs, () => child.kill("SIGKILL"));
        void ended.then(cancel);
      },
    };
  }

  async function start(program: string, args: readonly string[]): Promise<RunningHelper> {
    const child = spawn(...(await bound(program, args)), { ...options, stdio: ["ignore", "pipe", "pipe"] });
    const texts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (piece: string) => {
        texts[name] = (texts[name] + piece).slice(0, maxOutputChars);
      });
    }
    const ended = new Promise<HelperOutput>((resolve) => {
      child.once("error", (error) => resolve({ code: null, stdout: texts.stdout, stderr: error.message }));
      child.once("close", (code) => resolve({ code, ...texts }));
    });
    return {
      ended,
      stop() {
        child.kill("SIGTERM");
        const cancel = deps.after(killGraceMs, () => child.kill("SIGKILL"));
        void ended.then(cancel);
      },
    };
  }

  async function exchange(order: HelperExchange): Promise<{ output: string } | { failure: string }> {
    const { program, args, input, timeoutMs, idleTimeoutMs, maxOutputBytes } = order;
    const env = { ...options.env, ...order.env };
    const child = spawn(program, args, { ...options, env, stdio: ["pipe", "pipe", "ignore"] });
    const pieces: Buffer[] = [];
    let size = 0;
    let failure: string | undefined;
    const end = (why: string) => {
      failure ??= why;
      child.kill("SIGKILL");
    };
    const cancelTime = deps.after(timeoutMs, () => end(`it did not end within ${timeoutMs} ms`));
    const idle = () => end(`it said nothing for ${idleTimeoutMs} ms`);
    let cancelIdle = deps.after(idleTimeoutMs, idle);
    child.stdout.on("data", (piece: Buffer) => {
      size += piece.length;
      if (size > maxOutputBytes) return end(`it wrote more than ${maxOutputBytes} bytes`);
      pieces.push(piece);
      cancelIdle();
      cancelIdle = deps.after(idleTimeoutMs, idle);
    });
    // A program that does not read its input may still answer.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    return new Promise((resolve) => {
      const over = (why: string | undefined) => {
        cancelTime();
        cancelIdle();
        resolve(why === undefined ? { output: Buffer.concat(pieces).toString("utf8") } : { failure: why });
      };
      child.once("error", (error) => over(failure ?? `it could not be started (${codeOf(error)})`));
      child.once("close", (code) =>
        over(failure ?? (code === 0 ? undefined : `it ended with ${code ?? "a signal"}`)),
      );
    });
  }

  return {
    start,
    exchange,
    talk,
    async run(program, args, timeoutMs) {
      const helper = await start(program, args);
      const cancel = deps.after(timeoutMs, helper.stop);
      const output = await helper.ended;
      cancel();
      return output;
    },
  };
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? "error";
}
