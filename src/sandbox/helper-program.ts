import { spawn } from "node:child_process";
import { InputError } from "../kernel/mod.ts";
import { searchPath } from "./environment.ts";
import { resolveProgram } from "./program.ts";

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
}

const maxOutputChars = 1_000_000;
const killGraceMs = 3000;

export function createHelperPrograms(deps: {
  /** A PATH; only its absolute folders count. */
  readonly path: string;
  readonly after: (delayMs: number, action: () => void) => () => void;
}): HelperPrograms {
  const folders = searchPath(deps.path);

  async function start(program: string, args: readonly string[]): Promise<RunningHelper> {
    const file = await resolveProgram(program, folders, "/");
    if (file === undefined)
      throw new InputError(`there is no program ${JSON.stringify(program)} in PATH (${folders.join(":")})`);
    const child = spawn(file, args, {
      cwd: "/",
      env: { PATH: folders.join(":"), LANG: "C.UTF-8" },
      shell: false,
      stdio: ["ignore", "pipe", "pipe"],
    });
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

  return {
    start,
    async run(program, args, timeoutMs) {
      const helper = await start(program, args);
      const cancel = deps.after(timeoutMs, helper.stop);
      const output = await helper.ended;
      cancel();
      return output;
    },
  };
}
