import { createHash } from "node:crypto";
import type { ContainerSettings } from "./container-settings.ts";
import type { EngineKind } from "./container-sockets.ts";
import { egressEnvironment, egressMounts } from "./egress-forwarder.ts";
import type { SandboxSpec } from "./sandbox-host.ts";

export const labels = {
  /** Which state folder's gateway made it. */
  instance: "openclaw.instance",
  /** Which run of it. */
  run: "openclaw.run",
  /** The id of its spec. */
  sandbox: "openclaw.sandbox",
  /** Of all that it was made from. */
  fingerprint: "openclaw.fingerprint",
} as const;

/** Whoever keeps a container alive is another than those whose commands run in it: they cannot end or change it. */
const keeperUser = 65_533;
/** Podman's own default may be more than it may hand on. Of all processes of a user; PidsLimit is the container's. */
const podmanProcesses = { Name: "nproc", Soft: 16_384, Hard: 16_384 };
const tmpfsMegabytes = 256;
const sharedMemoryBytes = 64 * 1024 * 1024;

export interface ContainerParts {
  readonly kind: EngineKind;
  readonly spec: SandboxSpec;
  readonly settings: ContainerSettings;
  /** "uid:gid" of its commands. */
  readonly user: string;
  /** JSON, and the file that it stands in: Podman reads that, Docker wants the text. */
  readonly seccompProfile: string;
  readonly seccompFile: string;
  readonly instance: string;
  readonly run: string;
  /** Podman without root: the gateway's user is the same inside. */
  readonly keepsUserIds: boolean;
  /** Of the proxy's socket: another one at the same path is another way out. */
  readonly egressInode?: number;
  /** The engine runs without root: its containers have users of their own. */
  readonly isRootless: boolean;
  /** This machine has AppArmor: then a profile confines its containers. */
  readonly hasAppArmor: boolean;
  /** The image itself, so that another one under its name is another container. */
  readonly imageId: string;
}

/** The body that asks an engine for a container. All that a sandbox promises is said here, nothing is left to defaults. */
export function createBody(parts: ContainerParts) {
  const { spec, settings, user } = parts;
  const [uid] = user.split(":").map(Number);
  const keeper = uid === keeperUser ? keeperUser - 1 : keeperUser;
  const mount = (source: string, target: string, readOnly: boolean) => ({
    Type: "bind",
    Source: source,
    Target: target,
    ReadOnly: readOnly,
    // What is mounted further down on the host is not shown: read-only would not hold for it.
    BindOptions: { Propagation: "rprivate", NonRecursive: true },
  });
  const body = {
    Image: parts.imageId,
    // It lives as long as somebody holds its input open: with the gateway, also one that is killed, it ends.
    Entrypoint: ["/bin/sh", "-c"],
    Cmd: ["while read -r _; do :; done"],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    Tty: false,
    User: `${keeper}:${keeper}`,
    WorkingDir: "/",
    Hostname: "sandbox",
    StopSignal: "SIGKILL",
    Healthcheck: { Test: ["NONE"] },
    NetworkDisabled: settings.network === "none",
    Env: environmentOf(parts),
    HostConfig: {
      AutoRemove: true,
      Init: true,
      NetworkMode: settings.network,
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: [
        "no-new-privileges",
        `seccomp=${parts.kind === "podman" ? parts.seccompFile : parts.seccompProfile}`,
        ...(settings.apparmorProfile === undefined ? [] : [`apparmor=${settings.apparmorProfile}`]),
      ],
      IpcMode: "private",
      CgroupnsMode: "private",
      ...(parts.keepsUserIds ? { UsernsMode: "keep-id" } : {}),
      PidsLimit: spec.maxProcesses,
      Memory: spec.maxMemoryBytes,
      MemorySwap: settings.memorySwapBytes,
      NanoCpus: Math.round(settings.cpus * 1e9),
      Ulimits: [...settings.ulimits, ...(parts.kind === "podman" ? [podmanProcesses] : [])].filter(
        ({ Name }, index, all) => all.findIndex((item) => item.Name === Name) === index,
      ),
      ShmSize: sharedMemoryBytes,
      LogConfig: { Type: "none" },
      Tmpfs: Object.fromEntries(
        settings.tmpfs.map((path) => [path, `rw,nosuid,nodev,exec,size=${tmpfsMegabytes}m,mode=1777`]),
      ),
      Dns: settings.dns,
      ExtraHosts: settings.extraHosts,
      Mounts: [
        mount(spec.workspace, "/workspace", false),
        ...(spec.agentWorkspace === undefined ? [] : [mount(spec.agentWorkspace, "/agent", true)]),
        ...settings.binds.map(({ source, target, readOnly }) => mount(source, target, readOnly)),
        ...(spec.egress ? egressMounts(spec.egress) : []).map(({ hostPath, insidePath }) =>
          mount(hostPath, insidePath, true),
        ),
      ],
    },
  };
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([body, user, settings.setupCommand, parts.seccompProfile, parts.egressInode]))
    .digest("hex")
    .slice(0, 16);
  return {
    fingerprint,
    name: `${settings.prefix}${spec.id}-${fingerprint}`,
    body: {
      ...body,
      Labels: {
        [labels.instance]: parts.instance,
        [labels.run]: parts.run,
        [labels.sandbox]: spec.id,
        [labels.fingerprint]: fingerprint,
      },
    },
  };
}

function environmentOf({ spec, settings }: ContainerParts): string[] {
  const env = { ...settings.env, ...(spec.egress ? egressEnvironment : {}) };
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

/** Where such a container may write, and all that may be mounted in it. */
export function expectedMounts({ spec, settings }: Pick<ContainerParts, "spec" | "settings">) {
  const writable = [
    "/workspace",
    ...settings.tmpfs,
    ...settings.binds.filter(({ readOnly }) => !readOnly).map(({ target }) => target),
    // Podman makes these memory by itself.
    ...["/run", "/tmp", "/var/tmp"],
  ];
  return {
    writable,
    mounts: [
      ...writable,
      ...[
        "/",
        "/sbin/docker-init",
        "/usr/sbin/docker-init",
        "/run/podman-init",
        "/dev/init",
        "/run/.containerenv",
      ],
      ...["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/passwd", "/etc/group"],
      ...(spec.agentWorkspace === undefined ? [] : ["/agent"]),
      ...settings.binds.map(({ target }) => target),
      ...(spec.egress ? egressMounts(spec.egress) : []).map(({ insidePath }) => insidePath),
    ],
  };
}
