/**
 * The promises of a sandbox, tried from inside it. A promise holds when its attempt was made and failed: a probe that
 * says nothing proves nothing.
 */

export interface ProofFacts {
  /** Stands in every line of the probe, so that nothing else can speak for it. */
  readonly nonce: string;
  /** A file in the state folder with `secret` in it, made for this. */
  readonly secretFile: string;
  readonly secret: string;
  /** Host folders that must not be there: the state folder, the home of the gateway's user. */
  readonly hiddenFolders: readonly string[];
  /** A TCP port on 127.0.0.1 that the gateway listens on meanwhile. */
  readonly port: number;
  readonly maxProcesses: number;
  readonly maxMemoryBytes: number;
  readonly hasAgentFolder: boolean;
  /** "net" -> "net:[4026531840]" of the gateway itself. */
  readonly namespaces: Readonly<Record<string, string>>;
}

export interface ProofReport {
  /** Promises that were kept, by name. */
  readonly held: readonly string[];
  /** Each a sentence that names the promise. Empty: the sandbox may be used. */
  readonly broken: readonly string[];
}

/** The namespaces that must be the sandbox's own. */
export const ownNamespaces = ["net", "pid", "mnt", "ipc", "uts", "user"] as const;

const engineSockets = [
  "/var/run/docker.sock",
  "/run/docker.sock",
  "/run/podman/podman.sock",
  "/run/containerd/containerd.sock",
  "/run/dbus/system_bus_socket",
];

/** What must fail, and what it would mean if it did not. */
const attempts: Readonly<Record<string, string>> = {
  secret: "it can read the gateway's state folder",
  folders: "it can see folders of the host",
  "write-root": "it can write to its own system folders",
  "write-usr": "it can write to the programs of the host",
  "write-kernel": "it can write to settings of the kernel",
  "write-agent": "it can write to the agent's workspace, which it was shown read-only",
  connect: "it can reach the gateway's machine over the network",
  interfaces: "it has a network interface beside its own loopback",
  "engine-socket": "it can reach a container engine or a bus of the host",
  mount: "it can mount file systems",
  "own-namespaces": "it can make namespaces of its own",
  trace: "it can trace processes",
  processes: "it can start more processes than it was given",
};
/** What must work, or the attempts above failed for some other reason. */
const controls: Readonly<Record<string, string>> = {
  "write-workspace": "it cannot write to its workspace",
  "read-usr": "it cannot read its programs",
};

const zeroCapabilities = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/** A script for a plain POSIX shell inside the sandbox. Prints one line for each attempt, and some facts. */
export function probeScript(facts: ProofFacts): string {
  const { nonce } = facts;
  const q = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const folders = facts.hiddenFolders.map((path) => `[ -e ${q(path)} ]`).join(" || ");
  const sockets = engineSockets.map((path) => `[ -e ${path} ]`).join(" || ");
  const mark = `.openclaw-proof-${nonce}`;

  return `
tried() { printf '%s %s %s\\n' ${nonce} "$1" "$2"; }
attempt() { if (eval "$2") >/dev/null 2>&1; then tried "$1" open; else tried "$1" closed; fi; }
attempt read-usr '[ -r /usr/bin/prlimit ]'
attempt write-workspace ': > /workspace/${mark} && rm /workspace/${mark}'
attempt secret ${q(`read -r line < ${q(facts.secretFile)}`)}
attempt folders ${q(folders === "" ? "false" : folders)}
attempt write-root ': > /${mark} || : > /etc/${mark} || : > /dev/${mark}'
attempt write-usr ': > /usr/${mark} && rm /usr/${mark}'
attempt write-kernel ': >> /proc/sys/kernel/core_pattern || : >> /proc/sysrq-trigger'
${facts.hasAgentFolder ? `attempt write-agent ': > /agent/${mark} && rm /agent/${mark}'` : ""}
attempt connect ${q(`bash -c ${q(`exec 3<>/dev/tcp/127.0.0.1/${facts.port}`)}`)}
attempt interfaces 'grep -v -e "|" -e " lo:" /proc/net/dev || grep -v -e Iface /proc/net/route'
attempt engine-socket ${q(sockets)}
attempt mount 'mount -t tmpfs none /tmp || mount --bind /tmp /var/tmp'
attempt own-namespaces 'unshare --user true || unshare --mount true'
${traceAttempt}
for name in ${ownNamespaces.join(" ")}; do printf '%s ns-%s %s\\n' ${nonce} $name "$(readlink /proc/self/ns/$name)"; done
while read -r name value rest; do printf '%s status-%s %s\\n' ${nonce} "$name" "$value"; done < /proc/self/status
while read -r line; do case "$line" in
  "Max data size"*) set -- $line; printf '%s limit-data %s\\n' ${nonce} "$5";;
  "Max core file size"*) set -- $line; printf '%s limit-core %s\\n' ${nonce} "$6";;
esac; done < /proc/self/limits
while read -r source place type options rest; do case ",$options," in
  *,rw,*) printf '%s writable %s\\n' ${nonce} "$place";;
esac; done < /proc/mounts
set -- /proc/[0-9]*; printf '%s visible %s\\n' ${nonce} $#
for file in /proc/[0-9]*/environ; do if grep -q ${q(facts.secret)} "$file" 2>/dev/null; then tried secret open; fi; done
( i=0; while [ $i -lt ${facts.maxProcesses + 32} ]; do sleep 3 & i=$((i+1)); done; tried processes open ) 2>/dev/null || tried processes closed
`;
}

/** ptrace(PTRACE_TRACEME), where a perl is there to call it; the filter's presence is looked at in any case. */
const traceAttempt = `if [ -x /usr/bin/perl ]; then
  case "$(uname -m)" in x86_64) call=101;; *) call=117;; esac
  attempt trace "perl -e 'exit(syscall($call, 0, 0, 0, 0) == 0 ? 0 : 1)'"
fi`;

/** Judges what the probe printed. */
export function judgeProof(output: string, facts: ProofFacts): ProofReport {
  const said = new Map<string, string[]>();
  for (const line of output.split("\n")) {
    const [nonce, name = "", ...value] = line.split(" ");
    if (nonce === facts.nonce) said.set(name, [...(said.get(name) ?? []), value.join(" ").trim()]);
  }
  const held: string[] = [];
  const broken: string[] = [];
  const promise = (name: string, holds: boolean, otherwise: string) =>
    holds ? held.push(name) : broken.push(otherwise);
  const all = (name: string, wanted: string) =>
    said.has(name) && (said.get(name) ?? []).every((value) => value === wanted);
  const status = (name: string) => said.get(`status-${name}:`)?.[0];

  const optional = new Set(["trace", ...(facts.hasAgentFolder ? [] : ["write-agent"])]);
  for (const [name, meaning] of Object.entries(attempts))
    if (said.has(name) || !optional.has(name)) promise(name, all(name, "closed"), meaning);
  for (const [name, meaning] of Object.entries(controls)) promise(name, all(name, "open"), meaning);
  for (const name of ownNamespaces) {
    const inside = said.get(`ns-${name}`)?.[0] ?? "";
    const own = inside.startsWith(`${name}:[`) && inside !== facts.namespaces[name];
    promise(`${name}-namespace`, own, `its ${name} namespace is not its own`);
  }
  const noCapabilities = zeroCapabilities.every((name) => /^0+$/.test(status(name) ?? ""));
  promise("capabilities", noCapabilities, "it holds capabilities, or can get them");
  promise("no-new-privileges", status("NoNewPrivs") === "1", "its programs can gain privileges");
  promise("system-calls", status("Seccomp") === "2", "its system calls are not filtered");
  const writable = said.get("writable") ?? [];
  const own = writable.every((place) => writableMounts.has(place) || place.startsWith("/dev/"));
  promise(
    "read-only-mounts",
    writable.includes("/workspace") && own,
    "parts of the host are mounted writable",
  );
  const visible = Number(said.get("visible")?.[0] ?? "NaN");
  promise(
    "visible-processes",
    visible >= 1 && visible <= maxVisible,
    "it sees processes that are not its own",
  );
  const data = Number(said.get("limit-data")?.[0] ?? "NaN");
  promise("memory", data > 0 && data <= facts.maxMemoryBytes, "its memory is not limited");
  promise("core-dumps", said.get("limit-core")?.[0] === "0", "its programs can leave dumps of their memory");
  return { held, broken };
}

/** All that is writable beside what bwrap makes in /dev itself. */
const writableMounts: ReadonlySet<string> = new Set(["/workspace", "/tmp", "/var/tmp", "/run"]);

/** bwrap, the shell, and a subshell or two. */
const maxVisible = 6;
