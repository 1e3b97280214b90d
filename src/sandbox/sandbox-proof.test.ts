import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProofFacts } from "./sandbox-probe.ts";
import { judgeProof } from "./sandbox-proof.ts";

const ownNamespaces = ["net", "pid", "mnt", "ipc", "uts", "user"];

const facts: ProofFacts = {
  nonce: "n0nce",
  secretFile: "/state/secret",
  secret: "s",
  hiddenFolders: ["/state"],
  port: 1,
  hiddenSockets: [],
  architecture: "x64",
  maxProcesses: 10,
  memory: { of: "each", maxBytes: 1000 },
  writableMounts: ["/workspace", "/tmp"],
  hasAgentFolder: true,
  hasNetwork: false,
  hasEgress: false,
  namespaces: Object.fromEntries(ownNamespaces.map((name) => [name, `${name}:[1]`])),
};

/** What a probe says of a sandbox that keeps every promise. */
const kept = [
  ..."secret link folders write-root write-usr write-kernel write-agent connect interfaces engine-socket mount".split(
    " ",
  ),
  ..."own-users own-mounts trace processes".split(" "),
]
  .map((name) => `${name} closed`)
  .concat("read-usr open", "read-agent open", "write-workspace open", "write-tmp open")
  .concat(ownNamespaces.map((name) => `ns-${name} ${name}:[2]`))
  .concat(
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map((name) => `status-${name}: 0000000000000000`),
  )
  .concat("status-NoNewPrivs: 1", "status-Seccomp: 2", "visible 3", "limit-data 1000", "limit-core 0")
  .concat(
    "status-Uid: 1000",
    "mounted rw ext4 /workspace",
    "mounted rw tmpfs /tmp",
    "mounted rw devtmpfs /dev/null",
  );

const judge = (lines: readonly string[], change: Partial<ProofFacts> = {}) =>
  judgeProof(lines.map((line) => `n0nce ${line}`).join("\n"), { ...facts, ...change });

test("sandbox (8): each promise needs its own line, but for what cannot be tried here", () => {
  assert.deepEqual(judge(kept).broken, []);
  for (const [index, line] of kept.entries()) {
    const broken = judge(kept.toSpliced(index, 1)).broken.length;
    const mayMiss = line.startsWith("mounted rw") && !line.endsWith("/workspace");
    assert.equal(broken, mayMiss ? 0 : 1, line);
  }
  const withoutAgent = kept.filter((line) => !/^(?:write|read)-agent/.test(line));
  assert.deepEqual(judge(withoutAgent, { hasAgentFolder: false }).broken, []);
});

test("sandbox (8): one line that says otherwise breaks its promise, whatever else is said of it", () => {
  const others = [
    ...kept.filter((line) => line.endsWith(" closed")).map((line) => line.replace("closed", "open")),
    ...kept.filter((line) => line.endsWith(" open")).map((line) => line.replace("open", "closed")),
    "mounted rw ext4 /usr",
    "mounted rw ext4 /home/me",
    "mounted rw ext4 /dev/sda1",
    "mounted rw sysfs /sys",
  ];
  for (const line of others) assert.equal(judge([...kept, line]).broken.length, 1, line);
  const instead: readonly (readonly [string, string])[] = [
    ...ownNamespaces.map((name) => [`ns-${name} ${name}:[2]`, `ns-${name} ${name}:[1]`] as const),
    ["status-CapBnd: 0000000000000000", "status-CapBnd: 000001ffffffffff"],
    ["status-NoNewPrivs: 1", "status-NoNewPrivs: 0"],
    ["status-Seccomp: 2", "status-Seccomp: 0"],
    ["visible 3", "visible 300"],
    ["limit-data 1000", "limit-data unlimited"],
    ["limit-data 1000", "limit-data 1001"],
    ["limit-core 0", "limit-core unlimited"],
  ];
  for (const [from, to] of instead)
    assert.equal(judge(kept.map((line) => (line === from ? to : line))).broken.length, 1, to);
});

test("sandbox (8): lines that do not come from this probe count for nothing", () => {
  const text = kept.map((line) => `another ${line}`).join("\n");
  assert.deepEqual(judgeProof(text, facts).held, []);
  assert.deepEqual(judgeProof("", facts).held, []);
});

test("sandbox (8): of a container more is promised, and each of it needs its own line", () => {
  const more: Partial<ProofFacts> = {
    namespaces: {},
    mounts: ["/", "/workspace", "/tmp"],
    memory: { of: "all", maxBytes: 1000 },
    cpus: 1,
    workspaceInode: 7,
    hasAppArmor: true,
    hasEgress: true,
  };
  const lines = [
    ...kept.filter((line) => !/^(?:ns-|limit-data|mounted rw devtmpfs)/.test(line)),
    ...[
      "mounted ro overlay /",
      "mounted ro proc /proc/sys",
      "mounted ro sysfs /sys",
      "mounted rw tmpfs /dev/shm",
    ],
    ...[
      "group-memory.max 1000",
      "group-cpu.max 100000 100000",
      "inode 7 /workspace/.",
      "apparmor docker-default",
    ],
    ...["egress closed", "egress-answers open"],
  ];
  assert.deepEqual(judge(lines, more).broken, []);
  const v1 = lines.map((line) =>
    line
      .replace("memory.max", "memory.limit_in_bytes")
      .replace("cpu.max 100000", "cpu.cfs_quota_us 100000\nn0nce group-cpu.cfs_period_us"),
  );
  assert.deepEqual(judge(v1, more).broken, []);
  for (const [from, to] of [
    ["inode 7 /workspace/.", "inode 8 /workspace/."],
    ["inode 7 /workspace/.", "inode"],
    ["apparmor docker-default", "apparmor unconfined"],
    ["apparmor docker-default", "nothing"],
    ["group-memory.max 1000", "group-memory.max max"],
    ["group-memory.max 1000", "group-memory.max 1001"],
    ["group-cpu.max 100000 100000", "group-cpu.max max 100000"],
    ["group-cpu.max 100000 100000", "group-cpu.max 200000 100000"],
    ["group-cpu.max 100000 100000", "group-cpu.cfs_quota_us -1"],
    ["mounted ro overlay /", "mounted rw overlay /"],
    ["mounted ro proc /proc/sys", "mounted rw proc /proc/sys"],
    ["mounted ro overlay /", "mounted ro ext4 /srv"],
    ["mounted rw tmpfs /dev/shm", "mounted ro ext4 /dev/disk"],
    ["egress closed", "egress open"],
    ["egress-answers open", "nothing"],
    ["status-Uid: 1000", "status-Uid: 0"],
  ] as const)
    assert.equal(
      judge(
        lines.map((line) => (line === from ? to : line)),
        more,
      ).broken.length,
      1,
      to,
    );
  const root = lines.map((line) => line.replace("Uid: 1000", "Uid: 0"));
  const own = { ...more, namespaces: { user: "user:[1]" } };
  assert.deepEqual(judge([...root, "ns-user user:[2]"], own).broken, []);
  assert.equal(judge([...root, "ns-user user:[1]"], own).broken.length, 1);
});
