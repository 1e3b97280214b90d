/** A headless node as a process, and commands on it: by an agent, by an operator; and the attacks on that. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, readFile, stat, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { freePort, GatewayProcess, gatewayToken } from "../support/gateway.ts";
import type { GatewayClient, Payload } from "../support/gateway-client.ts";
import { invokeParams, TestNode } from "../support/node.ts";
import { NodeHostProcess } from "../support/node-host.ts";
import { programFile } from "../support/program.ts";

const onNode = (exec: Payload = {}) => ({ tools: { exec: { host: "node", mode: "ask", ...exec } } });
const everything = { version: 1, defaults: { security: "full", ask: "off" } };

/** A gateway, an admin, and a node host whose commands he approved. */
async function approvedHost(t: TestContext, config: Payload, rules?: unknown) {
  const gateway = await GatewayProcess.start(t, { config });
  const admin = await gateway.connect();
  const host = await NodeHostProcess.start(t, gateway, rules === undefined ? {} : { rules });
  const pending = await admin.waitFor((event) => event.event === "node.pair.requested");
  await admin.rpc("node.pair.approve", { requestId: pending.payload.requestId });
  return { gateway, admin, host };
}

async function asked(admin: GatewayClient, nth = 0): Promise<Payload> {
  const all = () => admin.events.filter((event) => event.event === "exec.approval.requested");
  return (await admin.waitFor((event) => event === all()[nth])).payload;
}

const textOf = (end: Payload) => JSON.stringify(end.message?.content ?? end);

async function openclaw(gateway: GatewayProcess, words: readonly string[], state = gateway.stateFolder) {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", programFile, ...words], {
    env: {
      PATH: "/usr/bin:/bin",
      HOME: join(gateway.folder, "home"),
      OPENCLAW_STATE_DIR: state,
      OPENCLAW_GATEWAY_PORT: String(gateway.port),
      OPENCLAW_GATEWAY_TOKEN: gatewayToken,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

test("node host (1, 6): pairs with a key of its own, comes back with its token, and says where it stands", async (t) => {
  const port = await freePort();
  const gateway = await GatewayProcess.start(t, { port });
  const admin = await gateway.connect();
  const host = await NodeHostProcess.start(t, gateway);
  await host.printed(/^connected/m);
  for (const name of ["identity.json", "gateway.json", "status.json"])
    assert.equal((await stat(join(host.files, name))).mode & 0o777, 0o600, name);
  const { requestId, commands } = await TestNode.pendingOf(admin, host.id);
  assert.ok(commands.includes("system.run"));
  await admin.rpc("node.pair.approve", { requestId });
  const which = await admin.rpc("node.invoke", {
    nodeId: host.id,
    command: "system.which",
    params: { bins: ["sh", "../sh", "no-such-program"] },
    idempotencyKey: "w",
  });
  assert.deepEqual(Object.keys(which.payload.bins), ["sh"]);
  const state = join(host.folder, "state");
  const status = await openclaw(gateway, ["node", "status"], state);
  assert.equal(status.code, 0);
  assert.match(status.stdout, new RegExp(`${host.id}[\\s\\S]*connected to ws://127`));
  const identity = await openclaw(gateway, ["node", "identity", "--json"], state);
  assert.equal(JSON.parse(identity.stdout).deviceId, host.id);
  assert.doesNotMatch(status.stdout + identity.stdout, /PRIVATE|deviceToken/);

  const from = host.output.length;
  await gateway.stop();
  await host.printed(/not connected/, from);
  await gateway.start();
  await host.printed(/^connected/m, from);
  const again = await gateway.connect();
  const { nodes } = await again.rpc("node.list");
  assert.deepEqual(
    [nodes[0].nodeId, nodes[0].connected, nodes[0].approvalState],
    [host.id, true, "approved"],
  );
  assert.equal(await host.stop(), 0);
  assert.equal((await openclaw(gateway, ["node", "status"], state)).code, 1);
});

test("node host (1): over TLS it talks to the certificate that it was told, and to no other", async (t) => {
  const gateway = await GatewayProcess.start(t, {
    config: {
      gateway: {
        mode: "local",
        bind: "loopback",
        auth: { mode: "token", token: gatewayToken },
        tls: { enabled: true },
      },
    },
  });
  const socket = connectTls({ host: "127.0.0.1", port: gateway.port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const fingerprint = createHash("sha256").update(socket.getPeerCertificate().raw).digest("hex");
  socket.destroy();
  const place = ["--host", "127.0.0.1", "--port", String(gateway.port), "--tls", "--tls-fingerprint"];
  const wrong = await NodeHostProcess.start(t, gateway, { args: [...place, "00".repeat(32)] });
  await wrong.printed(/not connected: the gateway's certificate is not the one/);
  await wrong.stop();
  const right = await NodeHostProcess.start(t, gateway, {
    args: [...place, fingerprint],
    folder: join(gateway.folder, "second"),
  });
  await right.printed(/^connected to wss/m);
  // Without being told, a certificate that nobody signed is not trusted.
  const untold = await NodeHostProcess.start(t, gateway, {
    args: place.slice(0, -1),
    folder: join(gateway.folder, "third"),
  });
  await untold.printed(/not connected: .*certificate/);
  assert.doesNotMatch(await gateway.readLog(), new RegExp(untold.id));
});

test("node host (1): a setup code pairs it and approves what it offers, without the gateway's token", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const admin = await gateway.connect();
  const { setupCode } = await admin
    .rpc("device.pair.setupCode", { bootstrapProfile: "node", publicUrl: "ws://127.0.0.1:1" })
    .then(({ setupCode: code }) => {
      // The code names the public address; this test's gateway has only its loopback one.
      const { bootstrapToken } = JSON.parse(Buffer.from(code, "base64url").toString());
      const value = { url: `ws://127.0.0.1:${gateway.port}`, bootstrapToken };
      return { setupCode: Buffer.from(JSON.stringify(value)).toString("base64url") };
    });
  const host = await NodeHostProcess.start(t, gateway, {
    args: ["--setup-code", setupCode],
    env: { OPENCLAW_GATEWAY_TOKEN: "" },
  });
  await host.printed(/^connected/m);
  const approved = async () => (await admin.rpc("node.list")).nodes[0]?.approvalState === "approved";
  while (!(await approved()));
  // It keeps its token when the gateway's answer is in; the gateway may have approved it by then.
  const kept = async () => (await readFile(join(host.files, "gateway.json"), "utf8")).includes("deviceToken");
  while (!(await kept()));
  const wrong = await NodeHostProcess.start(t, gateway, {
    args: ["--setup-code", setupCode],
    env: { OPENCLAW_GATEWAY_TOKEN: "" },
    folder: join(gateway.folder, "second"),
  });
  assert.equal(await wrong.exit(), 1, "a code works once");
  assert.match(wrong.output, /refused this node/);
});

test("nodes: an agent's command runs on a node after approval, and again without one once it is allowed there", async (t) => {
  const { gateway, admin, host } = await approvedHost(t, onNode());
  const first = admin.say("run `uname -s`");
  const question = await asked(admin);
  assert.equal(question.request.host, "node");
  assert.equal(question.request.nodeId, host.id);
  assert.equal(question.request.command, "uname -s");
  assert.equal(question.request.cwd, host.home);
  await admin.rpc("exec.approval.resolve", { id: question.id, decision: "allow-always" });
  assert.match(textOf(await first), /Linux|Darwin/);
  const rules = await admin.rpc("exec.approvals.node.get", { nodeId: host.id });
  assert.match(JSON.stringify(rules.file), /"source":"allow-always"/);
  assert.equal(rules.path, join(host.files, "exec-approvals.json"));
  assert.match(textOf(await admin.say("run `uname -s`")), /Linux|Darwin/);
  assert.equal(admin.events.filter((event) => event.event === "exec.approval.requested").length, 1);

  // other words, another program by that name, another agent: asked again.
  const other = admin.say("run `uname -a`");
  const again = await asked(admin, 1);
  assert.equal(again.request.command, "uname -a");
  await admin.rpc("exec.approval.resolve", { id: again.id, decision: "deny" });
  await other;
  // On the record: what was asked of which node, and how it ended.
  const { rows } = await admin.rpc("audit.list", { limit: 200 });
  const effects = rows.filter((row: Payload) => JSON.stringify(row.facts).includes("node.command"));
  assert.ok(effects.length > 0);
  assert.match(JSON.stringify(effects), new RegExp(host.id));
  // Taken out of the node's rules, it asks again.
  await admin.rpc("exec.approvals.node.set", { nodeId: host.id, file: { version: 1 }, baseHash: rules.hash });
  const stale = await admin.ask("exec.approvals.node.set", {
    nodeId: host.id,
    file: { version: 1 },
    baseHash: rules.hash,
  });
  assert.match(stale.error.message, /changed since last load/);
  const third = admin.say("run `uname -s`");
  await admin.rpc("exec.approval.resolve", { id: (await asked(admin, 2)).id, decision: "deny" });
  assert.match(textOf(await third), /refused|denied/i);
  assert.doesNotMatch(await gateway.readLog(), /"level":"error"/);
});

test("nodes: the stricter of gateway and node decides, in both directions", async (t) => {
  const cases: readonly [gateway: string, rules: unknown, outcome: "runs" | "asks" | "refused"][] = [
    ["full", everything, "runs"],
    ["full", undefined, "asks"],
    ["full", { version: 1, defaults: { security: "full", ask: "always" } }, "asks"],
    ["full", { version: 1, defaults: { security: "deny" } }, "refused"],
    ["full", "{ broken", "refused"],
    ["ask", everything, "asks"],
    ["allowlist", everything, "refused"],
    ["deny", everything, "refused"],
    ["allowlist", { version: 1, agents: { main: { allowlist: [{ pattern: "uname" }] } } }, "runs"],
  ];
  for (const [mode, rules, outcome] of cases) {
    const label = `${mode} / ${JSON.stringify(rules)}`;
    const { gateway, admin, host } = await approvedHost(t, onNode({ mode }), rules);
    const said = admin.say("run `uname -s`");
    const question = asked(admin).then((event) =>
      admin.rpc("exec.approval.resolve", { id: event.id, decision: "allow-once" }),
    );
    question.catch(() => {});
    const text = textOf(await said);
    const wasAsked = admin.events.some((event) => event.event === "exec.approval.requested");
    assert.equal(wasAsked, outcome === "asks", label);
    if (outcome === "refused") assert.doesNotMatch(text, /^Linux/, label);
    else assert.match(text, /Linux|Darwin/, label);
    await host.stop();
    await gateway.kill();
  }
});

test("nodes: A-121, A-039: system.run of an operator goes through approval; what he claims about it counts for nothing", async (t) => {
  const { gateway, admin, host } = await approvedHost(t, { tools: { exec: { mode: "ask" } } });
  const mark = join(host.home, "mark");
  const params = {
    command: ["touch", mark],
    approved: true,
    approvalId: "x",
    approvalDecision: "allow-once",
    security: "full",
    ask: "off",
    systemRunPlan: { argv: ["touch", mark], cwd: "/", commandText: "x" },
  };
  const denied = admin.ask("node.invoke", {
    nodeId: host.id,
    command: "system.run",
    params,
    idempotencyKey: "a",
  });
  const question = await asked(admin);
  await admin.rpc("exec.approval.resolve", { id: question.id, decision: "deny" });
  assert.equal((await denied).error.details.reason, "policy.approval_denied");
  await assert.rejects(stat(mark));
  // what is shown must be what runs.
  const other = await admin.ask("node.invoke", {
    nodeId: host.id,
    command: "system.run",
    params: { command: ["touch", mark], rawCommand: "echo hi" },
    idempotencyKey: "b",
  });
  assert.equal(other.error.details.reason, "command-mismatch");
  const shown = admin.ask("node.invoke", {
    nodeId: host.id,
    command: "system.run",
    params: { command: ["printf", "%s", "a b"] },
    idempotencyKey: "c",
  });
  const next = await asked(admin, 1);
  assert.equal(next.request.command, "printf %s 'a b'");
  await admin.rpc("exec.approval.resolve", { id: next.id, decision: "allow-once" });
  const { payload } = (await shown).payload;
  assert.deepEqual([payload.exitCode, payload.stdout], [0, "a b"]);

  const cli = openclaw(gateway, ["nodes", "run", "--node", "workshop", "--", "sh", "-c", "echo out; exit 3"]);
  const third = await asked(admin, 2);
  assert.deepEqual(
    third.request.allowedDecisions,
    ["allow-once", "deny"],
    "an interpreter is never remembered",
  );
  await admin.rpc("exec.approval.resolve", { id: third.id, decision: "allow-once" });
  const ran = await cli;
  assert.deepEqual([ran.code, ran.stdout], [3, "out\n"]);
});

test("node host (2): A-112, A-121: what changed after it was approved does not run; a plan runs once, as it was", async (t) => {
  const { admin, host } = await approvedHost(t, onNode());
  const script = join(host.home, "job.sh");
  const link = join(host.home, "link");
  await writeFile(script, "#!/bin/sh\necho first\n");
  await chmod(script, 0o755);
  await mkdir(join(host.home, "a"));
  await mkdir(join(host.home, "b"));
  await symlink(join(host.home, "a"), link);
  const swapped = admin.say("run `./job.sh`");
  const question = await asked(admin);
  await writeFile(script, "#!/bin/sh\necho second\n");
  await admin.rpc("exec.approval.resolve", { id: question.id, decision: "allow-once" });
  assert.match(textOf(await swapped), /has changed since it was prepared/);
  // The same for a script that an interpreter is given.
  const given = admin.say("run `sh job.sh`");
  const second = await asked(admin, 1);
  await writeFile(script, "#!/bin/sh\necho third\n");
  await admin.rpc("exec.approval.resolve", { id: second.id, decision: "allow-once" });
  assert.match(textOf(await given), /has changed since it was prepared/);
  // A folder behind a link: the real one is shown and entered, wherever the link leads by then.
  const inLink = admin.ask("node.invoke", {
    nodeId: host.id,
    command: "system.run",
    params: { command: ["pwd", "-P"], cwd: link },
    idempotencyKey: "link",
  });
  const third = await asked(admin, 2);
  assert.equal(third.request.cwd, join(host.home, "a"));
  await unlink(link);
  await symlink(join(host.home, "b"), link);
  await admin.rpc("exec.approval.resolve", { id: third.id, decision: "allow-once" });
  assert.equal((await inLink).payload.payload.stdout.trim(), join(host.home, "a"));
  // variables that redirect programs.
  const loader = await admin.ask("node.invoke", {
    nodeId: host.id,
    command: "system.run",
    params: { command: ["uname"], env: { LD_PRELOAD: "/tmp/x.so" } },
    idempotencyKey: "env",
  });
  assert.match(loader.error.message, /LD_PRELOAD/);
});

test("nodes: A-117: a call cannot choose another machine than the config fixes", async (t) => {
  const gateway = await GatewayProcess.start(t, {
    config: { tools: { exec: { host: "node", node: "cellar" } } },
  });
  const admin = await gateway.connect();
  const text = textOf(await admin.say("run `uname -s`"));
  assert.match(text, /no node \\?"cellar\\?" that may run commands/);
});

test("nodes: a stopped run ends its command on the node, whole tree", async (t) => {
  const { admin, host } = await approvedHost(t, onNode({ mode: "full" }), everything);
  const pidFile = join(host.home, "pid");
  const key = "stop-me";
  await admin.rpc("chat.send", {
    sessionKey: "main",
    message: `run \`sh -c 'echo $$ > ${pidFile}; sleep 600'\``,
    idempotencyKey: key,
  });
  const pid = async (): Promise<number> => Number(await readFile(pidFile, "utf8").catch(() => "0"));
  while (!(await pid()));
  await admin.rpc("chat.abort", { sessionKey: "main" });
  await admin.chatEnd(key);
  const leader = await pid();
  const isAlive = () => {
    try {
      process.kill(leader, 0);
      return true;
    } catch {
      return false;
    }
  };
  while (isAlive()) await new Promise((resolve) => setImmediate(resolve));
});

test("cli: openclaw nodes lists, approves, describes, invokes, renames and removes", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const admin = await gateway.connect();
  const node = await TestNode.connect(gateway, ["system.notify"], { displayName: "bell\u001b[31m" });
  const { requestId } = await TestNode.pendingOf(admin, node.id);
  const ok = async (...words: string[]) => {
    const { code, stdout, stderr } = await openclaw(gateway, ["nodes", ...words]);
    assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
    return stdout;
  };
  assert.match(await ok("pending"), new RegExp(`${requestId}.*pairing,write.*system\\.notify`));
  assert.match(await ok("approve", requestId), /may be asked for: system\.notify/);
  const listed = await ok("list");
  assert.match(listed, /connected/);
  assert.ok(!listed.includes("\u001b[31m"), "a name is no control sequence");
  assert.match(await ok("rename", "--node", node.id.slice(0, 8), "--name", "bell"), /is called bell/);
  assert.equal(JSON.parse(await ok("describe", "--node", "bell", "--json")).nodeId, node.id);
  assert.match(await ok("status", "--connected", "--last-connected", "1h"), /bell/);
  const invoked = ok("invoke", "--node", "bell", "--command", "system.notify", "--params", '{"title":"x"}');
  await node.answer((await node.request()).id, { ok: true });
  assert.match(await invoked, /"ok": true/);
  for (const [words, code, says] of [
    [["invoke", "--node", "bell", "--command", "system.run"], 2, /nodes run/],
    [["describe", "--node", "nobody"], 1, /no node is called/],
    [["reject", "no-such"], 1, /unknown requestId/],
    [["status", "--last-connected", "soon"], 2, /30m, 24h or 7d/],
  ] as const) {
    const failed = await openclaw(gateway, ["nodes", ...words]);
    assert.equal(failed.code, code, words.join(" "));
    assert.match(failed.stderr, says);
  }
  assert.match(await ok("remove", "--node", "bell"), /was removed/);
  assert.match(await ok(), /No node is paired/);
  assert.equal((await admin.ask("node.invoke", invokeParams(node, "system.notify"))).ok, false);
});
