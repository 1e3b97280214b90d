/** Egress from inside a real sandbox: curl, through the forwarder and the proxy, and every way around them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Secret, silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import { issueCertificate, makeAuthority } from "../network/certificate.ts";
import { addressVerdict } from "../policy/address.ts";
import { createBubblewrap } from "./bubblewrap.ts";
import { forwarderArgv } from "./egress-forwarder.ts";
import { defaultEgressLimits } from "./egress-limits.ts";
import { type EgressEvent, openEgressProxy } from "./egress-proxy.ts";
import type { EgressRule } from "./egress-rules.ts";

const found = (name: string) => [`/usr/bin/${name}`, `/usr/sbin/${name}`].find((path) => existsSync(path));
const missing = ["bwrap", "prlimit", "perl", "curl"].filter((name) => !found(name));
const skip =
  missing.length > 0 ? `${missing.join(", ")} not installed: no egress was tried on this machine` : false;
const validity = { notBeforeMs: Date.now() - 1000, notAfterMs: Date.now() + 3_600_000, random: systemRandom };
const key = "Bearer the-real-credential";

async function scene(
  t: TestContext,
  rules: (ports: { plain: number; secure: number }) => readonly EgressRule[],
  findProgram = found,
) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "egress-")));
  const state = join(base, "state");
  const workspace = join(state, "sandboxes", "a");
  mkdirSync(workspace, { recursive: true, mode: 0o700 });
  const world = makeAuthority(validity);
  const own = makeAuthority(validity);
  const hits: IncomingMessage[] = [];
  const site = (incoming: IncomingMessage, response: import("node:http").ServerResponse) => {
    hits.push(incoming);
    if (incoming.method === "POST") incoming.pipe(response);
    else response.end(`the site says ${incoming.url}`);
  };
  const plain = createServer(site).listen(0, "127.0.0.1");
  const secure = createSecureServer(issueCertificate(world, { ...validity, host: "site.test" }), site).listen(
    0,
    "127.0.0.1",
  );
  await Promise.all([once(plain, "listening"), once(secure, "listening")]);
  const ports = {
    plain: (plain.address() as AddressInfo).port,
    secure: (secure.address() as AddressInfo).port,
  };
  const door = { socketFile: join(state, "egress.sock"), rootsFile: join(state, "roots.pem") };
  writeFileSync(door.rootsFile, own.cert + world.cert, { mode: 0o600 });
  const events: EgressEvent[] = [];
  const proxy = await openEgressProxy(
    {
      clock: systemClock,
      log: silentLog,
      limits: defaultEgressLimits,
      resolve: async () => [{ address: "127.0.0.1", family: 4 }],
      addressVerdict,
      issue: (host) => issueCertificate(own, { ...validity, host }),
      roots: [world.cert],
      record: async (event) => void events.push(event),
    },
    door.socketFile,
    rules(ports),
  );
  const host = createBubblewrap({
    clock: systemClock,
    random: systemRandom,
    stateDir: state,
    homes: [],
    findProgram,
    architecture: process.arch,
  });
  t.after(async () => {
    await proxy.close();
    for (const server of [plain, secure]) {
      server.close();
      server.closeAllConnections();
    }
    host.sweep();
    rmSync(base, { recursive: true, force: true });
  });
  const spec = { id: "a", workspace, maxProcesses: 64, maxMemoryBytes: 512 * 1024 * 1024, egress: door };
  const proof = await host.prove(spec);
  const run = async (text: string) => {
    assert.ok(proof.ok, proof.ok ? "" : proof.why);
    const [file = "", ...args] = (
      proof.sandbox.entrance.kind === "process" ? proof.sandbox.entrance.argv : assert.fail()
    )(text, ".");
    const child = spawn(file, args, { env: { PATH: "/usr/bin:/bin", HOME: "/workspace" } });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (piece) => {
        output += piece;
      });
    await once(child, "close");
    return output;
  };
  return { ...ports, hits, events, proof, proxy, run };
}

const rules = ({ plain, secure }: { plain: number; secure: number }): readonly EgressRule[] => [
  { host: "site.test", port: plain, allowPrivate: true },
  {
    ...{ host: "site.test", port: secure, allowPrivate: true, paths: ["/repos/*"] },
    inject: { header: "Authorization", value: new Secret(key) },
  },
];

test("sandbox (8), (9): a sandbox with egress keeps all its promises, and its proxy was seen to refuse", {
  skip,
}, async (t) => {
  const { proof, events } = await scene(t, () => []);
  assert.ok(proof.ok, proof.ok ? "" : proof.why);
  for (const name of [
    "connect",
    "egress",
    "egress-answers",
    "interfaces",
    "net-namespace",
    "read-only-mounts",
  ])
    assert.ok(proof.held.includes(name), name);
  assert.deepEqual(
    events.map(({ method, host, outcome }) => [method, host, outcome]),
    [["CONNECT", "127.0.0.1", "refuse"]],
  );
});

test("sandbox (8), (9): a sandbox whose proxy lets it reach the gateway's machine, or does not answer, is none", {
  skip,
}, async (t) => {
  const everything = Array.from({ length: 65_535 }, (_, index) => ({
    host: "127.0.0.1",
    port: index + 1,
    allowPrivate: true,
  }));
  const open = (await scene(t, () => everything)).proof;
  assert.ok(!open.ok);
  assert.match(open.why, /proxy lets it reach the gateway's machine/);
  const noPerl = (
    await scene(
      t,
      () => [],
      (name) => (name === "perl" ? undefined : found(name)),
    )
  ).proof;
  assert.ok(!noPerl.ok);
  assert.match(noPerl.why, /no perl.*for its egress/);
});

test("sandbox (9), SS: from inside, curl reaches what a rule names and nothing else, by no way", {
  skip,
}, async (t) => {
  const s = await scene(t, rules);
  assert.equal(await s.run(`curl -sS http://site.test:${s.plain}/page`), "the site says /page");
  assert.equal(
    await s.run(
      `curl -sS https://site.test:${s.secure}/repos/a; head -c 3000000 /dev/zero | curl -sS --data-binary @- http://site.test:${s.plain}/ | wc -c`,
    ),
    "the site says /repos/a3000000\n",
  );
  assert.equal(s.hits[1]?.headers.authorization, key);
  // What other programs take their proxy and certificates from.
  if (found("python3")) {
    const url = `https://site.test:${s.secure}/repos/py`;
    assert.equal(
      await s.run(`python3 -c "import urllib.request as u; print(u.urlopen('${url}').read().decode())"`),
      "the site says /repos/py\n",
    );
  }
  const before = s.hits.length;
  for (const refused of [
    `curl -sS http://other.test:${s.plain}/`,
    `curl -sS http://127.0.0.1:${s.plain}/ --noproxy ''`,
    `curl -sSk https://site.test:${s.secure}/user`,
    `curl -sSk https://site.test:${s.secure}/repos/../user --path-as-is`,
    `curl -sS http://site.test:22/`,
  ])
    assert.match(await s.run(refused), /No rule of this sandbox's egress/, refused);
  for (const closed of [
    `curl -sS --max-time 5 http://127.0.0.1:${s.plain}/`,
    `curl -sS --max-time 5 --noproxy '*' http://93.184.216.34/`,
    `curl -sS --max-time 5 --noproxy '*' --resolve site.test:${s.plain}:127.0.0.1 http://site.test:${s.plain}/`,
    `curl -sS --max-time 5 --proxy http://127.0.0.1:${s.plain} http://site.test/`,
    `curl -sS --max-time 5 --noproxy '*' http://[::1]:${s.plain}/`,
  ])
    assert.match(await s.run(closed), /curl: \((?:7|28|6)\)/, closed);
  assert.equal(s.hits.length, before);
  const seen = await s.run("env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'; ls -lR /run");
  assert.doesNotMatch(seen, /the-real-credential/);
  assert.match(seen, /HTTPS_PROXY=http:\/\/127\.0\.0\.1:3128/);
  assert.equal(
    await s.run("find /run /tmp /var /dev/shm /workspace -exec test -S {} \\; -print"),
    "/run/openclaw/egress.sock\n",
  );
  assert.match(
    await s.run("rm -f /run/openclaw/egress.sock /run/openclaw/roots.pem; echo x > /run/openclaw/roots.pem"),
    /busy|Read-only/,
  );
  await s.proxy.close();
  assert.match(await s.run(`curl -sS --max-time 5 http://site.test:${s.plain}/`), /find source path/);
});

test("sandbox (9): a command of a sandbox with egress ends as it would without: its output, its status, its children", {
  skip,
}, async (t) => {
  const s = await scene(t, rules);
  assert.equal(
    await s.run("cat </dev/null; sleep 0 & wait; { echo out; echo err >&2; (exit 3); echo $?; } 2>&1"),
    "out\nerr\n3\n",
  );
  assert.equal(
    await s
      .run(`for i in 1 2 3 4 5 6 7 8; do curl -sS http://site.test:${s.plain}/$i & done; wait; echo`)
      .then((text) => text.trim().length),
    8 * "the site says /1".length,
  );
});

test("sandbox (9): commands that share one loopback each have their way out, and keep it when another ends", {
  skip,
}, async (t) => {
  const s = await scene(t, rules);
  const quoted = (words: readonly string[]) =>
    words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const second = quoted([...forwarderArgv("/usr/bin/perl"), "/bin/sh", "-c", "exec true"]);
  const curl = `curl -sS --retry 3 --retry-all-errors --retry-delay 0 http://site.test:${s.plain}/x`;
  assert.equal(
    await s.run(`${second} && ${second} && for i in 1 2 3 4 5 6 7 8; do ${curl}; echo; done`),
    "the site says /x\n".repeat(8),
  );
});
