/** Real container engines for tests, each with a folder of its own, and an image made of nothing but busybox. */
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../src/kernel/mod.ts";
import { type ContainerEngine, connectEngine } from "../../src/sandbox/container-engine.ts";
import type { EngineKind } from "../../src/sandbox/container-sockets.ts";

export const testImage = "openclaw-sandbox:test";

const found = (name: string) =>
  ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

/** Why no such engine can be started here; undefined: it can. */
export function missingFor(kind: EngineKind): string | undefined {
  if (process.getuid?.() !== 0) return `no ${kind} is started for tests without root`;
  const needed =
    kind === "docker" ? ["dockerd", "runc", "docker-init"] : ["podman", "conmon", "runc", "catatonit"];
  const missing = [...needed, "busybox", "tar"].filter((name) => !found(name));
  return missing.length === 0 ? undefined : `${missing.join(", ")} not installed: ${kind} was not tried here`;
}

export interface TestEngine {
  readonly kind: EngineKind;
  readonly socketPath: string;
  readonly engine: ContainerEngine;
  /** How many containers it has, running or not. */
  containers(): Promise<number>;
  /** Ends the engine and starts it again. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startEngine(kind: EngineKind): Promise<TestEngine> {
  const folder = mkdtempSync(`/tmp/${kind}-test-`);
  const socketPath = join(folder, "engine.sock");
  const engine = connectEngine({ clock: systemClock, socketPath });
  let running = await start();

  async function start() {
    const [program = "", ...args] =
      kind === "docker" ? dockerArgs(folder, socketPath) : podmanArgs(folder, socketPath);
    const child = spawn(program, args, { stdio: "ignore" });
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    for (let tries = 0; ; tries += 1) {
      if (
        await engine.call("GET", "/_ping").then(
          () => true,
          () => false,
        )
      )
        break;
      if (tries > 1000) throw new Error(`${kind} did not start`);
      await pause(20);
    }
    return { child, exited };
  }

  async function end() {
    running.child.kill("SIGTERM");
    await running.exited;
  }

  await engine.call("POST", `/images/create?fromSrc=-&repo=${testImage}`, imageTar(folder));
  return {
    kind,
    socketPath,
    engine,
    containers: async () =>
      ((await engine.call("GET", "/containers/json?all=1")) as readonly unknown[]).length,
    async restart() {
      await end();
      running = await start();
    },
    async stop() {
      engine.close();
      await end();
      // Podman keeps a process for each command that ended, for minutes.
      for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
        if (commandLine(pid).includes(`${folder}/`)) process.kill(Number(pid), "SIGKILL");
      // What it mounted for containers that are gone may still be there.
      const mounts = readFileSync("/proc/mounts", "utf8")
        .split("\n")
        .map((line) => line.split(" ")[1] ?? "");
      for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`)).reverse())
        spawnSync("umount", ["-l", mount]);
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

function dockerArgs(folder: string, socketPath: string): string[] {
  return [
    found("dockerd") ?? "",
    ...[
      "--host",
      `unix://${socketPath}`,
      "--data-root",
      join(folder, "data"),
      "--exec-root",
      join(folder, "exec"),
    ],
    ...["--pidfile", join(folder, "pid"), "--bridge=none", "--iptables=false", "--ip6tables=false"],
  ];
}

function podmanArgs(folder: string, socketPath: string): string[] {
  return [
    found("podman") ?? "",
    ...["--runtime", found("runc") ?? "", "--root", join(folder, "root"), "--runroot", join(folder, "run")],
    ...["--cgroup-manager=cgroupfs", "system", "service", "--time=0", `unix://${socketPath}`],
  ];
}

/** What carries the bytes of a sandbox's egress: Debian's perl-base, with the libraries that it is linked to. */
export const perlFolder = spawnSync("/usr/bin/perl", ["-e", "print grep { /perl-base$/ } @INC"], {
  encoding: "utf8",
}).stdout;

/** An engine gives memory that is mounted there the rights that this has. */
function makeOpen(path: string): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o1777);
}

function addPerl(root: string): void {
  if (!perlFolder) return;
  const { stdout } = spawnSync("ldd", ["/usr/bin/perl"], { encoding: "utf8" });
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path as string);
  for (const path of ["/usr/bin/perl", perlFolder, ...libraries])
    cpSync(path, join(root, path), { recursive: true, dereference: true });
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

function imageTar(folder: string): Buffer {
  const root = join(folder, "image");
  for (const path of ["bin", "usr/bin", "etc", "proc", "sys", "dev", "workspace", "agent", "var"])
    mkdirSync(join(root, path), { recursive: true });
  for (const path of ["tmp", "var/tmp", "run"]) makeOpen(join(root, path));
  copyFileSync(found("busybox") ?? "", join(root, "bin/busybox"));
  const { stdout: list } = spawnSync(found("busybox") ?? "", ["--list"], { encoding: "utf8" });
  for (const name of list.trim().split("\n"))
    if (name !== "busybox") symlinkSync("busybox", join(root, "bin", name));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/:/bin/sh\n");
  addPerl(root);
  const { stdout } = spawnSync("tar", ["-C", root, "-c", "."], { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}
