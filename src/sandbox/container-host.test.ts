/** The promises of containers, tried in real engines, and each of them taken away once. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import {
  missingFor,
  perlFolder,
  startEngine,
  type TestEngine,
  testImage,
} from "../../test/support/engines.ts";
import { InputError, silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import { addressVerdict } from "../policy/address.ts";
import type { CommandRun } from "../policy/command-tree.ts";
import { createCommands } from "./commands.ts";
import type { ContainerEngine } from "./container-engine.ts";
import { createContainerHost } from "./container-host.ts";
import { containerSettings } from "./container-settings.ts";
import { defaultEgressLimits } from "./egress-limits.ts";
import { openEgressProxy } from "./egress-proxy.ts";
import type { SandboxProof, SandboxSpec } from "./sandbox-host.ts";
import { openWorkspace } from "./workspace.ts";

const never = new AbortController().signal;
const memory = 256 * 1024 * 1024;
const whyOf = (proof: SandboxProof) => (proof.ok ? "it was proved" : proof.why);
type Docker = Parameters<typeof containerSettings>[0];

function settingsOf(docker: Docker = {}) {
  const settings = containerSettings({ image: testImage, ...docker }, memory, "/nowhere");
  assert.ok(typeof settings === "object", String(settings));
  return settings;
}

function place(t: TestContext, running: TestEngine) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "container-")));
  const state = join(base, "state");
  const workspace = join(state, "sandboxes", "a");
  mkdirSync(workspace, { recursive: true, mode: 0o700 });
  const spec: SandboxSpec = {
    ...{ id: "a", workspace, ownsWorkspace: true, maxProcesses: 64, maxMemoryBytes: memory },
    container: settingsOf(),
  };
  const open = (engine: ContainerEngine = running.engine) => {
    const host = createContainerHost({
      ...{ clock: systemClock, random: systemRandom, engine, kind: running.kind, stateDir: state },
      ...{ homes: ["/root"], uid: 0, architecture: process.arch },
    });
    t.after(() => host.remove());
    return host;
  };
  t.after(() => rmSync(base, { recursive: true, force: true }));
  return { base, state, workspace, spec, open };
}

type Body = {
  NetworkDisabled?: boolean;
  Hostname?: string;
  User: string;
  HostConfig: Record<string, unknown> & { Mounts: object[]; SecurityOpt: string[] };
};

/** The engine, but for what a container is made from. */
function changing(engine: ContainerEngine, change: (body: Body, path: string) => void): ContainerEngine {
  return {
    ...engine,
    call(method, path, body) {
      const copy = body && !Buffer.isBuffer(body) ? structuredClone(body) : body;
      if (/\/(?:create|exec)\b/.test(path) && copy && !path.startsWith("/images")) change(copy as Body, path);
      return engine.call(method, path, copy);
    },
  };
}

const inHost = (change: object) => (body: Body) =>
  void (body.HostConfig && Object.assign(body.HostConfig, change));
const withoutOption =
  (name: string, instead: string[] = []) =>
  ({ HostConfig }: Body) => {
    if (HostConfig)
      HostConfig.SecurityOpt = [
        ...HostConfig.SecurityOpt.filter((option) => !option.startsWith(name)),
        ...instead,
      ];
  };
const layers: readonly (readonly [string, (body: Body, path: string) => void, RegExp])[] = [
  [
    "no network",
    (body) => {
      inHost({ NetworkMode: "host" })(body);
      body.NetworkDisabled = false;
    },
    /over the network.*interface.*net namespace is not its own/,
  ],
  ["processes of its own", inHost({ PidMode: "host" }), /pid namespace is not its own/],
  ["memory shared with nobody", inHost({ IpcMode: "host" }), /ipc namespace is not its own/],
  [
    "a name of its own",
    (body) => {
      inHost({ UTSMode: "host" })(body);
      delete body.Hostname;
    },
    /uts namespace is not its own/,
  ],
  [
    "the filter of system calls",
    withoutOption("seccomp", ["seccomp=unconfined"]),
    /trace processes.*system calls are not filtered/,
  ],
  ["no new privileges", withoutOption("no-new-privileges"), /can gain privileges/],
  ["no capabilities", inHost({ CapDrop: [], CapAdd: ["NET_RAW"] }), /holds capabilities/],
  ["a read-only root", inHost({ ReadonlyRootfs: false }), /mounted writable/],
  ["limited memory", inHost({ Memory: 0, MemorySwap: 0 }), /memory is not limited/],
  ["limited processes", inHost({ PidsLimit: 0 }), /more processes than it was given/],
  ["limited CPU time", inHost({ NanoCpus: 0 }), /CPU time is not limited/],
  [
    "no dumps",
    inHost({
      Ulimits: [
        { Name: "core", Soft: 1e6, Hard: 1e6 },
        { Name: "nofile", Soft: 1024, Hard: 1024 },
        { Name: "nproc", Soft: 4096, Hard: 4096 },
      ],
    }),
    /dumps/,
  ],
  [
    "an ordinary user",
    (body, path) => {
      if (path.endsWith("/exec")) body.User = "0:0";
    },
    /commands run as root/,
  ],
  [
    "its own mounts",
    ({ HostConfig }) =>
      HostConfig?.Mounts.push({ Type: "bind", Source: "/usr/share", Target: "/srv", ReadOnly: true }),
    /mounted in it that nobody asked for/,
  ],
  ["the kernel's settings", inHost({ Privileged: true }), /mounted writable|kernel's settings/],
];

/** Podman is told by the same words; what it makes of them is looked at for these. */
const inBoth = new Set(["no network", "the filter of system calls", "limited processes"]);

for (const kind of ["docker", "podman"] as const) {
  const missing = missingFor(kind);
  describe(`in ${kind}`, { skip: missing ?? false }, () => {
    // What does not depend on the engine is tried in the faster one.
    const onlyDocker = { skip: kind === "podman" ? "tried in docker" : false };
    let running: TestEngine;
    before(async () => {
      running = await startEngine(kind);
    });
    after(() => running.stop());

    test("sandbox (8): a container whose promises all hold is proved, and says which they are", async (t) => {
      const { spec, open } = place(t, running);
      const proof = await open().prove(spec);
      assert.equal(whyOf(proof), "it was proved");
      assert.ok(proof.ok);
      for (const name of [
        "secret",
        "link",
        "connect",
        "trace",
        "mount",
        "engine-socket",
        "visible-processes",
        "processes",
        "memory",
        "mounts",
        "same-folder",
      ])
        assert.ok(proof.held.includes(name), name);
    });

    const own = kind === "docker" ? layers : layers.filter(([name]) => inBoth.has(name));
    describe("without a layer", { concurrency: 4 }, () => {
      for (const [layer, change, broken] of own)
        test(`sandbox (8): without "${layer}" there is no sandbox`, async (t) => {
          const { spec, open, workspace } = place(t, running);
          chmodSync(workspace, 0o777);
          const proof = await open(changing(running.engine, change)).prove(spec);
          assert.match(whyOf(proof), broken);
        });
    });

    test(
      "sandbox (8): a container that shares the host's processes is refused, and ends none of them",
      onlyDocker,
      async (t) => {
        const bystander = spawn("sleep", ["60"], { uid: 65_532, gid: 65_532, cwd: "/", stdio: "ignore" });
        t.after(() => bystander.kill("SIGKILL"));
        const { spec, open } = place(t, running);
        const proof = await open(changing(running.engine, inHost({ PidMode: "host" }))).prove(spec);
        assert.match(whyOf(proof), /pid namespace is not its own/);
        assert.equal(await running.containers(), 0);
        assert.deepEqual([bystander.exitCode, bystander.signalCode], [null, null]);
      },
    );

    test("sandbox (8): nothing is left of what was no sandbox", async () => {
      assert.equal(await running.containers(), 0);
    });

    test(
      "sandbox (8): a container that shows the state folder, the engine's socket or a writable /agent is none",
      onlyDocker,
      async (t) => {
        const { spec, open, state, base } = place(t, running);
        const agentWorkspace = join(base, "agent");
        mkdirSync(agentWorkspace, { mode: 0o777 });
        const mount = (Source: string, Target: string) =>
          changing(running.engine, ({ HostConfig }) => {
            if (!HostConfig) return;
            HostConfig.Mounts = HostConfig.Mounts.map((item) => ({
              ...item,
              ...(Target === "/agent" ? { ReadOnly: false } : {}),
            }));
            if (Target !== "/agent") HostConfig.Mounts.push({ Type: "bind", Source, Target, ReadOnly: true });
          });
        assert.match(
          whyOf(await open(mount(state, state)).prove(spec)),
          /folders of the host.*nobody asked for/,
        );
        assert.match(
          whyOf(await open(mount(running.socketPath, "/run/docker.sock")).prove(spec)),
          /reach a container engine/,
        );
        assert.match(
          whyOf(await open(mount("", "/agent")).prove({ ...spec, agentWorkspace })),
          /mounted writable/,
        );
        const shown = await open().prove({ ...spec, agentWorkspace });
        assert.ok(shown.ok && shown.held.includes("write-agent"), whyOf(shown));
      },
    );

    /** Commands in one sandbox; with `renews` each finds one that is there, as a session's do. */
    async function inside(t: TestContext, more: Partial<SandboxSpec> = {}, renews = false) {
      const at = place(t, running);
      const host = at.open();
      const prove = async () => {
        const proof = await host.prove({ ...at.spec, ...more });
        assert.ok(proof.ok, whyOf(proof));
        return proof.sandbox;
      };
      const sandbox = await prove();
      const workspace = await openWorkspace(at.workspace, { random: systemRandom });
      const commands = createCommands({
        ...{
          clock: systemClock,
          random: systemRandom,
          sendSignal: process.kill.bind(process),
          stateDir: at.state,
        },
        baseEnv: { PATH: "/usr/local/bin:/usr/bin:/bin" },
        keeps: () => false,
        maxOutputChars: 20_000,
        spawnLimits: { maxRunning: 8, maxRunningPerSession: 8, maxKeptPerSession: 8, killGraceMs: 100 },
      });
      t.after(async () => {
        await commands.closeAll();
        await workspace.close();
      });
      const session = commands.forSession("s", workspace, {
        id: "a",
        proven: async () => (renews ? prove() : sandbox),
      });
      const permitted: CommandRun = { kind: "sandbox", sandboxId: sandbox.id };
      const start = (command: string, request = {}) =>
        session.start({ command, workdir: ".", env: {}, timeoutMs: 20_000, run: permitted, ...request });
      const run = async (command: string, request = {}) => {
        const started = await start(command, request);
        await started.wait(20_000, never);
        return { text: started.output().text, exit: started.exit, dropped: started.output().droppedChars };
      };
      return { ...at, host, sandbox, workspaceOpen: workspace, start, run, commands };
    }

    test("sandbox (8): a real shell runs inside, in its workspace, with the environment that was built", async (t) => {
      const { run, workspace, start, workspaceOpen } = await inside(t);
      await workspaceOpen.write("sub/given", Buffer.from("from the file tools\n"));
      const { text, exit } = await run(
        "for x in 1 2; do echo $((x * 2)) >> n; done; cat n given; pwd; echo $A $HOME; id -u",
        {
          workdir: "sub",
          env: { A: "b" },
        },
      );
      assert.deepEqual(
        [text, exit?.code],
        ["2\n4\nfrom the file tools\n/workspace/sub\nb /workspace\n65532\n", 0],
      );
      assert.equal(readFileSync(join(workspace, "sub/n"), "utf8"), "2\n4\n");
      assert.equal((await workspaceOpen.read("sub/n", 100)).bytes.toString(), "2\n4\n");
      assert.equal((await run("exit 7")).exit?.code, 7);
      assert.equal((await run("no-such-program")).exit?.code, 127);
      const asking = await start('read -r line; echo "got $line"; cat');
      asking.write("one\ntwo");
      asking.closeInput();
      await asking.wait(5000, never);
      assert.equal(asking.output().text, "got one\ntwo");
      await assert.rejects(start("a\0b"), InputError);
      await assert.rejects(start(`: ${"x".repeat(130_000)}`), /longer than 120 kB/);
    });

    test(
      "sandbox (8): whatever stands in a command or a variable arrives as it is",
      onlyDocker,
      async (t) => {
        const { run } = await inside(t);
        const word = fc.string({
          unit: fc.constantFrom("'", '"', "\n", "\\", "$", "`", "a", " ", "é", "!", "#", "\t", "$(id)"),
          maxLength: 12,
        });
        await fc.assert(
          fc.asyncProperty(word, word, async (value, literal) => {
            const heredoc = `printf '%s|' "$A"; cat <<'END'\n${literal.replaceAll("END", "")}\nEND`;
            assert.equal((await run(heredoc, { env: { A: value } })).text, `${value}|${literal}\n`);
          }),
          { numRuns: 12 },
        );
      },
    );

    test("sandbox (6): nothing that a command leaves behind outlives it, however it detached", async (t) => {
      const { run, sandbox } = await inside(t);
      const left = `7${process.pid}.${kind === "docker" ? 1 : 2}`;
      const { exit } = await run(
        `sleep ${left} & setsid sleep ${left} & env -i setsid sleep ${left} & sleep 0.05; echo up`,
      );
      assert.equal(exit?.code, 0);
      while (processesWith(left) > 0) await pause(10);
      await run(`i=0; while [ $i -lt 100 ]; do sleep ${left} & i=$((i+1)); done`);
      while (processesWith(left) > 0) await pause(10);
      assert.equal((await run("echo next")).text, "next\n", "although all its processes were taken");
      assert.equal(sandbox.isGone, false, "the container itself stayed");
    });

    test(
      "sandbox (6): commands that run beside each other end alone, and a killed one takes its tree with it",
      onlyDocker,
      async (t) => {
        const { start, run } = await inside(t);
        const left = `8${process.pid}.${kind === "docker" ? 1 : 2}`;
        const other = await start("echo here; sleep 2; echo still here");
        const killed = await start(`trap '' TERM; sleep ${left} & sleep ${left}; echo no`);
        while (processesWith(left) < 2) await pause(10);
        await killed.kill();
        assert.ok(killed.exit);
        while (processesWith(left) > 0) await pause(10);
        await run(`sleep ${left} >/dev/null 2>&1 & echo left`);
        while (processesWith(left) > 0) await pause(5);
        assert.equal(other.exit, undefined, "it still ran");
        await other.wait(5000, never);
        assert.equal(other.output().text, "here\nstill here\n");
        assert.equal((await run("sleep 100", { timeoutMs: 100 })).exit?.timedOut, true);
      },
    );

    test(
      "sandbox (6): a command that forks without end, floods, fills its disk or its memory is held",
      onlyDocker,
      async (t) => {
        const { run, start } = await inside(t, { maxMemoryBytes: 320 * 1024 * 1024 }, true);
        const bomb = await start("f() { f | f & }; f; sleep 20; exit 3");
        await pause(500);
        await bomb.kill();
        assert.ok(bomb.exit, "it ended");
        assert.equal((await run("echo alive")).text, "alive\n");
        assert.ok((await run("yes | head -c 3000000")).dropped > 2_900_000);
        assert.match(
          (await run("dd if=/dev/zero of=/tmp/full bs=1M count=300 2>&1; rm /tmp/full")).text,
          /No space left/,
        );
        assert.match((await run("echo x > /full 2>&1 || echo refused")).text, /Read-only|refused/);
        assert.notEqual((await run("dd if=/dev/zero of=/dev/null bs=600M count=1")).exit?.code, 0);
        assert.equal((await run("echo alive")).text, "alive\n");
      },
    );

    test("sandbox (8): one container serves all commands; another arrangement is another one; none is left at the end", async (t) => {
      const { run, host, spec, sandbox } = await inside(t);
      await run("true");
      await run("true");
      assert.equal(await running.containers(), 1);
      const again = await host.prove(spec);
      assert.ok(again.ok && again.sandbox === sandbox, "what is proved stays so");
      host.configChanged();
      const changed = await host.prove({ ...spec, maxProcesses: 63 });
      assert.ok(changed.ok && changed.sandbox !== sandbox);
      assert.equal(sandbox.isGone, true);
      assert.equal(await running.containers(), 1);
      await assert.rejects(run("true"), InputError);
      const [row] = host.list();
      assert.deepEqual([row?.id, row?.image, row?.runningCommands], ["a", testImage, 0]);
      await pause(5);
      assert.equal(await host.prune({ idleMs: 60_000, maxAgeMs: 60_000 }), 0);
      assert.equal(await host.prune({ idleMs: 1, maxAgeMs: 60_000 }), 1);
      assert.equal(await running.containers(), 0);
    });

    test(
      "sandbox (6): what another run of this gateway left is removed, another gateway's is not",
      onlyDocker,
      async (t) => {
        const { open, spec } = place(t, running);
        const other = place(t, running);
        const before = await open().prove(spec);
        const foreign = await other.open().prove(other.spec);
        assert.ok(before.ok && foreign.ok);
        await open().sweep();
        while (!before.sandbox.isGone) await pause(5);
        assert.equal(foreign.sandbox.isGone, false);
        assert.equal(await running.containers(), 1);
      },
    );

    test(
      "sandbox (8), (9): with egress a container keeps all its promises, and reaches what a rule names and nothing else",
      kind === "docker" && !perlFolder
        ? { skip: "there is no perl-base: egress was not tried here" }
        : onlyDocker,
      async (t) => {
        const site = createServer((request, response) => response.end(`the site says ${request.url}`));
        await once(site.listen(0, "127.0.0.1"), "listening");
        const { port } = site.address() as AddressInfo;
        const at = place(t, running);
        const egress = { socketFile: join(at.state, "egress.sock"), rootsFile: join(at.state, "roots.pem") };
        writeFileSync(egress.rootsFile, "", { mode: 0o600 });
        const proxy = await openEgressProxy(
          {
            ...{ clock: systemClock, log: silentLog, limits: defaultEgressLimits, addressVerdict, roots: [] },
            resolve: async () => [{ address: "127.0.0.1", family: 4 }],
            issue: () => assert.fail(),
            record: async () => {},
          },
          egress.socketFile,
          [{ host: "site.test", port, allowPrivate: true }],
        );
        t.after(async () => {
          await proxy.close();
          site.close();
          site.closeAllConnections();
        });
        const proof = await at.open().prove({ ...at.spec, egress });
        assert.ok(proof.ok, whyOf(proof));
        for (const name of ["egress", "egress-answers", "connect", "interfaces", "mounts"])
          assert.ok(proof.held.includes(name), name);
        const { entrance } = proof.sandbox;
        assert.ok(entrance.kind === "engine");
        const run = async (text: string) => {
          const mark = `m${systemRandom.bytes(6).toString("hex")}`;
          const started = await entrance.start({ text, workdir: "", env: { OPENCLAW_RUN: mark }, mark });
          started.streams.stderr.resume();
          let output = "";
          for await (const piece of started.streams.stdout) output += piece;
          return output;
        };
        // In perl: busybox, linked statically, cannot look up names.
        const get = (host: string, at = 3128) =>
          `perl -e 'use Socket; socket S, PF_INET, SOCK_STREAM, 0; connect S, sockaddr_in(${at}, INADDR_LOOPBACK) or die "refused";
syswrite S, "GET http://${host}:${port}/x HTTP/1.1\\r\\nHost: ${host}\\r\\nConnection: close\\r\\n\\r\\n"; print <S>' 2>&1`;
        const both = await Promise.all([run(`sleep 0.1; ${get("site.test")}`), run(get("site.test"))]);
        for (const answer of both) assert.match(answer, /200 OK.*the site says \/x/s);
        assert.match(await run(get("other.test")), /403.*No rule of this sandbox's egress/s);
        assert.match(await run(get("site.test", port)), /^refused/);
        assert.equal(statSync(egress.socketFile).mode & 0o777, 0o600);
      },
    );

    test(
      "sandbox (8): without an image, with a setup that fails, or with a folder of others there is no sandbox",
      onlyDocker,
      async (t) => {
        const { open, spec } = place(t, running);
        const proof = (docker: Docker, more = {}) =>
          open().prove({ ...spec, ...more, container: settingsOf(docker) });
        assert.match(
          whyOf(await proof({ image: "openclaw-sandbox:node" })),
          /no image.*openclaw sandbox image node/,
        );
        assert.match(
          whyOf(await proof({ setupCommand: "echo missing >&2; exit 4" })),
          /setupCommand ended with 4 \(missing\)/,
        );
        const shared = place(t, running);
        const others = await shared.open().prove({ ...shared.spec, ownsWorkspace: false });
        assert.match(whyOf(others), /belongs to user 0.*chown/);
        const ready = await proof({ setupCommand: "echo done > ready" });
        assert.ok(ready.ok, whyOf(ready));
        assert.equal(readFileSync(join(spec.workspace, "ready"), "utf8"), "done\n");
      },
    );

    test(
      "sandbox (8): an engine that stops in the middle of a call ends the call, and its return is a new sandbox",
      onlyDocker,
      async (t) => {
        const { start, host, spec, sandbox } = await inside(t);
        const running_ = await start("sleep 100");
        await running.restart();
        await running_.wait(10_000, never);
        assert.ok(running_.exit, "it ended");
        assert.equal(sandbox.isGone, true);
        await assert.rejects(start("true"), InputError);
        const again = await host.prove(spec);
        assert.ok(again.ok, whyOf(again));
        assert.equal(again.sandbox.isGone, false);
      },
    );
  });
}

/** How many processes of this machine have the text among their arguments. */
function processesWith(text: string): number {
  return readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        existsSync(`/proc/${pid}/exe`) &&
        readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`sleep\0${text}`)
      );
    } catch {
      return false;
    }
  }).length;
}
