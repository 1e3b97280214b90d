import { posix } from "node:path";
import type { OpenClawConfig } from "../config/mod.ts";
import { bytesOf } from "./byte-size.ts";
import { environmentProblem } from "./environment.ts";

/** What a container is made from, as far as the config says it. Checked: nothing in it can take a promise away. */
export interface ContainerSettings {
  readonly image: string;
  readonly prefix: string;
  /** "none", or a network of the engine's by its name. */
  readonly network: string;
  /** "1000:1000": numbers, none of them root's. Undefined: whoever the workspace belongs to. */
  readonly user?: string;
  readonly tmpfs: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Runs once in a new container, as its commands do. */
  readonly setupCommand?: string;
  readonly memorySwapBytes: number;
  readonly cpus: number;
  readonly ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  /** Absolute, of a JSON file; undefined: ours. */
  readonly seccompProfile?: string;
  readonly apparmorProfile?: string;
  readonly dns: readonly string[];
  readonly extraHosts: readonly string[];
  readonly binds: readonly ContainerBind[];
  /** False: what is bound must be of the agent's workspace. */
  readonly mayBindOutside: boolean;
}

export interface ContainerBind {
  /** As the config says it, normalised. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

type Sandbox = NonNullable<NonNullable<NonNullable<OpenClawConfig["agents"]>["defaults"]>["sandbox"]>;
type DockerSection = NonNullable<Sandbox["docker"]>;

export const defaultImage = "openclaw-sandbox:minimal";
const defaultTmpfs = ["/tmp", "/var/tmp", "/run"];
const defaultCpus = 1;
const gib = 1024 ** 3;
const defaultLimits = { nofile: 1024, core: 0, fsize: 4 * gib, memlock: 65_536 };
/** Of a program's limits, those that can only be made smaller by it. */
const limitNames = new Set(
  "core cpu data fsize locks memlock msgqueue nofile nproc rss sigpending stack".split(" "),
);

/** Thrown within this file for a setting that cannot be followed; its message is the sentence. */
class Unfollowed extends Error {}

const refuseKey = (key: string, why: string): never => {
  throw new Unfollowed(`sandbox.docker.${key} ${why}`);
};

/** The settings, or a sentence that names the one that is not followed, and why. */
export function containerSettings(
  docker: DockerSection,
  maxMemoryBytes: number,
  workspace: string,
): ContainerSettings | string {
  try {
    refuseWhatCannotBe(docker);
    return {
      image: named("image", docker.image ?? defaultImage, /^[a-z0-9][a-zA-Z0-9._/:@-]{0,254}$/),
      prefix: named(
        "containerPrefix",
        docker.containerPrefix ?? "openclaw-sbx-",
        /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,40}$/,
      ),
      network: networkOf(docker.network ?? "none"),
      ...(docker.user === undefined ? {} : { user: userOf(docker.user) }),
      tmpfs: (docker.tmpfs ?? defaultTmpfs).map(tmpfsOf),
      env: envOf(docker.env ?? {}),
      ...(docker.setupCommand === undefined ? {} : { setupCommand: setupOf(docker.setupCommand) }),
      memorySwapBytes: swapOf(docker, maxMemoryBytes),
      cpus: cpusOf(docker.cpus ?? defaultCpus),
      ulimits: ulimitsOf(docker.ulimits ?? {}),
      ...profilesOf(docker),
      dns: (docker.dns ?? []).map((item) => named("dns", item, /^[0-9a-fA-F.:]{2,45}$/)),
      extraHosts: (docker.extraHosts ?? []).map((item) =>
        named("extraHosts", item, /^[a-zA-Z0-9._-]{1,253}:[0-9a-fA-F.:]{2,45}$/),
      ),
      binds: (docker.binds ?? []).map((bind) => bindOf(bind, workspace)),
      mayBindOutside: docker.dangerouslyAllowExternalBindSources === true,
    };
  } catch (error) {
    if (error instanceof Unfollowed) return error.message;
    throw error;
  }
}

function refuseWhatCannotBe(docker: DockerSection): void {
  if (docker.readOnlyRoot === false)
    refuseKey(
      "readOnlyRoot",
      "is false: a sandbox's root is read-only. Leave it out; tmpfs names what is not.",
    );
  if (docker.capDrop !== undefined && !docker.capDrop.includes("ALL"))
    refuseKey("capDrop", 'leaves capabilities: a sandbox has none. Leave it out, or set ["ALL"].');
  if (docker.workdir !== undefined && docker.workdir !== "/workspace")
    refuseKey("workdir", "is another folder than /workspace, where the file tools work too. Leave it out.");
  if (docker.gpus !== undefined)
    refuseKey("gpus", "asks for devices of the host, which a sandbox does not get. Leave it out.");
  if (docker.dangerouslyAllowContainerNamespaceJoin)
    refuseKey(
      "dangerouslyAllowContainerNamespaceJoin",
      "is not followed: a sandbox has a network of its own.",
    );
  if (docker.dangerouslyAllowReservedContainerTargets)
    refuseKey(
      "dangerouslyAllowReservedContainerTargets",
      "is not followed: those folders are the sandbox's.",
    );
}

function named(key: string, value: string, form: RegExp): string {
  return form.test(value)
    ? value
    : refuseKey(key, `is ${JSON.stringify(value.slice(0, 80))}, which is no such name.`);
}

function networkOf(network: string): string {
  const name = network.trim();
  if (/^host$/i.test(name))
    refuseKey(
      "network",
      'is "host": the sandbox could reach all of this machine. Leave it out, or name another.',
    );
  if (/^(?:container|ns|pasta|slirp4netns|private)\b/i.test(name))
    refuseKey("network", `is ${JSON.stringify(name)}: a sandbox joins nobody's network. Leave it out.`);
  return named("network", name, /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/);
}

function userOf(user: string): string {
  const [, uid, gid] = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(user.trim()) ?? [];
  if (uid === undefined)
    return refuseKey("user", `is ${JSON.stringify(user)}; it must be numbers, like "1000:1000".`);
  if (Number(uid) === 0 || Number(gid ?? uid) === 0)
    refuseKey("user", 'is root: a sandbox\'s commands never are. Leave it out, or set "1000:1000".');
  return `${Number(uid)}:${Number(gid ?? uid)}`;
}

const ownFolders =
  /^\/(?:$|workspace|agent|proc|sys|dev|etc|usr|bin|sbin|lib|lib32|lib64|libx32|boot|root|run\/openclaw)(?:\/|$)/;

function tmpfsOf(path: string): string {
  const [place = "", ...options] = path.split(":");
  if (options.length > 0)
    refuseKey("tmpfs", `gives options (${JSON.stringify(path)}). Name the folder alone; each has 256 MB.`);
  if (
    posix.normalize(place) !== place ||
    !place.startsWith("/") ||
    /[,\s]/.test(place) ||
    ownFolders.test(place)
  )
    refuseKey("tmpfs", `names ${JSON.stringify(place)}, which cannot be replaced by memory.`);
  return place;
}

function envOf(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const problem = environmentProblem(env);
  if (problem !== undefined) throw new Unfollowed(`sandbox.docker.${problem}`);
  const broken = Object.entries(env).find(([, value]) => /[\r\n]/.test(value));
  if (broken) refuseKey(`env.${broken[0]}`, "has more than one line.");
  return env;
}

function setupOf(setup: string | readonly string[]): string {
  return typeof setup === "string" ? setup : setup.join("\n");
}

function swapOf(docker: DockerSection, maxMemoryBytes: number): number {
  if (docker.memorySwap === undefined) return docker.memory === undefined ? 2 * gib : 2 * maxMemoryBytes;
  const bytes = bytesOf(docker.memorySwap);
  return bytes !== undefined && bytes >= maxMemoryBytes
    ? bytes
    : refuseKey("memorySwap", "is no size of at least sandbox.docker.memory; it counts both together.");
}

function cpusOf(cpus: number): number {
  return cpus >= 0.01 ? cpus : refuseKey("cpus", "is less than 0.01, or no limit at all.");
}

type Limit = string | number | { readonly soft?: number; readonly hard?: number };

function ulimitsOf(asked: Readonly<Record<string, Limit>>): ContainerSettings["ulimits"] {
  const limits = Object.entries<Limit>({ ...defaultLimits, ...asked });
  return limits.map(([name, value]) => {
    if (!limitNames.has(name)) refuseKey(`ulimits.${name}`, "is no limit that is known here.");
    const [soft, hard = soft] =
      typeof value === "object"
        ? [value.soft ?? value.hard, value.hard ?? value.soft]
        : String(value)
            .split(":")
            .map((part) => (/^\d{1,15}$/.test(part.trim()) ? Number(part) : -1));
    if (soft === undefined || hard === undefined || soft < 0 || hard < soft)
      return refuseKey(`ulimits.${name}`, "is no limit: write a number, or soft:hard.");
    if (name === "core" && hard > 0)
      refuseKey("ulimits.core", "lets programs leave dumps of their memory. Leave it out.");
    return { Name: name, Soft: soft, Hard: hard };
  });
}

function profilesOf(docker: DockerSection): Pick<ContainerSettings, "seccompProfile" | "apparmorProfile"> {
  for (const key of ["seccompProfile", "apparmorProfile"] as const)
    if (/^\s*(?:unconfined|none|off)?\s*$/i.test(docker[key] ?? "x"))
      refuseKey(key, "switches a layer off. Leave it out: the sandbox brings its own.");
  const seccomp = docker.seccompProfile;
  if (seccomp !== undefined && !/^(?:default|builtin)$/.test(seccomp) && !posix.isAbsolute(seccomp))
    refuseKey("seccompProfile", "is no absolute path of a profile's file.");
  return {
    ...(seccomp === undefined || !posix.isAbsolute(seccomp) ? {} : { seccompProfile: seccomp }),
    ...(docker.apparmorProfile === undefined
      ? {}
      : {
          apparmorProfile: named(
            "apparmorProfile",
            docker.apparmorProfile,
            /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$/,
          ),
        }),
  };
}

function bindOf(bind: string, workspace: string): ContainerBind {
  const [from = "", to = "", mode, ...more] = bind.split(":");
  const shown = JSON.stringify(bind.slice(0, 200));
  if (more.length > 0 || !/^(?:ro|rw)?$/.test(mode ?? "") || bind.includes("\0"))
    refuseKey("binds", `has ${shown}; it must be /host/folder:/folder:ro or :rw.`);
  if (!posix.isAbsolute(from) || !posix.isAbsolute(to) || from === "/")
    refuseKey("binds", `has ${shown}, where a path is not absolute.`);
  const target = posix.normalize(to).replace(/(?<=.)\/$/, "");
  if (ownFolders.test(target) || /^\/(?:tmp|var|run)$/.test(target))
    refuseKey("binds", `would put something in the place of ${target}, which is the sandbox's own.`);
  const source = posix.normalize(from).replace(/(?<=.)\/$/, "");
  // A folder that a sandbox could change is no place that the next container should be given by its name.
  if (source === workspace)
    refuseKey("binds", "names the agent's workspace itself; workspaceAccess gives that.");
  return { source, target, readOnly: mode === "ro" };
}
