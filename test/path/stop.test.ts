/** `/stop` and changes of who may come in, while things are going on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";

test("/stop ends what runs and what waits in its session, answers itself, and touches no other session", async (t) => {
  const held = Promise.withResolvers<void>();
  t.after(() => held.resolve());
  const model = await startModelServer({
    wire: "openai-completions",
    script: (body) =>
      JSON.stringify(body.messages.at(-1)).includes("hold")
        ? [{ text: "half" }, { wait: held.promise }]
        : [{ text: "whole" }],
  });
  t.after(() => model.close());
  const gateway = await GatewayProcess.start(t, { config: modelConfig(model.url) });
  const client = await gateway.connect();
  const send = (sessionKey: string, message: string, idempotencyKey: string) =>
    client.rpc("chat.send", { sessionKey, message, idempotencyKey });
  await send("main", "hold", "running");
  await send("other", "hold", "elsewhere");
  await client.waitFor(({ event, payload }) => event === "chat" && payload.runId === "running");
  await send("main", "next", "waiting");
  await send("main", "/stop", "stop");
  assert.equal((await client.chatEnd("running")).state, "aborted");
  assert.equal((await client.chatEnd("waiting")).state, "aborted");
  const stop = await client.chatEnd("stop");
  assert.equal(stop.state, "final");
  assert.equal(stop.message.content[0].text, "Stopped.");
  assert.equal((await client.say("go on")).message.content[0].text, "whole");
  assert.equal((await client.rpc("health", { probe: true })).activeRuns, 1);
  assert.equal((await client.rpc("chat.abort", { sessionKey: "other" })).aborted, true);
});

test("a gateway that gets a secret closes the sockets that came in without one", async (t) => {
  const open = { gateway: { mode: "local", bind: "loopback", auth: { mode: "none" } } };
  const gateway = await GatewayProcess.start(t, { config: open });
  const client = await gateway.connect();
  assert.equal(client.hello.auth.method, "none");
  await gateway.writeConfig({});
  assert.deepEqual(await client.closed, { code: 4001, reason: "gateway auth changed" });
});
