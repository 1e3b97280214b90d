import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordingHost } from "../../../test/contracts/channel.ts";
import { openTestChannel, testAccount } from "../../../test/support/telegram/harness.ts";
import { ManualClock } from "../../../test/support/telegram/manual-clock.ts";
import { FakeTelegram } from "../../../test/support/telegram/server.ts";
import type { OutboundMessage } from "../../delivery/channel.ts";

async function bench(t: { after(action: () => unknown): void }) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const channel = await openTestChannel(testAccount(fake), new ManualClock());
  const message = (more: Partial<OutboundMessage> = {}): OutboundMessage => ({
    id: "o1",
    conversation: { kind: "direct", id: "42" },
    text: "hello",
    afterMessageId: "10",
    sentAfterMessageId: "10",
    ...more,
  });
  const ask = (of: OutboundMessage, known: readonly string[] = []) =>
    channel.wasSent?.(of, (id) => known.includes(id));
  return { fake, channel, message, ask };
}

test("a message that stands in the chat after the one it answers is found; one that does not is absent", async (t) => {
  const { fake, channel, message, ask } = await bench(t);
  fake.deliver({ text: "hi", more: { message_id: 10 } });
  assert.equal(await ask(message()), "absent");
  const sent = await channel.send(message());
  assert.ok(sent.outcome === "sent");
  assert.deepEqual(await ask(message()), { platformId: sent.platformId });
  assert.equal(await ask(message(), [sent.platformId]), "absent", "that one is another message of ours");
  assert.equal(
    await ask(message({ conversation: { kind: "direct", id: "43" } })),
    "absent",
    "in another chat",
  );
  assert.equal(fake.edits, 0);
});

test("buttons stay where they are when a message with buttons is asked for", async (t) => {
  const { fake, channel, message, ask } = await bench(t);
  fake.deliver({ text: "hi", more: { message_id: 10 } });
  const withButtons = message({ choices: [{ label: "Yes", command: "/approve 1 allow-once" }] });
  const sent = await channel.send(withButtons);
  assert.ok(sent.outcome === "sent");
  assert.deepEqual(await ask(withButtons), { platformId: sent.platformId });
  assert.equal(fake.edits, 0);
});

test("without a message to begin at nothing is asked, and nothing is known", async (t) => {
  const { fake, message, ask } = await bench(t);
  for (const afterMessageId of ["", "x", "0", "-5", "1.5"])
    assert.equal(await ask(message({ afterMessageId, sentAfterMessageId: afterMessageId })), "unknown");
  assert.equal(fake.callsOf("editMessageReplyMarkup").length, 0);
});

test("only clear answers count: a chat that is gone is absent, a limit is asked again, the rest is unknown", async (t) => {
  const { fake, message, ask } = await bench(t);
  const answer = (status: number, description: string) =>
    fake.fault("editMessageReplyMarkup", { kind: "answer", status, description });
  answer(400, "Bad Request: something else");
  assert.equal(await ask(message()), "unknown");
  answer(401, "Unauthorized");
  assert.equal(await ask(message()), "unknown");
  fake.blocked.add("42");
  assert.equal(await ask(message()), "absent");
  fake.blocked.clear();
  for (const status of [429, 500, 502]) {
    answer(status, "later");
    await assert.rejects(ask(message()) ?? Promise.resolve());
  }
  fake.fault("editMessageReplyMarkup", { kind: "closeBefore" });
  await assert.rejects(ask(message()) ?? Promise.resolve());
});

test("delivery (3): a reply is looked for behind the newest number when it left, and without that nothing is called absent", async (t) => {
  const { fake, channel, message, ask } = await bench(t);
  fake.deliver({ text: "hi", more: { message_id: 10 } });
  // Three hundred and fifty others write to the bot before the answer is ready.
  for (let person = 1; person <= 350; person += 1) fake.deliver({ text: "hello", from: 1000 + person });
  const before = String(fake.queue.newest.message?.message_id ?? 0);
  const sent = await channel.send(message());
  assert.ok(sent.outcome === "sent");
  assert.deepEqual(await ask(message({ sentAfterMessageId: before })), { platformId: sent.platformId });
  const { sentAfterMessageId: _, ...unplaced } = message();
  assert.equal(await ask(unplaced), "unknown", "further away than is looked");
  assert.equal(
    await ask({ ...unplaced, conversation: { kind: "group", id: "-43" } }),
    "unknown",
    "not there",
  );
});

test("delivery (3): a reply that took long to arrive is looked for up to the newest number, within a limit", async (t) => {
  const { fake, channel, message, ask } = await bench(t);
  fake.deliver({ text: "hi", more: { message_id: 10 } });
  for (let person = 1; person <= 150; person += 1) fake.deliver({ text: "hello", from: 1000 + person });
  const sent = await channel.send(message());
  assert.ok(sent.outcome === "sent");
  assert.deepEqual(await ask(message()), "unknown", "too far");
  const start = String(Number(sent.platformId) - 140);
  assert.deepEqual(await ask(message({ sentAfterMessageId: start })), { platformId: sent.platformId });
});

test("delivery (3): a reply comes behind what it answers, also where less was known when it left", async (t) => {
  const { fake, channel, message, ask } = await bench(t);
  fake.deliver({ text: "hi", more: { message_id: 10 } });
  for (let person = 1; person <= 350; person += 1) fake.deliver({ text: "hello", from: 1000 + person });
  const afterMessageId = String(fake.queue.newest.message?.message_id);
  const sent = await channel.send(message());
  assert.ok(sent.outcome === "sent");
  const found = await ask(message({ afterMessageId, sentAfterMessageId: "10" }));
  assert.deepEqual(found, { platformId: sent.platformId });
});

test("delivery (3): how far the numbers have come is known from before the start; a start alone does not know it", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const started = async (newest: ReadonlyMap<string, number>) => {
    const channel = await openTestChannel(testAccount(fake), new ManualClock());
    const host = new RecordingHost();
    host.newest = newest;
    await channel.start(host);
    t.after(() => channel.stop());
    return channel;
  };
  // The answers of the process before this one: the last left, and nobody knows whether it arrived.
  for (let person = 1; person <= 180; person += 1) fake.deliver({ text: "hello", from: 1000 + person });
  const top = Number(fake.queue.newest.message?.message_id);
  fake.queue.confirm(Number.MAX_SAFE_INTEGER);
  const sender = await openTestChannel(testAccount(fake), new ManualClock());
  const conversation = { kind: "direct", id: "42" } as const;
  const message: OutboundMessage = {
    id: "o1",
    conversation,
    text: "hello",
    afterMessageId: String(top - 170),
  };
  const sent = await sender.send(message);
  assert.ok(sent.outcome === "sent");
  const ask = async (newest: ReadonlyMap<string, number>) =>
    (await started(newest)).wasSent?.(message, () => false);
  assert.equal(await ask(new Map()), "unknown", "nothing has come since the start");
  assert.deepEqual(await ask(new Map([["", top]])), { platformId: sent.platformId });
  assert.equal(await ask(new Map([["", top + 620]])), "unknown", "further away than is looked");
  const elsewhere = { ...message, conversation: { kind: "direct", id: "43" } } as const;
  const channel = await started(
    new Map([
      ["", top],
      ["-100200300", top + 9000],
    ]),
  );
  assert.equal(await channel.wasSent?.(elsewhere, () => false), "absent");
  assert.equal(channel.newestMessageId?.(conversation), String(top));
  const counters = ["42", "-43", "-100200300"].map((id) => channel.counterOf?.({ kind: "group", id }));
  assert.deepEqual(counters, ["", "", "-100200300"], "a basic group shares the bot's own counter");
});
