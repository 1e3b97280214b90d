import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { OpenClawConfig } from "../config/mod.ts";
import type { SandboxControl } from "../control/mod.ts";
import { type Clock, InputError, type Json, type Log, type Random, sleep } from "../kernel/mod.ts";
import type { EnginePlaces, ProvenSandbox } from "../sandbox/mod.ts";
import { mainKey } from "../session/mod.ts";
import { ensureFolder } from "../store/mod.ts";
import { type Egress, rulesKey } from "./egress.ts";
import { createSandboxHosts } from "./sandbox-hosts.ts";
import { type SandboxConfig, type SandboxPlace, sandboxPlace } from "./sandbox-place.ts";
import { factsOf, type PlaceProof, summary, type Tried } from "./sandbox-summary.ts";

export type { SandboxPlace } from "./sandbox-place.ts";

export interface Sandboxes extends SandboxControl {
  /** Undefined: this session is not sandboxed. From the config alone. */
  placeOf(agentId: string, sessionKey: string): SandboxPlace | undefined;
  /** Proved at the first use, and again after each change of the config or when it has ended. Never rejects. */
  prove(place: SandboxPlace): Promise<PlaceProof>;
  /** The proven sandbox; an InputError where there is none. */
  require(place: SandboxPlace): Promise<ProvenSandbox>;
  /** What `tools.sandbox.tools` leaves of the tools. */
  toolLimit(agentId: string): { readonly allow: readonly string[]; readonly deny: readonly string[] };
  reset(): void;
  /** Removes what sandboxes of an earlier gateway left; before any runs. */
  sweep(): Promise<void>;
  /** Ends all, removes what they left, and closes the ways out. */
  close(): Promise<void>;
}

const defaultTools = ["exec", "process", "read", "write", "edit", "apply_patch", "extract", "undo"];
/** What failed is tried again after this: an engine may have been started meanwhile. */
const tryAgainMs = 10_000;
const closeMs = 5000;
const pruneEveryMs = 10 * 60_000;
const hourMs = 3_600_000;
const defaultPrune = { idleHours: 24, maxAgeDays: 7 };

export function createSandboxes(ports: {
  readonly config: () => OpenClawConfig;
  readonly stateFolder: string;
  readonly workspaceOf: (agentId: string) => string;
  readonly findProgram: (name: string) => string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Where engines of containers are looked for; absent: nowhere. */
  readonly engines?: EnginePlaces;
  /** Puts the outcome of a proof on record. */
  readonly record: (facts: Json, outcome: "ok" | "error") => Promise<void>;
  readonly egress: Egress;
}): Sandboxes {
  const { clock, log } = ports;
  const hosts = createSandboxHosts(ports);
  const tried = new Map<string, Tried>();
  let cancelPrune: (() => void) | undefined;

  function settings(agentId: string): SandboxConfig {
    const { defaults } = ports.config().agents ?? {};
    const agent = agentOf(ports.config(), agentId);
    return {
      ...defaults?.sandbox,
      ...agent?.sandbox,
      docker: { ...defaults?.sandbox?.docker, ...agent?.sandbox?.docker },
    };
  }

  async function proveNow(place: SandboxPlace): Promise<PlaceProof> {
    if (place.problem !== undefined) return { ok: false, why: place.problem };
    try {
      await ensureFolder(place.workspace);
      const chosen = await hosts.choose(place);
      if (typeof chosen === "string") return { ok: false, why: chosen };
      const { host, more } = chosen;
      const { id, maxProcesses, maxMemoryBytes, agentWorkspace, egress, sessionKey, ownsWorkspace } = place;
      const about = { sandbox: id, ...(sessionKey === undefined ? {} : { sessionKey }) };
      if (host.kind !== "bubblewrap") keepPruning();
      const proof = await host.prove({
        ...more,
        ...{ id, maxProcesses, maxMemoryBytes, ownsWorkspace },
        workspace: realpathSync(place.workspace),
        ...(agentWorkspace === undefined ? {} : { agentWorkspace: realpathSync(agentWorkspace) }),
        ...(egress === undefined ? {} : { egress: await ports.egress.open({ ...about, rules: egress }) }),
      });
      if (!proof.ok) return proof;
      const { kind } = host;
      const what = kind === "bubblewrap" ? "a bubblewrap sandbox" : `a ${named[kind]} container`;
      return {
        ...proof,
        kind,
        entry: `${kind}:${place.entry}`,
        description: `${what} ${place.description}`,
      };
    } catch (error) {
      return { ok: false, why: `It could not be made (${error instanceof Error ? error.message : error}).` };
    }
  }

  async function proveOnRecord(place: SandboxPlace): Promise<PlaceProof> {
    const proof = await proveNow(place);
    const facts = proof.ok
      ? { id: place.id, held: [...proof.held], entry: proof.entry }
      : { id: place.id, why: proof.why, entry: place.entry };
    try {
      await ports.record(facts, proof.ok ? "ok" : "error");
    } catch {
      return { ok: false, why: "The outcome of its proof could not be put on record." };
    }
    if (!proof.ok) log("error", "a sandbox cannot be used", { sandbox: place.id, why: proof.why });
    return proof;
  }

  /** Those that are not used any more end, as long as there are engines in use. */
  function keepPruning(): void {
    cancelPrune ??= clock.after(pruneEveryMs, () => {
      cancelPrune = undefined;
      const asked = ports.config().agents?.defaults?.sandbox?.prune;
      const { idleHours, maxAgeDays } = { ...defaultPrune, ...asked };
      const limits = { idleMs: idleHours * hourMs, maxAgeMs: maxAgeDays * 24 * hourMs };
      for (const host of hosts.used()) void host.prune(limits);
      keepPruning();
    });
  }

  function known(place: SandboxPlace): Tried | undefined {
    const last = tried.get(keyOf(place));
    if (!last?.result) return last;
    const isOver = last.result.ok
      ? last.result.sandbox.isGone
      : clock.now() - last.atMs > tryAgainMs && place.problem === undefined;
    return isOver ? undefined : last;
  }

  function place(agentId: string, sessionKey: string): SandboxPlace | undefined {
    const asked = settings(agentId);
    const mode = asked.mode ?? "off";
    if (mode === "off" || (mode === "non-main" && sessionKey === mainKey(agentId))) return undefined;
    return sandboxPlace(asked, agentId, sessionKey, {
      folder: join(ports.stateFolder, "sandboxes"),
      agentWorkspace: ports.workspaceOf(agentId),
    });
  }

  function toolLimit(agentId: string) {
    const { tools } = ports.config();
    const lists = { ...tools?.sandbox?.tools, ...agentOf(ports.config(), agentId)?.tools?.sandbox?.tools };
    return {
      allow: lists.allow ?? [...defaultTools, ...(lists.alsoAllow ?? [])],
      deny: lists.deny ?? [],
    };
  }

  const self: Sandboxes = {
    placeOf: place,
    toolLimit,
    prove(place) {
      const last = known(place);
      if (last) return last.proof;
      const item: Tried = { place, proof: proveOnRecord(place), atMs: clock.now() };
      tried.set(keyOf(place), item);
      void item.proof.then((result) => {
        item.result = result;
      });
      return item.proof;
    },
    async require(place) {
      const proof = await self.prove(place);
      if (!proof.ok) throw new InputError(`There is no sandbox to run this in. ${proof.why}`);
      return proof.sandbox;
    },
    list() {
      const rows = hosts.used().flatMap((host) => host.list().map((row) => ({ ...row, kind: host.kind })));
      return [...tried.values()].map((item) => summary(item, rows));
    },
    async explain(agentId, sessionKey) {
      const asked = settings(agentId);
      const at = place(agentId, sessionKey);
      const base = {
        agentId,
        sessionKey,
        mode: asked.mode ?? "off",
        scope: asked.scope ?? "agent",
        workspaceAccess: asked.workspaceAccess ?? "none",
        backend: asked.backend ?? "auto",
        isSandboxed: at !== undefined,
        tools: toolLimit(agentId),
        change: [
          "agents.defaults.sandbox.mode",
          `agents.entries.${agentId}.sandbox`,
          "tools.sandbox.tools",
          "tools.elevated",
        ],
      };
      if (!at) return base;
      await ensureFolder(at.workspace);
      const chosen = at.problem ?? (await hosts.choose(at));
      const last = tried.get(keyOf(at))?.result;
      return {
        ...base,
        sandbox: {
          id: at.id,
          workspace: at.workspace,
          description: at.description,
          ...(typeof chosen === "string"
            ? { problem: chosen }
            : { kind: chosen.host.kind, passedOver: chosen.passedOver }),
          ...(last ? { proof: factsOf(last) } : {}),
        },
      };
    },
    async recreate({ agentId, sessionKey }) {
      const chosen = [...tried].filter(
        ([, { place }]) =>
          (agentId === undefined || place.agentId === agentId) &&
          (sessionKey === undefined || place.sessionKey === sessionKey),
      );
      for (const [key] of chosen) tried.delete(key);
      const ids = chosen.map(([, item]) => item.place.id);
      const isAll = agentId === undefined && sessionKey === undefined;
      const counts = await Promise.all(hosts.used().map((host) => host.remove(isAll ? undefined : ids)));
      return { forgotten: chosen.length, removed: counts.reduce((sum, count) => sum + count, 0) };
    },
    reset() {
      tried.clear();
      for (const host of hosts.used()) host.configChanged();
      // What still runs under the rules of before reaches nothing any more (attack A-134).
      void ports.egress.closeAll();
    },
    async close() {
      cancelPrune?.();
      const ended = Promise.all(hosts.used().map((host) => host.remove().then(() => host.sweep())));
      // An engine that hangs must not hold up the gateway's end: its containers end without us.
      await Promise.race([ended.catch(() => {}), sleep(clock, closeMs)]);
      await ports.egress.closeAll();
      hosts.close();
    },
    sweep: () => hosts.sweepAll(),
  };
  return self;
}

const named = { docker: "Docker", podman: "Podman" } as const;

function keyOf(place: SandboxPlace): string {
  return JSON.stringify([place, rulesKey(place.egress ?? [])]);
}

function agentOf(config: OpenClawConfig, agentId: string) {
  return config.agents?.entries?.[agentId] ?? config.agents?.list?.find((item) => item.id === agentId);
}
