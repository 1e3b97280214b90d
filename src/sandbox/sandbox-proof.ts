/**
 * The promises of a sandbox, tried from inside it. A promise holds when its attempt was made and failed: a probe that
 * says nothing proves nothing.
 */
import type { ProofFacts } from "./sandbox-probe.ts";

export interface ProofReport {
  /** Promises that were kept, by name. */
  readonly held: readonly string[];
  /** Each a sentence that names the promise. Empty: the sandbox may be used. */
  readonly broken: readonly string[];
}

/** What must fail, and what it would mean if it did not. */
const attempts: Readonly<Record<string, string>> = {
  secret: "it can read the gateway's state folder",
  link: "it can read the gateway's state folder through a link",
  folders: "it can see folders of the host",
  "write-root": "it can write to its own system folders",
  "write-usr": "it can write to its programs",
  "write-kernel": "it can write to settings of the kernel",
  "write-agent": "it can write to the agent's workspace, which it was shown read-only",
  connect: "it can reach the gateway's machine over the network",
  interfaces: "it has a network interface beside its own loopback",
  egress: "its proxy lets it reach the gateway's machine",
  "engine-socket": "it can reach a container engine or a bus of the host",
  mount: "it can mount file systems",
  "own-users": "it can make user namespaces of its own",
  "own-mounts": "it can make namespaces of its own",
  trace: "it can trace processes",
  processes: "it can start more processes than it was given",
};
/** What must work, or the attempts above failed for some other reason. */
const controls: Readonly<Record<string, string>> = {
  "write-workspace": "it cannot write to its workspace",
  "write-tmp": "it cannot write to its /tmp, where programs are tried",
  "read-agent": "it cannot read the agent's workspace",
  "egress-answers": "its egress does not answer",
  "read-usr": "it cannot read its programs",
};

const zeroCapabilities = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

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
  const first = (name: string) => said.get(name)?.[0];
  const status = (name: string) => first(`status-${name}:`);
  const number = (name: string) => Number(first(name) ?? "NaN");

  const notPromised = new Set([
    ...(facts.hasAgentFolder ? [] : ["write-agent", "read-agent"]),
    ...(facts.hasEgress ? [] : ["egress", "egress-answers"]),
    ...(facts.hasNetwork ? ["interfaces"] : []),
  ]);
  for (const [name, meaning] of Object.entries(attempts))
    if (!notPromised.has(name)) promise(name, all(name, "closed"), meaning);
  for (const [name, meaning] of Object.entries(controls))
    if (!notPromised.has(name)) promise(name, all(name, "open"), meaning);
  for (const [name, host] of Object.entries(facts.namespaces)) {
    const inside = first(`ns-${name}`) ?? "";
    const own = inside.startsWith(`${name}:[`) && inside !== host;
    promise(`${name}-namespace`, own, `its ${name} namespace is not its own`);
  }
  const noCapabilities = zeroCapabilities.every((name) => /^0+$/.test(status(name) ?? ""));
  promise("capabilities", noCapabilities, "it holds capabilities, or can get them");
  promise("no-new-privileges", status("NoNewPrivs") === "1", "its programs can gain privileges");
  promise("system-calls", status("Seccomp") === "2", "its system calls are not filtered");
  // In a user namespace of its own, root is nobody in particular.
  const uid = status("Uid") ?? "";
  const ordinary = /^[1-9]\d*$/.test(uid) || (uid === "0" && Object.hasOwn(facts.namespaces, "user"));
  promise("user", ordinary, "its commands run as root");
  judgeMounts(said.get("mounted") ?? [], facts, promise);
  const visible = number("visible");
  promise(
    "visible-processes",
    visible >= 1 && visible <= maxVisible,
    "it sees processes that are not its own",
  );
  const memory =
    facts.memory.of === "each"
      ? number("limit-data")
      : Number(first("group-memory.max") ?? first("group-memory.limit_in_bytes") ?? "NaN");
  promise("memory", memory > 0 && memory <= facts.memory.maxBytes, "its memory is not limited");
  if (facts.cpus !== undefined) promise("cpus", cpus(first) <= facts.cpus, "its CPU time is not limited");
  promise("core-dumps", first("limit-core") === "0", "its programs can leave dumps of their memory");
  if (facts.workspaceInode !== undefined)
    promise(
      "same-folder",
      first("inode")?.split(" ")[0] === String(facts.workspaceInode),
      "its workspace is another folder than the one that was checked",
    );
  if (facts.hasAppArmor)
    promise(
      "apparmor",
      !/^(?:unconfined)?$/.test(first("apparmor") ?? ""),
      "no AppArmor profile confines it, though this machine has AppArmor",
    );
  return { held, broken };
}

type Promising = (name: string, holds: boolean, otherwise: string) => void;

function judgeMounts(lines: readonly string[], facts: ProofFacts, promise: Promising): void {
  const mounts = lines.map((line) => {
    const [how, type = "", ...place] = line.split(" ");
    return { how, type, place: place.join(" ") };
  });
  const own = (type: string, place: string) =>
    /^\/(?:dev|proc|sys)(?:\/|$)/.test(place) && kernelTypes.has(type);
  const named = (odd: readonly { readonly place: string }[]) =>
    odd
      .slice(0, 3)
      .map(({ place }) => place)
      .join(", ");
  const writable = mounts.filter(({ how }) => how !== "ro");
  const oddWritable = writable.filter(
    ({ place, type }) => !facts.writableMounts.includes(place) && (!own(type, place) || place === "/sys"),
  );
  promise(
    "read-only-mounts",
    writable.some(({ place }) => place === "/workspace") && oddWritable.length === 0,
    `parts of the host are mounted writable (${named(oddWritable) || "its workspace is not mounted"})`,
  );
  if (!facts.mounts) return;
  const { mounts: expected } = facts;
  const odd = mounts.filter(({ place, type }) => !expected.includes(place) && !own(type, place));
  promise("mounts", odd.length === 0, `something is mounted in it that nobody asked for (${named(odd)})`);
  const readOnly = (wanted: string) => mounts.some(({ place, how }) => place === wanted && how === "ro");
  promise(
    "read-only-kernel",
    readOnly("/proc/sys") && readOnly("/sys"),
    "the kernel's settings are writable",
  );
}

/** File systems that hold nothing of the host's disks. */
const kernelTypes: ReadonlySet<string> = new Set(
  "proc sysfs tmpfs devtmpfs devpts mqueue cgroup cgroup2".split(" "),
);

/** Of "max 100000" or of "-1" there is no limit. */
function cpus(first: (name: string) => string | undefined): number {
  const [quota = "", period = ""] = (
    first("group-cpu.max") ?? `${first("group-cpu.cfs_quota_us")} ${first("group-cpu.cfs_period_us")}`
  ).split(" ");
  const share = Number(quota) / Number(period);
  return share > 0 ? share : Number.POSITIVE_INFINITY;
}

/** What starts and keeps the sandbox, the shell of the probe, the next one, and a subshell or two. */
const maxVisible = 12;
