/** Commands that outlive the turn that started them: through a crash, an orderly restart, the end of their session. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

/** A model that makes the calls that stand in the message as JSON, then says what the last result was. */
async function start(t: TestContext, config: Readonly<Record<string, unknown>> = {}) {
  const seen: string[] = [];
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) => {
      seen.push(JSON.stringify(body.messages));
      const last = body.messages.at(-1);
      const asked = /CALL (\{.*\}) END/.exec(JSON.stringify(last.content).replaceAll('\\"', '"'))?.[1];
      if (last.role !== "user" || asked === undefined)
        return [{ text: `result: ${JSON.stringify(last.content)}` }];
      const { name, ...args } = JSON.parse(asked);
      return [{ call: { name, arguments: JSON.stringify(args), id: `call_${seen.length}` } }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: { ...modelConfig(model.url), tools: { exec: { mode: "full" } }, ...config },
  });
  return { gateway, client: await gateway.connect(), seen };
}

async function call(client: GatewayClient, args: object, sessionKey?: string): Promise<string> {
  const end = await client.say(`CALL ${JSON.stringify(args)} END`, sessionKey);
  return end.message.content[0].text;
}

async function startServer(client: GatewayClient, sessionKey?: string) {
  const text = await call(
    client,
    { name: "exec", command: "sh -c 'echo pid=$$; exec sleep 600'", background: true },
    sessionKey,
  );
  const id = /sessionId (\w+)/.exec(text)?.[1] ?? "";
  assert.notEqual(id, "", text);
  return { id, pid: Number((await shown(client, id, /pid=(\d+)/, sessionKey))[1]) };
}

/** Looks again and again at what a command printed. */
async function shown(client: GatewayClient, id: string, pattern: RegExp, sessionKey?: string) {
  for (;;) {
    const text = await call(client, { name: "process", action: "log", sessionId: id }, sessionKey);
    const match = pattern.exec(text);
    if (match) return match;
  }
}

function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await pause(10);
}

test("sandbox (6): what a killed gateway left running is ended, and its conversation is told in the next turn", async (t) => {
  const { gateway, client, seen } = await start(t);
  const { id, pid } = await startServer(client);
  assert.equal(lives(pid), true);
  await gateway.kill();
  assert.equal(lives(pid), true, "nobody was there to end it");
  await gateway.start();
  await until(() => !lives(pid));
  const again = await gateway.connect();
  await again.say("what is with my server?");
  assert.match(seen.at(-1) ?? "", new RegExp(`The gateway was restarted[^"]*have ended: ${id}`));
  assert.match(await call(again, { name: "process", action: "list" }), /ended with the gateway that ran it/);
  assert.match(
    await call(again, { name: "process", action: "log", sessionId: id }),
    new RegExp(`pid=${pid}`),
  );
  const { rows } = await again.rpc("audit.list", { limit: 100 });
  assert.ok(rows.some((row: { facts?: { lost?: string[] } }) => row.facts?.lost?.includes(id)));
  const told = seen.length;
  await again.say("once more");
  assert.equal((seen.at(-1)?.match(/The gateway was restarted/g) ?? []).length, 1, `${told}`);
});

test("sandbox (6): an orderly restart ends them as well, and says so", async (t) => {
  const { gateway, client, seen } = await start(t);
  const { id, pid } = await startServer(client);
  await gateway.stop();
  assert.equal(lives(pid), false);
  await gateway.start();
  await (await gateway.connect()).say("and now?");
  assert.match(seen.at(-1) ?? "", new RegExp(`have ended: ${id}`));
});

test("sandbox (6): a deleted conversation takes its commands and their output along", async (t) => {
  const { gateway, client } = await start(t);
  const { pid } = await startServer(client, "agent:main:other");
  const commands = join(gateway.stateFolder, "commands");
  assert.equal(readdirSync(commands).length, 1);
  await client.rpc("sessions.delete", { key: "agent:main:other" });
  assert.equal(lives(pid), false);
  assert.deepEqual(readdirSync(commands), []);
});

test("sandbox (6): where conversations are not kept, no command and no output is written", async (t) => {
  const { gateway, client } = await start(t, { session: { dmScope: "per-channel-peer", retention: "none" } });
  await call(client, { name: "exec", command: "echo very secret words" });
  const names = readdirSync(join(gateway.stateFolder, "commands"), { recursive: true, encoding: "utf8" });
  assert.deepEqual(
    names.filter((name) => name.includes(".")),
    [],
  );
});

test("sandbox (4): the home of a command is no place where the agent's tools write", async (t) => {
  const { gateway, client } = await start(t);
  const home = join(gateway.stateFolder, "homes", "main");
  assert.match(
    await call(client, { name: "exec", command: "sh -c 'echo HOME=$HOME; git config --global user.name x'" }),
    new RegExp(`HOME=${home}`),
  );
  for (const path of [join(home, ".gitconfig"), "../homes/main/.gitconfig", "~/.gitconfig"])
    assert.match(
      await call(client, { name: "write", path, content: "[core]" }),
      /outside|leads|refused/i,
      path,
    );
});

test("privacy: what commands of a person's conversation printed is erased with it", async (t) => {
  const { gateway, client } = await start(t);
  const theirs = "agent:main:telegram:direct:4711";
  const { pid } = await startServer(client, theirs);
  await call(client, { name: "exec", command: "echo of somebody else" });
  const commands = join(gateway.stateFolder, "commands");
  const words = () =>
    readdirSync(commands, { recursive: true, encoding: "utf8" })
      .filter((name) => name.includes("."))
      .map((name) => readFileSync(join(commands, name), "utf8"))
      .join("");
  assert.match(words(), /pid=/);
  await client.rpc("privacy.erase", { peer: "telegram:4711" });
  assert.equal(lives(pid), false);
  assert.doesNotMatch(words(), /pid=|4711/);
  assert.match(words(), /of somebody else/);
});

test("sandbox (6): a program that asks is answered in its terminal, and its output is text", async (t) => {
  const { gateway, client } = await start(t);
  const script = join(gateway.stateFolder, "workspace", "ask");
  mkdirSync(dirname(script), { recursive: true });
  writeFileSync(
    script,
    "#!/bin/sh\nprintf '\\033[1mname? \\033[0m'\nread -r name\nstty size\necho hello $name\nread -r rest\n",
    { mode: 0o755 },
  );
  const text = await call(client, { name: "exec", command: "./ask", pty: true, background: true });
  const id = /sessionId (\w+)/.exec(text)?.[1] ?? "";
  await shown(client, id, /\\nname\? \\n/);
  await call(client, { name: "process", action: "submit", sessionId: id, data: "ada" });
  await shown(client, id, /name\? ada\\n30 120\\nhello ada\\n/);
  await call(client, { name: "process", action: "send-keys", sessionId: id, keys: ["C-c"] });
  await shown(client, id, /ended by SIGINT/);
});
