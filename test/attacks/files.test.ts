/** Attacks on files through the gateway's own tools: each way out of the workspace, each tool, with what must keep working. */
import assert from "node:assert/strict";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { type ToolCall, toolScene } from "./scene.ts";

/** Each tool that takes a path, asked to touch this one. */
const touches: readonly ((path: string) => ToolCall)[] = [
  (path) => ["read", { path }],
  (path) => ["write", { path, content: "x" }],
  (path) => ["edit", { path, oldText: "THE SECRET", newText: "x" }],
  (path) => ["apply_patch", { input: patch(`*** Add File: ${path}\n+x`) }],
  (path) => ["apply_patch", { input: patch(`*** Delete File: ${path}`) }],
  (path) => ["apply_patch", { input: patch(`*** Update File: ${path}\n@@\n-THE SECRET\n+x`) }],
  (path) => [
    "apply_patch",
    { input: patch(`*** Update File: mine.txt\n*** Move to: ${path}\n@@\n-mine\n+yours`) },
  ],
];

const patch = (body: string) => `*** Begin Patch\n${body}\n*** End Patch`;

test("sandbox (1): no tool takes a path that leads outside, however it is written, and says nothing of what is there (A-143)", async (t) => {
  const { workspace, outside, callAll, gateway } = await toolScene(t);
  writeFileSync(join(workspace, "mine.txt"), "mine\n");
  mkdirSync(`${workspace}-evil`);
  writeFileSync(join(`${workspace}-evil`, "x"), "THE SECRET\n");
  const paths = [
    "../../out/secret",
    "../openclaw.json",
    join(outside, "secret"),
    "/etc/passwd",
    "~/.ssh/id_rsa",
    "~root/x",
    "$HOME/x",
    "$" + "{HOME}/x",
    "file:///etc/passwd",
    join(`${workspace}-evil`, "x"),
    `${workspace}/../openclaw.json`,
    "\\..\\..\\x",
    "C:\\x",
    "\\\\?\\C:\\x",
    "//server/share",
    "a\0/../../etc/passwd",
    "/proc/self/root/etc/passwd",
    "/proc/self/cwd/..",
    "/proc/self/environ",
    "/dev/fd/0",
  ];
  const calls = paths.flatMap((path) => touches.map((touch) => touch(path)));
  const said = await callAll(calls);
  for (const [index, text] of said.entries()) {
    assert.match(text, /outside the workspace|control characters/, `${JSON.stringify(calls[index])} ${text}`);
    assert.doesNotMatch(text, new RegExp(`THE SECRET|root:|${gatewayToken}`));
  }
  // Whether the target exists makes no difference to the words.
  const words = await callAll(["/etc/passwd", "/etc/no-such"].map((path) => ["read", { path }]));
  const plain = words.map((text) => text.replaceAll(/passwd|no-such|[0-9a-f]{8,}/g, ""));
  assert.equal(plain[0], plain[1]);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "THE SECRET\n");
  assert.equal(readFileSync(join(workspace, "mine.txt"), "utf8"), "mine\n");
  assert.deepEqual(readdirSync(outside), ["secret"]);
  assert.match(readFileSync(gateway.configFile, "utf8"), /loopback/);
});

test("sandbox (1): names that only look like a way out are read and written (A-143, control)", async (t) => {
  const { callAll, workspace } = await toolScene(t);
  const paths = ["..note.txt", "a..b/c.txt", "ünï.txt", "名前.md", "n".repeat(200), "$id.tsx", "@scope/pkg"];
  await callAll(paths.map((path) => ["write", { path, content: "kept" }]));
  const said = await callAll(paths.map((path) => ["read", { path: join(workspace, path) }]));
  for (const [index, text] of said.entries()) {
    assert.match(text, /kept/, paths[index]);
    assert.equal(readFileSync(join(workspace, paths[index] ?? ""), "utf8"), "kept");
  }
});

test("sandbox (1): links to files and folders outside, dangling ones and hard links lead nowhere, for every tool (A-145)", async (t) => {
  const { workspace, outside, callAll } = await toolScene(t);
  writeFileSync(join(workspace, "mine.txt"), "mine\n");
  symlinkSync(join(outside, "secret"), join(workspace, "link"));
  symlinkSync(outside, join(workspace, "folder"));
  symlinkSync(join(outside, "new"), join(workspace, "dangling"));
  symlinkSync("/proc/self/root", join(workspace, "root"));
  linkSync(join(outside, "secret"), join(workspace, "hard"));
  const paths = ["link", "folder/secret", "folder/x", "folder/z/x", "dangling", "hard", "root/etc/passwd"];
  const calls = paths
    .flatMap((path) => touches.map((touch) => touch(path)))
    // Taking the link itself away is no way out.
    .filter((call) => !/Delete File: (?:link|dangling|hard)"?/.test(JSON.stringify(call)));
  const said = await callAll(calls);
  for (const [index, text] of said.entries()) {
    assert.match(text, /link|not a real folder|exists already/, `${JSON.stringify(calls[index])} ${text}`);
    assert.doesNotMatch(text, /THE SECRET|root:x/);
  }
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "THE SECRET\n");
  assert.deepEqual(readdirSync(outside), ["secret"]);
  const [listing = ""] = await callAll([["read", { path: "folder" }]]);
  assert.doesNotMatch(listing, /secret/);
  await callAll([["apply_patch", { input: patch("*** Delete File: link") }]]);
  assert.equal(existsSync(join(outside, "secret")), true);
});

test("sandbox (1): a link to another file of the workspace is read; written is the file by its own name (A-145, B-06)", async (t) => {
  const { callAll, workspace } = await toolScene(t);
  writeFileSync(join(workspace, "mine.txt"), "mine\n");
  symlinkSync("mine.txt", join(workspace, "link"));
  const [link = "", written = ""] = await callAll([
    ["read", { path: "link" }],
    ["write", { path: "link", content: "x" }],
  ]);
  assert.match(link, /mine/);
  assert.match(written, /symbolic link/);
  assert.equal(readFileSync(join(workspace, "mine.txt"), "utf8"), "mine\n");
});

test("compose: a file that the agent is told, but that is a link or has a second name, does not reach the model (A-153)", async (t) => {
  const { workspace, outside, callAll, model } = await toolScene(t);
  writeFileSync(join(workspace, "TOOLS.md"), "a plain note\n");
  for (const name of ["AGENTS.md", "SOUL.md"]) rmSync(join(workspace, name), { force: true });
  symlinkSync(join(outside, "secret"), join(workspace, "AGENTS.md"));
  linkSync(join(outside, "secret"), join(workspace, "SOUL.md"));
  await callAll([["read", { path: "." }]]);
  const asked = JSON.stringify(model.requests[0]?.body);
  assert.match(asked, /a plain note/);
  assert.doesNotMatch(asked, /THE SECRET/);
});

test("tools (5): there is no tool that searches, and a listing shows the workspace only (A-147)", async (t) => {
  const { callAll, workspace, outside } = await toolScene(t);
  mkdirSync(join(workspace, "sub"));
  symlinkSync(outside, join(workspace, "sub", "away"));
  const said = await callAll([
    ["grep", { pattern: "SECRET", root: outside }],
    ["glob", { pattern: "*", cwd: "/" }],
    ["find", { path: outside }],
    ["ls", { path: outside }],
    ["read", { path: outside }],
    ["read", { path: "sub/away" }],
    ["read", { path: ".", root: outside }],
    ["read", { path: ".", cwd: "/" }],
  ]);
  for (const text of said) {
    assert.match(text, /policy\.|outside the workspace|symbolic link/, text);
    assert.doesNotMatch(text, /secret|THE SECRET/);
  }
  const [listing = ""] = await callAll([["read", { path: "sub" }]]);
  assert.match(listing, /away/);
  assert.doesNotMatch(listing, /secret/);
});

test("session (2), control (3): names of sessions, agents, runs and accounts are never a path (A-152)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const client = await gateway.connect();
  const before = readdirSync(gateway.folder, { recursive: true, encoding: "utf8" }).sort();
  const names = ["../../../../etc/passwd", "/etc/passwd", "..", "a/../../b", "__proto__", "a\0b", "\\..\\x"];
  for (const name of names)
    for (const [method, params] of [
      ["agents.create", { name, workspace: join(gateway.folder, "w") }],
      ["agents.update", { agentId: name, name: "x" }],
      ["agents.files.get", { agentId: name, name: "AGENTS.md" }],
      ["agents.files.set", { agentId: name, name: "AGENTS.md", content: "x" }],
      ["agents.files.set", { agentId: "main", name, content: "x" }],
      ["sessions.create", { key: `agent:${name}:main` }],
      ["sessions.get", { key: name }],
      ["chat.send", { sessionKey: `agent:${name}:main`, message: "x", idempotencyKey: name }],
      ["channels.pairing.approve", { channel: "telegram", accountId: name, requestId: "ABCDEFGH" }],
      ["cron.runs", { jobId: name }],
      ["logs.tail", { file: name, cursor: 0 }],
    ] as const) {
      const { ok, payload } = await client.ask(method, params);
      if (ok && !["agents.create", "sessions.get", "cron.runs", "logs.tail"].includes(method))
        assert.fail(`${method} ${JSON.stringify(name)} ${JSON.stringify(payload)}`);
      assert.doesNotMatch(JSON.stringify(payload ?? ""), /root:x:/, `${method} ${name}`);
    }
  const grown = readdirSync(gateway.folder, { recursive: true, encoding: "utf8" })
    .filter((file) => !before.includes(String(file)))
    .map(String);
  assert.deepEqual(
    grown.filter((file) => !/^(?:state\/|home\/|gateway\.log|w(?:\/|$))/.test(file)),
    [],
  );
  assert.ok(!existsSync(join(gateway.folder, "AGENTS.md")));
  assert.ok(!existsSync(join(gateway.stateFolder, "AGENTS.md")));
});

test("network (8): the page's files are those that it came with, whatever the path says (A-157)", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const { request } = await import("node:http");
  const statusOf = (path: string) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      request({ host: "127.0.0.1", port: gateway.port, path }, (response) => {
        let text = "";
        response.on("data", (part) => {
          text += part;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      })
        .on("error", reject)
        .end();
    });
  for (const path of [
    "/assets/..%2f..%2f..%2fetc/passwd",
    "/assets/%2e%2e/%2e%2e/package.json",
    "/assets/../../package.json",
    "/assets/..%5c..%5cpackage.json",
    "/assets//etc/passwd",
    "/assets/%00",
    "/media/..%5c",
    "/avatar/..",
    "/avatar/../../openclaw.json",
  ]) {
    const { status, text } = await statusOf(path);
    assert.ok([400, 404].includes(status), `${path} ${status}`);
    assert.doesNotMatch(text, /root:|"version"|gateway-test-/, path);
  }
  assert.equal((await statusOf("/health")).status, 200);
  assert.equal(lstatSync(gateway.configFile).isFile(), true);
});
