/** The gateway as a service: what is written, what the service manager is asked, and when a gateway yields. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { runCommand } from "../support/command-line.ts";
import { freePort, GatewayProcess } from "../support/gateway.ts";
import { programFile } from "../support/program.ts";

/** A manager that writes down what it is asked, and says what the file of its name holds. */
const fakeManager = `#!/bin/sh
echo "$(basename "$0") $*" >> "$HOME/asked"
[ -e "$HOME/fail" ] && { cat "$HOME/fail" >&2; exit 1; }
env | grep -c SECRET >> "$HOME/secrets"
case "$*" in
  *" show "*) cat "$HOME/shows" 2>/dev/null ;;
  show-user*) echo Linger=no ;;
esac
exit 0
`;

async function machine(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "service test-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const bin = join(folder, "bin");
  await mkdir(bin);
  for (const name of ["systemctl", "loginctl", "launchctl"]) {
    await writeFile(join(bin, name), fakeManager);
    await chmod(join(bin, name), 0o755);
  }
  const at = (name: string) => join(folder, name);
  const text = (name: string) => readFile(at(name), "utf8").catch(() => "");
  return {
    folder,
    at,
    text,
    unit: (name = "openclaw-gateway") => at(`.config/systemd/user/${name}.service`),
    show: (value: string) => writeFile(at("shows"), value),
    /** What the manager was asked since the last look. */
    async asked() {
      const lines = (await text("asked")).trimEnd().split("\n");
      await writeFile(at("asked"), "");
      return lines.filter((line) => line !== "" && !/ show | show-user|show-environment/.test(line));
    },
    run: (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
      runCommand(args, {
        stateFolder: at("state $HOME %h"),
        home: folder,
        path: `${bin}:${process.env.PATH}`,
        env: { OPENCLAW_GATEWAY_TOKEN: "SECRET-of-the-terminal", ...env },
      }),
  };
}

const skip = process.platform === "linux" ? false : "systemd is Linux's";
const running = "ActiveState=active\nMainPID=4242\nExecMainStatus=0\nUnitFileState=enabled\n";

test("gateway install writes a unit without a secret, once, and runs it; uninstall takes all of it back", {
  skip,
}, async (t) => {
  const host = await machine(t);
  await host.show(running);
  const installed = await host.run(["gateway", "install", "--yes", "--port", "18799"]);
  assert.equal(installed.code, 0, installed.err);
  assert.match(installed.out, /installed +systemd openclaw-gateway\.service\n[\s\S]*active, pid 4242/);
  assert.match(installed.out, /loginctl enable-linger/);
  assert.deepEqual(await host.asked(), [
    "systemctl --user daemon-reload",
    "systemctl --user enable openclaw-gateway.service",
    "systemctl --user restart openclaw-gateway.service",
  ]);
  const unit = await readFile(host.unit(), "utf8");
  for (const line of [
    "KillMode=mixed",
    "TimeoutStopSec=330",
    "RestartPreventExitStatus=78",
    "Restart=always",
    "WantedBy=default.target",
  ])
    assert.ok(unit.split("\n").includes(line), line);
  assert.match(
    unit,
    /ExecStart="\/[^"]+" "\/[^"]+openclaw\.mjs" "gateway" "run" "--service" "systemd" "--grace" "315" "--port" "18799"\n/,
  );
  // Specifiers and variables stand as they are meant.
  assert.ok(unit.includes(`Environment="OPENCLAW_STATE_DIR=${host.at("state $HOME %%h")}"`), unit);
  assert.doesNotMatch(unit, /SECRET/);
  assert.doesNotMatch(await host.text("secrets"), /[1-9]/, "no variable of the terminal reaches the manager");

  const again = await host.run(["gateway", "install", "--yes", "--port", "18799", "--json"]);
  assert.equal(JSON.parse(again.out).changed, false);
  assert.deepEqual(await host.asked(), [], "what runs as it should is not interrupted");
  const other = await host.run(["gateway", "install", "--yes"]);
  assert.deepEqual([other.code, /says something else; --force replaces it/.test(other.err)], [1, true]);
  assert.equal(await readFile(host.unit(), "utf8"), unit);
  assert.equal((await host.run(["gateway", "install", "--yes", "--force"])).code, 0);
  assert.doesNotMatch(await readFile(host.unit(), "utf8"), /18799/);
  await host.asked();

  for (const action of ["stop", "start", "restart"]) {
    assert.equal((await host.run(["gateway", action])).code, 0);
    assert.deepEqual(await host.asked(), [`systemctl --user ${action} openclaw-gateway.service`]);
  }
  const status = await host.run(["gateway", "status", "--no-probe"]);
  assert.match(status.out, /systemd openclaw-gateway\.service: active, pid 4242/);

  assert.equal((await host.run(["gateway", "uninstall"])).code, 0);
  assert.deepEqual(await host.asked(), [
    "systemctl --user disable --now openclaw-gateway.service",
    "systemctl --user daemon-reload",
  ]);
  await assert.rejects(readFile(host.unit()));
  assert.match((await host.run(["gateway", "uninstall"])).out, /is not installed/);
  const start = await host.run(["gateway", "start"]);
  assert.deepEqual([start.code, /not installed: openclaw gateway install/.test(start.err)], [1, true]);
  assert.deepEqual(await host.asked(), []);
});

test("a profile has a service of its own; a node's service needs a gateway that it joined", {
  skip,
}, async (t) => {
  const host = await machine(t);
  const made = await host.run(["--profile", "work", "gateway", "install", "--yes"]);
  assert.equal(made.code, 0, made.err);
  assert.match(
    await readFile(host.unit("openclaw-gateway-work"), "utf8"),
    /"--profile" "work" "gateway" "run"/,
  );
  const strange = await host.run(["--profile", "../x", "gateway", "install", "--yes"]);
  assert.deepEqual([strange.code, /cannot name a service/.test(strange.err)], [1, true]);
  const node = await host.run(["node", "install", "--yes"]);
  assert.deepEqual([node.code, /has not joined a gateway yet/.test(node.err)], [1, true]);
});

test("install refuses in a sentence and writes nothing: as root, without systemd, where systemd does not answer", {
  skip,
}, async (t) => {
  const host = await machine(t);
  if (process.getuid?.() === 0) {
    const root = await host.run(["gateway", "install"]);
    assert.deepEqual([root.code, /would be root's.*--yes/.test(root.err)], [1, true]);
  }
  await writeFile(host.at("fail"), "Failed to connect to bus: No medium found\n");
  const silent = await host.run(["gateway", "install", "--yes"]);
  assert.equal(silent.code, 1);
  assert.match(silent.err, /systemd does not answer for this user: Failed to connect to bus.*enable-linger/);
  await rm(host.at("bin/systemctl"));
  await writeFile(host.at("bin/env"), "#!/bin/sh\nexit 127\n", { mode: 0o755 });
  const none = await host.run(["gateway", "install", "--yes"]);
  assert.match(none.err, /no systemctl: this machine does not run systemd/);
  await assert.rejects(readFile(host.unit()));
});

test("install names the variables that the config reads, and the file that they belong into", {
  skip,
}, async (t) => {
  const host = await machine(t);
  await mkdir(host.at("state $HOME %h"), { recursive: true });
  await writeFile(
    host.at("state $HOME %h/openclaw.json"),
    `{ channels: { telegram: { botToken: "\${BOT_TOKEN}" } }, x: "$\${NOT_THIS}" }`,
  );
  const { out } = await host.run(["gateway", "install", "--yes"]);
  assert.match(out, /variables +BOT_TOKEN: put them into .*\.env \(mode 600\)/);
});

test("systemd finds nothing wrong with the unit", { skip }, async (t) => {
  const host = await machine(t);
  const verify = promisify(execFile);
  const version = await verify("systemd-analyze", ["--version"]).catch(() => undefined);
  if (!version) return t.skip("there is no systemd-analyze here");
  assert.equal((await host.run(["gateway", "install", "--yes"])).code, 0);
  const env = { PATH: process.env.PATH, HOME: host.folder, XDG_RUNTIME_DIR: host.folder };
  const args = ["verify", "--user", "--man=no", host.unit()];
  const { stderr } = await verify("systemd-analyze", args, { env }).catch(
    (error: { stderr: string }) => error,
  );
  assert.doesNotMatch(stderr, /openclaw-gateway\.service:|Failed to initialize/);
});

test("under a service manager a gateway yields to a healthy one with the code that keeps it from being started again", async (t) => {
  const gateway = await GatewayProcess.start(t, { port: await freePort() });
  const second = (service: string, port: number, stateFolder = gateway.stateFolder) =>
    runCommand(["gateway", "run", "--service", service, "--port", String(port)], { stateFolder });
  const sameFolder = await second("systemd", gateway.port);
  assert.equal(sameFolder.code, 78, sameFolder.err);
  assert.match(
    sameFolder.err,
    /already running[\s\S]*A healthy gateway answers at http:\/\/127\.0\.0\.1:\d+\/healthz/,
  );
  const otherPort = await second("systemd", await freePort());
  assert.equal(otherPort.code, 78, "found by what the holder of the folder noted");
  const sameport = await second("launchd", gateway.port, join(gateway.folder, "other"));
  assert.equal(sameport.code, 0, sameport.err);
  assert.match(sameport.err, /is taken/);
  const plain = await runCommand(["gateway", "run", "--port", String(gateway.port)], {
    stateFolder: gateway.stateFolder,
  });
  assert.equal(plain.code, 1, "in a terminal it is a failure");
});

test("a service's journal gets no sign-in link", async (t) => {
  const gateway = await GatewayProcess.prepare(t);
  const child = spawn(
    process.execPath,
    [programFile, "gateway", "run", "--port", "0", "--service", "systemd"],
    {
      env: { PATH: process.env.PATH, HOME: gateway.folder, OPENCLAW_STATE_DIR: gateway.stateFolder },
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  let out = "";
  for await (const piece of child.stdout) {
    out += String(piece);
    if (/ log /.test(out)) break;
  }
  // Gone before its folder is removed.
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.match(out, /sign in: openclaw dashboard/);
  assert.doesNotMatch(out, /signin=/);
});
