import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type GatewayProcess, gatewayToken } from "./gateway.ts";

import { programFile as mainFile } from "./program.ts";

/** `openclaw node run` as a process of its own, with its own home and state. */
export class NodeHostProcess {
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  readonly #watchers = new Set<() => void>();
  output = "";

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.#child = child;
    this.#exited = once(child, "exit").then(([code]) => code as number | null);
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        for (const look of this.#watchers) look();
      });
  }

  get home(): string {
    return join(this.folder, "home");
  }

  /** The node's own files. */
  get files(): string {
    return join(this.folder, "state", "node");
  }

  static async start(
    test: TestContext,
    gateway: GatewayProcess,
    options: {
      readonly args?: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
      /** exec-approvals.json */
      readonly rules?: unknown;
      readonly folder?: string;
    } = {},
  ): Promise<NodeHostProcess> {
    const folder = options.folder ?? join(gateway.folder, "node-host");
    await mkdir(join(folder, "home"), { recursive: true });
    await mkdir(join(folder, "state", "node"), { recursive: true, mode: 0o700 });
    await chmod(join(folder, "state"), 0o700);
    if (options.rules !== undefined)
      await writeFile(
        join(folder, "state", "node", "exec-approvals.json"),
        typeof options.rules === "string" ? options.rules : JSON.stringify(options.rules),
        { mode: 0o600 },
      );
    const place = ["--host", "127.0.0.1", "--port", String(gateway.port)];
    const child = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        mainFile,
        "node",
        "run",
        ...(options.args ?? [...place, "--display-name", "workshop"]),
      ],
      {
        env: {
          PATH: "/usr/bin:/bin",
          HOME: join(folder, "home"),
          OPENCLAW_STATE_DIR: join(folder, "state"),
          OPENCLAW_GATEWAY_TOKEN: gatewayToken,
          ...options.env,
        },
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const host = new NodeHostProcess(folder, child);
    test.after(() => host.stop());
    return host;
  }

  get id(): string {
    return /^node ([0-9a-f]{64})$/m.exec(this.output)?.[1] ?? "";
  }

  /** Resolves once it has printed this, after `from` characters of its output. */
  printed(pattern: RegExp, from = 0): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!pattern.test(this.output.slice(from))) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGTERM");
    return this.#exited;
  }

  exit(): Promise<number | null> {
    return this.#exited;
  }
}
