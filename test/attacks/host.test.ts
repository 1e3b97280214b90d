/** Attacks on the machine around the gateway: what commands inherit, and what lies in the folders where it starts and works. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { type GatewayClient, RpcError } from "../support/gateway-client.ts";
import { toolScene } from "./scene.ts";

const isApproval = ({ event }: { event: string }) => event === "exec.approval.requested";

/** Says yes to every command, until the test ends. */
function sayYes(client: GatewayClient): void {
  const seen = new Set<string>();
  const answerNext = async (): Promise<void> => {
    const { payload } = await client.waitFor((item) => isApproval(item) && !seen.has(item.payload.id));
    seen.add(payload.id);
    await client.rpc("exec.approval.resolve", { id: payload.id, decision: "allow-once" });
    await answerNext();
  };
  // It ends when its socket does.
  answerNext().catch(() => {});
}

const planted = {
  ANTHROPIC_API_KEY: "canary-anthropic-0123456789",
  AWS_SECRET_ACCESS_KEY: "canary-aws-0123456789",
  GITHUB_TOKEN: "canary-github-0123456789",
  TELEGRAM_BOT_TOKEN: "canary-telegram-0123456789",
  NODE_EXTRA_CA_CERTS: "",
};

test("sandbox (4): a command that was approved finds none of the gateway's secrets in its environment (A-127)", async (t) => {
  const { gateway, client, callAll } = await toolScene(t, {}, planted);
  sayYes(client);
  const commands = [
    "env",
    "cat /proc/self/environ",
    // Of the gateway, and of every process that this user may look at.
    `cat /proc/${gateway.pid}/environ; echo PATH`,
    "cat /proc/$PPID/environ; echo PATH",
    "for shown in /proc/[0-9]*/environ; do cat $shown; done",
    "sh -c 'export -p; set'",
    "node -e 'console.log(process.env)'",
  ];
  const said = await callAll(commands.map((command) => ["exec", { command }]));
  for (const [index, text] of said.entries()) {
    assert.match(text, /PATH/, `${commands[index]} ${text}`);
    assert.doesNotMatch(text, new RegExp(`canary|${gatewayToken}`), commands[index]);
  }
});

test("main: nothing that lies in the folder where it starts or in a workspace is read as settings or run (A-128, A-129, A-216)", async (t) => {
  const gateway = await GatewayProcess.prepare(t);
  const workspace = join(gateway.stateFolder, "workspace");
  mkdirSync(workspace);
  const canary = join(gateway.folder, "canary");
  const code = `require("node:fs").writeFileSync(${JSON.stringify(canary)}, "run");`;
  const lines = [
    "OPENCLAW_GATEWAY_TOKEN=known-to-the-attacker-0123456789",
    "openclaw_gateway_token=known-to-the-attacker-0123456789",
    "OPENCLAW_STATE_DIR=.",
    "STATE_DIRECTORY=.",
    "OPENCLAW_BUNDLED_HOOKS_DIR=./hooks",
    "NODE_OPTIONS=--require ./e.js",
    "npm_execpath=./e.js",
    "ANTHROPIC_BASE_URL=http://127.0.0.1:1",
    "HTTPS_PROXY=http://127.0.0.1:1",
    "OPENCLAW_LOG_LEVEL=silent",
  ].join("\n");
  for (const folder of [gateway.folder, workspace]) {
    writeFileSync(join(folder, ".env"), lines);
    writeFileSync(join(folder, "e.js"), code);
    writeFileSync(join(folder, "setup-api.js"), code);
    writeFileSync(join(folder, ".npmrc"), "script-shell=./e.js\n");
    writeFileSync(join(folder, ".node-version"), "0.0.0\n");
    writeFileSync(join(folder, "package.json"), '{"name":"openclaw","main":"e.js","type":"commonjs"}');
    for (const name of ["ws", "grammy", "eventsource-parser", "openclaw"]) {
      mkdirSync(join(folder, "node_modules", name), { recursive: true });
      writeFileSync(join(folder, "node_modules", name, "index.js"), code);
    }
    for (const name of ["git", "trash", "brew", "node", "sh"]) {
      writeFileSync(join(folder, name), `#!/bin/sh\necho run > ${canary}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    mkdirSync(join(folder, "hooks"));
    writeFileSync(join(folder, "hooks", "index.js"), code);
  }
  await gateway.start();
  const client = await gateway.connect();
  assert.equal((await client.say("hello")).state, "final");
  await assert.rejects(gateway.connect({ token: "known-to-the-attacker-0123456789" }), RpcError);
  assert.equal(existsSync(canary), false);
  assert.equal(existsSync(join(gateway.folder, "openclaw.json")), false);
  assert.ok(readdirSync(gateway.stateFolder).includes("state"));
});

test("policy (6): a repository's own programs do not run: git asks, also for its status, and a yes is for git alone (A-116)", async (t) => {
  const { client, workspace, callAll } = await toolScene(t);
  mkdirSync(join(workspace, ".git", "hooks"), { recursive: true });
  writeFileSync(
    join(workspace, ".git", "config"),
    '[core]\n\tfsmonitor = "touch canary"\n\tsshCommand = "touch canary"\n[diff]\n\texternal = "touch canary"\n',
  );
  const said = callAll([["exec", { command: "git status" }]]);
  const { payload } = await client.waitFor(isApproval);
  assert.equal(payload.request.command, "git status");
  assert.equal(existsSync(join(workspace, "canary")), false);
  await client.rpc("exec.approval.resolve", { id: payload.id, decision: "deny" });
  assert.match((await said)[0] ?? "", /policy\.approval_denied/);
  assert.equal(existsSync(join(workspace, "canary")), false);
});

test("policy (3): a question that waits when the gateway is killed is not answered by its coming back (A-118)", async (t) => {
  const { gateway, client, workspace, callAll } = await toolScene(t, {
    tools: { exec: { ask: "on-miss", security: "allowlist" } },
  });
  callAll([["exec", { command: "touch made" }]]).catch(() => {});
  await client.waitFor(isApproval);
  for (let round = 0; round < 2; round++) {
    await gateway.kill();
    await gateway.start();
  }
  const again = await gateway.connect();
  const pending = await again.rpc("exec.approval.list", {});
  assert.equal(pending.length, 1);
  assert.equal(existsSync(join(workspace, "made")), false);
  await again.rpc("exec.approval.resolve", { id: pending[0].id, decision: "deny" });
  assert.equal(
    (await again.ask("exec.approval.resolve", { id: pending[0].id, decision: "allow-once" })).ok,
    false,
  );
  assert.equal(existsSync(join(workspace, "made")), false);
});

test("policy (3): typing into a running program asks like a command, and another session's program is not there (A-122)", async (t) => {
  const { client, workspace, callAll } = await toolScene(t);
  const started = callAll([["exec", { command: "cat", background: true }]]);
  const first = await client.waitFor(isApproval);
  await client.rpc("exec.approval.resolve", { id: first.payload.id, decision: "allow-once" });
  const id = /session\W+([\w-]+)|\b(cmd[\w-]+|[0-9a-f]{8}[\w-]*)/i.exec((await started)[0] ?? "");
  assert.ok(id, "the call names its process");
  // Each callAll is a conversation of its own.
  const names = [...new Set([id[1], id[2], "1", "0"].filter((name) => name !== undefined))];
  for (const action of ["poll", "write", "kill", "log", "submit"]) {
    const said = await Promise.race([
      callAll(names.map((sessionId) => ["process", { action, sessionId, data: "touch canary\n" }])),
      client
        .waitFor((item) => isApproval(item) && item.payload.id !== first.payload.id)
        .then(({ payload }) => client.rpc("exec.approval.resolve", { id: payload.id, decision: "deny" }))
        .then(() => ["policy.approval_denied"]),
    ]);
    for (const text of said)
      assert.match(text, /policy\.approval_denied|There is no command/, `${action} ${text}`);
  }
  assert.equal(existsSync(join(workspace, "canary")), false);
});

test("policy (1): a tool is found by its exact name; no hint, title or spelling makes another one of it (A-124)", async (t) => {
  const { client, workspace, callAll } = await toolScene(t);
  const args = { command: "touch canary", kind: "read", title: "Read file", path: "." };
  const names = [
    "Exec",
    "EXEC",
    "exec_",
    "read_exec",
    "functions.exec",
    "default_api-exec",
    "tool_exec",
    "system-run",
  ];
  for (const [index, text] of (await callAll(names.map((name) => [name, args]))).entries())
    assert.match(
      text,
      /policy\.tool_unknown|policy\.arguments_invalid|There is no such tool/,
      `${names[index]} ${text}`,
    );
  const [hinted = ""] = await callAll([
    ["exec", { command: "touch canary", kind: "read", approved: true, security: "full", ask: "off" }],
  ]);
  assert.match(hinted, /policy\.arguments_invalid/);
  assert.equal(client.events.filter(isApproval).length, 0);
  assert.equal(existsSync(join(workspace, "canary")), false);
});
