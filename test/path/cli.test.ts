import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { programFile } from "../support/program.ts";

/** The command line as people use it: child processes, a real gateway, exit codes. */

let folder = "";
let gateway: ChildProcess;
let port = "";

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, HOME: folder, OPENCLAW_STATE_DIR: join(folder, "state"), ...more };
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [programFile, ...args], { env: environment(env), stdio: "pipe" });
}

async function startGateway(onPort: string): Promise<{ process: ChildProcess; port: string }> {
  const child = start(["gateway", "run", "--port", onPort, "--grace", "1"]);
  let out = "";
  let err = "";
  child.stderr?.on("data", (chunk) => {
    err += chunk;
  });
  return new Promise((resolve, reject) => {
    child.stdout?.on("data", (chunk) => {
      out += chunk;
      const found = /ready on http:\/\/127\.0\.0\.1:(\d+)/.exec(out);
      if (found?.[1]) resolve({ process: child, port: found[1] });
    });
    child.on("exit", () => reject(new Error(`the gateway did not start: ${out}${err}`)));
  });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.on("exit", () => resolve());
  });
}

/** Runs one command to its end. */
async function run(
  args: readonly string[],
  options: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Result> {
  const child = start(args, { OPENCLAW_GATEWAY_PORT: port, ...options.env });
  let out = "";
  let err = "";
  child.stdout?.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    err += chunk;
  });
  child.stdin?.end(options.input ?? "");
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cli-"));
  ({ process: gateway, port } = await startGateway("0"));
});
after(async () => {
  gateway.kill("SIGKILL");
  await ended(gateway);
  await rm(folder, { recursive: true, force: true });
});

test("an answer of the agent is printed, and why tells its way", async () => {
  const plain = await run(["agent", "--message", "hello"]);
  assert.equal(plain.code, 0, plain.err);
  assert.match(plain.out, /^\[demo model\] Hello/);
  const json = JSON.parse((await run(["agent", "--message", "hello", "--json"])).out);
  assert.equal(json.summary, "completed");
  const why = await run(["why", json.runId]);
  assert.match(why.out, /auth +admit/);
  assert.match(why.out, /begins model\.call/);
});

test("cli (5): what an agent says is never sent to the terminal raw", async () => {
  const { out } = await run(["agent", "--message", "\x1b]0;owned\x07 \u202eabc", "--session-key", "inject"]);
  assert.match(out, /\\x1b\]0;owned\\x07 \\u202eabc/);
  const chat = await run(["chat", "--session", "inject"], { input: "\x1b[2Jx\n" });
  assert.match(chat.out, /\\x1b\[2Jx/);
  const sessions = await run(["sessions"]);
  for (const text of [out, chat.out, sessions.out]) {
    assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\u202e]/u);
  }
});

const queries: readonly (readonly [args: readonly string[], text: RegExp, key: string])[] = [
  [["health"], /The gateway is well/, "ok"],
  [["status"], /demo\/demo \(offline demonstration, not a real model\)/, "runtimeVersion"],
  [["sessions", "list", "--limit", "5"], /agent:main:/, "sessions"],
  [["models", "list"], /demo\/demo/, "models"],
  [["channels", "status"], /No channel/, "channelOrder"],
  [["agents", "list"], /^AGENT/, "agents"],
  [["usage"], /total/, "totals"],
  [["gateway", "probe"], /admin capable/, "capability"],
  [["gateway", "status"], /running/, "running"],
  [["pairing", "list"], /Nobody waits/, "requests"],
  [["audit", "list", "--kind", "verdict"], /STAGE/, "rows"],
  [["audit", "verify"], /^intact/, "intact"],
  [["dashboard"], /#signin=/, "url"],
];
for (const [args, text, key] of queries) {
  test(`${args.join(" ")} prints for people and for scripts`, async () => {
    const [plain, json] = await Promise.all([run(args), run([...args, "--json"])]);
    assert.deepEqual([plain.code, json.code], [0, 0], plain.err + json.err);
    assert.match(plain.out, text);
    assert.ok(!plain.out.includes("\x1b"), "no colours in a pipe");
    assert.ok(key in JSON.parse(json.out));
  });
}

test("gateway call gives the answer, and a refusal with exit code 1", async () => {
  const [list, refused, narrow] = await Promise.all([
    run(["gateway", "call", "sessions.list", "--params", '{"limit":1}']),
    run(["gateway", "call", "no.such"]),
    run(["gateway", "call", "config.patch", "--params", '{"raw":"{}"}', "--scope", "operator.read"]),
  ]);
  assert.equal(JSON.parse(list.out).limitApplied, 1);
  assert.deepEqual([refused.code, narrow.code], [1, 1]);
  assert.match(refused.err, /unknown method/);
  assert.match(narrow.err, /missing scope: operator\.admin/);
});

test("logs come from the gateway, or from the file when none answers", async () => {
  const [live, json] = await Promise.all([run(["logs"]), run(["logs", "--json", "--limit", "1"])]);
  assert.match(live.out, /info {2}ready/);
  assert.equal(typeof JSON.parse(json.out).message, "string");
  const file = await run(["logs", "--port", "1"]);
  assert.equal(file.code, 0, file.err);
  assert.match(file.err, /no gateway answers[^\n]*\nreading/);
});

// In the main conversation, because a first run keeps the others in sandboxes where it can.
test("a question of the agent is shown with what will run, and answered in the chat", async () => {
  const marked = "run `touch made-by-chat`\n";
  const allowed = await run(["chat", "--session", "main"], { input: `${marked}a\n` });
  assert.equal(allowed.code, 0, allowed.err);
  assert.match(allowed.out, /runs +touch made-by-chat\n/);
  assert.match(allowed.out, /in +.*workspace\n/);
  assert.match(allowed.out, /✓ exec touch made-by-chat/);
  await readFile(join(folder, "state", "workspace", "made-by-chat"));
  const denied = await run(["chat", "--session", "main"], { input: "run `touch never`\nno idea\nd\n" });
  assert.match(denied.out, /Answer with allow-once/);
  assert.match(denied.out, /✗ exec touch never/);
  await assert.rejects(readFile(join(folder, "state", "workspace", "never")));
});

test("an agent that waits for a yes says so, and Ctrl-C stops it", async () => {
  const child = start(["agent", "--message", "run `touch waits`", "--session-key", "waits"], {
    OPENCLAW_GATEWAY_PORT: port,
  });
  let err = "";
  const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
  await new Promise<void>((resolve) => {
    child.stderr?.on("data", (chunk) => {
      err += chunk;
      if (err.includes("approvals pending")) resolve();
    });
    child.on("close", () => resolve());
  });
  child.kill("SIGINT");
  assert.equal(await closed, 1);
  assert.match(err, /stopping the agent/);
  assert.equal(JSON.parse((await run(["approvals", "--json"])).out).length, 0);
});

test("nobody's yes is taken for granted: a chat whose input ends leaves the question open", async () => {
  const left = await run(["chat", "--session", "leaves"], { input: "run `touch left`\n" });
  assert.equal(left.code, 1);
  assert.match(left.err, /still waits/);
  const [waiting] = JSON.parse((await run(["approvals", "pending", "--json"])).out);
  assert.equal(waiting.request.command, "touch left");
  assert.equal((await run(["approvals", "resolve", waiting.id, "maybe"])).code, 2);
  assert.equal((await run(["approvals", "resolve", waiting.id, "deny"])).code, 0);
  assert.equal((await run(["approvals", "resolve", waiting.id, "allow-once"])).code, 1);
  assert.match((await run(["approvals"])).out, /Nothing waits/);
});

test("a command on the allowlist runs without asking; one taken off asks again", async () => {
  const list = ["approvals", "allowlist"];
  assert.equal((await run([...list, "add", "touch listed"])).code, 0);
  assert.match((await run(list)).out, /1 +touch listed/);
  assert.match((await run([...list, "add", "touch listed"])).out, /already/);
  const ran = await run(["agent", "--message", "run `touch listed`"]);
  assert.equal(ran.code, 0, ran.err);
  await readFile(join(folder, "state", "workspace", "listed"));
  for (const command of ["python3 x.py", "/bin/sh -c ls", "ls | sh", "ls *", "touch $HOME/x", ""]) {
    assert.equal((await run([...list, "add", command])).code, 1, command);
  }
  assert.equal((await run([...list, "add", "ls", "--workdir", "../x"])).code, 2);
  assert.equal((await run([...list, "remove", "1"])).code, 0);
  assert.equal((await run([...list, "remove", "1"])).code, 1);
});

test("the slash commands of the chat work on sessions", async () => {
  const input = "hello\n/new\n/sessions\n/switch other\n/nope\n/help\n/quit\nnot sent\n";
  const { code, out } = await run(["chat", "--session", "slash"], { input });
  assert.equal(code, 0);
  assert.match(out, /^agent:main:slash {2}demo\/demo \(offline demonstration, not a real model\)/);
  assert.match(out, /A fresh conversation/);
  assert.match(out, / 1 +agent:main:slash/);
  assert.match(out, /^agent:main:other/m);
  assert.match(out, /no command \/nope/);
  assert.doesNotMatch(out, /not sent/);
});

test("cli (1): exit codes and messages for what is wrong", async () => {
  const web = await listening(createServer((_, response) => response.end("hello")));
  const mute = await listening(createTcpServer(() => {}) as unknown as Server);
  const url = (at: number) => ["--url", `ws://127.0.0.1:${at}`, "--token", "x"];
  const table: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
    [["health", "--port", "1"], 3, /no gateway answers .* Start one: openclaw gateway run/],
    [["gateway", "status", "--port", "1"], 3, /no gateway answers/],
    [["chat", "--port", "1"], 3, /no gateway answers/],
    [["health", "--token", "wrong"], 1, /refused the credential from --token/],
    [["health", "--url", "ws://127.0.0.1:1"], 2, /--url needs --token/],
    [["health", ...url(web.port)], 3, /is not a gateway/],
    [["health", ...url(mute.port), "--timeout", "200"], 3, /127\.0\.0\.1/],
    [["health", "--nope"], 2, /unknown option --nope/],
    [["sessions", "nope"], 2, /there is no command "sessions nope"/],
    [["pairing", "approve", "telegram"], 2, /something is missing/],
    [["pairing", "approve", "telegram", "ABCD2345"], 1, /channels\.pairing\.approve/],
    [["agent"], 2, /--message is missing/],
    [["agent", "--message", "x", "--agent", "nobody"], 1, /nobody/],
    [["gateway", "call", "health", "--params", "{"], 2, /--params is not JSON/],
    [["why", "nothing"], 1, /no message "nothing"/],
    [["audit", "verify", "--expect", `${"0".repeat(63)}1`], 1, /^$/],
    [["nope"], 2, /there is no command "nope"/],
  ];
  try {
    for (const [args, code, message] of table) {
      const result = await run(args);
      assert.equal(result.code, code, `${args.join(" ")}: ${result.out}${result.err}`);
      assert.match(result.err, message, args.join(" "));
      assert.doesNotMatch(result.err, /unexpected failure/);
    }
  } finally {
    web.server.close();
    mute.server.close();
  }
});

test("cli (2): every command explains itself with an example", async () => {
  const names = [...(await run(["--help"])).out.matchAll(/^ {2}(\w+) {2}/gm)].map(([, name]) => name ?? "");
  assert.ok(names.length >= 15);
  const pages = await Promise.all(names.map((name) => run([name, "--help"])));
  pages.forEach((page, index) => {
    assert.equal(page.code, 0, names[index]);
    assert.match(page.out, /Usage: openclaw /, names[index]);
    assert.match(page.out, /Example:\n {2}\S*.*openclaw /, names[index]);
  });
});

test("cli (4): no command but those made for it prints the token", async () => {
  const config = await readFile(join(folder, "state", "openclaw.json"), "utf8");
  const token = /token: "([\w-]{20,})"/.exec(config)?.[1] ?? assert.fail("no token in the first config");
  for (const args of [["status"], ["gateway", "status"], ["gateway", "probe"], ["logs"], ["config", "get"]]) {
    const { out, err } = await run(args);
    assert.ok(!(out + err).includes(token), args.join(" "));
  }
});

test("onboard writes a config, and never over another one unasked", async () => {
  const env = { OPENCLAW_STATE_DIR: join(folder, "fresh") };
  const first = await run(
    ["onboard", "--non-interactive", "--provider", "anthropic", "--key-env", "ANTHROPIC_API_KEY"],
    { env },
  );
  assert.equal(first.code, 0, first.err);
  const file = join(folder, "fresh", "openclaw.json");
  const before = await readFile(file, "utf8");
  assert.match(before, /"anthropic\/claude/);
  const again = await run(["onboard", "--non-interactive"], { env });
  assert.equal(again.code, 1);
  assert.equal((await run(["onboard"], { env, input: "n\n" })).code, 1);
  assert.equal(await readFile(file, "utf8"), before);
  const keyed = ["onboard", "--provider", "openai", "--key-stdin", "--force"];
  const replaced = await run(keyed, { env, input: "sk-hidden-key-1234567890\n" });
  assert.equal(replaced.code, 0, replaced.err);
  assert.doesNotMatch(replaced.out + replaced.err, /sk-hidden/);
  assert.match(await readFile(file, "utf8"), /apiKey"?: "sk-hidden-key/);
  const token = (text: string) => /token: "([\w-]{20,})"/.exec(text)?.[1];
  assert.equal(token(await readFile(file, "utf8")), token(before), "who is signed in stays so");
});

test("a chat outlives its gateway: what was sent is answered by the next one, once", async () => {
  const child = start(["chat", "--session", "outlive"], { OPENCLAW_GATEWAY_PORT: port });
  let out = "";
  let seen = () => {};
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  child.stdout?.on("data", (chunk) => {
    out += chunk;
    seen();
  });
  const until = (pattern: RegExp) =>
    new Promise<void>((resolve) => {
      seen = () => {
        if (pattern.test(out)) resolve();
      };
      seen();
    });
  await until(/agent:main:outlive/);
  gateway.kill("SIGKILL");
  await ended(gateway);
  await until(/connection was lost/);
  child.stdin?.end("remember the milk\n");
  ({ process: gateway } = await startGateway(port));
  await closed;
  assert.match(out, /Connected again/);
  assert.equal(out.match(/You said: remember the milk/g)?.length, 1, out);
});

async function listening(server: Server): Promise<{ server: Server; port: number }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as AddressInfo).port };
}
