import { hostname } from "node:os";
import { type NodeMemory, nodeFiles, readNodeMemory, startNodeHost } from "../compose/node-host.ts";
import { InputError, keepAlive, type Log, Secret } from "../kernel/mod.ts";
import { type LinkState, openIdentity } from "../nodes/host/mod.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { openNodeSocket } from "./node-socket.ts";
import { ago, facts } from "./table.ts";
import { gatewayTarget, remoteUrl } from "./target.ts";
import { visibleLine } from "./visible.ts";

const runOptions = {
  host: "text",
  tls: "flag",
  "no-tls": "flag",
  "tls-fingerprint": "text",
  "context-path": "text",
  "display-name": "text",
  "setup-code": "text",
  pair: "text",
  commands: "text",
  "all-commands": "flag",
  port: "integer",
  token: "text",
  password: "text",
} as const;
type RunOptions = {
  readonly [K in keyof typeof runOptions]?: (typeof runOptions)[K] extends "flag"
    ? true
    : (typeof runOptions)[K] extends "integer"
      ? number
      : string;
};

interface Status {
  readonly pid: number;
  readonly nodeId: string;
  readonly url: string;
  readonly state: LinkState["kind"];
  readonly detail: string;
  readonly sinceMs: number;
}

const run = define({
  help: {
    usage: "node run [options]",
    about: `Runs this machine as a node of a gateway: it pairs with a key of its own, then does what the gateway asks, as
far as its own rules (node/exec-approvals.json in the state folder) allow. The gateway's operator approves it twice:
openclaw devices approve, then openclaw nodes approve. Without --host it joins the gateway that it belonged to last,
else the one of this state folder.`,
    options: [
      ["--host <host>", "the gateway's machine; --port <port> (18789)"],
      ["--tls, --no-tls", "wss:// or ws://; beyond this machine TLS is the default"],
      ["--tls-fingerprint <hex>", "talk to the certificate with this SHA-256 only"],
      ["--context-path <path>", "where a proxy has put the gateway"],
      ["--setup-code <code>", "pair with a code from device.pair.setupCode; also --pair"],
      ["--token <token>", "the gateway's token, for the first time; also --password"],
      ["--display-name <name>", "what operators see (the machine's name)"],
      ["--commands <a,b>", "offer only these, from now on; --all-commands takes that back"],
    ],
    example: "openclaw node run --host gateway.example --tls-fingerprint 3f:a2:...",
  },
  options: runOptions,
  offline: true,
  run: async ({ cli, options }) => {
    const { memory, ...credentials } = await gatewayOf(cli, options);
    const files = nodeFiles(cli.paths.root);
    const identity = await openIdentity(files.identity);
    await files.gateway.write({ version: 1, ...memory });
    const ended = Promise.withResolvers<number>();
    const letEnd = keepAlive();
    let told = "";
    const link = await startNodeHost({
      ...credentials,
      stateFolder: cli.paths.root,
      memory,
      version: cli.version(),
      platform: cli.platform,
      displayName: memory.displayName ?? hostname(),
      path: cli.env.PATH ?? "",
      home: cli.env.HOME,
      clock: cli.clock,
      random: cli.random,
      log: logTo(cli),
      sendSignal: cli.sendSignal,
      open: (events) => openNodeSocket(memory.url, memory.tlsFingerprint, events),
      changed(state) {
        const line = stateText(state, memory.url);
        // Once: a gateway that is away for a night is no reason for a screen full of the same.
        if (line !== told) cli.stdout(`${line}\n`);
        told = line;
        const status: Status = {
          pid: cli.pid,
          nodeId: identity.deviceId,
          url: memory.url,
          state: state.kind,
          detail: line,
          sinceMs: cli.clock.now(),
        };
        void files.status.write(status).catch(() => {});
        if (state.kind === "refused") ended.resolve(1);
      },
    });
    cli.stdout(`node ${identity.deviceId}\n`);
    cli.onStop(() => ended.resolve(0));
    const code = await ended.promise;
    link.close();
    letEnd();
    return code;
  },
});

/** Options, else what was remembered, else the gateway of this state folder; and what proves who asks. */
async function gatewayOf(cli: Cli, options: RunOptions) {
  const known = await readNodeMemory(cli.paths.root);
  const code = setupCode(options["setup-code"] ?? options.pair);
  const token = options.token ?? cli.env.OPENCLAW_GATEWAY_TOKEN;
  const password = options.password ?? cli.env.OPENCLAW_GATEWAY_PASSWORD;
  const given = {
    ...(token ? { token: new Secret(token) } : {}),
    ...(password ? { password: new Secret(password) } : {}),
  };
  const displayName = options["display-name"] ?? known?.displayName;
  const commands = options["all-commands"] ? undefined : (options.commands?.split(",") ?? known?.commands);
  const pin = options["tls-fingerprint"];
  const memoryFor = (url: string): NodeMemory => {
    const same = known?.url === url ? known : undefined;
    const fingerprint = pin ?? same?.tlsFingerprint;
    return {
      url,
      ...(fingerprint === undefined ? {} : { tlsFingerprint: fingerprint }),
      ...(displayName === undefined ? {} : { displayName }),
      ...(commands === undefined ? {} : { commands }),
      // What another gateway gave is none of this one's business.
      ...(same?.deviceToken === undefined ? {} : { deviceToken: same.deviceToken }),
    };
  };
  if (code) return { memory: memoryFor(remoteUrl(code.url)), bootstrapToken: code.token };
  if (options.host !== undefined) return { memory: memoryFor(urlOf(options.host, options)), ...given };
  if (known && options.port === undefined) return { memory: memoryFor(known.url), ...given };
  const target = await gatewayTarget(cli, options);
  return {
    memory: memoryFor(target.url),
    ...(target.token ? { token: target.token } : {}),
    ...(target.password ? { password: target.password } : {}),
  };
}

function urlOf(host: string, options: RunOptions): string {
  const isLoopback = /^(?:127(?:\.\d+){3}|localhost|::1)$/.test(host);
  const isTls = options.tls === true || (options["no-tls"] !== true && !isLoopback);
  const path = options["context-path"]?.replace(/^\/*/, "/") ?? "/";
  const name = host.includes(":") ? `[${host}]` : host;
  return remoteUrl(`${isTls ? "wss" : "ws"}://${name}:${options.port ?? 18_789}${path}`);
}

function setupCode(text: string | undefined): { readonly url: string; readonly token: Secret } | undefined {
  if (text === undefined) return undefined;
  try {
    const bytes = Buffer.from(text.replace(/^oc-pair:\/\//, ""), "base64url");
    const { url, bootstrapToken } = JSON.parse(bytes.toString("utf8")) as Readonly<Record<string, unknown>>;
    if (typeof url === "string" && typeof bootstrapToken === "string")
      return { url, token: new Secret(bootstrapToken) };
  } catch {
    // Said below.
  }
  throw new UsageError("the setup code cannot be read; copy it whole, or make a new one");
}

function stateText(state: LinkState, url: string): string {
  switch (state.kind) {
    case "connecting":
      return `connecting to ${url}`;
    case "connected":
      return `connected to ${url} (openclaw ${visibleLine(state.version)})`;
    case "waiting":
      return `waiting: approve this node on the gateway with: openclaw devices approve ${visibleLine(state.requestId)}`;
    case "lost":
      return `not connected: ${visibleLine(state.problem)}; trying again`;
    default:
      return `the gateway refused this node: ${visibleLine(state.message)} (${visibleLine(state.code)})`;
  }
}

function logTo(cli: Cli): Log {
  return (level, message, fields) => {
    if (level === "warn" || level === "error" || level === "fatal")
      cli.stderr(`${level}: ${visibleLine(message)} ${visibleLine(JSON.stringify(fields ?? {}))}\n`);
  };
}

const status = define({
  help: {
    usage: "node status [options]",
    about: "Whether this machine runs as a node, of which gateway, and under which id. Asks no gateway.",
    options: [["--json", "print JSON, for scripts"]],
    example: "openclaw node status",
  },
  offline: true,
  run: async (context) => {
    const { cli } = context;
    const files = nodeFiles(cli.paths.root);
    const value = (await files.status.read()) as Status | undefined;
    const memory = await readNodeMemory(cli.paths.root);
    const isRunning = value !== undefined && runs(cli, value.pid);
    const shown = {
      running: isRunning,
      ...(memory ? { gateway: memory.url } : {}),
      ...(value ? { nodeId: value.nodeId, state: isRunning ? value.state : "stopped" } : {}),
      ...(isRunning ? { pid: value.pid, sinceMs: value.sinceMs } : {}),
    };
    context.print(shown, () =>
      value === undefined
        ? "This machine has not run as a node. Start one: openclaw node run\n"
        : facts([
            ["node", value.nodeId],
            ["gateway", memory?.url ?? value.url],
            ["state", isRunning ? value.detail : "not running"],
            ...(isRunning ? ([["since", ago(value.sinceMs, context.now)]] as const) : []),
            ["rules", files.rules.path],
          ]),
    );
    return isRunning && value.state === "connected" ? 0 : 1;
  },
});

function runs(cli: Cli, pid: number): boolean {
  try {
    cli.sendSignal(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const identity = define({
  help: {
    usage: "node identity [options]",
    about: "The id and the public key of this node; makes them when there are none.",
    options: [["--json", "print JSON, for scripts"]],
    example: "openclaw node identity --json",
  },
  offline: true,
  run: async (context) => {
    try {
      const { deviceId, publicKey } = await openIdentity(nodeFiles(context.cli.paths.root).identity);
      context.print({ deviceId, publicKey }, () =>
        facts([
          ["node", deviceId],
          ["public key", publicKey],
        ]),
      );
      return 0;
    } catch (error) {
      if (error instanceof InputError) throw new CommandFailure(1, error.message);
      throw error;
    }
  },
});

export const nodeCommand = group(
  {
    usage: "node run|status|identity|install",
    about: `This machine as a node of a gateway.

  run        join a gateway and do what it asks
  status     whether that runs, and where
  identity   this node's id and public key
  install    run it as a service of this user, from now on; uninstall takes that back
  start, stop, restart`,
    example: "openclaw node run",
  },
  {
    run,
    status,
    identity,
    install: async (cli, args) => (await services()).serviceInstall("node")(cli, args),
    uninstall: async (cli, args) => (await services()).serviceUninstall("node")(cli, args),
    start: async (cli, args) => (await services()).serviceAction("node", "start")(cli, args),
    stop: async (cli, args) => (await services()).serviceAction("node", "stop")(cli, args),
    restart: async (cli, args) => (await services()).serviceAction("node", "restart")(cli, args),
  },
);

function services() {
  return import("./service-command.ts");
}
