/** The command line's own messages, and what is done about those that did not arrive. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type CommandLine, runCommand } from "../support/command-line.ts";
import { GatewayProcess } from "../support/gateway.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

test("message send reaches the chat once for one key; deliveries lists, sends again and dismisses; why tells the story", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const gateway = await GatewayProcess.start(t, {
    config: { channels: { telegram: { botToken: fake.token, apiRoot: fake.url } } },
  });
  await fake.polled();
  const run = (args: readonly string[], more: Partial<CommandLine> = {}) =>
    runCommand(args, { stateFolder: gateway.stateFolder, port: gateway.port, ...more });

  const order = ["message", "send", "--target", "user:42", "--key", "k", "--message"];
  const sent = await run([...order, "hello"]);
  assert.equal(sent.code, 0, sent.err);
  assert.match(sent.out, /sent +telegram:default, message \d+\n/);
  const again = await run([...order, "-", "--json"], { input: "hello\n" });
  assert.equal(JSON.parse(again.out).messageId, String(fake.sent[0]?.messageId), again.err);
  assert.deepEqual(
    fake.sent.map(({ chatId, text }) => [chatId, text]),
    [["42", "hello"]],
  );

  const why = await run(["why", /why (\S+)/.exec(sent.out)?.[1] ?? ""]);
  assert.match(why.out, /came by +an operator's own message/);
  assert.match(why.out, /delivery +sent to telegram:default/);

  writeFileSync(join(gateway.stateFolder, "workspace", "report.txt"), "all is green");
  const media = ["message", "send", "--target", "user:42", "--media"];
  const withFile = await run([...media, "report.txt", "--reply-to", "7", "--agent", "main"]);
  assert.equal(withFile.code, 0, withFile.err);
  assert.equal(fake.sent.at(-1)?.file?.bytes.toString(), "all is green");
  const outside = await run([...media, "/etc/hostname"]);
  assert.equal(outside.code, 1);
  assert.match(outside.err, /"\/etc\/hostname" was not sent: .*workspace of the agent main/);
  fake.sent.pop();

  const agent = await run([...order, "hi", "--key", "a"], { env: { OPENCLAW_SHELL: "exec" } });
  assert.deepEqual([agent.code, agent.err.includes("may not send messages")], [1, true]);
  const called = await run(["gateway", "call", "message.action"], { env: { OPENCLAW_SHELL: "exec" } });
  assert.deepEqual([called.code, called.err.includes("may not send messages")], [1, true]);
  const nothing = await run(["message", "send", "--target", "user:42"]);
  assert.deepEqual([nothing.code, /--message <text>/.test(nothing.err)], [2, true]);

  const blocked = { kind: "answer", status: 403, description: "Forbidden: bot was blocked" } as const;
  fake.fault("sendMessage", blocked, 2);
  for (const key of ["b", "c"]) {
    const failed = await run(["message", "send", "--target", "42", "--message", "late", "--key", key]);
    assert.equal(failed.code, 1);
    assert.match(failed.err, /did not take the message: .*blocked[\s\S]*openclaw deliveries list/);
  }
  const listed = JSON.parse((await run(["deliveries", "--json"])).out).deliveries;
  assert.equal(listed.length, 2);
  const table = await run(["deliveries", "list", "--state", "rejected"]);
  assert.match(table.out, /rejected +telegram:default direct 42 /);
  assert.match((await run(["deliveries", "list", "--state", "unknown"])).out, /Every message arrived/);
  assert.equal((await run(["deliveries", "list", "--state", "sent"])).code, 2);
  const resubmitted = await run(["deliveries", "resubmit", listed[1].id]);
  assert.match(resubmitted.out, /on its way again/, resubmitted.err);
  await fake.sentCount(2);
  assert.match((await run(["deliveries", "dismiss", listed[0].id])).out, /off the list/);
  assert.match((await run(["deliveries"])).out, /Every message arrived/);
  const gone = await run(["deliveries", "resubmit", listed[0].id, "--even-if-seen"]);
  assert.deepEqual([gone.code, /is dismissed/.test(gone.err)], [1, true]);
  assert.equal(fake.sent.length, 2);
});
