import assert from "node:assert/strict";
import { test } from "node:test";
import { containerSettings, defaultImage } from "./container-settings.ts";

type Docker = Parameters<typeof containerSettings>[0];
const gib = 1024 ** 3;
const read = (docker: Docker) => containerSettings(docker, gib, "/home/me/workspace");

test("sandbox (8): what the config leaves out is what a sandbox promises", () => {
  const settings = read({});
  assert.ok(typeof settings === "object");
  const { ulimits, ...rest } = settings;
  assert.deepEqual(rest, {
    image: defaultImage,
    prefix: "openclaw-sbx-",
    network: "none",
    tmpfs: ["/tmp", "/var/tmp", "/run"],
    env: {},
    memorySwapBytes: 2 * gib,
    cpus: 1,
    dns: [],
    extraHosts: [],
    binds: [],
    mayBindOutside: false,
  });
  assert.deepEqual(
    ulimits.find(({ Name }) => Name === "core"),
    { Name: "core", Soft: 0, Hard: 0 },
  );
});

const refused: readonly (readonly [key: string, docker: object])[] = [
  ...["host", " HOST ", "Host"].map((network) => ["network", { network }] as const),
  ...[
    "container:abc",
    "ns:/proc/1/ns/net",
    "pasta",
    "slirp4netns:allow_host_loopback=true",
    "private",
    "",
    "a b",
    "-x",
  ].map((network) => ["network", { network }] as const),
  ...["root", "0", "0:0", "1000:0", "00:1", "me", "", "-1", "1000:1000:1"].map(
    (user) => ["user", { user }] as const,
  ),
  ["readOnlyRoot", { readOnlyRoot: false }],
  ["capDrop", { capDrop: [] }],
  ["capDrop", { capDrop: ["NET_RAW"] }],
  ["workdir", { workdir: "/home" }],
  ["gpus", { gpus: "all" }],
  ["seccompProfile", { seccompProfile: "unconfined" }],
  ["seccompProfile", { seccompProfile: " UNCONFINED" }],
  ["seccompProfile", { seccompProfile: "" }],
  ["seccompProfile", { seccompProfile: "profile.json" }],
  ["apparmorProfile", { apparmorProfile: "unconfined" }],
  ["apparmorProfile", { apparmorProfile: "a,b" }],
  ["dangerouslyAllowContainerNamespaceJoin", { dangerouslyAllowContainerNamespaceJoin: true }],
  ["dangerouslyAllowReservedContainerTargets", { dangerouslyAllowReservedContainerTargets: true }],
  ["image", { image: "-v" }],
  ["image", { image: "" }],
  ["containerPrefix", { containerPrefix: "../x" }],
  ...[
    "/",
    "/etc",
    "/workspace",
    "/agent/x",
    "/usr",
    "/proc/x",
    "tmp",
    "/tmp/../etc",
    "/a,b",
    "/run/openclaw",
  ].map((path) => ["tmpfs", { tmpfs: [path] }] as const),
  ["tmpfs", { tmpfs: ["/tmp:size=1g"] }],
  ["env.LD_PRELOAD", { env: { LD_PRELOAD: "/x" } }],
  ["env.MY_TOKEN", { env: { MY_TOKEN: "x" } }],
  ["env.A", { env: { A: "x\ny" } }],
  ["env", { env: { "A B": "x" } }],
  ["memorySwap", { memorySwap: -1 }],
  ["memorySwap", { memorySwap: "512m" }],
  ["cpus", { cpus: 0 }],
  ["ulimits.core", { ulimits: { core: 1 } }],
  ["ulimits.nofile", { ulimits: { nofile: -1 } }],
  ["ulimits.nofile", { ulimits: { nofile: "2000:1000" } }],
  ["ulimits.nofile", { ulimits: { nofile: "unlimited" } }],
  ["ulimits.nice", { ulimits: { nice: 1 } }],
  ["dns", { dns: ["evil.test"] }],
  ["extraHosts", { extraHosts: ["a:b c"] }],
  ...[
    "/a",
    "a:/b",
    "/a:b",
    "/:/b",
    "/a:/b:rw:z",
    "/a:/b:z",
    "/a:/workspace",
    "/a:/workspace/x",
    "/a:/etc/x",
    "/a:/tmp",
    "/a:/",
    "/a:/usr/../etc",
    "/home/me/workspace:/b",
    "/a:/run/openclaw/x",
  ].map((bind) => ["binds", { binds: [bind] }] as const),
];
for (const [key, docker] of refused)
  test(`sandbox (8), A-131, A-133: ${JSON.stringify(docker)} is refused by its name`, () => {
    const answer = read(docker as Docker);
    assert.ok(typeof answer === "string", "it was followed");
    assert.ok(answer.startsWith(`sandbox.docker.${key}`), answer);
  });

test("sandbox (8): what takes no promise away is followed", () => {
  const settings = read({
    image: "registry.test/team/image@sha256:abc",
    containerPrefix: "mine-",
    network: "tools_net",
    user: "1000",
    capDrop: ["ALL"],
    readOnlyRoot: true,
    workdir: "/workspace",
    env: { LANG: "de_DE.UTF-8" },
    setupCommand: ["one", "two"],
    memory: "1g",
    memorySwap: "1g",
    cpus: 0.5,
    ulimits: { nofile: "100:200", nproc: 5, stack: { soft: 1, hard: 2 } },
    seccompProfile: "/etc/my-profile.json",
    apparmorProfile: "my-profile",
    dns: ["10.0.0.1"],
    extraHosts: ["db:10.0.0.2"],
    binds: ["/data/./x/:/data:ro", "/home/me/workspace/sub:/sub"],
    tmpfs: ["/tmp", "/home/build"],
    dangerouslyAllowExternalBindSources: true,
  } as Docker);
  assert.ok(typeof settings === "object", String(settings));
  assert.deepEqual(settings.binds, [
    { source: "/data/x", target: "/data", readOnly: true },
    { source: "/home/me/workspace/sub", target: "/sub", readOnly: false },
  ]);
  assert.deepEqual(
    [
      settings.user,
      settings.network,
      settings.setupCommand,
      settings.memorySwapBytes,
      settings.mayBindOutside,
    ],
    ["1000:1000", "tools_net", "one\ntwo", gib, true],
  );
  assert.deepEqual(
    settings.ulimits.filter(({ Name }) => ["nofile", "nproc", "stack"].includes(Name)),
    [
      { Name: "nofile", Soft: 100, Hard: 200 },
      { Name: "nproc", Soft: 5, Hard: 5 },
      { Name: "stack", Soft: 1, Hard: 2 },
    ],
  );
});
