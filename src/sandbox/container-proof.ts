import { readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Clock, type Random, sleep, token } from "../kernel/mod.ts";
import { type ContainerParts, expectedMounts } from "./container-create.ts";
import type { ContainerEngine } from "./container-engine.ts";
import type { WarmContainer } from "./container-warm.ts";
import { runVariable } from "./environment.ts";
import { type ProofFacts, probeScript } from "./sandbox-probe.ts";
import { judgeProof, type ProofReport } from "./sandbox-proof.ts";

const probeTimeoutMs = 20_000;
const setupTimeoutMs = 600_000;
const maxKeptChars = 200_000;
const lastPieceMs = 500;
/** A user namespace is the sandbox's own only where the engine has no root; Podman keeps the control groups' one. */
const ownNamespaces = ["net", "pid", "mnt", "ipc", "uts"] as const;

/** Tries every promise from inside, by the way that commands take. */
export async function proveContainer(
  warm: WarmContainer,
  parts: ContainerParts,
  deps: {
    readonly clock: Clock;
    readonly random: Random;
    readonly engine: ContainerEngine;
    readonly stateDir: string;
    readonly architecture: string;
  },
): Promise<ProofReport> {
  const { spec, settings } = parts;
  const { random, stateDir } = deps;
  const secret = token(random);
  const secretFile = join(stateDir, `sandbox-proof-${secret.slice(0, 8)}`);
  const listener = createServer((socket) => socket.destroy());
  try {
    writeFileSync(secretFile, `${secret}\n`, { mode: 0o600, flag: "wx" });
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    const address = listener.address();
    const { writable, mounts } = expectedMounts(parts);
    const facts: ProofFacts = {
      nonce: token(random)
        .replaceAll(/[^A-Za-z0-9]/g, "")
        .slice(0, 16),
      secretFile,
      secret,
      // A home may be the image's own; what is mounted from the host is looked at instead.
      hiddenFolders: [stateDir],
      hiddenSockets: [deps.engine.socketPath],
      port: typeof address === "object" && address ? address.port : 0,
      architecture: deps.architecture,
      maxProcesses: spec.maxProcesses,
      hasAgentFolder: spec.agentWorkspace !== undefined,
      hasNetwork: settings.network !== "none",
      hasEgress: spec.egress !== undefined,
      namespaces: Object.fromEntries(
        [...ownNamespaces, ...(parts.isRootless ? ["user"] : [])].map((name) => [
          name,
          readlinkSync(`/proc/self/ns/${name}`),
        ]),
      ),
      writableMounts: writable,
      mounts,
      memory: { of: "all", maxBytes: spec.maxMemoryBytes },
      cpus: settings.cpus,
      workspaceInode: statSync(spec.workspace).ino,
      hasAppArmor: parts.hasAppArmor,
    };
    const { stdout, stderr } = await runToEnd(warm, probeScript(facts), probeTimeoutMs, deps);
    if (!stdout.includes(facts.nonce))
      return { held: [], broken: [`it does not start (${lastLine(stderr) || "it said nothing"})`] };
    return judgeProof(stdout, facts);
  } finally {
    listener.close();
    rmSync(secretFile, { force: true });
  }
}

/** Throws how it failed, as a sentence. */
export async function setUp(
  warm: WarmContainer,
  command: string,
  clock: Clock,
  random: Random,
): Promise<void> {
  const { code, stderr } = await runToEnd(warm, command, setupTimeoutMs, { clock, random });
  if (code !== 0)
    throw new Error(
      `sandbox.docker.setupCommand ended with ${code ?? "nothing"} (${lastLine(stderr) || "it said nothing"}).`,
    );
}

async function runToEnd(
  warm: WarmContainer,
  text: string,
  timeoutMs: number,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
) {
  const mark = token(random);
  const run = await warm.start({
    text,
    workdir: "",
    env: { [runVariable]: mark, HOME: "/workspace" },
    mark,
  });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    run.streams[name].setEncoding("utf8").on("data", (piece: string) => {
      texts[name] = (texts[name] + piece).slice(-maxKeptChars);
    });
  const cancel = clock.after(timeoutMs, () => void run.end(0));
  const { code } = await run.done;
  cancel();
  // The last of its output may be behind its end.
  for (let waited = 0; waited < lastPieceMs && !run.streams.stdout.destroyed; waited += 10)
    await sleep(clock, 10);
  return { code, ...texts };
}

function lastLine(text: string): string {
  return (text.trim().split("\n").at(-1) ?? "").slice(0, 300);
}
