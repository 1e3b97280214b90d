/** What becomes of messages that come while their conversation is busy, and of conversations that have gone stale. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { GatewayProcess, modelConfig } from "../support/gateway.ts";
import { startModelServer } from "../support/model-servers/mod.ts";
import type { Step } from "../support/model-servers/steps.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

interface Body {
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
}

/**
 * A chat whose first answer waits until `release` is called. "use a tool" makes the model call one; every answer names
 * the user messages that the model saw.
 */
async function busyChat(t: TestContext, messages: object, more: object = {}) {
  const held = Promise.withResolvers<void>();
  t.after(() => held.resolve());
  const begun = Promise.withResolvers<void>();
  let asked = 0;
  const seen: string[][] = [];
  const model = await startModelServer({
    wire: "openai-completions",
    script(body: Body): Step[] {
      asked += 1;
      begun.resolve();
      const said = body.messages.filter((item) => item.role === "user").map((item) => textOf(item.content));
      seen.push(said);
      const wait: Step[] = asked === 1 ? [{ wait: held.promise }] : [];
      const calls = said.some((text) => text.includes("use a tool")) && body.messages.at(-1)?.role === "user";
      if (calls && asked === 1)
        return [...wait, { call: { id: "c1", name: "read", arguments: '{"path":"AGENTS.md"}' } }];
      return [...wait, { text: `heard: ${said.join(" | ")}` }];
    },
  });
  t.after(() => model.close());
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const gateway = await GatewayProcess.start(t, {
    config: {
      ...modelConfig(model.url),
      messages,
      session: { dmScope: "per-channel-peer" },
      channels: {
        telegram: { botToken: fake.token, apiRoot: fake.url, dmPolicy: "allowlist", allowFrom: ["42", "43"] },
      },
      ...more,
    },
  });
  /** Delivers while the first answer is held. */
  const meanwhile = async (...texts: string[]) => {
    await begun.promise;
    for (const text of texts) fake.deliver(text);
    await fake.until(() => fake.queue.pending.length === 0);
  };
  return { fake, gateway, seen, release: held.resolve, meanwhile };
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return (content as { readonly text?: string }[]).map((part) => part.text ?? "").join("");
}

function inbox(gateway: GatewayProcess): string[] {
  const database = new DatabaseSync(gateway.databaseFile, { readOnly: true });
  try {
    const rows = database.prepare("SELECT state, detail FROM inbox ORDER BY received_at, place").all();
    return rows.map((row) => `${row.state} ${String(row.detail ?? "").replace(/run [\w-]+/, "run")}`.trim());
  } finally {
    database.close();
  }
}

test("steer: the running turn reads what was said meanwhile before it asks the model again", async (t) => {
  const { fake, gateway, seen, release, meanwhile } = await busyChat(t, {});
  fake.deliver("use a tool");
  await meanwhile("and be brief");
  release();
  await fake.sentCount(1);
  assert.deepEqual(seen[1], ["use a tool", "and be brief"]);
  fake.deliver("next");
  await fake.sentCount(2);
  assert.deepEqual(seen[2], ["use a tool", "and be brief", "next"], "it is a part of the transcript");
  assert.deepEqual(inbox(gateway), ["done", "done steer: answered by run", "done"]);
});

test("steer: without a further call to the model, what was said gets a turn of its own", async (t) => {
  const { fake, release, meanwhile } = await busyChat(t, {});
  fake.deliver("one");
  await meanwhile("two");
  release();
  await fake.sentCount(2);
  assert.deepEqual(
    fake.sent.map((message) => message.text),
    ["heard: one", "heard: one | two"],
  );
});

test("session (7): nobody's words join another person's turn", async (t) => {
  const { fake, seen, release, meanwhile } = await busyChat(t, {}, { session: { dmScope: "main" } });
  fake.deliver("use a tool");
  await meanwhile();
  fake.deliver({ text: "delete everything", from: 43 });
  await fake.until(() => fake.queue.pending.length === 0);
  release();
  await fake.sentCount(2);
  assert.deepEqual(seen[1], ["use a tool"]);
  assert.deepEqual(
    fake.sent.map((message) => message.chatId),
    ["42", "43"],
  );
});

test("collect: all that wait become one turn, up to the next command; a kill in between loses none", async (t) => {
  const { fake, gateway, seen, release, meanwhile } = await busyChat(t, { queue: { mode: "collect" } });
  fake.deliver("one");
  await meanwhile("two", "three", "/status", "four");
  await gateway.kill();
  release();
  await gateway.start();
  await fake.sentCount(4);
  assert.deepEqual(
    seen.map((said) => said.at(-1)),
    ["one", "one", "[2 messages came in while you were busy, in this order]\n\n[1] two\n\n[2] three", "four"],
  );
  assert.equal(fake.sent.length, 4);
  assert.equal(inbox(gateway).filter((row) => row === "done collect: answered by run").length, 1);
});

test("interrupt: the running turn stops for the new message", async (t) => {
  const { fake, gateway, meanwhile } = await busyChat(t, { queue: { mode: "interrupt" } });
  fake.deliver("one");
  await meanwhile("two");
  await fake.sentCount(1);
  assert.deepEqual(
    fake.sent.map((message) => message.text),
    ["heard: one | two"],
  );
  assert.deepEqual(inbox(gateway), ["done aborted", "done"]);
});

test("cap: what gives way ends as refused, and is told of in the message that took its place", async (t) => {
  const { fake, gateway, seen, release, meanwhile } = await busyChat(t, {
    queue: { mode: "followup", cap: 2 },
  });
  fake.deliver("one");
  await meanwhile("two", "three", "four");
  release();
  await fake.sentCount(3);
  assert.deepEqual(inbox(gateway), ["done", "refused session.queue_dropped", "done", "done"]);
  assert.match(seen.at(-1)?.at(-1) ?? "", /^\[left out.*\]\n- two\n\nfour$/);
});

test("an idle conversation begins anew by itself, and the log beneath stays", async (t) => {
  const { fake, gateway, seen, release } = await busyChat(
    t,
    {},
    { session: { dmScope: "per-channel-peer", reset: { mode: "idle", idleMinutes: 0.0001 } } },
  );
  release();
  fake.deliver("one");
  await fake.sentCount(1);
  fake.deliver("two");
  await fake.sentCount(2);
  assert.deepEqual(seen[1], ["two"]);
  const client = await gateway.connect();
  const { messages } = await client.rpc("chat.history", { sessionKey: "agent:main:telegram:direct:42" });
  assert.ok(JSON.stringify(messages).includes("two"));
  const verdicts = await client.rpc("audit.list", { stage: "session", limit: 50 });
  assert.ok(verdicts.rows.some((row: { action: string }) => row.action === "reset"));
});

test("send policy: a reply that may not go out stays in the transcript, and is not sent", async (t) => {
  const { fake, gateway, release } = await busyChat(
    t,
    {},
    {
      session: {
        dmScope: "per-channel-peer",
        sendPolicy: { rules: [{ action: "deny", match: { keyPrefix: "telegram:direct:42" } }] },
      },
    },
  );
  release();
  fake.deliver("one");
  fake.deliver({ text: "two", from: 43 });
  await fake.sentCount(1);
  // The one that was withheld is done before this one is answered.
  fake.deliver({ text: "three", from: 43 });
  await fake.sentCount(2);
  assert.deepEqual(inbox(gateway), ["done", "done", "done"]);
  assert.deepEqual(
    fake.sent.map((message) => message.chatId),
    ["43", "43"],
  );
});
