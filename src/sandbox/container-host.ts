import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Clock, InputError, type Random } from "../kernel/mod.ts";
import { type ContainerParts, createBody, labels } from "./container-create.ts";
import type { ContainerEngine } from "./container-engine.ts";
import { engineFacts, engineProblem, imageId } from "./container-facts.ts";
import {
  commandUser,
  containerPlaceProblem,
  giveToCommands,
  readSeccompProfile,
} from "./container-places.ts";
import { proveContainer, setUp } from "./container-proof.ts";
import { seccompProfile } from "./container-seccomp.ts";
import type { EngineKind } from "./container-sockets.ts";
import { keepWarm, removeContainer, type WarmContainer } from "./container-warm.ts";
import { keepFile } from "./keep-file.ts";
import {
  type PruneLimits,
  provenSandbox,
  type SandboxHost,
  type SandboxProof,
  type SandboxRow,
  type SandboxSpec,
} from "./sandbox-host.ts";

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
  /**
   * Undefined: the engine answers, has the image, and its containers could write to this workspace. Else why not, and
   * what to do.
   */
  problem(image: string, place?: WorkspaceOwner): Promise<string | undefined>;
  close(): void;
}

export interface WorkspaceOwner {
  /** Exists. */
  readonly workspace: string;
  readonly ownsWorkspace: boolean;
  /** `docker.user`. */
  readonly user?: string | undefined;
}

interface Kept {
  readonly id: string;
  /** Of a config that has changed since. */
  isStale: boolean;
  readonly warm: WarmContainer;
  readonly image: string;
  readonly proof: SandboxProof & { readonly ok: true };
}

/** What the config does not ask for any more is not kept for long. */
const staleMs = 60_000;

/** Sandboxes in containers of an engine on this machine. */
export function createContainerHost(deps: ContainerHostDeps): ContainerHost {
  const { engine, clock, random } = deps;
  const instance = createHash("sha256").update(deps.stateDir).digest("hex").slice(0, 16);
  const run = random.bytes(6).toString("hex");
  const kept = new Map<string, Kept>();
  /** One after another for each id: two proofs of one sandbox would make two containers. */
  const making = new Map<string, Promise<unknown>>();

  async function problem(image: string, place?: WorkspaceOwner): Promise<string | undefined> {
    const why = await engineProblem(engine, image);
    if (why !== undefined || !place || (await engineFacts(engine)).isRootless) return why;
    const user = commandUser(place, place.user, deps.uid);
    return "problem" in user ? user.problem : undefined;
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
      const key = `${spec.id} ${fingerprint}`;
      const known = kept.get(key);
      if (known && !known.warm.isGone()) {
        known.isStale = false;
        return known.proof;
      }
      await drop([...kept].filter(([, item]) => item.id === spec.id && (item.isStale || item.warm.isGone())));
      made = await make(name, body, parts);
      const warm = made;
      const report = await proveContainer(warm, parts, deps);
      if (report.broken.length > 0) {
        await warm.remove();
        return { ok: false, why: `The sandbox does not hold: ${report.broken.join("; ")}.` };
      }
      if (parts.settings.setupCommand !== undefined)
        await setUp(warm, parts.settings.setupCommand, deps.clock, deps.random);
      const sandbox = provenSandbox(
        `${deps.kind}-${spec.id}`,
        { kind: "engine", start: (command) => startIn(warm, command) },
        () => warm.isGone(),
      );
      const proof = { ok: true, sandbox, held: report.held, tookMs: clock.monotonic() - started } as const;
      kept.set(key, { id: spec.id, isStale: false, warm, image: parts.settings.image, proof });
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
    const { isRootless, hasAppArmor } = await engineFacts(engine);
    const place = containerPlaceProblem(spec, settings, hiddenPlaces());
    if (place !== undefined) throw new Error(place);
    // Without root, root inside is the gateway's user outside, or that user keeps its number.
    const user = isRootless
      ? { user: deps.kind === "docker" ? "0:0" : `${deps.uid}:${deps.uid}` }
      : commandUser(spec, settings.user, deps.uid);
    if ("problem" in user) throw new Error(user.problem);
    giveToCommands(spec, user.user, deps.uid);
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
      run,
      keepsUserIds: isRootless && deps.kind === "podman",
      isRootless,
      hasAppArmor,
      ...(spec.egress ? { egressInode: statSync(spec.egress.socketFile).ino } : {}),
      imageId: await imageId(engine, settings.image),
    };
  }

  async function make(name: string, body: object, { user, spec }: ContainerParts): Promise<WarmContainer> {
    const unique = `${name}-${random.bytes(3).toString("hex")}`;
    const { Id: containerId } = (await engine.call("POST", `/containers/create?name=${unique}`, {
      ...body,
    })) as { readonly Id: string };
    try {
      const keeper = await engine.open(`/containers/${containerId}/attach?stream=1&stdin=1&stdout=1`);
      await engine.call("POST", `/containers/${containerId}/start`);
      return keepWarm({
        engine,
        clock,
        containerId,
        name: unique,
        user,
        keeper,
        forwards: spec.egress !== undefined,
      });
    } catch (error) {
      await removeContainer(engine, clock, containerId);
      throw error;
    }
  }

  async function drop(chosen: readonly (readonly [key: string, Kept])[]): Promise<number> {
    for (const [key] of chosen) kept.delete(key);
    await Promise.all(chosen.map(([, { warm }]) => warm.remove()));
    return chosen.length;
  }

  return {
    kind: deps.kind,
    problem,
    prove,
    remove: (ids) => drop([...kept].filter(([, { id }]) => ids === undefined || ids.includes(id))),
    list: () =>
      [...kept.values()].map(
        ({ id, warm, image }): SandboxRow => ({
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
      const isOld = ({ warm, isStale }: Kept) =>
        warm.isGone() ||
        (warm.runningCommands() === 0 &&
          (now - warm.lastUsedAtMs() > (isStale ? staleMs : idleMs) || now - warm.createdAtMs > maxAgeMs));
      return drop([...kept].filter(([, item]) => isOld(item)));
    },
    configChanged() {
      for (const item of kept.values()) item.isStale = true;
    },
    async sweep() {
      const filters = encodeURIComponent(JSON.stringify({ label: [`${labels.instance}=${instance}`] }));
      const found = (await engine.call("GET", `/containers/json?all=1&filters=${filters}`)) as readonly {
        readonly Id: string;
        readonly Labels?: Readonly<Record<string, string>>;
      }[];
      const left = found.filter(({ Labels }) => Labels?.[labels.run] !== run);
      await Promise.all(left.map(({ Id }) => removeContainer(engine, clock, Id)));
    },
    close: () => engine.close(),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
