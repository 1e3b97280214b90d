/**
 * The command line. Talks to a running gateway over its protocol, or starts one.
 *
 * 1. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no gateway answers.
 * 2. Every command has --help with an example, and those that print data have --json.
 * 3. A command loads only what it needs: read-only calls answer within 120 ms.
 * 4. No command prints a secret, but for those whose purpose that is.
 * 5. What others wrote never reaches the terminal as control characters.
 * 6. A configured secret is sent to the configured gateway only, never to an address given on the command line.
 * 7. Beyond this machine a secret travels over TLS only; a pinned certificate is looked at before anything is sent.
 */

import type { Readable, Writable } from "node:stream";
import type { RunOverrides } from "../compose/run-overrides.ts";
import type { StatePaths } from "../compose/state-folder.ts";
import type { Clock, Random } from "../kernel/mod.ts";
import type { SendSignal } from "../sandbox/mod.ts";
import { CommandFailure, UsageError } from "./failure.ts";

/** What a command may touch: the process, given by main. */
export interface Cli {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly paths: StatePaths;
  /** --profile */
  readonly profile: string | undefined;
  /** What starts this command line: an absolute program and its first arguments. */
  readonly program: readonly string[];
  readonly version: () => string;
  readonly isTTY: boolean;
  readonly columns: number;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly stdin: () => Promise<string>;
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly onInterrupt: (action: () => void) => void;
  /** Ctrl-C, or a service manager that wants it to end. */
  readonly onStop: (action: () => void) => void;
  readonly sendSignal: SendSignal;
  readonly pid: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly platform: string;
  readonly runGateway: (options: GatewayRunOptions) => Promise<number>;
}

export interface GatewayRunOptions {
  readonly port: number | undefined;
  readonly overrides: RunOverrides;
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

/** Other names of commands, of older versions. */
const aliases: Readonly<Record<string, string>> = { tui: "chat" };

const commands: Readonly<Record<string, Entry>> = {
  gateway: {
    summary: "run the gateway in this terminal, or ask a running one",
    load: async () => (await import("./gateway-command.ts")).gatewayCommand,
  },
  chat: {
    summary: "talk to an agent in this terminal",
    load: async () => (await import("./chat-command.ts")).chatCommand,
  },
  agent: {
    summary: "send one message and print the answer",
    load: async () => (await import("./agent-command.ts")).agentCommand,
  },
  status: {
    summary: "what the gateway is doing",
    load: async () => (await import("./status-command.ts")).statusCommand,
  },
  health: {
    summary: "whether the gateway is well",
    load: async () => (await import("./health-command.ts")).healthCommand,
  },
  sessions: {
    summary: "the conversations",
    load: async () => (await import("./sessions-command.ts")).sessionsCommand,
  },
  approvals: {
    summary: "commands that wait for your yes, and those that you allowed for good",
    load: async () => (await import("./approvals-command.ts")).approvalsCommand,
  },
  "exec-policy": {
    summary: "what becomes of the commands that agents want to run",
    load: async () => (await import("./exec-policy-command.ts")).execPolicyCommand,
  },
  tools: {
    summary: "whether an agent may use a tool, and which rule says so",
    load: async () => (await import("./tools-command.ts")).toolsCommand,
  },
  sandbox: {
    summary: "where commands of sandboxed conversations run",
    load: async () => (await import("./sandbox-command.ts")).sandboxCommand,
  },
  access: {
    summary: "who may talk to an agent, why, and what they could make it do",
    load: async () => (await import("./access-command.ts")).accessCommand,
  },
  pairing: {
    summary: "people who ask to talk to an agent",
    load: async () => (await import("./pairing-command.ts")).pairingCommand,
  },
  devices: {
    summary: "programs and machines that sign in with a key of their own",
    load: async () => (await import("./devices-command.ts")).devicesCommand,
  },
  nodes: {
    summary: "other machines that the gateway may ask for something",
    load: async () => (await import("./nodes-command.ts")).nodesCommand,
  },
  node: {
    summary: "this machine as a node of a gateway",
    load: async () => (await import("./node-command.ts")).nodeCommand,
  },
  tokens: {
    summary: "tokens for programs that should do less than you",
    load: async () => (await import("./tokens-command.ts")).tokensCommand,
  },
  privacy: {
    summary: "one person's data: hand it out, or erase it for good",
    load: async () => (await import("./privacy-command.ts")).privacyCommand,
  },
  channels: {
    summary: "the chat platforms",
    load: async () => (await import("./channels-command.ts")).channelsCommand,
  },
  models: {
    summary: "the models",
    load: async () => (await import("./list-commands.ts")).modelsCommand,
  },
  agents: {
    summary: "the agents",
    load: async () => (await import("./list-commands.ts")).agentsCommand,
  },
  usage: {
    summary: "turns, tokens and cost by day",
    load: async () => (await import("./list-commands.ts")).usageCommand,
  },
  why: {
    summary: "what happened to a message, step by step",
    load: async () => (await import("./why-command.ts")).whyCommand,
  },
  audit: {
    summary: "the record of decisions and effects, and its proof",
    load: async () => (await import("./audit-command.ts")).auditCommand,
  },
  logs: {
    summary: "the operations log",
    load: async () => (await import("./logs-command.ts")).logsCommand,
  },
  message: {
    summary: "write to a chat yourself",
    load: async () => (await import("./message-command.ts")).messageCommand,
  },
  deliveries: {
    summary: "messages that did not surely arrive",
    load: async () => (await import("./deliveries-command.ts")).deliveriesCommand,
  },
  qr: {
    summary: "a code that lets a phone or another machine in",
    load: async () => (await import("./qr-command.ts")).qrCommand,
  },
  dashboard: {
    summary: "a sign-in link to the page",
    load: async () => (await import("./dashboard-command.ts")).dashboardCommand,
  },
  onboard: {
    summary: "set up a gateway, step by step",
    load: async () => (await import("./onboard-command.ts")).onboardCommand,
  },
  doctor: {
    summary: "what makes sandboxes here; make a new gateway token",
    load: async () => (await import("./doctor-command.ts")).doctorCommand,
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
  const known = Object.hasOwn(aliases, name) ? (aliases[name] ?? name) : name;
  const entry = Object.hasOwn(commands, known) ? commands[known] : undefined;
  if (!entry) {
    cli.stderr(`openclaw: there is no command ${JSON.stringify(name)}.\n\n${overview()}`);
    return 2;
  }
  try {
    return await (await entry.load())(cli, rest);
  } catch (error) {
    if (error instanceof CommandFailure) {
      cli.stderr(`openclaw: ${error.message}\n`);
      return error.exitCode;
    }
    if (error instanceof UsageError) {
      cli.stderr(`openclaw: ${error.message}\n`);
      return 2;
    }
    throw error;
  }
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
