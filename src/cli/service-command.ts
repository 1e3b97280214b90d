import { lstat, mkdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli, Command } from "./mod.ts";
import { type ServiceHost, type ServiceState, serviceHost } from "./service-host.ts";
import { drainSeconds, type ServicePlan } from "./service-text.ts";
import { facts } from "./table.ts";

type Kind = "gateway" | "node";

const installOptions = { port: "integer", force: "flag", yes: "flag" } as const;

/** `gateway install`, `node install`: writes the service's text, and runs it from now on. */
export const serviceInstall = (kind: Kind): Command =>
  define({
    help: {
      usage: `${kind} install [options]`,
      about: `Runs the ${kind} as a service of this user: a systemd user unit on Linux, a launchd agent on macOS. It starts with
the machine's login, and again when it fails. Its file holds no secret; variables that the config reads (\${NAME})
go into .env of the state folder${kind === "node" ? ". Join once before: openclaw node run" : ""}.`,
      options: [
        ...(kind === "gateway" ? ([["--port <port>", "listen here instead of gateway.port"]] as const) : []),
        ["--force", "replace a service that is there and says something else"],
        ["--yes", "as root too, although every command that an agent runs is then root's"],
        ["--json", "print JSON, for scripts"],
      ],
      example: kind === "gateway" ? "openclaw gateway install --port 18790" : "openclaw node install",
    },
    options: installOptions,
    offline: true,
    run: async (context) => {
      const { cli, options } = context;
      const host = serviceHost(cli, kind);
      if (userInfo().uid === 0 && !options.yes)
        throw new CommandFailure(
          1,
          "as root, every command that an agent runs would be root's. Make a user for it, or say --yes; nothing was changed",
        );
      if (kind === "node") await mustHaveJoined(cli);
      const text = host.textOf(await planOf(cli, kind, host.manager, options.port));
      const present = await textAt(host.file);
      if (present !== undefined && present !== text && !options.force)
        throw new CommandFailure(
          1,
          `${host.file} is there and says something else; --force replaces it. Nothing was changed`,
        );
      await host.reach();
      const isNew = present !== text;
      if (isNew) await put(cli, host.file, text);
      const before = isNew ? undefined : await host.state();
      // What runs as it should is left alone: installing twice interrupts nothing.
      if (before?.state !== "active" && before?.state !== "running") await host.activate();
      const state = await host.state();
      const [hint, variables] = [await host.hint(), await variablesOf(cli)];
      context.print({ ok: true, changed: isNew, ...shown(host, state) }, () =>
        [
          facts([
            [isNew ? "installed" : "as it was", `${host.manager} ${host.name}`],
            ["file", host.file],
            ["state", stateText(state)],
            ...(variables.length === 0
              ? []
              : [
                  [
                    "variables",
                    `${variables.join(", ")}: put them into ${join(cli.paths.root, ".env")} (mode 600)`,
                  ] as const,
                ]),
          ]),
          ...(hint === undefined ? [] : [`${hint}\n`]),
        ].join(""),
      );
      return 0;
    },
  });

export const serviceUninstall = (kind: Kind): Command =>
  define({
    help: {
      usage: `${kind} uninstall [options]`,
      about: "Stops the service and takes it away. Config and state stay.",
      options: [["--json", "print JSON, for scripts"]],
      example: `openclaw ${kind} uninstall`,
    },
    offline: true,
    run: async (context) => {
      const host = serviceHost(context.cli, kind);
      const isThere = (await textAt(host.file)) !== undefined;
      if (isThere) {
        await host.reach();
        await host.deactivate();
        await unlink(host.file);
        await host.forget();
      }
      context.print({ ok: true, changed: isThere, name: host.name, file: host.file }, () =>
        isThere ? `${host.name} is gone.\n` : `${host.name} is not installed.\n`,
      );
      return 0;
    },
  });

/** `start`, `stop` and `restart` of what is installed. */
export const serviceAction = (kind: Kind, action: "start" | "stop" | "restart"): Command =>
  define({
    help: {
      usage: `${kind} ${action} [options]`,
      about: {
        start: "Starts the installed service.",
        stop: "Stops the installed service until it is started again, or its user logs in. Waits for running replies.",
        restart:
          "Stops the installed service and starts it again. Waits for running replies; nothing that waits is lost.",
      }[action],
      options: [["--json", "print JSON, for scripts"]],
      example: `openclaw ${kind} ${action}`,
    },
    offline: true,
    run: async (context) => {
      const host = serviceHost(context.cli, kind);
      if ((await textAt(host.file)) === undefined)
        throw new CommandFailure(1, `${host.name} is not installed: openclaw ${kind} install`);
      await host.reach();
      await host[action]();
      const state = await host.state();
      context.print({ ok: true, ...shown(host, state) }, () =>
        facts([
          [host.name, stateText(state)],
          ["more", `openclaw ${kind} status`],
        ]),
      );
      return 0;
    },
  });

/** For `status`: undefined where nothing is installed, so that nobody is asked then. */
export async function serviceStatus(cli: Cli, kind: Kind) {
  if (cli.platform !== "linux" && cli.platform !== "darwin") return undefined;
  const host = serviceHost(cli, kind);
  if ((await textAt(host.file)) === undefined) return undefined;
  const state = await host.state().catch(() => ({ state: "unknown", isEnabled: false }));
  return { ...shown(host, state), text: `${host.manager} ${host.name}: ${stateText(state)}` };
}

function shown(host: ServiceHost, state: ServiceState) {
  return { manager: host.manager, name: host.name, file: host.file, ...state };
}

function stateText({ state, pid, lastExitCode, isEnabled }: ServiceState): string {
  const who = pid === undefined ? "" : `, pid ${pid}`;
  const exit = pid === undefined && lastExitCode ? `, ended with exit code ${lastExitCode}` : "";
  return `${state}${who}${exit}${isEnabled ? "" : ", does not start by itself"}`;
}

async function planOf(cli: Cli, kind: Kind, manager: string, port: number | undefined): Promise<ServicePlan> {
  if (port !== undefined && (kind === "node" || port < 1 || port > 65_535))
    throw new UsageError(kind === "node" ? "--port belongs to gateway install" : `--port ${port} is no port`);
  const { OPENCLAW_STATE_DIR, OPENCLAW_CONFIG_PATH, OPENCLAW_HOME } = cli.env;
  const paths = Object.entries({ OPENCLAW_STATE_DIR, OPENCLAW_CONFIG_PATH, OPENCLAW_HOME });
  const service = ["--service", manager];
  return {
    description: `OpenClaw ${kind}${cli.profile === undefined ? "" : ` (profile ${cli.profile})`}`,
    command: [
      ...cli.program,
      ...(cli.profile === undefined ? [] : ["--profile", cli.profile]),
      kind,
      "run",
      ...(kind === "node" ? [] : [...service, "--grace", String(drainSeconds)]),
      ...(port === undefined ? [] : ["--port", String(port)]),
    ],
    environment: [
      ["PATH", (await trustedFolders(cli.env.PATH ?? "")).join(delimiter)],
      ...paths.flatMap(([name, value]) => (value ? ([[name, resolve(value)]] as const) : [])),
    ],
    secretsFile: join(cli.paths.root, ".env"),
  };
}

/** Of this terminal's PATH, what nobody else can put programs into: the service finds its tools there for years. */
async function trustedFolders(path: string): Promise<string[]> {
  const folders = [...new Set(path.split(delimiter).filter((folder) => folder.startsWith("/")))];
  const { uid } = userInfo();
  const kept = await Promise.all(
    folders.map(async (folder) => {
      const found = await stat(folder).catch(() => undefined);
      if (!found?.isDirectory() || (found.uid !== 0 && found.uid !== uid)) return [];
      return (found.mode & 0o022) === 0 && !/\p{Cc}/u.test(folder) ? [folder] : [];
    }),
  );
  const found = kept.flat();
  return found.length === 0 ? ["/usr/local/bin", "/usr/bin", "/bin"] : found;
}

/** Variables that the config reads; the service does not see those of this terminal. */
async function variablesOf(cli: Cli): Promise<string[]> {
  const text = await readFile(cli.paths.configFile, "utf8").catch(() => "");
  const names = [...text.matchAll(/(?<!\$)\$\{([A-Z_][A-Z0-9_]*)\}/g)].map((match) => match[1] ?? "");
  return [...new Set(names)].sort();
}

async function mustHaveJoined(cli: Cli): Promise<void> {
  const { readNodeMemory } = await import("../compose/node-host.ts");
  if (await readNodeMemory(cli.paths.root)) return;
  throw new CommandFailure(
    1,
    "this machine has not joined a gateway yet; nothing was changed. Join once: openclaw node run --host <gateway>",
  );
}

/** Undefined when there is none. A link is not followed: what is written there would land elsewhere. */
async function textAt(file: string): Promise<string | undefined> {
  const found = await lstat(file).catch(() => undefined);
  if (!found) return undefined;
  if (!found.isFile()) throw new CommandFailure(1, `${file} is no regular file; take it away first`);
  return readFile(file, "utf8");
}

async function put(cli: Cli, file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${cli.random.bytes(6).toString("hex")}`;
  await writeFile(temporary, text, { flag: "wx", mode: 0o600 });
  await rename(temporary, file);
}
