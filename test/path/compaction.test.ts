/** A conversation that outgrows its model's window. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import type { Step } from "../support/model-servers/steps.ts";

interface Body {
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
}

/** A model with a small window, which answers a request to condense with `summary`, and everything else with "ok". */
async function smallWindow(t: TestContext, summary: Step[]) {
  const asked: string[] = [];
  const model = await startModelServer({
    wire: "openai-completions",
    script(body: Body): Step[] {
      const whole = JSON.stringify(body.messages);
      asked.push(whole);
      return whole.includes("You condense a conversation") ? summary : [{ text: "ok" }];
    },
  });
  t.after(() => model.close());
  const agents = { defaults: { model: { primary: "mock/m" }, contextTokens: 6000 } };
  const gateway = await GatewayProcess.start(t, { config: { ...modelConfig(model.url), agents } });
  return { gateway, asked };
}

/** About a thousand tokens. */
const long = (word: string) => `${word} ${"and so on ".repeat(350)}`;

test("agent (7): what no longer fits is condensed; the log, another start and /new keep to it", async (t) => {
  const { gateway, asked } = await smallWindow(t, [{ text: "They spoke of apples." }]);
  const client = await gateway.connect();
  for (const word of ["apples", "pears", "plums"]) await client.say(long(word));
  await client.say("and now?");
  const condensing = asked.filter((text) => text.includes("You condense a conversation"));
  assert.equal(condensing.length, 1);
  assert.match(condensing[0] ?? "", /apples/);
  const last = asked.at(-1) ?? "";
  assert.match(last, /They spoke of apples\./);
  assert.doesNotMatch(last, /apples and so on/);
  assert.match(last, /plums and so on/);
  const { messages } = await client.rpc("chat.history", { sessionKey: "main" });
  assert.match(JSON.stringify(messages), /apples and so on/, "the log keeps it");
  await gateway.stop();
  await gateway.start();
  const again = await gateway.connect();
  await again.say("still there?");
  assert.match(asked.at(-1) ?? "", /They spoke of apples\./);
  assert.doesNotMatch(asked.at(-1) ?? "", /apples and so on/);
  await again.say("/new");
  await again.say("fresh");
  assert.doesNotMatch(asked.at(-1) ?? "", /They spoke of apples/);
  assert.equal((await again.rpc("audit.verify", {})).intact, true);
});

test("a model that gives no summary costs the oldest messages, never the turn", async (t) => {
  const { gateway, asked } = await smallWindow(t, [{ status: 400, body: { error: { message: "no" } } }]);
  const client = await gateway.connect();
  for (const word of ["apples", "pears", "plums", "figs"]) await client.say(long(word));
  const end = await client.say("and now?");
  assert.equal(end.message.content[0].text, "ok");
  assert.doesNotMatch(asked.at(-1) ?? "", /apples/);
  assert.match(asked.at(-1) ?? "", /figs/);
});

test("/compact and sessions.compact condense when asked", async (t) => {
  const { gateway, asked } = await smallWindow(t, [{ text: "Fruit." }]);
  const client = await gateway.connect();
  assert.match((await client.say("/compact")).message.content[0].text, /nothing to condense/);
  for (const word of ["apples", "pears"]) await client.say(word);
  assert.match((await client.say("/compact the trees")).message.content[0].text, /^Condensed/);
  assert.match(asked.at(-1) ?? "", /Give most room to: the trees/);
  await client.say("plums");
  assert.match(asked.at(-1) ?? "", /Fruit\./);
  const result = await client.rpc("sessions.compact", { key: "main" });
  assert.deepEqual([result.ok, result.compacted], [true, true]);
});
