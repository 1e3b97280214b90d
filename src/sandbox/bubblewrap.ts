import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Clock, InputError, type Random, token } from "../kernel/mod.ts";
import { bubblewrapArgv, type SandboxPrograms } from "./bubblewrap-argv.ts";
import { createControlGroups } from "./control-groups.ts";
import { keepFile } from "./keep-file.ts";
import { provenSandbox, type SandboxHost, type SandboxProof, type SandboxSpec } from "./sandbox-host.ts";
import { homesOf, placeProblem } from "./sandbox-place.ts";
import { type ProofFacts, probeScript } from "./sandbox-probe.ts";
import { judgeProof, type ProofReport } from "./sandbox-proof.ts";
import { seccompFilter } from "./seccomp-filter.ts";

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

const probeTimeoutMs = 20_000;
const maxProbeOutput = 200_000;

/** The namespaces that must be the sandbox's own. */
const ownNamespaces = ["net", "pid", "mnt", "ipc", "uts", "user"] as const;

export function createBubblewrap(deps: BubblewrapDeps): SandboxHost {
  const groups = createControlGroups(
    createHash("sha256").update(deps.stateDir).digest("hex").slice(0, 16),
    deps.groupsRoot,
  );

  async function prove(spec: SandboxSpec): Promise<SandboxProof> {
    const started = deps.clock.monotonic();
    const problem = placeProblem([spec.workspace, spec.agentWorkspace], deps);
    if (problem !== undefined) return { ok: false, why: problem };
    const programs = {
      bwrap: deps.findProgram("bwrap"),
      prlimit: deps.findProgram("prlimit"),
      ...(spec.egress ? { perl: deps.findProgram("perl") } : {}),
    };
    for (const [name, file] of Object.entries(programs))
      if (file === undefined)
        return {
          ok: false,
          why: `There is no ${name} on this machine. Install bubblewrap and util-linux${spec.egress ? ", and perl for its egress" : ""}.`,
        };
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
      const changed = placeProblem([spec.workspace, spec.agentWorkspace], deps);
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
      const sandbox = provenSandbox(`bubblewrap-${spec.id}`, { kind: "process", argv }, () => false);
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
        hiddenSockets: [],
        architecture: deps.architecture,
        maxProcesses: spec.maxProcesses,
        memory: { of: "each", maxBytes: spec.maxMemoryBytes },
        writableMounts: ["/workspace", "/tmp", "/var/tmp", "/run"],
        hasNetwork: false,
        hasAgentFolder: spec.agentWorkspace !== undefined,
        hasEgress: spec.egress !== undefined,
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

  return {
    kind: "bubblewrap",
    prove,
    list: () => [],
    remove: async () => 0,
    configChanged() {},
    prune: async () => 0,
    sweep: async () => groups.removeEmpty(),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The launcher and bwrap itself, outside and inside. */
const launcherProcesses = 8;

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
