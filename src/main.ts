/**
 * The process: arguments and environment in, exit code out. The only file that reads `process`, and the one that
 * composes what runs. Each command is loaded when it is called.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hideEnvironment } from "../hidden-environment.mjs";
import { type Cli, type GatewayRunOptions, runCli } from "./cli/mod.ts";
import { statePaths } from "./compose/state-folder.ts";
import { InputError, keepAlive, systemClock, systemRandom } from "./kernel/mod.ts";

const packageFolder = packageRoot(dirname(fileURLToPath(import.meta.url)));

/** The folder that holds package.json: one up from src, two up from a bundle. */
function packageRoot(from: string): string {
  for (let folder = from; folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { name } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name?: string };
      if (name === "openclaw") return folder;
    } catch {
      // Not here; one further up.
    }
  }
  return from;
}

function version(): string {
  return (JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as { version: string })
    .version;
}

// Before anything of ours can start a program.
const { values: env, isHidden } = hideEnvironment(process.env);
const args = process.argv.slice(2);
const profile = optionValue("--profile");
const paths = statePaths(env, homedir(), profile);

/** Takes a global option and its value out of the arguments. */
function optionValue(name: string): string | undefined {
  const at = args.indexOf(name);
  if (at < 0) return undefined;
  return args.splice(at, 2)[1];
}

/** Runs a gateway, and after a restart that somebody asked for another one, until a signal ends it. */
async function runGateway(options: GatewayRunOptions): Promise<number> {
  const { serve } = await import("./serve.ts");
  if (!isHidden && process.platform === "linux")
    process.stderr.write(
      "The environment could not be hidden: commands on this host can read its secrets in /proc. Keep them in files.\n",
    );
  let { port } = options;
  let signals = 0;
  let end = (_why: "stopping" | "restarting") => {};
  const onSignal = () => {
    signals += 1;
    // The first signal finishes what runs; the second ends the waiting. What is unfinished is on disk either way.
    if (signals > 1) process.exit(130);
    end("stopping");
  };
  for (let isFirst = true; ; isFirst = false) {
    const ended = Promise.withResolvers<"stopping" | "restarting">();
    end = ended.resolve;
    const served = await serve({
      paths,
      env,
      port,
      overrides: options.overrides,
      version: version(),
      pageFolder: join(packageFolder, "dist", "ui"),
      clock: systemClock,
      random: systemRandom,
      pid: process.pid,
      nodeVersion: process.version,
      uid: process.getuid?.() ?? -1,
      timeZone: env.TZ,
      consoleLevel: options.verbose ? "debug" : "warn",
      logFolder: "/tmp/openclaw",
      toConsole: (line) => void process.stderr.write(`${line}\n`),
      sendSignal: (pid, signal) => process.kill(pid, signal),
      restart: () => ended.resolve("restarting"),
      whoListens,
    });
    options.started(served);
    if (isFirst) {
      // The listener goes before the rest is written: without this the process could end in between.
      keepAlive();
      process.on("SIGTERM", onSignal);
      process.on("SIGINT", onSignal);
    }
    // A signal that came while it started.
    if (signals > 0) end("stopping");
    const why = await ended.promise;
    try {
      await served.stop(options.graceMs, why);
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`);
      return 1;
    }
    if (why === "stopping" || signals > 0) return 0;
    // Where the system chose the port, clients come back to the one that they know.
    if (port === 0) port = served.port;
  }
}

/** "node (pid 123)": the process that listens on this port of this machine, where /proc can tell. */
async function whoListens(port: number): Promise<string | undefined> {
  try {
    const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    const row = ["/proc/net/tcp", "/proc/net/tcp6"]
      .flatMap((file) => readFileSync(file, "utf8").split("\n").slice(1))
      .map((line) => line.trim().split(/\s+/))
      .find((fields) => fields[1]?.endsWith(wanted) && fields[3] === "0A");
    if (!row) return undefined;
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (holdsSocket(pid, `socket:[${row[9]}]`)) {
        const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
        return `${name} (pid ${pid})`;
      }
    }
  } catch {
    // Another system, or not our process: the message goes without a name.
  }
  return undefined;
}

function holdsSocket(pid: string, socket: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === socket;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

const cli: Cli = {
  args,
  env,
  paths,
  profile,
  program: [process.execPath, join(packageFolder, "openclaw.mjs")],
  version,
  isTTY: process.stdout.isTTY === true,
  columns: process.stdout.columns ?? 80,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  stdin: readStdin,
  input: process.stdin,
  output: process.stdout,
  onInterrupt: (action) => void process.on("SIGINT", action),
  onStop: (action) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, action);
  },
  sendSignal: (pid, signal) => process.kill(pid, signal),
  pid: process.pid,
  clock: systemClock,
  random: systemRandom,
  platform: process.platform,
  runGateway,
};

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

// A reader that went away (`openclaw logs | head`) is no fault of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
});

runCli(cli).then(
  (code) => {
    process.exitCode = code;
    // Written output is flushed before the process ends; open handles do not hold it up.
    process.stdout.write("", () => process.exit());
  },
  (error: unknown) => {
    if (error instanceof InputError) process.stderr.write(`openclaw: ${error.message}\n`);
    else
      process.stderr.write(
        `openclaw: unexpected failure: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
    process.exitCode = 1;
    process.stderr.write("", () => process.exit());
  },
);
