import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Clock, InputError, type Random, token } from "../kernel/mod.ts";
import { bubblewrapArgv, type SandboxPrograms, type SandboxSpec } from "./bubblewrap-argv.ts";
import {
  judgeProof,
  ownNamespaces,
  type ProofFacts,
  type ProofReport,
  probeScript,
} from "./bubblewrap-proof.ts";
import { createControlGroups } from "./control-groups.ts";
import { seccompFilter } from "./seccomp-filter.ts";

/** Proof that a sandbox keeps its promises on this machine: {@link BubblewrapHost.prove} alone makes one. */
class ProvenSandbox {
  readonly id: string;
  readonly #argv: (text: string, workdir: string) => readonly string[];

  private constructor(id: string, argv: (text: string, workdir: string) => readonly string[]) {
    this.id = id;
    this.#argv = argv;
  }

  static of(id: string, argv: (text: string, workdir: string) => readonly string[]): ProvenSandbox {
    return new ProvenSandbox(id, argv);
  }

  /** What to start on the host so that a shell inside interprets `text`; `workdir` is relative to its workspace. */
  argv(text: string, workdir: string): readonly string[] {
    return this.#argv(text, workdir);
  }
}

export type { ProvenSandbox };

export type SandboxProof =
  | {
      readonly ok: true;
      readonly sandbox: ProvenSandbox;
      readonly held: readonly string[];
      readonly tookMs: number;
    }
  /** `why` is for the operator: each broken promise, or what is missing. */
  | { readonly ok: false; readonly why: string };

export interface BubblewrapDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Absolute; 700. The filter and the probe's secret are kept in it. */
  readonly stateDir: string;
  /** Homes of the gateway's user, by every name that the system has for them; those that do not exist do not count. */
  readonly homes: readonly string[];
  /** The real file of a program in folders that only root writes to; undefined: it is not there. */
  readonly findProgram: (name: string) => string | undefined;
  /** As `process.arch` names it. */
  readonly architecture: string;
  readonly groupsRoot?: string;
}

export interface BubblewrapHost {
  /** Tries every promise from inside. Without a proof there is no sandbox. Never rejects. */
  prove(spec: SandboxSpec): Promise<SandboxProof>;
  /** Removes what sandboxes of this state folder left in the kernel. */
  sweep(): void;
}

const probeTimeoutMs = 20_000;
const maxProbeOutput = 200_000;

export function createBubblewrap(deps: BubblewrapDeps): BubblewrapHost {
  const groups = createControlGroups(
    createHash("sha256").update(deps.stateDir).digest("hex").slice(0, 16),
    deps.groupsRoot,
  );

  async function prove(spec: SandboxSpec): Promise<SandboxProof> {
    const started = deps.clock.monotonic();
    const problem = placeProblem(spec, deps);
    if (problem !== undefined) return { ok: false, why: problem };
    const programs = { bwrap: deps.findProgram("bwrap"), prlimit: deps.findProgram("prlimit") };
    for (const [name, file] of Object.entries(programs))
      if (file === undefined)
        return { ok: false, why: `There is no ${name} on this machine. Install bubblewrap and util-linux.` };
    const filter = seccompFilter(deps.architecture);
    if (!filter)
      return { ok: false, why: `No filter of system calls is known for ${deps.architecture} processors.` };

    const filterFile = join(deps.stateDir, "sandbox-filter.bpf");
    try {
      keepFile(filterFile, filter);
    } catch (error) {
      return { ok: false, why: `The filter of system calls cannot be written (${messageOf(error)}).` };
    }
    const argv = (text: string, workdir: string) => {
      // Again for each command: a folder may have become a link since (attack A-132).
      const changed = placeProblem(spec, deps);
      if (changed !== undefined) throw new InputError(changed);
      const { maxProcesses, maxMemoryBytes } = spec;
      return bubblewrapArgv(spec, {
        programs: programs as SandboxPrograms,
        filterFile,
        groups: groups.open(spec.id, { maxProcesses: maxProcesses + launcherProcesses, maxMemoryBytes }),
        workdir,
        text,
      });
    };
    const report = await probe(spec, argv);
    if (report.broken.length === 0) {
      const sandbox = ProvenSandbox.of(spec.id, argv);
      return { ok: true, sandbox, held: report.held, tookMs: deps.clock.monotonic() - started };
    }
    return { ok: false, why: `The sandbox does not hold: ${report.broken.join("; ")}.` };
  }

  async function probe(
    spec: SandboxSpec,
    argv: (text: string, workdir: string) => readonly string[],
  ): Promise<ProofReport> {
    const secret = token(deps.random);
    const secretFile = join(deps.stateDir, `sandbox-proof-${secret.slice(0, 8)}`);
    const listener = createServer((socket) => socket.destroy());
    try {
      writeFileSync(secretFile, `${secret}\n`, { mode: 0o600, flag: "wx" });
      await new Promise<void>((resolve, reject) => {
        listener.once("error", reject).listen(0, "127.0.0.1", resolve);
      });
      const address = listener.address();
      const facts: ProofFacts = {
        nonce: token(deps.random)
          .replaceAll(/[^A-Za-z0-9]/g, "")
          .slice(0, 16),
        secretFile,
        secret,
        hiddenFolders: [deps.stateDir, ...homesOf(deps)],
        port: typeof address === "object" && address ? address.port : 0,
        maxProcesses: spec.maxProcesses,
        maxMemoryBytes: spec.maxMemoryBytes,
        hasAgentFolder: spec.agentWorkspace !== undefined,
        namespaces: Object.fromEntries(
          ownNamespaces.map((name) => [name, readlinkSync(`/proc/self/ns/${name}`)]),
        ),
      };
      const { stdout, stderr } = await runProbe(argv(probeScript(facts), "."), deps.clock);
      if (!stdout.includes(facts.nonce))
        return { held: [], broken: [`it does not start (${lastLine(stderr) || "it said nothing"})`] };
      return judgeProof(stdout, facts);
    } catch (error) {
      return { held: [], broken: [`it could not be tried (${messageOf(error)})`] };
    } finally {
      listener.close();
      rmSync(secretFile, { force: true });
    }
  }

  return { prove, sweep: () => groups.removeEmpty() };
}

/** Sandboxes that run already read the same file: it is written only where it is not what it should be. */
function keepFile(path: string, content: Buffer): void {
  if (existsSync(path) && readFileSync(path).equals(content)) return;
  rmSync(path, { force: true });
  writeFileSync(path, content, { mode: 0o600, flag: "wx" });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The launcher and bwrap itself, outside and inside. */
const launcherProcesses = 8;

/** Folders of which no part is ever shown, and those that must not be inside of what is shown (attacks ). */
const neverShown = [
  "/etc",
  "/proc",
  "/sys",
  "/dev",
  "/boot",
  "/run",
  "/var/run",
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
];

/** Links are followed first, so that no spelling of a path says something else than it is. */
function placeProblem(spec: SandboxSpec, deps: BubblewrapDeps): string | undefined {
  for (const path of [spec.workspace, spec.agentWorkspace]) {
    if (path === undefined) continue;
    let real: string;
    let hidden: string[];
    try {
      real = realpathSync.native(path);
      hidden = [realpathSync.native(deps.stateDir), ...homesOf(deps)];
    } catch {
      return `The folder ${path} cannot be opened.`;
    }
    if (real !== path) return `The folder ${path} is reached through a link. Name it as it is: ${real}.`;
    const holds = [...hidden, ...neverShown, "/"].find((folder) => isWithin(folder, real));
    if (holds !== undefined) return `The folder ${path} holds ${holds}, which no sandbox may see.`;
    const inside = neverShown.find((folder) => isWithin(real, folder));
    if (inside !== undefined) return `The folder ${path} is in ${inside}, which no sandbox may change.`;
  }
  return undefined;
}

/** Without those of system users, whose home is a system folder or none. */
function homesOf({ homes }: BubblewrapDeps): string[] {
  return homes
    .filter((home) => existsSync(home))
    .map((home) => realpathSync.native(home))
    .filter((home) => home !== "/" && !neverShown.some((folder) => isWithin(home, folder)));
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

/** With an environment of its own, and not for longer than its time. */
function runProbe(
  [file = "", ...args]: readonly string[],
  clock: Clock,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: "/",
      env: { PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", LANG: "C" },
      detached: true,
      shell: false,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const texts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].setEncoding("utf8").on("data", (piece: string) => {
        texts[name] = (texts[name] + piece).slice(0, maxProbeOutput);
      });
    const cancel = clock.after(probeTimeoutMs, () => {
      child.kill("SIGKILL");
      // What outlives it, where it had no processes of its own, may hold these open.
      child.stdout.destroy();
      child.stderr.destroy();
    });
    const end = (more: string) => {
      cancel();
      resolve({ stdout: texts.stdout, stderr: texts.stderr + more });
    };
    child.once("error", (error) => end(error.message));
    child.once("close", () => end(""));
  });
}

function lastLine(text: string): string {
  return (text.trim().split("\n").at(-1) ?? "").slice(0, 300);
}
