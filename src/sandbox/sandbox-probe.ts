import { egressInside } from "./egress-forwarder.ts";
import { probePrograms } from "./probe-program.ts";

/** What a probe needs to know to try the promises of a sandbox, and its judge to tell what the answers mean. */
export interface ProofFacts {
  /** Stands in every line of the probe, so that nothing else can speak for it. */
  readonly nonce: string;
  /** A file in the state folder with `secret` in it, made for this. */
  readonly secretFile: string;
  readonly secret: string;
  /** Host folders that must not be there. */
  readonly hiddenFolders: readonly string[];
  /** Sockets beside the usual ones that must not be there: that of the engine in use. */
  readonly hiddenSockets: readonly string[];
  /** A TCP port on 127.0.0.1 that the gateway listens on meanwhile. */
  readonly port: number;
  /** As `process.arch` names it. */
  readonly architecture: string;
  readonly maxProcesses: number;
  readonly hasAgentFolder: boolean;
  /** True: it was given a network, so that only its own loopback and its own interfaces are promised. */
  readonly hasNetwork: boolean;
  /** True: a forwarder inside leads to the gateway's proxy, which must refuse the gateway's machine. */
  readonly hasEgress: boolean;
  /** "net" -> "net:[4026531840]" of the gateway itself: those that must be the sandbox's own. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** Where it may write, exactly; and all that may be mounted, where that can be told. */
  readonly writableMounts: readonly string[];
  readonly mounts?: readonly string[];
  /** Bytes of data in each process, or of all processes together. */
  readonly memory: { readonly of: "each" | "all"; readonly maxBytes: number };
  /** Processors' worth of time, for all processes together. */
  readonly cpus?: number;
  /** Of the folder that /workspace must be. */
  readonly workspaceInode?: number;
  /** The name of an AppArmor profile must be there. */
  readonly hasAppArmor?: boolean;
}

const engineSockets = [
  "/var/run/docker.sock",
  "/run/docker.sock",
  "/run/podman/podman.sock",
  "/run/containerd/containerd.sock",
  "/run/dbus/system_bus_socket",
];

/** A script for a plain POSIX shell inside the sandbox. Prints one line for each attempt, and some facts. */
export function probeScript(facts: ProofFacts): string {
  const { nonce } = facts;
  const q = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const anyThere = (paths: readonly string[]) =>
    paths.length === 0 ? "false" : paths.map((path) => `[ -e ${q(path)} ]`).join(" || ");
  const mark = `.openclaw-proof-${nonce}`;
  const programs = Object.entries(probePrograms(facts.architecture, facts.port) ?? {});

  return `
tried() { printf '%s %s %s\\n' ${nonce} "$1" "$2"; }
attempt() { if (eval "$2") >/dev/null 2>&1; then tried "$1" open; else tried "$1" closed; fi; }
program() {
  printf "$2" > /tmp/${mark} && chmod 700 /tmp/${mark} || return
  (/tmp/${mark}) >/dev/null 2>&1
  case $? in 0) tried "$1" open;; 1|159) tried "$1" closed;; esac
  rm -f /tmp/${mark}
}
attempt read-usr 'ls -d /bin/sh'
attempt write-workspace ': > /workspace/${mark} && rm /workspace/${mark}'
attempt write-tmp ': > /tmp/${mark} && rm /tmp/${mark}'
attempt secret ${q(`read -r line < ${q(facts.secretFile)}`)}
ln -s ${q(facts.secretFile)} /workspace/${mark} && attempt link 'read -r line < /workspace/${mark}'; rm -f /workspace/${mark}
attempt folders ${q(anyThere(facts.hiddenFolders))}
attempt write-root ': > /${mark} || : > /etc/${mark} || : > /dev/${mark}'
attempt write-usr ': > /usr/${mark} && rm /usr/${mark}'
attempt write-kernel ': >> /proc/sys/kernel/core_pattern || : >> /proc/sysrq-trigger'
${facts.hasAgentFolder ? `attempt write-agent ': > /agent/${mark} && rm /agent/${mark}'; attempt read-agent 'ls /agent/'` : ""}
attempt interfaces 'grep -v -e "|" -e " lo:" /proc/net/dev || grep -v -e Iface /proc/net/route'
attempt engine-socket ${q(anyThere([...engineSockets, ...facts.hiddenSockets]))}
${programs.map(([name, bytes]) => `program ${name} '${octal(bytes)}'`).join("\n")}
${facts.hasEgress ? egressAttempt(facts) : ""}
for name in ${Object.keys(facts.namespaces).join(" ")}; do printf '%s ns-%s %s\\n' ${nonce} $name "$(readlink /proc/self/ns/$name)"; done
while read -r name value rest; do printf '%s status-%s %s\\n' ${nonce} "$name" "$value"; done < /proc/self/status
while read -r line; do case "$line" in
  "Max data size"*) set -- $line; printf '%s limit-data %s\\n' ${nonce} "$5";;
  "Max core file size"*) set -- $line; printf '%s limit-core %s\\n' ${nonce} "$6";;
esac; done < /proc/self/limits
while read -r source place type options rest; do
  case ",$options," in *,rw,*) how=rw;; *) how=ro;; esac
  printf '%s mounted %s %s %s\\n' ${nonce} $how "$type" "$place"
done < /proc/mounts
for group in /sys/fs/cgroup /sys/fs/cgroup/memory /sys/fs/cgroup/cpu; do
  for name in memory.max memory.limit_in_bytes cpu.max cpu.cfs_quota_us cpu.cfs_period_us; do
    if read -r value 2>/dev/null < $group/$name; then printf '%s group-%s %s\\n' ${nonce} $name "$value"; fi 2>/dev/null
  done
done
read -r value 2>/dev/null < /proc/self/attr/current && printf '%s apparmor %s\\n' ${nonce} "$value"
printf '%s inode %s\\n' ${nonce} "$(ls -di /workspace/. 2>/dev/null)"
set -- /proc/[0-9]*; printf '%s visible %s\\n' ${nonce} $#
for file in /proc/[0-9]*/environ; do if grep -q ${q(facts.secret)} "$file" 2>/dev/null; then tried secret open; fi; done
(
  started=; trap 'kill -KILL $started 2>/dev/null' EXIT
  i=0; while [ $i -lt ${facts.maxProcesses + 32} ]; do sleep 30 >/dev/null 2>&1 & started="$started $!"; i=$((i+1)); done
  tried processes open
) 2>/dev/null || tried processes closed
`;
}

/** Asks the proxy for the gateway's own port. In perl, which carries the bytes of a sandbox with egress anyway. */
function egressAttempt({ port }: ProofFacts): string {
  const ask = `use Socket; socket S, PF_INET, SOCK_STREAM, 0; alarm 10;
connect S, sockaddr_in(${egressInside.port}, INADDR_LOOPBACK) or exit;
syswrite S, "CONNECT 127.0.0.1:${port} HTTP/1.1\\r\\nHost: 127.0.0.1:${port}\\r\\n\\r\\n"; sysread S, my $answer, 12; print $answer`;
  return `answer=$(perl -e '${ask}' 2>/dev/null)
case "$answer" in "HTTP/1.1 2"*) tried egress open;; "HTTP/1.1 403") tried egress closed;; esac
case "$answer" in "HTTP/1.1 "*) tried egress-answers open;; esac`;
}

/** For the format of printf. */
function octal(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}
