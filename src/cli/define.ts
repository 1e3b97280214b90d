import { connectGateway, type GatewayClient } from "./client.ts";
import { UsageError } from "./failure.ts";
import type { Cli, Command } from "./mod.ts";
import { type OptionSpec, type Options, parseOptions } from "./options.ts";
import { type Style, styleOf } from "./style.ts";
import { gatewayTarget } from "./target.ts";
import { jsonText } from "./visible.ts";

const connectionOptions = {
  url: "text",
  port: "integer",
  token: "text",
  password: "text",
  "tls-fingerprint": "text",
  timeout: "integer",
} as const satisfies OptionSpec;
const ownOptions = { json: "flag", help: "flag" } as const satisfies OptionSpec;
type Shared = typeof connectionOptions & typeof ownOptions;

export interface CommandHelp {
  /** Without "openclaw": "sessions [list] [options]". */
  readonly usage: string;
  readonly about: string;
  readonly options?: readonly (readonly [option: string, what: string])[];
  readonly example: string;
}

/** What a command works with. */
export interface CommandContext<S extends OptionSpec> {
  readonly cli: Cli;
  readonly options: Options<S & Shared>;
  readonly words: readonly string[];
  readonly style: Style;
  /** Columns to keep a table within; 0 in a pipe, where nothing is cut. */
  readonly columns: number;
  readonly now: number;
  /** Connects with these scopes; the connection ends with the command. */
  connect(scopes: readonly string[], caps?: readonly string[]): Promise<GatewayClient>;
  /** Connects, asks one thing, and gives the answer. */
  ask<T>(scope: string, method: string, params?: unknown): Promise<T>;
  /** Prints the value with --json, else the text. */
  print(value: unknown, text: () => string): void;
}

/** Makes a command from its parts: help, options, the connection and its end are the same for all. */
export function define<const S extends OptionSpec>(definition: {
  readonly help: CommandHelp;
  readonly options?: S;
  /** How many words the command takes, at least and at most; none when absent. */
  readonly words?: readonly [least: number, most: number];
  /** True for commands that ask no gateway: they have no connection options. */
  readonly offline?: boolean;
  /** True where --timeout is the command's own, in seconds: how long it waits for an agent. */
  readonly ownTimeout?: boolean;
  readonly run: (context: CommandContext<S>) => Promise<number>;
}): Command {
  return async (cli, args) => {
    const spec = {
      ...definition.options,
      ...ownOptions,
      ...(definition.offline ? {} : connectionOptions),
    } as S & Shared;
    let options: Options<S & Shared>;
    try {
      options = parseOptions(args, spec);
      const [least, most] = definition.words ?? [0, 0];
      const { length } = options.rest;
      if (!isHelp(options) && (length < least || length > most)) {
        const extra = options.rest[most];
        throw new UsageError(
          length > most
            ? `unexpected argument ${JSON.stringify(extra)}`
            : `something is missing: openclaw ${definition.help.usage}`,
        );
      }
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`${error.message}\nTry: openclaw ${nameOf(definition.help)} --help`);
    }
    if (isHelp(options)) {
      cli.stdout(helpText(definition.help, !definition.offline));
      return 0;
    }
    const opened: GatewayClient[] = [];
    try {
      return await definition.run(contextOf(cli, options, opened, definition.ownTimeout === true));
    } finally {
      for (const client of opened) client.close();
    }
  };
}

/** Commands under one name; without a name the `usual` one runs. */
export function group(
  help: CommandHelp,
  commands: Readonly<Record<string, Command>>,
  usual?: string,
): Command {
  return async (cli, args) => {
    const [first, ...rest] = args;
    if (first !== undefined && Object.hasOwn(commands, first)) {
      return (commands[first] as Command)(cli, rest);
    }
    if (args.includes("--help") || args.includes("-h") || first === "help") {
      cli.stdout(helpText(help, true));
      return 0;
    }
    if (usual !== undefined && (first === undefined || first.startsWith("-")))
      return (commands[usual] as Command)(cli, args);
    throw new UsageError(
      `${first === undefined ? "a command is missing" : `there is no command ${JSON.stringify(`${nameOf(help)} ${first}`)}`}; there are: ${Object.keys(commands).join(", ")}\nTry: openclaw ${nameOf(help)} --help`,
    );
  };
}

function contextOf<S extends OptionSpec>(
  cli: Cli,
  options: Options<S & Shared>,
  opened: GatewayClient[],
  ownTimeout: boolean,
): CommandContext<S> {
  const shared = options as Options<Shared>;
  const timeoutMs = (ownTimeout ? undefined : shared.timeout) ?? 10_000;
  const connect = async (scopes: readonly string[], caps?: readonly string[]) => {
    const client = await connectGateway(await gatewayTarget(cli, shared), {
      clock: cli.clock,
      version: cli.version(),
      platform: cli.platform,
      scopes,
      ...(caps ? { caps } : {}),
      timeoutMs,
    });
    opened.push(client);
    return client;
  };
  return {
    cli,
    options,
    words: options.rest,
    style: styleOf(cli),
    columns: cli.isTTY ? cli.columns : 0,
    now: cli.clock.now(),
    connect,
    // The answers are our own gateway's: their shapes are in control/methods.
    ask: async <T>(scope: string, method: string, params?: unknown) =>
      (await (await connect([scope])).request(method, params)) as T,
    print: (value, text) => cli.stdout(shared.json ? `${jsonText(value)}\n` : text()),
  };
}

function isHelp(options: object): boolean {
  return (options as { help?: true }).help === true;
}

/** "audit list [options]" -> "audit list". */
function nameOf(help: CommandHelp): string {
  return /^[a-z]+(?: [a-z]+)*/.exec(help.usage)?.[0] ?? help.usage;
}

function helpText(help: CommandHelp, connects: boolean): string {
  const rows: (readonly [string, string])[] = [...(help.options ?? [])];
  if (connects) {
    rows.push(
      ["--json", "print JSON, for scripts"],
      ["--url <address>", "ask the gateway at wss://host:port (needs --token or --password)"],
      ["--port <port>", "ask the gateway on this port of this machine"],
      ["--tls-fingerprint <hex>", "talk to the certificate with this SHA-256 only"],
      ["--token <token>", "instead of the configured one; also --password"],
      ["--timeout <ms>", "wait this long for an answer (10000)"],
    );
  }
  const unique = rows.filter(
    ([option], index) => rows.findIndex(([other]) => other.split(" ")[0] === option.split(" ")[0]) === index,
  );
  const width = Math.max(0, ...unique.map(([option]) => option.length));
  const options = unique.map(([option, what]) => `  ${option.padEnd(width)}  ${what}\n`).join("");
  return `Usage: openclaw ${help.usage}\n\n${help.about}\n${options === "" ? "" : `\nOptions:\n${options}`}\nExample:\n  ${help.example}\n`;
}
