import { existsSync } from "node:fs";
import type { RunOverrides } from "../compose/run-overrides.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { parseOptions } from "./options.ts";

const help = `Usage: openclaw gateway [run] [options]
       openclaw gateway status|health|probe|call|discover|remote-configure
       openclaw gateway install|uninstall|start|stop|restart

Runs the gateway in this terminal until it is stopped with Ctrl-C or SIGTERM.
Without a configuration, a first one is written: random token, loopback only, pairing, commands ask first.

Options:
  --port <port>       listen here instead of gateway.port (18789)
  --bind <mode>       loopback, lan, tailnet, auto or custom, instead of gateway.bind
  --auth <mode>       token, password, trusted-proxy or none, instead of gateway.auth.mode
  --token <token>     instead of gateway.auth.token; others on this machine can see it
  --password <text>   instead of gateway.auth.password; others on this machine can see it
  --password-file <file>  the password, from a file that only you can read
  --tailscale <mode>  off, serve or funnel, instead of gateway.tailscale.mode
  --verbose           show more on the terminal
  --grace <seconds>   how long a stop waits for running replies (default 20)

Questions to a running gateway, each with its own --help:
  status              whether it runs, where, with which config
  health              whether it is well
  probe               whether one answers, and what this terminal may do with it
  call <method>       one method of its protocol

  discover            which gateways tell the local network of themselves

  install             run it as a service of this user, from now on; uninstall takes that back
  start, stop, restart

  remote-configure    remember a gateway on another machine, for this machine's commands

Example:
  openclaw gateway run --port 18790
`;

const queries: ReadonlySet<string> = new Set(["status", "health", "probe", "call"]);

export async function gatewayCommand(cli: Cli, args: readonly string[]): Promise<number> {
  const [first, ...others] = args;
  if (first === "remote-configure") return (await import("./remote-command.ts")).remoteConfigure(cli, others);
  if (
    first === "install" ||
    first === "uninstall" ||
    first === "start" ||
    first === "stop" ||
    first === "restart"
  ) {
    const { serviceAction, serviceInstall, serviceUninstall } = await import("./service-command.ts");
    if (first === "install") return serviceInstall("gateway")(cli, others);
    if (first === "uninstall") return serviceUninstall("gateway")(cli, others);
    return serviceAction("gateway", first)(cli, others);
  }
  if (first === "discover") return (await import("./discover-command.ts")).gatewayDiscover(cli, others);
  if (first !== undefined && queries.has(first)) {
    const { gatewayCall, gatewayHealth, gatewayProbe, gatewayStatus } = await import("./gateway-queries.ts");
    const query = { call: gatewayCall, health: gatewayHealth, probe: gatewayProbe, status: gatewayStatus }[
      first
    ];
    if (query) return query(cli, others);
  }
  const rest = first === "run" ? others : args;
  const options = parseOptions(rest, {
    port: "integer",
    bind: "text",
    auth: "text",
    token: "text",
    password: "text",
    "password-file": "text",
    tailscale: "text",
    grace: "integer",
    verbose: "flag",
    help: "flag",
    "allow-unconfigured": "flag",
    // Of an installed service only: what restarts it, and how it wants to be told not to.
    service: "text",
  });
  if (options.help) {
    cli.stdout(help);
    return 0;
  }
  if (options.rest.length > 0)
    throw new UsageError(`unknown argument ${JSON.stringify(options.rest[0])}\nTry: openclaw gateway --help`);
  const overrides = await overridesOf(options);
  if (!existsSync(cli.paths.configFile)) await writeFirstConfig(cli);
  const { service } = options;
  const run = () =>
    cli.runGateway({
      port: options.port,
      overrides,
      verbose: options.verbose === true,
      graceMs: (options.grace ?? 20) * 1000,
      started(served) {
        const lines = [
          `openclaw ${cli.version()} is ready on ${served.url}`,
          // A service's output is kept in a journal: no place for what signs in.
          service === undefined
            ? `  page    ${served.signInUrl()}   (signs in once, within ten minutes)`
            : `  page    ${served.url}   (sign in: openclaw dashboard)`,
          `  model   ${served.model}${served.model.startsWith("demo/") ? "   (offline demonstration, not a real model)" : ""}`,
          `  config  ${cli.paths.configFile}`,
          `  log     ${served.logFile}`,
        ];
        cli.stdout(`${lines.join("\n")}\n`);
      },
    });
  if (service === undefined) return run();
  const { yielding } = await import("./service-yield.ts");
  return yielding(cli, service, options.port, run);
}

/** Throws for a mode that is none, and for a password file that others can read. */
async function overridesOf(given: {
  readonly bind?: string;
  readonly auth?: string;
  readonly token?: string;
  readonly password?: string;
  readonly "password-file"?: string;
  readonly tailscale?: string;
}): Promise<RunOverrides> {
  const { token } = given;
  const file = given["password-file"];
  if (file !== undefined && given.password !== undefined)
    throw new UsageError("--password and --password-file: give one of them");
  const password = file === undefined ? given.password : await passwordIn(file);
  for (const [name, secret] of Object.entries({ token, password }))
    if (secret?.trim() === "") throw new UsageError(`--${name} is empty`);
  const bind = oneOf("bind", given.bind, ["loopback", "lan", "tailnet", "auto", "custom"]);
  const authMode = oneOf("auth", given.auth, ["token", "password", "trusted-proxy", "none"]);
  const tailscale = oneOf("tailscale", given.tailscale, ["off", "serve", "funnel"]);
  return {
    ...(bind === undefined ? {} : { bind }),
    ...(authMode === undefined ? {} : { authMode }),
    ...(token === undefined ? {} : { token }),
    ...(password === undefined ? {} : { password }),
    ...(tailscale === undefined ? {} : { tailscale }),
  };
}

function oneOf<const V extends string>(
  name: string,
  value: string | undefined,
  values: readonly V[],
): V | undefined {
  if (value === undefined) return undefined;
  const known = values.find((item) => item === value);
  if (known === undefined)
    throw new UsageError(`--${name} ${JSON.stringify(value)}: it must be one of ${values.join(", ")}`);
  return known;
}

async function passwordIn(file: string): Promise<string> {
  const [{ readSecretFile }, { statSync }] = await Promise.all([
    import("../channels/mod.ts"),
    import("node:fs"),
  ]);
  const password = readSecretFile(file);
  if ((statSync(file).mode & 0o077) !== 0)
    throw new CommandFailure(1, `${file} can be read by others; chmod 600 it, and choose another password`);
  return password;
}

async function writeFirstConfig(cli: Cli): Promise<void> {
  const [{ firstRun, writeFirst }, { surveySandboxes, usedMaker }, { knownProviders }] = await Promise.all([
    import("../compose/first-run.ts"),
    import("../compose/sandbox-survey.ts"),
    import("../providers/mod.ts"),
  ]);
  const sandboxMaker = usedMaker(await surveySandboxes(cli));
  const first = await firstRun({
    env: cli.env,
    random: cli.random,
    known: knownProviders,
    workspace: cli.paths.workspace,
    sandboxMaker,
  });
  await writeFirst(cli.paths, first.config);
  cli.stdout(
    [
      `First run: wrote the secure baseline to ${cli.paths.configFile}`,
      "  a random token, loopback only, unknown senders must be paired, one session per sender and channel,",
      "  commands that are not on the allowlist ask first, secrets are kept out of the log.",
      sandboxMaker
        ? `  Commands of groups and guests run in sandboxes made with ${sandboxMaker}.`
        : "  Nothing here can make sandboxes: install bubblewrap, Docker or Podman.",
      `  Model: ${first.model}, ${first.because}.`,
      "",
    ].join("\n"),
  );
}
