/** Commands on a node that a turn does not wait for: seen, ended and forgotten like those on the gateway. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import type { GatewayClient } from "../support/gateway-client.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import { TestNode } from "../support/node.ts";

/** A model that makes the call that stands in the message as JSON, then says what the result was. */
async function start(t: TestContext) {
  let calls = 0;
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) => {
      const last = body.messages.at(-1);
      const asked = /CALL (\{.*\}) END/.exec(JSON.stringify(last.content).replaceAll('\\"', '"'))?.[1];
      if (last.role !== "user" || asked === undefined)
        return [{ text: `result: ${JSON.stringify(last.content)}` }];
      const { name, ...args } = JSON.parse(asked);
      calls += 1;
      return [{ call: { name, arguments: JSON.stringify(args), id: `call_${calls}` } }];
    },
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, {
    config: { ...modelConfig(model.url), tools: { exec: { host: "node", mode: "full" } } },
  });
  const admin = await gateway.connect();
  const node = await TestNode.connect(gateway, ["system.run", "system.run.prepare"]);
  const { requestId } = await TestNode.pendingOf(admin, node.id);
  await admin.rpc("node.pair.approve", { requestId });
  const call = async (args: object, sessionKey?: string, client: GatewayClient = admin): Promise<string> => {
    const end = await client.say(`CALL ${JSON.stringify(args)} END`, sessionKey);
    return end.message.content[0].text;
  };
  let requests = 0;
  /** Answers the gateway's question how it would run, and gives the request to run it. */
  async function begun(): Promise<{ readonly id: string; readonly nodeId: string }> {
    const asked = await node.request(requests++);
    const { command } = JSON.parse(asked.paramsJSON);
    await node.answer(asked.id, {
      plan: { argv: command, cwd: "/srv", commandText: command.join(" ") },
      execPolicy: { security: "full", ask: "off" },
    });
    return node.request(requests++);
  }
  const says = (run: { readonly id: string }, seq: number, chunk: string) =>
    node.client.rpc("node.invoke.progress", { invokeId: run.id, nodeId: node.id, seq, chunk });
  return { gateway, admin, node, call, begun, says };
}

const idIn = (text: string) => /sessionId (node-[0-9a-f]{8})/.exec(text)?.[1] ?? assert.fail(text);

test("nodes: a command that goes on in the background is looked after with process, in its own conversation", async (t) => {
  const { node, call, begun, says } = await start(t);
  const answer = call({ name: "exec", command: "sleep 600", background: true });
  const run = await begun();
  const id = idIn(await answer);
  const process = (action: string, more = {}) => call({ name: "process", action, sessionId: id, ...more });
  await says(run, 0, "one\ntwo\n");
  assert.match(await process("poll"), /\[running\].*one.*two/);
  assert.match(await process("poll"), /no new output/);
  await says(run, 1, "three\n");
  assert.match(await process("log", { offset: 2, limit: 1 }), /two.*lines 2-2 of 3/);
  assert.match(await call({ name: "process", action: "list" }), new RegExp(`${id}  running  sleep 600`));
  assert.match(await process("write", { data: "x" }), /takes no input/);
  // Another conversation has commands of its own.
  const elsewhere = "agent:main:other";
  assert.match(await call({ name: "process", action: "list" }, elsewhere), /No commands/);
  assert.match(
    await call({ name: "process", action: "kill", sessionId: id }, elsewhere),
    /There is no command/,
  );

  const killing = process("kill");
  const { payload } = await node.client.waitFor((event) => event.event === "node.invoke.cancel");
  assert.equal(payload.invokeId, run.id);
  assert.match(await killing, /ended/);
  assert.match(await call({ name: "process", action: "clear" }), /Forgot 1 ended/);
  assert.match(await call({ name: "process", action: "list" }), /No commands/);
});

test("nodes: a command that takes longer than the call waits goes on, and its end is seen later", async (t) => {
  const { node, call, begun, says } = await start(t);
  const answer = call({ name: "exec", command: "make", yieldMs: 0 });
  const run = await begun();
  const id = idIn(await answer);
  await says(run, 0, "done\n");
  await node.answer(run.id, { exitCode: 3, timedOut: false, stdout: "done\n", stderr: "" });
  const polled = await call({ name: "process", action: "poll", sessionId: id, timeout: 60_000 });
  assert.match(polled, /\[exit code 3\].*done/);
  assert.doesNotMatch(polled, /done.*done/, "what was streamed is not said again");

  // One that ends while it is waited for is no command of the background.
  const quick = call({ name: "exec", command: "uname" });
  const second = await begun();
  await node.answer(second.id, { exitCode: 0, timedOut: false, stdout: "Linux\n", stderr: "" });
  assert.match(await quick, /Linux/);
  assert.doesNotMatch(await call({ name: "process", action: "list" }), /uname/);

  // A node that is gone has ended what it ran, as far as anybody here can tell.
  const lost = call({ name: "exec", command: "serve", background: true });
  await begun();
  const lostId = idIn(await lost);
  node.client.abandon();
  const ended = await call({ name: "process", action: "poll", sessionId: lostId, timeout: 60_000 });
  assert.match(ended, /ended by a fault.*node/);
});

test("nodes: a turn that is stopped stops the command that it waits for, and leaves the others", async (t) => {
  const { admin, node, call, begun } = await start(t);
  const background = call({ name: "exec", command: "serve", background: true });
  await begun();
  const id = idIn(await background);
  await admin.rpc("chat.send", {
    sessionKey: "main",
    message: 'CALL {"name":"exec","command":"wait","yieldMs":600000} END',
    idempotencyKey: "stopped",
  });
  const run = await begun();
  await admin.rpc("chat.abort", { sessionKey: "main" });
  const { payload } = await node.client.waitFor((event) => event.event === "node.invoke.cancel");
  assert.equal(payload.invokeId, run.id);
  await admin.chatEnd("stopped");
  assert.match(await call({ name: "process", action: "list" }), new RegExp(`${id}  running  serve`));
});

test("nodes: with its node, or with the gateway, a command of the background ends", async (t) => {
  const { gateway, node, call, begun } = await start(t);
  const first = call({ name: "exec", command: "serve", background: true });
  await begun();
  const id = idIn(await first);
  const second = call({ name: "exec", command: "serve again", background: true });
  const other = await begun();
  idIn(await second);
  void gateway.stop();
  await node.client.waitFor(
    ({ event, payload }) => event === "node.invoke.cancel" && payload.invokeId === other.id,
  );
  assert.equal(await gateway.exit(), 0);
  await gateway.start();
  const again = await gateway.connect();
  assert.match(
    await call({ name: "process", action: "poll", sessionId: id }, undefined, again),
    /There is no command/,
  );
});
