import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { arch, homedir, userInfo } from "node:os";
import { join } from "node:path";
import type { OpenClawConfig } from "../config/mod.ts";
import { type Clock, InputError, type Json, type Log, type Random } from "../kernel/mod.ts";
import { egressRules } from "../sandbox/egress-settings.ts";
import type { EgressRule, ProvenSandbox, SandboxHost, SandboxProof } from "../sandbox/mod.ts";
import { mainKey } from "../session/mod.ts";
import { ensureFolder } from "../store/mod.ts";
import { type Egress, rulesKey } from "./egress.ts";

/** Where a sandboxed session's commands run and its files are. */
export interface SandboxPlace {
  readonly id: string;
  /** What an approval for good covers: how it is isolated, who shares it, what it sees of the agent's workspace. */
  readonly entry: string;
  readonly description: string;
  /** Host folder that is the sandbox's /workspace, and what the file tools act on. */
  readonly workspace: string;
  /** Host folder at /agent, read-only. */
  readonly agentWorkspace?: string;
  readonly maxProcesses: number;
  readonly maxMemoryBytes: number;
  /** What it may reach. Absent: nothing, and there is no proxy. */
  readonly egress?: readonly EgressRule[];
  /** The one conversation that it is for, when it is for one. */
  readonly sessionKey?: string;
  /** What the config asks for that this sandbox cannot give: nothing runs. */
  readonly problem?: string;
}

export interface Sandboxes {
  /** Undefined: this session is not sandboxed. From the config alone. */
  placeOf(agentId: string, sessionKey: string): SandboxPlace | undefined;
  /** Proved at the first use, and again after each change of the config. Never rejects. */
  prove(place: SandboxPlace): Promise<SandboxProof>;
  /** The proven sandbox; an InputError where there is none. */
  require(place: SandboxPlace): Promise<ProvenSandbox>;
  /** What `tools.sandbox.tools` leaves of the tools. */
  toolLimit(agentId: string): { readonly allow: readonly string[]; readonly deny: readonly string[] };
  reset(): void;
  /** Removes what sandboxes left in the kernel; when none of them runs. */
  sweep(): Promise<void>;
  /** Closes the ways out. */
  close(): Promise<void>;
}

type SandboxConfig = NonNullable<NonNullable<NonNullable<OpenClawConfig["agents"]>["defaults"]>["sandbox"]>;

const defaultTools = ["exec", "process", "read", "write", "edit", "apply_patch", "extract", "undo"];
const defaultProcesses = 256;
const defaultMemoryBytes = 1024 ** 3;

export function createSandboxes(ports: {
  readonly config: () => OpenClawConfig;
  readonly stateFolder: string;
  readonly workspaceOf: (agentId: string) => string;
  readonly findProgram: (name: string) => string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Puts the outcome of a proof on record. */
  readonly record: (facts: Json, outcome: "ok" | "error") => Promise<void>;
  readonly egress: Egress;
}): Sandboxes {
  const proofs = new Map<string, Promise<SandboxProof>>();
  let host: Promise<SandboxHost> | undefined;

  /** Loaded when the first sandboxed session needs it. */
  function load(): Promise<SandboxHost> {
    host ??= import("../sandbox/mod.ts").then(({ createBubblewrap }) =>
      createBubblewrap({
        ...ports,
        stateDir: realpathSync(ports.stateFolder),
        homes: [userInfo().homedir, homedir()],
        architecture: arch(),
      }),
    );
    // A state folder that cannot be opened now may be there the next time.
    host.catch(() => {
      host = undefined;
    });
    return host;
  }

  function settings(agentId: string): SandboxConfig {
    const { defaults } = ports.config().agents ?? {};
    const agent = agentOf(ports.config(), agentId);
    return {
      ...defaults?.sandbox,
      ...agent?.sandbox,
      docker: { ...defaults?.sandbox?.docker, ...agent?.sandbox?.docker },
    };
  }

  async function proveNow(place: SandboxPlace): Promise<SandboxProof> {
    if (place.problem !== undefined) return { ok: false, why: place.problem };
    try {
      const [bubblewrap] = await Promise.all([load(), ensureFolder(place.workspace)]);
      const { id, maxProcesses, maxMemoryBytes, agentWorkspace, egress, sessionKey } = place;
      const about = { sandbox: id, ...(sessionKey === undefined ? {} : { sessionKey }) };
      return await bubblewrap.prove({
        id,
        maxProcesses,
        maxMemoryBytes,
        workspace: realpathSync(place.workspace),
        ...(agentWorkspace === undefined ? {} : { agentWorkspace: realpathSync(agentWorkspace) }),
        ...(egress === undefined ? {} : { egress: await ports.egress.open({ ...about, rules: egress }) }),
      });
    } catch (error) {
      return { ok: false, why: `It could not be made (${error instanceof Error ? error.message : error}).` };
    }
  }

  async function proveOnRecord(place: SandboxPlace): Promise<SandboxProof> {
    const proof = await proveNow(place);
    const facts = proof.ok ? { id: place.id, held: [...proof.held] } : { id: place.id, why: proof.why };
    try {
      await ports.record({ ...facts, entry: place.entry }, proof.ok ? "ok" : "error");
    } catch {
      return { ok: false, why: "The outcome of its proof could not be put on record." };
    }
    if (!proof.ok) ports.log("error", "a sandbox cannot be used", { sandbox: place.id, why: proof.why });
    return proof;
  }

  const self: Sandboxes = {
    placeOf(agentId, sessionKey) {
      const asked = settings(agentId);
      const mode = asked.mode ?? "off";
      if (mode === "off" || (mode === "non-main" && sessionKey === mainKey(agentId))) return undefined;
      return placeFor(asked, agentId, sessionKey, {
        folder: join(ports.stateFolder, "sandboxes"),
        agentWorkspace: ports.workspaceOf(agentId),
      });
    },
    prove(place) {
      const key = JSON.stringify([place, rulesKey(place.egress ?? [])]);
      const known = proofs.get(key);
      if (known) return known;
      const proof = proveOnRecord(place);
      proofs.set(key, proof);
      return proof;
    },
    async require(place) {
      const proof = await self.prove(place);
      if (!proof.ok) throw new InputError(`There is no sandbox to run this in. ${proof.why}`);
      return proof.sandbox;
    },
    toolLimit(agentId) {
      const { tools } = ports.config();
      const lists = { ...tools?.sandbox?.tools, ...agentOf(ports.config(), agentId)?.tools?.sandbox?.tools };
      return {
        allow: lists.allow ?? [...defaultTools, ...(lists.alsoAllow ?? [])],
        deny: lists.deny ?? [],
      };
    },
    reset() {
      proofs.clear();
      // What still runs under the rules of before reaches nothing any more (attack A-134).
      void ports.egress.closeAll();
    },
    close: () => ports.egress.closeAll(),
    sweep: () =>
      load().then(
        (bubblewrap) => bubblewrap.sweep(),
        (error: Error) => ports.log("warn", "sandboxes were not tidied up", { error: error.message }),
      ),
  };
  return self;
}

function agentOf(config: OpenClawConfig, agentId: string) {
  return config.agents?.entries?.[agentId] ?? config.agents?.list?.find((item) => item.id === agentId);
}

function placeFor(
  asked: SandboxConfig,
  agentId: string,
  sessionKey: string,
  at: { readonly folder: string; readonly agentWorkspace: string },
): SandboxPlace {
  const scope = asked.scope ?? "agent";
  const access = asked.workspaceAccess ?? "none";
  const memory = bytesOf(asked.docker?.memory);
  const egress = egressOf(asked);
  const problem =
    unsupported(asked) ?? egress.problem ?? (memory === undefined ? "docker.memory is no size." : undefined);
  // A name from a digest: a session's key has parts that others choose.
  const id =
    scope === "shared"
      ? `shared-${digest(access === "none" ? "" : agentId)}`
      : `${scope}-${digest(scope === "agent" ? agentId : sessionKey)}`;
  return {
    id,
    // Who may enter what reaches more has to be asked again.
    entry: `bubblewrap:${scope}:${access}${egress.rules ? `:egress-${digest(JSON.stringify(egress.rules))}` : ""}`,
    description: `a bubblewrap sandbox ${reaches(egress.rules)}, ${sharedBy[scope]}, ${sees[access]}`,
    ...(egress.rules ? { egress: egress.rules } : {}),
    ...(scope === "session" ? { sessionKey } : {}),
    workspace: access === "rw" ? at.agentWorkspace : join(at.folder, id),
    ...(access === "ro" ? { agentWorkspace: at.agentWorkspace } : {}),
    maxProcesses: asked.docker?.pidsLimit ?? defaultProcesses,
    maxMemoryBytes: memory ?? 0,
    ...(problem === undefined ? {} : { problem }),
  };
}

/** No rules at all: there is no proxy either. */
function egressOf({ egress }: SandboxConfig): { rules?: readonly EgressRule[]; problem?: string } {
  if (egress === undefined || egress.length === 0) return {};
  try {
    return { rules: egressRules(egress) };
  } catch (error) {
    if (error instanceof InputError) return { problem: error.message };
    throw error;
  }
}

function reaches(rules: readonly EgressRule[] | undefined): string {
  if (!rules) return "without network";
  const hosts = [...new Set(rules.map((rule) => rule.host))];
  const more = hosts.length > 5 ? ` and ${hosts.length - 5} more` : "";
  return `that reaches ${hosts.slice(0, 5).join(", ")}${more} and nothing else`;
}

const sharedBy = {
  session: "for this conversation alone",
  agent: "shared by this agent's conversations",
  shared: "shared by all agents",
} as const;
const sees = {
  none: "which sees nothing of the agent's workspace",
  ro: "which can read the agent's workspace",
  rw: "which can change the agent's workspace",
} as const;

/**
 * Settings of a container that this sandbox does not follow: better nothing runs than less than was asked for. Where
 * the value is what this sandbox does anyway, it is followed.
 */
function unsupported({ backend, workspaceRoot, docker = {} }: SandboxConfig): string | undefined {
  if (backend !== undefined && backend !== "bubblewrap")
    return `The backend ${backend} is not available yet. Set sandbox.backend to "bubblewrap", or leave it out.`;
  if (workspaceRoot !== undefined) return "sandbox.workspaceRoot is not available yet. Leave it out.";
  const followed: Readonly<Record<string, (value: unknown) => boolean>> = {
    pidsLimit: () => true,
    memory: () => true,
    network: (value) => value === "none",
    readOnlyRoot: (value) => value === true,
    capDrop: (value) => Array.isArray(value) && value.includes("ALL"),
    workdir: (value) => value === "/workspace",
    binds: isEmpty,
    dns: isEmpty,
    extraHosts: isEmpty,
    dangerouslyAllowContainerNamespaceJoin: (value) => value === false,
    dangerouslyAllowExternalBindSources: (value) => value === false,
    dangerouslyAllowReservedContainerTargets: (value) => value === false,
  };
  const key = Object.entries(docker).find(
    ([name, value]) => value !== undefined && !(Object.hasOwn(followed, name) && followed[name]?.(value)),
  )?.[0];
  return key === undefined
    ? undefined
    : `A bubblewrap sandbox cannot do what sandbox.docker.${key} asks for. Leave it out.`;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** "512m", "1g" or a number of bytes; undefined: none of these. */
function bytesOf(size: string | number | undefined): number | undefined {
  if (size === undefined) return defaultMemoryBytes;
  const match = /^(\d{1,15})([bkmg]?)$/i.exec(String(size).trim());
  const unit = { "": 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match?.[2]?.toLowerCase() ?? ""];
  const bytes = Number(match?.[1] ?? 0) * (unit ?? 0);
  return bytes >= 16 * 1024 ** 2 && Number.isSafeInteger(bytes) ? bytes : undefined;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
