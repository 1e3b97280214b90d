/** Sandboxed sessions on their whole way, in real sandboxes. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

const skip = existsSync("/usr/bin/bwrap")
  ? false
  : "bubblewrap is not installed: no sandbox was tried on this machine";
const isApproval = ({ event }: { event: string }) => event === "exec.approval.requested";

type Call = readonly [tool: string, args: object];

/** A model that makes these calls, one after another, then says what all the results were. */
async function start(t: TestContext, sandbox: object, calls: readonly Call[], more: object = {}) {
  let made = 0;
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) => {
      const call = calls[made];
      if (call === undefined) {
        const results = body.messages.filter(({ role }: { role: string }) => role === "tool");
        return [{ text: `results: ${JSON.stringify(results)}` }];
      }
      made += 1;
      return [{ call: { name: call[0], arguments: JSON.stringify(call[1]), id: `call_${made}` } }];
    },
  });
  t.after(() => model.close());
  const config = modelConfig(model.url) as { agents: { defaults: object } };
  config.agents.defaults = { ...config.agents.defaults, sandbox };
  const gateway = await GatewayProcess.start(t, { config: { ...config, ...more } });
  const workspace = join(gateway.stateFolder, "workspace");
  mkdirSync(workspace, { recursive: true });
  writeFileSync(join(workspace, "agents-own.txt"), "of the agent");
  return { client: await gateway.connect(), workspace, gateway };
}

async function answer(client: GatewayClient, decision: string) {
  const { payload } = await client.waitFor(isApproval);
  await client.rpc("exec.approval.resolve", { id: payload.id, decision });
  return payload.request;
}

const textOf = (ended: { message: { content: { text: string }[] } }) => ended.message.content[0]?.text ?? "";
const all = { mode: "all", backend: "bubblewrap", scope: "session", workspaceAccess: "none" };

test("sandbox (8): the first command asks for entry, a lasting yes lets the next ones in, and the proof is on record", {
  skip,
}, async (t) => {
  const { client, workspace, gateway } = await start(t, all, [
    ["exec", { command: "for x in a b; do echo $x > $x.txt; done; ls /agent ~/.. 2>&1; ls" }],
    ["exec", { command: `cat ${"$"}(echo a).txt; cat /etc/passwd; ls /home; id -u` }],
    ["read", { path: "b.txt" }],
    ["read", { path: "agents-own.txt" }],
  ]);
  const ended = client.say("go");
  const request = await answer(client, "allow-always");
  assert.equal(request.host, "sandbox");
  assert.match(request.warningText, /bubblewrap sandbox without network, for this conversation alone/);
  const text = textOf(await ended);
  assert.equal(client.events.filter(isApproval).length, 1);
  assert.match(text, /a\.txt/);
  assert.match(text, /1000/);
  assert.doesNotMatch(text, /root:x|of the agent/);
  assert.deepEqual(
    readdirSync(workspace).filter((name) => /^[ab]\.txt$/.test(name)),
    [],
  );
  const [folder = ""] = readdirSync(join(gateway.stateFolder, "sandboxes"));
  assert.equal(readFileSync(join(gateway.stateFolder, "sandboxes", folder, "b.txt"), "utf8"), "b\n");
  const { rows } = await client.rpc("audit.list", { limit: 100 });
  const proof = rows.find(
    ({ stage, action }: { stage: string; action: string }) => stage === "sandbox" && action === "proof",
  );
  assert.equal(proof.outcome, "ok");
  assert.ok(proof.facts.held.includes("connect"));
});

test("sandbox (8): a no keeps a command out, and nothing of it ran anywhere", { skip }, async (t) => {
  const { client, workspace, gateway } = await start(t, all, [["exec", { command: "touch out" }]]);
  const ended = client.say("go");
  await answer(client, "deny");
  assert.match(textOf(await ended), /approval_denied/);
  assert.equal(existsSync(join(workspace, "out")), false);
  for (const folder of readdirSync(join(gateway.stateFolder, "sandboxes")))
    assert.deepEqual(readdirSync(join(gateway.stateFolder, "sandboxes", folder)), []);
});

const unavailable: readonly (readonly [what: string, sandbox: object])[] = [
  ["an engine that is not there", { ...all, backend: "docker" }],
  ["a network", { ...all, docker: { network: "host" } }],
  ["a mount", { ...all, docker: { binds: ["/var/run/docker.sock:/s"] } }],
  ["a filter that is off", { ...all, docker: { seccompProfile: "unconfined" } }],
  ["a writable root", { ...all, docker: { readOnlyRoot: false } }],
  ["capabilities", { ...all, docker: { capDrop: [] } }],
  ["an image", { ...all, docker: { image: "x" } }],
];
for (const [what, sandbox] of unavailable)
  test(`sandbox (8), A-131, A-133: a config that asks for ${what} gives no sandbox, and nothing runs instead`, async (t) => {
    const { client, workspace } = await start(t, sandbox, [["exec", { command: "ls" }]], {
      tools: { exec: { mode: "full" } },
    });
    assert.match(textOf(await client.say("go")), /sandbox_unavailable/);
    assert.equal(existsSync(join(workspace, "out")), false);
  });

test("sandbox (8): a sandboxed conversation has no command, and no tool, outside", { skip }, async (t) => {
  const { client, workspace } = await start(
    t,
    { ...all, workspaceAccess: "ro" },
    [
      ["exec", { command: "touch out", host: "gateway" }],
      ["web_fetch", { url: "https://example.com/" }],
      ["exec", { command: "cat /agent/agents-own.txt; touch /agent/out" }],
      ["read", { path: "agents-own.txt" }],
      ["write", { path: "kept.txt", content: "k" }],
      ["exec", { command: "cat kept.txt && echo found" }],
    ],
    { tools: { exec: { mode: "full" } } },
  );
  const text = textOf(await client.say("go"));
  assert.match(text, /sandbox_required.*tool_denied.*of the agent.*Read-only file system.*kfound/s);
  assert.equal(text.split("of the agent").length, 2, "shown once: not by the file tools");
  assert.equal(existsSync(join(workspace, "out")), false);
});

test("sandbox (8): non-main leaves the main conversation as it was; rw works on the agent's files", {
  skip,
}, async (t) => {
  const calls: Call[] = [["exec", { command: "ls" }]];
  const main = await start(t, { ...all, mode: "non-main" }, calls);
  assert.match(textOf(await main.client.say("go")), /agents-own\.txt/);
  assert.deepEqual(readdirSync(join(main.gateway.stateFolder, "sandboxes")), []);
  const other = await start(
    t,
    { ...all, workspaceAccess: "rw" },
    [["exec", { command: "echo x > from-inside" }]],
    {
      tools: { exec: { mode: "full" } },
    },
  );
  await other.client.say("go");
  assert.equal(readFileSync(join(other.workspace, "from-inside"), "utf8"), "x\n");
});

/** How many processes of this machine have the text among their arguments. */
function processesWith(text: string): number {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  }).length;
}

test("sandbox (6): nothing of a sandbox outlives a gateway that is killed", { skip }, async (t) => {
  const sleeping = `sleep 7${process.pid}.5`;
  const { client, gateway } = await start(
    t,
    all,
    [["exec", { command: `setsid ${sleeping} & ${sleeping}`, background: true }]],
    { tools: { exec: { mode: "full" } } },
  );
  await client.say("go");
  while (processesWith(sleeping.slice(6)) < 3) await pause(10);
  await gateway.kill();
  while (processesWith(sleeping.slice(6)) > 0) await pause(10);
});
