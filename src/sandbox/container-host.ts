import { createHash } from "node:crypto";
import { readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Clock, InputError, type Random, sleep, token } from "../kernel/mod.ts";
import { type ContainerParts, createBody, expectedMounts, labels } from "./container-create.ts";
import { type ContainerEngine, EngineError } from "./container-engine.ts";
import { commandUser, containerPlaceProblem, giveEgress, readSeccompProfile } from "./container-places.ts";
import { seccompProfile } from "./container-seccomp.ts";
import type { EngineKind } from "./container-sockets.ts";
import { keepWarm, removeContainer, type WarmContainer } from "./container-warm.ts";
import { runVariable } from "./environment.ts";
import { keepFile } from "./keep-file.ts";
import {
  type PruneLimits,
  provenSandbox,
  type SandboxHost,
  type SandboxProof,
  type SandboxRow,
  type SandboxSpec,
} from "./sandbox-host.ts";
import { type ProofFacts, probeScript } from "./sandbox-probe.ts";
import { judgeProof } from "./sandbox-proof.ts";

export interface ContainerHostDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly engine: ContainerEngine;
  readonly kind: EngineKind;
  /** Absolute; 700. */
  readonly stateDir: string;
  readonly homes: readonly string[];
  /** Of the gateway. */
  readonly uid: number;
  /** As `process.arch` names it. */
  readonly architecture: string;
}

export interface ContainerHost extends SandboxHost {
  /** Undefined: the engine answers, and has the image. Else why not, and what to do. */
  problem(image: string): Promise<string | undefined>;
  close(): void;
}

interface Kept {
  readonly warm: WarmContainer;
  readonly fingerprint: string;
  readonly image: string;
  readonly proof: SandboxProof & { readonly ok: true };
}

interface EngineFacts {
  readonly SecurityOptions?: readonly string[];
}

const probeTimeoutMs = 20_000;
const setupTimeoutMs = 600_000;
const maxProbeChars = 200_000;
/** A user namespace is the sandbox's own only where the engine has no root; Podman keeps the groups' namespace. */
const ownNamespaces = ["net", "pid", "mnt", "ipc", "uts"] as const;

/** Sandboxes in containers of an engine on this machine. */
export function createContainerHost(deps: ContainerHostDeps): ContainerHost {
  const { engine, clock, random } = deps;
  const instance = createHash("sha256").update(deps.stateDir).digest("hex").slice(0, 16);
  const kept = new Map<string, Kept>();
  /** One after another for each id: two proofs of one sandbox would make two containers. */
  const making = new Map<string, Promise<unknown>>();

  async function problem(image: string): Promise<string | undefined> {
    try {
      await engine.call("GET", "/_ping");
      await imageOf(image);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  async function imageOf(image: string): Promise<string> {
    try {
      const facts = (await engine.call("GET", `/images/${encodeURIComponent(image)}/json`)) as { Id: string };
      return facts.Id;
    } catch (error) {
      if (!(error instanceof EngineError) || error.status !== 404) throw error;
      const own = /^openclaw-sandbox:([a-z]+)$/.exec(image)?.[1];
      throw new EngineError(
        `The engine has no image ${image}. ${own === undefined ? "Import or pull it there" : `Make it: openclaw sandbox image ${own}`}, or set sandbox.docker.image to one it has.`,
        404,
      );
    }
  }

  function prove(spec: SandboxSpec): Promise<SandboxProof> {
    const before = making.get(spec.id) ?? Promise.resolve();
    const proof = before.then(() => proveNow(spec));
    making.set(spec.id, proof);
    return proof;
  }

  async function proveNow(spec: SandboxSpec): Promise<SandboxProof> {
    const started = clock.monotonic();
    let made: WarmContainer | undefined;
    try {
      const parts = await partsOf(spec);
      const { name, fingerprint, body } = createBody(parts);
      const known = kept.get(spec.id);
      if (known && known.fingerprint === fingerprint && !known.warm.isGone()) return known.proof;
      if (known) await known.warm.remove();
      kept.delete(spec.id);
      made = await make(name, body, parts);
      const warm = made;
      const report = await probe(warm, parts);
      if (report.broken.length > 0) {
        await warm.remove();
        return { ok: false, why: `The sandbox does not hold: ${report.broken.join("; ")}.` };
      }
      if (parts.settings.setupCommand !== undefined) await setUp(warm, parts.settings.setupCommand);
      const sandbox = provenSandbox(
        `${deps.kind}-${spec.id}`,
        { kind: "engine", start: (command) => startIn(warm, command) },
        () => warm.isGone(),
      );
      const proof = { ok: true, sandbox, held: report.held, tookMs: clock.monotonic() - started } as const;
      kept.set(spec.id, { warm, fingerprint, image: parts.settings.image, proof });
      return proof;
    } catch (error) {
      await made?.remove();
      return { ok: false, why: messageOf(error) };
    }

    function startIn(warm: WarmContainer, command: Parameters<WarmContainer["start"]>[0]) {
      // Again for each command: what is mounted cannot change, but what it is must still be the sandbox's.
      const changed = spec.container && containerPlaceProblem(spec, spec.container, hiddenPlaces());
      if (changed !== undefined) throw new InputError(changed);
      return warm.start(command);
    }
  }

  const hiddenPlaces = () => ({
    stateDir: deps.stateDir,
    homes: deps.homes,
    engineSocket: engine.socketPath,
  });

  /** All that a container is made from. Throws what is missing, as a sentence. */
  async function partsOf(spec: SandboxSpec): Promise<ContainerParts> {
    const settings = spec.container;
    if (!settings) throw new Error("Nothing says what the container should be.");
    const info = (await engine.call("GET", "/info")) as EngineFacts;
    const isRootless = (info.SecurityOptions ?? []).some((option) => /^name=rootless/.test(option));
    const place = containerPlaceProblem(spec, settings, hiddenPlaces());
    if (place !== undefined) throw new Error(place);
    // Without root, root inside is the gateway's user outside, or that user keeps its number.
    const user = isRootless
      ? { user: deps.kind === "docker" ? "0:0" : `${deps.uid}:${deps.uid}` }
      : commandUser(spec, settings.user, deps.uid);
    if ("problem" in user) throw new Error(user.problem);
    giveEgress(spec, user.user, deps.uid);
    const own =
      settings.seccompProfile === undefined
        ? seccompProfile(deps.architecture)
        : readSeccompProfile(settings.seccompProfile);
    if (own === undefined)
      throw new Error(`No filter of system calls is known for ${deps.architecture} processors.`);
    const seccompFile = join(deps.stateDir, `sandbox-seccomp-${spec.id}.json`);
    keepFile(seccompFile, Buffer.from(own));
    return {
      kind: deps.kind,
      spec,
      settings,
      user: user.user,
      seccompProfile: own,
      seccompFile,
      instance,
      keepsUserIds: isRootless && deps.kind === "podman",
      isRootless,
      hasAppArmor: (info.SecurityOptions ?? []).some((option) => /^name=apparmor/.test(option)),
      imageId: await imageOf(settings.image),
    };
  }

  async function make(name: string, body: object, { user }: ContainerParts): Promise<WarmContainer> {
    const unique = `${name}-${random.bytes(3).toString("hex")}`;
    const { Id: containerId } = (await engine.call("POST", `/containers/create?name=${unique}`, {
      ...body,
    })) as { readonly Id: string };
    try {
      const keeper = await engine.open(`/containers/${containerId}/attach?stream=1&stdin=1`);
      await engine.call("POST", `/containers/${containerId}/start`);
      return keepWarm({ engine, clock, containerId, name: unique, user, keeper });
    } catch (error) {
      await removeContainer(engine, containerId);
      throw error;
    }
  }

  async function probe(warm: WarmContainer, parts: ContainerParts) {
    const { spec, settings } = parts;
    const secret = token(random);
    const secretFile = join(deps.stateDir, `sandbox-proof-${secret.slice(0, 8)}`);
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
        hiddenFolders: [deps.stateDir],
        hiddenSockets: [engine.socketPath],
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
      const { stdout, stderr } = await runToEnd(warm, probeScript(facts), probeTimeoutMs);
      if (!stdout.includes(facts.nonce))
        return { held: [], broken: [`it does not start (${lastLine(stderr) || "it said nothing"})`] };
      return judgeProof(stdout, facts);
    } finally {
      listener.close();
      rmSync(secretFile, { force: true });
    }
  }

  async function setUp(warm: WarmContainer, command: string): Promise<void> {
    const { code, stderr } = await runToEnd(warm, command, setupTimeoutMs);
    if (code !== 0)
      throw new Error(
        `sandbox.docker.setupCommand ended with ${code ?? "nothing"} (${lastLine(stderr) || "it said nothing"}).`,
      );
  }

  async function runToEnd(warm: WarmContainer, text: string, timeoutMs: number) {
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
        texts[name] = (texts[name] + piece).slice(-maxProbeChars);
      });
    const cancel = clock.after(timeoutMs, () => void run.end(0));
    const { code } = await run.done;
    cancel();
    // The last of its output may be behind its end.
    for (let waited = 0; waited < 500 && !run.streams.stdout.destroyed; waited += 10) await sleep(clock, 10);
    return { code, ...texts };
  }

  async function remove(ids?: readonly string[]): Promise<number> {
    const chosen = [...kept].filter(([id]) => ids === undefined || ids.includes(id));
    for (const [id] of chosen) kept.delete(id);
    await Promise.all(chosen.map(([, { warm }]) => warm.remove()));
    return chosen.length;
  }

  return {
    kind: deps.kind,
    problem,
    prove,
    remove,
    list: () =>
      [...kept].map(
        ([id, { warm, image }]): SandboxRow => ({
          id,
          name: warm.name,
          image,
          createdAtMs: warm.createdAtMs,
          lastUsedAtMs: warm.lastUsedAtMs(),
          runningCommands: warm.runningCommands(),
        }),
      ),
    prune({ idleMs, maxAgeMs }: PruneLimits) {
      const now = clock.now();
      const old = [...kept].filter(
        ([, { warm }]) =>
          warm.isGone() ||
          (warm.runningCommands() === 0 &&
            (now - warm.lastUsedAtMs() > idleMs || now - warm.createdAtMs > maxAgeMs)),
      );
      return remove(old.map(([id]) => id));
    },
    async sweep() {
      const filters = encodeURIComponent(JSON.stringify({ label: [`${labels.instance}=${instance}`] }));
      const found = (await engine.call("GET", `/containers/json?all=1&filters=${filters}`)) as readonly {
        readonly Id: string;
      }[];
      const own = new Set([...kept.values()].map(({ warm }) => warm.id));
      await Promise.all(found.filter(({ Id }) => !own.has(Id)).map(({ Id }) => removeContainer(engine, Id)));
    },
    close: () => engine.close(),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function lastLine(text: string): string {
  return (text.trim().split("\n").at(-1) ?? "").slice(0, 300);
}
