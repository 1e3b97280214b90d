import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import { type EgressDoor, egressEnvironment, egressMounts, forwarderArgv } from "./egress-forwarder.ts";
import type { SandboxSpec } from "./sandbox-host.ts";

export interface SandboxPrograms {
  /** Absolute paths of programs that only root can change. */
  readonly bwrap: string;
  readonly prlimit: string;
  /** Where there is egress. */
  readonly perl?: string | undefined;
}

/** What the sandbox sees of the host beside /usr: what the loader of programs needs. */
const etcFiles = ["/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"];
const systemFolders = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const temporaryBytes = 256 * 1024 * 1024;
const maxFileBytes = 4 * 1024 * 1024 * 1024;

/** Read from this descriptor, which the launcher opens. */
const filterDescriptor = 9;

/**
 * Opens the filter of system calls, enters the control groups and becomes bwrap. Fixed text; everything else is an
 * argument. A group that cannot be entered ends it: nothing runs without the limit that was promised.
 */
const launcher = `exec ${filterDescriptor}<"$1" || exit 125; shift
while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift
exec "$@"`;

/** The whole argument list that runs `text` in a shell inside the sandbox. Absolute path of the launcher first. */
export function bubblewrapArgv(
  spec: SandboxSpec,
  parts: {
    readonly programs: SandboxPrograms;
    readonly filterFile: string;
    /** Files to write a process into, to put it into a control group. */
    readonly groups: readonly string[];
    /** Relative to /workspace. */
    readonly workdir: string;
    readonly text: string;
  },
): readonly string[] {
  const { maxProcesses, maxMemoryBytes } = spec;
  return [
    ...["/bin/sh", "-c", launcher, "sandbox", parts.filterFile, ...parts.groups, "--"],
    parts.programs.bwrap,
    ...namespaces,
    ...systemMounts(),
    ...["--bind", spec.workspace, "/workspace"],
    ...(spec.agentWorkspace === undefined ? [] : ["--ro-bind", spec.agentWorkspace, "/agent"]),
    ...(spec.egress ? egressArguments(spec.egress) : []),
    ...["--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"],
    ...["--chdir", posix.join("/workspace", parts.workdir)],
    ...["--seccomp", String(filterDescriptor), "--"],
    ...[parts.programs.prlimit, `--nproc=${maxProcesses}`, `--data=${maxMemoryBytes}`],
    ...[`--fsize=${maxFileBytes}`, "--nofile=1024", "--core=0", "--memlock=65536", "--"],
    ...(spec.egress && parts.programs.perl !== undefined ? forwarderArgv(parts.programs.perl) : []),
    ...["/bin/sh", "-c", "--", parts.text],
  ];
}

/** The socket of its proxy, and how programs find it: there is still no network. */
function egressArguments(door: EgressDoor): string[] {
  return [
    ...egressMounts(door).flatMap(({ hostPath, insidePath }) => ["--ro-bind", hostPath, insidePath]),
    ...Object.entries(egressEnvironment).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}

/** Each is one of the promises that sandbox-proof.ts tries to break. */
const namespaces = [
  "--unshare-user",
  "--disable-userns",
  "--unshare-net",
  "--unshare-pid",
  "--unshare-ipc",
  "--unshare-uts",
  "--unshare-cgroup-try",
  ...["--uid", "1000", "--gid", "1000", "--hostname", "sandbox"],
  ...["--cap-drop", "ALL"],
  "--new-session",
  "--die-with-parent",
] as const;

function systemMounts(): string[] {
  const temporary = (path: string) => ["--size", String(temporaryBytes), "--perms", "1777", "--tmpfs", path];
  return [
    ...["--ro-bind", "/usr", "/usr"],
    ...systemFolders.flatMap((path) => {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (!stat) return [];
      // On most systems these are links into /usr.
      return stat.isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind", path, path];
    }),
    ...etcFiles.filter((path) => existsSync(path)).flatMap((path) => ["--ro-bind", path, path]),
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["/dev/shm", "/tmp", "/var/tmp", "/run"].flatMap(temporary),
  ];
}
