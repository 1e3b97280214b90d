import { createHash } from "node:crypto";
import { join } from "node:path";
import type { OpenClawConfig } from "../config/mod.ts";
import { InputError } from "../kernel/mod.ts";
import { bytesOf } from "../sandbox/byte-size.ts";
import { egressRules } from "../sandbox/egress-settings.ts";
import type { EgressRule } from "../sandbox/mod.ts";

export type SandboxConfig = NonNullable<
  NonNullable<NonNullable<OpenClawConfig["agents"]>["defaults"]>["sandbox"]
>;

/** Where a sandboxed session's commands run and its files are, as the config says it. */
export interface SandboxPlace {
  readonly id: string;
  /** What an approval for good covers beside the kind of sandbox: who shares it, what it sees and reaches. */
  readonly entry: string;
  readonly description: string;
  /** Host folder that is the sandbox's /workspace, and what the file tools act on. */
  readonly workspace: string;
  /** True: it is the sandbox's alone. False: the agent's own. */
  readonly ownsWorkspace: boolean;
  /** Host folder at /agent, read-only. */
  readonly agentWorkspace?: string;
  readonly maxProcesses: number;
  readonly maxMemoryBytes: number;
  /** What it may reach through the proxy. Absent: nothing, and there is no proxy. */
  readonly egress?: readonly EgressRule[];
  /** The one conversation or agent that it is for, when it is for one. */
  readonly sessionKey?: string;
  readonly agentId?: string;
  /** "docker", "podman", "bubblewrap"; undefined: what there is. */
  readonly backend?: string | undefined;
  readonly docker: NonNullable<SandboxConfig["docker"]>;
  /** What the config asks for that no sandbox can give: nothing runs. */
  readonly problem?: string;
}

const defaultProcesses = 256;
const defaultMemoryBytes = 1024 ** 3;

export function sandboxPlace(
  asked: SandboxConfig,
  agentId: string,
  sessionKey: string,
  at: { readonly folder: string; readonly agentWorkspace: string },
): SandboxPlace {
  const scope = asked.scope ?? "agent";
  const access = asked.workspaceAccess ?? "none";
  const docker = asked.docker ?? {};
  const network = docker.network?.trim() ?? "none";
  const memory = docker.memory === undefined ? defaultMemoryBytes : bytesOf(docker.memory);
  const egress = egressOf(asked);
  const problem = unavailable(asked) ?? egress.problem ?? (memory === undefined ? memoryProblem : undefined);
  // A name from a digest: a session's key has parts that others choose.
  const id =
    scope === "shared"
      ? `shared-${digest(access === "none" ? "" : agentId)}`
      : `${scope}-${digest(scope === "agent" ? agentId : sessionKey)}`;
  return {
    id,
    // Who may enter what reaches more has to be asked again.
    entry: [
      `${scope}:${access}`,
      ...(network === "none" ? [] : [`network-${network}`]),
      ...(egress.rules ? [`egress-${digest(JSON.stringify(egress.rules))}`] : []),
      ...(docker.binds?.length ? [`binds-${digest(JSON.stringify(docker.binds))}`] : []),
    ].join(":"),
    description: `${reaches(network, egress.rules)}, ${sharedBy[scope]}, ${sees[access]}${binds(docker.binds)}`,
    ...(egress.rules ? { egress: egress.rules } : {}),
    ...(scope === "session" ? { sessionKey } : {}),
    ...(scope === "shared" ? {} : { agentId }),
    workspace: access === "rw" ? at.agentWorkspace : join(at.folder, id),
    ownsWorkspace: access !== "rw",
    ...(access === "ro" ? { agentWorkspace: at.agentWorkspace } : {}),
    maxProcesses: docker.pidsLimit ?? defaultProcesses,
    maxMemoryBytes: memory ?? 0,
    backend: asked.backend,
    docker,
    ...(problem === undefined ? {} : { problem }),
  };
}

function unavailable({ backend, workspaceRoot }: SandboxConfig): string | undefined {
  if (backend !== undefined && !["docker", "podman", "bubblewrap"].includes(backend))
    return `The backend ${backend} is not available. Set sandbox.backend to "docker", "podman" or "bubblewrap", or leave it out.`;
  return workspaceRoot === undefined
    ? undefined
    : "sandbox.workspaceRoot is not available: sandboxes lie in the state folder. Leave it out.";
}

const memoryProblem = 'sandbox.docker.memory is no size of at least 16 MB; write "512m" or "1g".';

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

function reaches(network: string, rules: readonly EgressRule[] | undefined): string {
  if (network !== "none") return `in the network ${network.slice(0, 60)}`;
  if (!rules) return "without network";
  const hosts = [...new Set(rules.map((rule) => rule.host))];
  const more = hosts.length > 5 ? ` and ${hosts.length - 5} more` : "";
  return `that reaches ${hosts.slice(0, 5).join(", ")}${more} and nothing else`;
}

function binds(list: readonly string[] | undefined): string {
  return list?.length ? `, and which is shown ${list.join(", ").slice(0, 200)}` : "";
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
 * Settings of a container that bubblewrap does not follow: better nothing runs than less than was asked for. Where
 * the value is what it does anyway, it is followed.
 */
export function bubblewrapProblem({ docker }: SandboxPlace): string | undefined {
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
    : `A bubblewrap sandbox cannot do what sandbox.docker.${key} asks for. Leave it out, or use sandbox.backend: "docker".`;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
