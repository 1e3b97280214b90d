/**
 * The command line. Talks to a running gateway over its protocol, or starts one.
 *
 * 1. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no gateway answers.
 * 2. Every command has --help with an example, and those that print data have --json.
 * 3. A command loads only what it needs: read-only calls answer within 120 ms.
 * 4. No command prints a secret, but for those whose purpose that is.
 */
import type { Readable, Writable } from "node:stream";
import type { StatePaths } from "../compose/state-folder.ts";
import type { Clock, Random } from "../kernel/mod.ts";

/** What a command may touch: the process, given by main. */
export interface Cli {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly paths: StatePaths;
  readonly version: () => string;
  readonly isTTY: boolean;
  readonly columns: number;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly stdin: () => Promise<string>;
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly onInterrupt: (action: () => void) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly platform: string;
  readonly runGateway: (options: GatewayRunOptions) => Promise<number>;
}

export interface GatewayRunOptions {
  readonly port: number | undefined;
  readonly verbose: boolean;
  readonly graceMs: number;
  /** Called when the gateway answers. */
  readonly started: (served: {
    readonly url: string;
    readonly port: number;
    readonly model: string;
    readonly logFile: string;
    readonly signInUrl: () => string;
  }) => void;
}

/** A command: resolves with the exit code. `args` are what follows its name. */
export type Command = (cli: Cli, args: readonly string[]) => Promise<number>;

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const commands: Readonly<Record<string, Entry>> = {
  gateway: {
    summary: "run the gateway in this terminal, or ask a running one",
    load: async () => (await import("./gateway-command.ts")).gatewayCommand,
  },
  config: {
    summary: "read, change and check openclaw.json",
    load: async () => (await import("./config-entry.ts")).configEntry,
  },
};

export async function runCli(cli: Cli): Promise<number> {
  const [name, ...rest] = cli.args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    cli.stdout(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V" || name === "version") {
    cli.stdout(`${cli.version()}\n`);
    return 0;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!entry) {
    cli.stderr(`openclaw: there is no command ${JSON.stringify(name)}.\n\n${overview()}`);
    return 2;
  }
  return (await entry.load())(cli, rest);
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const rows = Object.entries(commands).map(([name, entry]) => `  ${name.padEnd(width)}  ${entry.summary}`);
  return `Usage: openclaw [--profile <name>] <command> [options]

${rows.join("\n")}

Each command explains itself with --help.
Example:
  openclaw gateway run
`;
}
