import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectOptions, GatewayClient } from "./gateway-client.ts";

export { type ConnectOptions, GatewayClient } from "./gateway-client.ts";

export const gatewayToken = "test-gateway-token-0123456789abcdef";

import { programFile as mainFile } from "./program.ts";

export interface GatewayOptions {
  /** Merged over {@link baseConfig} at the top level, key by key. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The text of openclaw.json as it is; undefined makes one of `config`. */
  readonly configText?: string;
  /** False: no config file is written, as on a first run. */
  readonly configured?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly port?: number;
  /** Further words behind `gateway run`. */
  readonly args?: readonly string[];
  /** Where the state is kept instead of in the process's own temporary folder. */
  readonly stateFolder?: string;
}

/** A config for tests: known token, no channel, a model that needs no network, the log in the test's own folder. */
export function baseConfig(folder: string): Record<string, unknown> {
  return {
    gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token: gatewayToken } },
    session: { dmScope: "per-channel-peer" },
    logging: { file: join(folder, "gateway.log"), level: "debug" },
  };
}

/** A model server of test/support/model-servers as the provider of the default agent. */
export function modelConfig(url: string, api = "openai-completions"): Record<string, unknown> {
  return {
    models: {
      providers: { mock: { baseUrl: url, api, apiKey: "mock-key-0123456789", models: [{ id: "m" }] } },
    },
    agents: { defaults: { model: { primary: "mock/m" } } },
  };
}

/** How a gateway that could not start said so. */
export interface FailedStart {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A test, or what stands in for one elsewhere: calls back when all is over. */
export interface Ending {
  after(end: () => Promise<void>): void;
}

/** The gateways of each test: none may still write when the first folder goes, for two can share one. */
const gatewaysOf = new WeakMap<Ending, GatewayProcess[]>();

/** One gateway as a process of its own, with its own home, state, log and port. It can be killed and started again. */
export class GatewayProcess {
  readonly folder: string;
  readonly stateFolder: string;
  readonly #options: GatewayOptions;
  readonly #clients = new Set<GatewayClient>();
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(null);
  stdout = "";
  stderr = "";
  url = "";
  /** The one-time ticket that the start printed. */
  ticket = "";

  private constructor(folder: string, options: GatewayOptions) {
    this.folder = folder;
    this.stateFolder = options.stateFolder ?? join(folder, "state");
    this.#options = options;
  }

  /** A folder and a config, nothing started yet. Removed with all that runs in it when the test ends. */
  static async prepare(test: Ending, options: GatewayOptions = {}): Promise<GatewayProcess> {
    const folder = await mkdtemp(join(tmpdir(), "gateway-test-"));
    const gateway = new GatewayProcess(folder, options);
    const all = gatewaysOf.get(test) ?? [];
    gatewaysOf.set(test, all);
    all.push(gateway);
    test.after(async () => {
      await Promise.all(all.map((one) => one.kill()));
      // What a killed gateway had started may write for a moment longer.
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    await mkdir(join(folder, "home"));
    if (options.configured !== false) {
      if (options.stateFolder === undefined) await mkdir(gateway.stateFolder, { mode: 0o700 });
      await gateway.writeConfig(options.config ?? {}, options.configText);
    }
    return gateway;
  }

  static async start(test: Ending, options: GatewayOptions = {}): Promise<GatewayProcess> {
    const gateway = await GatewayProcess.prepare(test, options);
    await gateway.start();
    return gateway;
  }

  get configFile(): string {
    return join(this.stateFolder, "openclaw.json");
  }

  get logFile(): string {
    return join(this.folder, "gateway.log");
  }

  get databaseFile(): string {
    return join(this.stateFolder, "state", "gateway.sqlite");
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async writeConfig(config: Readonly<Record<string, unknown>>, text?: string): Promise<void> {
    const value = text ?? JSON.stringify({ ...baseConfig(this.folder), ...config }, null, 2);
    await writeFile(this.configFile, value, { mode: 0o600 });
    await chmod(this.configFile, 0o600);
  }

  readLog(): Promise<string> {
    return readFile(this.logFile, "utf8");
  }

  /** Resolves when it is ready; rejects with what it printed when it ended instead. */
  async start(): Promise<this> {
    const failed = await this.#run();
    if (failed)
      throw new Error(`the gateway did not start (${failed.code}): ${failed.stderr || failed.stdout}`);
    return this;
  }

  /** For starts that must fail. */
  async startFails(): Promise<FailedStart> {
    const failed = await this.#run();
    if (!failed) throw new Error("the gateway started, though it should not have");
    return failed;
  }

  async #run(): Promise<FailedStart | undefined> {
    this.stdout = "";
    this.stderr = "";
    const port = this.#options.port ?? 0;
    const child = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        mainFile,
        "gateway",
        "run",
        "--port",
        String(port),
        ...(this.#options.args ?? []),
      ],
      {
        // Nothing of the developer's own environment reaches it: no keys, no config of theirs.
        env: {
          PATH: process.env.PATH ?? "",
          HOME: join(this.folder, "home"),
          OPENCLAW_STATE_DIR: this.stateFolder,
          ...this.#options.env,
        },
        cwd: this.folder,
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.#child = child;
    this.#exited = once(child, "exit").then(([code]) => code as number | null);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    const ready = new Promise<boolean>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        this.stdout += text;
        if (/\n {2}log /.test(this.stdout)) resolve(true);
      });
      child.on("close", () => resolve(false));
    });
    if (!(await ready)) return { code: await this.#exited, stdout: this.stdout, stderr: this.stderr };
    this.url = /is ready on (\S+)/.exec(this.stdout)?.[1] ?? "";
    this.ticket = /#signin=(\S+)/.exec(this.stdout)?.[1] ?? "";
    return undefined;
  }

  /** As a power cut would: nothing is flushed, nothing is said. */
  async kill(): Promise<void> {
    for (const client of this.#clients) client.abandon();
    this.#clients.clear();
    if (this.running) this.#child?.kill("SIGKILL");
    await this.#exited;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Resolves with the exit code, null after a kill. */
  exit(): Promise<number | null> {
    return this.#exited;
  }

  async stop(): Promise<number | null> {
    if (this.running) this.signal("SIGTERM");
    const code = await this.#exited;
    for (const client of this.#clients) client.abandon();
    return code;
  }

  async connect(options: ConnectOptions = {}): Promise<GatewayClient> {
    const client = await GatewayClient.connect(this.port, { token: gatewayToken, ...options });
    this.#clients.add(client);
    return client;
  }

  /** A socket that was challenged and said nothing yet. */
  async socket(): Promise<GatewayClient> {
    const client = await GatewayClient.open(this.port);
    this.#clients.add(client);
    return client;
  }
}

/** A port that was free a moment ago, for a gateway that must come back on the same one. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
