import { spawn } from "node:child_process";

import { programFile as mainFile } from "./program.ts";

export interface CommandLine {
  readonly stateFolder: string;
  /** Undefined: as the config says. */
  readonly port?: number;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** PATH of the command; the test's own when absent. */
  readonly path?: string;
  readonly home?: string;
}

export interface CommandResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `openclaw <args>` to its end, as a process of its own with nothing of the developer's environment. */
export function runCommand(args: readonly string[], given: CommandLine): Promise<CommandResult> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", mainFile, ...args], {
    env: {
      PATH: given.path ?? process.env.PATH ?? "",
      HOME: given.home ?? given.stateFolder,
      OPENCLAW_STATE_DIR: given.stateFolder,
      ...(given.port === undefined ? {} : { OPENCLAW_GATEWAY_PORT: String(given.port) }),
      ...given.env,
    },
    stdio: "pipe",
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    err += text;
  });
  child.stdin.end(given.input ?? "");
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}
