/** Attacks on side doors: helpers, browsers, plugins and bridges that gateways of this kind have beside their own door. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { WebSocket } from "ws";
import { freePort, GatewayProcess, gatewayToken } from "../support/gateway.ts";
import type { Payload } from "../support/gateway-client.ts";

/** What a process listens on, as "address:port": TCP of both families, from the kernel's own tables. */
function listening(pid: number): readonly string[] {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed since the folder was read.
    }
  }
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((cells) => cells[3] === "0A" && inodes.has(cells[9] ?? ""))
      .map(([, local = ""]) => `${local.split(":")[0]}:${Number.parseInt(local.split(":")[1] ?? "", 16)}`),
  );
}

test("network (7): the gateway listens once, on loopback; no relay, bridge or helper stands beside it (A-015)", {
  skip: process.platform !== "linux",
}, async (t) => {
  const gateway = await GatewayProcess.start(t, {
    config: { hooks: { enabled: true, token: "h".repeat(32) } },
  });
  // Whatever path a socket asks for, it meets the handshake: words of a browser's protocol close it.
  for (const path of ["/cdp", "/extension", "/devtools/browser/x", "/websockify", "/mcp", "/media-stream"]) {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`);
    const frames: string[] = [];
    socket.on("message", (data) => frames.push(String(data)));
    socket.on("open", () => socket.send('{"id":1,"method":"Target.getTargets"}'));
    socket.on("error", () => {});
    const code = await new Promise((resolve) => socket.on("close", resolve));
    assert.equal(code, 1008, path);
    assert.ok(!frames.some((frame) => /targetInfos|webSocketDebuggerUrl|hello-ok/.test(frame)), path);
  }
  // Last, so that what would open a moment after the start is seen too.
  assert.deepEqual(listening(gateway.pid), [`0100007F:${gateway.port}`]);
});

/** Until its channels are open a gateway asks whoever posts to come again: any path could be a webhook's. */
async function settled(base: string): Promise<void> {
  while ((await fetch(`${base}/nothing`, { method: "POST" })).status === 503);
}

const helpers = [
  "/config.json",
  "/__openclaw/control-ui-config.json",
  "/avatar/main?meta=1",
  "/__openclaw__/canvas/index.html",
  "/__openclaw__/a2ui/index.html",
  "/metrics",
  "/vnc.html",
  "/novnc/vnc.html",
  "/sandbox/novnc?token=x",
  "/profiles",
  "/tabs",
  "/json/version",
  "/json/list",
  "/mcp",
  "/api/channels/x",
  "/api/channels/nostr/default/profile",
  "/media/x.png",
  "/plug/hook",
] as const;

test("network (5): pages, media, metrics and helpers of other gateways are not served, with and without a guest at the same address (A-013)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  await gateway.connect();
  const base = gateway.url.replace(/\/$/, "");
  await settled(base);
  for (const path of helpers) {
    const answer = await fetch(`${base}${path}`);
    assert.equal(answer.status, 404, path);
    assert.doesNotMatch(await answer.text(), new RegExp(`${gateway.folder}|${gatewayToken}`), path);
  }
  // The page's shell is for everybody and knows nothing of this gateway.
  const page = await (await fetch(`${base}/`)).text();
  assert.doesNotMatch(page, new RegExp(`${gateway.folder}|${gatewayToken}|demo/demo`));
  for (const path of ["/auth/session"]) assert.equal((await fetch(`${base}${path}`)).status, 401, path);
});

test("network (5): a webhook of a platform that has none here, and a plugin's route, run nothing for anybody (A-011, A-172, A-174, A-175, A-176, A-177, A-179)", async (t) => {
  const hookToken = "test-hook-token-0123456789abcdef";
  const gateway = await GatewayProcess.start(t, { config: { hooks: { enabled: true, token: hookToken } } });
  const client = await gateway.connect();
  await client.say("remember this");
  const base = gateway.url.replace(/\/$/, "");
  await settled(base);
  const body = JSON.stringify({
    events: [],
    type: 1,
    method: "sessions.delete",
    params: { key: "agent:main:main" },
  });
  for (const path of [
    ...["/plug/hook", "/plugins/x/hook", "/api/channels/x", "/discord/interactions", "/line/webhook"],
    ...[
      "/feishu/events",
      "/googlechat",
      "/api/messages",
      "/voice/webhook",
      "/twilio",
      "/bluebubbles-webhook",
    ],
    ...["/slack/events", "/mattermost/command", "/qqbot/forward"],
  ])
    for (const headers of [
      { "content-type": "application/json" },
      { "content-type": "application/json", "x-forwarded-host": "good.example" },
      {
        "content-type": "application/json",
        "x-signature-ed25519": "0".repeat(128),
        "x-signature-timestamp": "1",
      },
      { "content-type": "application/json", authorization: `Bearer ${gatewayToken}` },
    ] as Record<string, string>[]) {
      const { status } = await fetch(`${base}${path}`, { method: "POST", headers, body });
      // Forwarding headers without a trusted proxy are refused before any route.
      assert.ok([403, 404, 405].includes(status), `${path} ${status} ${JSON.stringify(headers)}`);
    }
  // The gateway's own hooks: that a request comes from this machine, or brings an empty secret, proves nothing.
  for (const authorization of ["", "Bearer", "Bearer ", `Bearer ${gatewayToken}`])
    for (const path of ["/hooks/wake", "/hooks/agent"]) {
      const headers = {
        "content-type": "application/json",
        ...(authorization === "" ? {} : { authorization }),
      };
      const answer = await fetch(`${base}${path}?password=`, {
        method: "POST",
        headers,
        body: '{"text":"x","message":"x"}',
      });
      assert.ok([400, 401].includes(answer.status), `${path} "${authorization}" ${answer.status}`);
    }
  const { messages } = await client.rpc("chat.history", { sessionKey: "agent:main:main" });
  const right = { "content-type": "application/json", authorization: `Bearer ${hookToken}` };
  const known = await fetch(`${base}/hooks/wake`, { method: "POST", headers: right, body: '{"text":"x"}' });
  assert.equal(known.status, 200);
  assert.match(JSON.stringify(messages), /remember this/);
  assert.equal(messages.filter((message: Payload) => message.role === "user").length, 1);
});

test("compose: a state folder that cannot be written refuses the start, and nothing listens without a secret (A-014)", async (t) => {
  const port = await freePort();
  const gateway = await GatewayProcess.prepare(t, { configured: false, port });
  // A file where the folder must be: also root cannot make a secret there.
  writeFileSync(gateway.stateFolder, "not a folder");
  const failed = await gateway.startFails();
  assert.notEqual(failed.code, 0);
  assert.match(failed.stderr + failed.stdout, /state/);
  await assert.rejects(
    new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(socket.destroy()));
      socket.on("error", reject);
    }),
    /ECONNREFUSED/,
  );
  assert.equal(readFileSync(gateway.stateFolder, "utf8"), "not a folder");
});

test("compose: with the folder writable the same first run starts, and made itself a secret (A-014, control)", async (t) => {
  const gateway = await GatewayProcess.prepare(t, { configured: false });
  await gateway.start();
  const answer = await fetch(new URL("/v1/models", gateway.url));
  assert.ok(answer.status >= 400);
  const socket = await gateway.socket();
  const { error } = await socket.ask("connect", {
    minProtocol: 4,
    maxProtocol: 4,
    client: { id: "cli", version: "1", platform: "linux", mode: "cli" },
    role: "operator",
    scopes: ["operator.admin"],
  });
  assert.equal(error?.code, "NOT_PAIRED");
});

const browserPaths = [
  ["POST", "/profiles/create"],
  ["POST", "/profiles/create/"],
  ["POST", "/%70rofiles/create"],
  ["DELETE", "/profiles/x"],
  ["POST", "/reset-profile"],
] as const;

test("control (2): a browser's profiles are changed through no spelling of the path, by no scope (A-040, A-170)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const before = readdirSync(gateway.stateFolder, { recursive: true }).filter((name) =>
    /profile|browser/i.test(String(name)),
  );
  for (const scope of ["operator.read", "operator.write", "operator.pairing", "operator.admin"]) {
    const client = await gateway.connect({ scopes: [scope] });
    for (const [method, path] of browserPaths) {
      const answer = await client.ask("browser.request", {
        method,
        path,
        body: { cdpUrl: "http://evil.example" },
      });
      assert.equal(answer.ok, false, `${scope} ${path}`);
      if (scope !== "operator.admin") assert.equal(answer.error.code, "FORBIDDEN", `${scope} ${path}`);
      const proxied = await client.ask("node.invoke", {
        nodeId: "any",
        command: "browser.proxy",
        params: { method, path },
        idempotencyKey: "k",
      });
      assert.equal(proxied.ok, false, `${scope} ${path}`);
    }
  }
  const after = readdirSync(gateway.stateFolder, { recursive: true }).filter((name) =>
    /profile|browser/i.test(String(name)),
  );
  assert.deepEqual(after, before);
});

test("tools (5): no tool that a model is offered has a field for a gateway's address, and none takes one (A-028, A-076, A-087, A-149, A-154, A-169, A-226, A-251)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect();
  const catalog = await client.rpc("tools.catalog", { agentId: "main" });
  const names: string[] = catalog.groups.flatMap((group: Payload) =>
    group.tools.map((tool: Payload) => tool.id),
  );
  assert.deepEqual(names.sort(), [
    "apply_patch",
    "edit",
    "exec",
    "extract",
    "process",
    "read",
    "undo",
    "web_fetch",
    "write",
  ]);
  assert.doesNotMatch(JSON.stringify(catalog), /gatewayUrl|gatewayToken|gateway_url/i);
  writeFileSync(join(gateway.stateFolder, "workspace", "note.txt"), "note");
  const before = readFileSync(gateway.configFile, "utf8");
  for (const gatewayUrl of ["ws://169.254.169.254:80", "ws://127.0.0.1:22", "wss://collector.test"])
    for (const [name, args] of [
      ["read", { path: "note.txt" }],
      ["write", { path: "other.txt", content: "x" }],
      ["web_fetch", { url: "https://example.com/" }],
      ["gateway", { action: "config.patch", raw: '{"tools":{"exec":{"ask":"off"}}}' }],
      ["nodes", { action: "status" }],
      ...["Command", "COMMAND", "command ", "systemEvent", 1].map(
        (kind) => ["cron", { action: "add", payload: { kind, command: "touch C" } }] as const,
      ),
      ["subagents", { action: "kill", target: "main" }],
      ["sessions_spawn", { task: "x" }],
      ["message", { action: "read", channelId: "excluded" }],
      ["message", { action: "send", media: "/etc/passwd", attachments: [{ path: "/etc/passwd" }] }],
      ["read", { path: "note.txt", mediaUrl: "/etc/passwd" }],
      ["whatsapp_login", { force: true }],
      ["mcp", { action: "set" }],
      ["browser", { action: "open", url: "http://127.0.0.1/" }],
      ["browser", { action: "upload", paths: ["/etc/passwd"] }],
    ] as const) {
      const answer = await client.ask("tools.invoke", { name, args: { ...args, gatewayUrl } });
      assert.match(
        JSON.stringify(answer),
        /policy\.(?:tool_unknown|tool_not_found|arguments_invalid|tool_[a-z_]+)/,
        name,
      );
      assert.notEqual(answer.payload?.ok, true, name);
    }
  assert.equal((await client.rpc("tools.invoke", { name: "read", args: { path: "note.txt" } })).ok, true);
  assert.equal(readFileSync(gateway.configFile, "utf8"), before);
});
