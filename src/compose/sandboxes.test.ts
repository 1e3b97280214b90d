import assert from "node:assert/strict";
import { existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { OpenClawConfig } from "../config/mod.ts";
import { type Clock, InputError, systemClock, systemRandom } from "../kernel/mod.ts";
import { createSandboxes } from "./sandboxes.ts";

const opened = { socketFile: "/s/egress.sock", rootsFile: "/s/roots.pem" };

type Sandbox = NonNullable<NonNullable<NonNullable<OpenClawConfig["agents"]>["defaults"]>["sandbox"]>;

function scene(
  t: TestContext,
  config: OpenClawConfig,
  findProgram: (name: string) => string | undefined = () => undefined,
  clock: Clock = systemClock,
) {
  const stateFolder = realpathSync(mkdtempSync(join(tmpdir(), "sandboxes-")));
  t.after(() => rmSync(stateFolder, { recursive: true, force: true }));
  const current = { config, recordFails: false, closed: 0 };
  const recorded: unknown[] = [];
  const sandboxes = createSandboxes({
    config: () => current.config,
    stateFolder,
    workspaceOf: (agentId) => join(stateFolder, `workspace-${agentId}`),
    findProgram,
    clock,
    random: systemRandom,
    log: () => {},
    egress: {
      open: async () => opened,
      closeAll: async () => {
        current.closed += 1;
      },
    },
    record: async (facts, outcome) => {
      if (current.recordFails) throw new Error("disk full");
      recorded.push([facts, outcome]);
    },
  });
  t.after(() => sandboxes.sweep());
  return { sandboxes, current, recorded, stateFolder };
}

const withSandbox = (sandbox: Sandbox): OpenClawConfig => ({ agents: { defaults: { sandbox } } });

test("compose: which sessions are sandboxed is said by the mode, and nothing is by default", (t) => {
  const at = (config: OpenClawConfig, key: string) =>
    scene(t, config).sandboxes.placeOf("main", key) !== undefined;
  for (const [mode, main, other] of [
    ["off", false, false],
    ["non-main", false, true],
    ["all", true, true],
  ] as const) {
    assert.equal(at(withSandbox({ mode }), "agent:main:main"), main, mode);
    assert.equal(at(withSandbox({ mode }), "agent:main:telegram:group:1"), other, mode);
  }
  assert.equal(at({}, "agent:main:x"), false);
  const entry: OpenClawConfig = {
    agents: { defaults: { sandbox: { mode: "off" } }, entries: { main: { sandbox: { mode: "all" } } } },
  };
  assert.equal(at(entry, "agent:main:main"), true);
});

test("compose: conversations, agents and workspaces share a sandbox only where the scope says so", (t) => {
  const id = (sandbox: Sandbox, agentId: string, key: string) =>
    scene(t, withSandbox({ mode: "all", ...sandbox })).sandboxes.placeOf(agentId, key)?.id;
  assert.notEqual(id({ scope: "session" }, "a", "agent:a:1"), id({ scope: "session" }, "a", "agent:a:2"));
  assert.equal(id({ scope: "agent" }, "a", "agent:a:1"), id({ scope: "agent" }, "a", "agent:a:2"));
  assert.notEqual(id({ scope: "agent" }, "a", "agent:a:1"), id({ scope: "agent" }, "b", "agent:b:1"));
  assert.equal(id({ scope: "shared" }, "a", "agent:a:1"), id({ scope: "shared" }, "b", "agent:b:1"));
  // An agent's workspace is shown to nobody else.
  const ro = { scope: "shared", workspaceAccess: "ro" } as const;
  assert.notEqual(id(ro, "a", "agent:a:1"), id(ro, "b", "agent:b:1"));
});

test("compose: what an approval for good covers changes with what the sandbox may see", (t) => {
  const entries = (["none", "ro", "rw"] as const).map(
    (workspaceAccess) =>
      scene(t, withSandbox({ mode: "all", workspaceAccess })).sandboxes.placeOf("main", "agent:main:x")
        ?.entry,
  );
  assert.equal(new Set(entries).size, 3);
});

const refused: readonly Sandbox[] = [
  ...(["docker", "podman", "ssh", "openshell", "crabbox"] as const).map((backend) => ({ backend })),
  { workspaceRoot: "/" },
  ...["host", " HOST ", "container:abc", "bridge", "slirp4netns:allow_host_loopback=true"].map((network) => ({
    docker: { network },
  })),
  ...["/:/h", "/var/run/docker.sock:/s", "/etc:/e:ro"].map((bind) => ({ docker: { binds: [bind] } })),
  { docker: { readOnlyRoot: false } },
  { docker: { capDrop: [] } },
  { docker: { user: "root" } },
  { docker: { seccompProfile: "unconfined" } },
  { docker: { apparmorProfile: "unconfined" } },
  { docker: { dns: ["1.1.1.1"] } },
  { docker: { extraHosts: ["a:1.1.1.1"] } },
  { docker: { gpus: "all" } },
  { docker: { env: { A: "b" } } },
  { docker: { setupCommand: "x" } },
  { docker: { image: "x" } },
  { docker: { tmpfs: ["/"] } },
  { docker: { dangerouslyAllowContainerNamespaceJoin: true } },
  { docker: { memory: "lots" } },
  { docker: { memory: "1m" } },
  { docker: { memory: 0 } },
];
for (const sandbox of refused)
  test(`sandbox (8), A-131, A-133: ${JSON.stringify(sandbox)} gives no sandbox`, async (t) => {
    const { sandboxes, recorded } = scene(t, withSandbox({ mode: "all", ...sandbox }));
    const place = sandboxes.placeOf("main", "agent:main:x");
    assert.ok(place, "it stays sandboxed");
    const proof = await sandboxes.prove(place);
    assert.equal(proof.ok, false);
    assert.doesNotMatch(proof.ok ? "" : proof.why, /There is no bwrap/, "it got as far as making one");
    await assert.rejects(sandboxes.require(place), InputError);
    assert.equal(recorded.length, 1);
  });

test("compose: settings that say what the sandbox does anyway are followed", async (t) => {
  const { sandboxes } = scene(
    t,
    withSandbox({
      mode: "all",
      backend: "bubblewrap",
      docker: {
        network: "none",
        readOnlyRoot: true,
        capDrop: ["ALL"],
        pidsLimit: 10,
        memory: "64m",
        binds: [],
      },
    }),
  );
  const place = sandboxes.placeOf("main", "agent:main:x");
  assert.deepEqual(
    [place?.problem, place?.maxProcesses, place?.maxMemoryBytes],
    [undefined, 10, 64 * 1024 * 1024],
  );
  assert.ok(place);
  const proof = await sandboxes.prove(place);
  assert.match(proof.ok ? "" : proof.why, /There is no bwrap/);
});

test("sandbox (8), A-134: a proof holds for one arrangement, until the config changes, and only on record", async (t) => {
  const { sandboxes, current, recorded } = scene(t, withSandbox({ mode: "all" }));
  const place = sandboxes.placeOf("main", "agent:main:x");
  assert.ok(place);
  const proof = await sandboxes.prove(place);
  assert.match(proof.ok ? "" : proof.why, /There is no bwrap/);
  await sandboxes.prove(place);
  assert.equal(recorded.length, 1);
  sandboxes.reset();
  await sandboxes.prove(place);
  assert.equal(recorded.length, 2);
  current.config = withSandbox({ mode: "all", docker: { pidsLimit: 9 } });
  const changed = sandboxes.placeOf("main", "agent:main:x");
  assert.ok(changed);
  await sandboxes.prove(changed);
  assert.equal(recorded.length, 3);
});

const hasBwrap = existsSync("/usr/bin/bwrap");
test("sandbox (8): a proof that cannot be put on record is none", {
  skip: hasBwrap ? false : "bubblewrap is not installed",
}, async (t) => {
  const found = (name: string) => `/usr/bin/${name}`;
  const { sandboxes, current } = scene(t, withSandbox({ mode: "all" }), found);
  const place = sandboxes.placeOf("main", "agent:main:x");
  assert.ok(place);
  assert.equal((await sandboxes.prove(place)).ok, true);
  current.recordFails = true;
  sandboxes.reset();
  assert.equal((await sandboxes.prove(place)).ok, false);
});

test("compose: tools of a sandboxed session are those of the list, and denied ones stay denied", (t) => {
  const limit = (config: OpenClawConfig) => scene(t, config).sandboxes.toolLimit("main");
  assert.equal(limit({}).allow.includes("web_fetch"), false);
  assert.equal(
    limit({ tools: { sandbox: { tools: { alsoAllow: ["web_fetch"] } } } }).allow.includes("web_fetch"),
    true,
  );
  assert.deepEqual(limit({ tools: { sandbox: { tools: { allow: ["read"], deny: ["exec"] } } } }), {
    allow: ["read"],
    deny: ["exec"],
  });
});

test("compose: a sandbox with egress says what it reaches, another set of rules is another entry, and a wrong rule gives none", (t) => {
  const place = (egress: Sandbox["egress"], scope: Sandbox["scope"] = "session") =>
    scene(t, withSandbox({ mode: "all", scope, ...(egress ? { egress } : {}) })).sandboxes.placeOf(
      "main",
      "agent:main:x",
    );
  const plain = place(undefined);
  assert.equal(plain?.egress, undefined);
  assert.deepEqual([place([])?.entry, place([])?.egress], [plain?.entry, undefined]);
  const one = place([{ host: "a.test" }]);
  assert.match(one?.description ?? "", /that reaches a\.test and nothing else/);
  const entries = [plain, one, place([{ host: "b.test" }]), place([{ host: "a.test", methods: ["GET"] }])];
  assert.equal(new Set(entries.map((item) => item?.entry)).size, 4);
  const many = place(Array.from({ length: 7 }, (_, index) => ({ host: `h${index}.test` })));
  assert.match(many?.description ?? "", /h4\.test and 2 more and nothing else/);
  assert.match(place([{ host: "http://a" }])?.problem ?? "", /sandbox\.egress\[0\]\.host/);
  assert.deepEqual(
    [one?.sessionKey, place([{ host: "a.test" }], "agent")?.sessionKey],
    ["agent:main:x", undefined],
  );
});

test("sandbox (9), A-134: a change of the config closes the ways out of sandboxes that still run under the one before", async (t) => {
  const { sandboxes, current } = scene(t, withSandbox({ mode: "all", egress: [{ host: "a.test" }] }));
  sandboxes.reset();
  assert.equal(current.closed, 1);
  await sandboxes.close();
  assert.equal(current.closed, 2);
});

test("sandbox (8): what failed is tried again after a while, what holds is not", async (t) => {
  let nowMs = 1_000_000;
  const { sandboxes, recorded } = scene(t, withSandbox({ mode: "all" }), () => undefined, {
    ...systemClock,
    now: () => nowMs,
  });
  const place = sandboxes.placeOf("main", "agent:main:x");
  assert.ok(place);
  await sandboxes.prove(place);
  nowMs += 10_000;
  await sandboxes.prove(place);
  assert.equal(recorded.length, 1);
  nowMs += 1;
  await sandboxes.prove(place);
  assert.equal(recorded.length, 2);
});

test("sandbox (8): operators see what was tried and why it failed, for one conversation or all, and can have it tried anew", async (t) => {
  const { sandboxes, recorded } = scene(t, withSandbox({ mode: "all", scope: "session" }));
  assert.deepEqual(sandboxes.list(), []);
  const place = sandboxes.placeOf("main", "agent:main:x");
  assert.ok(place);
  await sandboxes.prove(place);
  const [row] = sandboxes.list();
  assert.deepEqual([row?.sessionKey, row?.agentId, row?.proof?.ok], ["agent:main:x", "main", false]);
  const explained = await sandboxes.explain("main", "agent:main:x");
  assert.deepEqual(
    [explained.isSandboxed, explained.backend, explained.sandbox?.kind],
    [true, "auto", "bubblewrap"],
  );
  assert.match(JSON.stringify(explained.sandbox), /There is no bwrap.*|No engine is looked for/);
  assert.deepEqual(await sandboxes.recreate({ sessionKey: "agent:main:y" }), { forgotten: 0, removed: 0 });
  assert.deepEqual(await sandboxes.recreate({ agentId: "main" }), { forgotten: 1, removed: 0 });
  await sandboxes.prove(place);
  assert.equal(recorded.length, 2);
  const off = await scene(t, {}).sandboxes.explain("main", "agent:main:main");
  assert.deepEqual([off.isSandboxed, off.sandbox], [false, undefined]);
});
