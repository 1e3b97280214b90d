import { existsSync } from "node:fs";
import { UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { parseOptions } from "./options.ts";

const help = `Usage: openclaw gateway [run] [options]
       openclaw gateway status|health|probe|call|remote-configure
       openclaw gateway install|uninstall|start|stop|restart

Runs the gateway in this terminal until it is stopped with Ctrl-C or SIGTERM.
Without a configuration, a first one is written: random token, loopback only, pairing, commands ask first.

Options:
  --port <port>       listen here instead of gateway.port (18789)
  --verbose           show more on the terminal
  --grace <seconds>   how long a stop waits for running replies (default 20)

Questions to a running gateway, each with its own --help:
  status              whether it runs, where, with which config
  health              whether it is well
  probe               whether one answers, and what this terminal may do with it
  call <method>       one method of its protocol

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
  if (!existsSync(cli.paths.configFile)) await writeFirstConfig(cli);
  const { service } = options;
  const run = () =>
    cli.runGateway({
      port: options.port,
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

async function writeFirstConfig(cli: Cli): Promise<void> {
  const [{ firstRun, hasContainerEngine, writeFirst }, { knownProviders }] = await Promise.all([
    import("../compose/first-run.ts"),
    import("../providers/mod.ts"),
  ]);
  const first = await firstRun({
    env: cli.env,
    random: cli.random,
    known: knownProviders,
    workspace: cli.paths.workspace,
    hasContainerEngine: hasContainerEngine(),
  });
  await writeFirst(cli.paths, first.config);
  cli.stdout(
    [
      `First run: wrote the secure baseline to ${cli.paths.configFile}`,
      "  a random token, loopback only, unknown senders must be paired, one session per sender and channel,",
      "  commands that are not on the allowlist ask first, secrets are kept out of the log.",
      `  Model: ${first.model}, ${first.because}.`,
      "",
    ].join("\n"),
  );
}
