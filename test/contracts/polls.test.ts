/** Polls, as each platform that has them is asked for one, and asked whether it has it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { OutboundMessage, Poll } from "../../src/delivery/channel.ts";
import {
  people as discordPeople,
  openTestDiscord,
  stateFolder,
  testAccount,
} from "../support/discord/harness.ts";
import { FakeDiscord } from "../support/discord/server.ts";
import { openTestChannel, testAccount as telegramAccount } from "../support/telegram/harness.ts";
import { ManualClock } from "../support/telegram/manual-clock.ts";
import { FakeTelegram } from "../support/telegram/server.ts";
import { jid, people, whatsappStage } from "../support/whatsapp/harness.ts";
import { RecordingHost } from "./channel.ts";

const poll: Poll = { question: "Lunch *today*?", options: ["Yes", "No", "Maybe"] };
const inWords = "Lunch *today*?\n- Yes\n- No\n- Maybe";
const nobody = () => false;

async function telegram(t: TestContext) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const channel = await openTestChannel(telegramAccount(fake), new ManualClock());
  const message: OutboundMessage = {
    id: "o1",
    conversation: { kind: "direct", id: "42" },
    text: inWords,
    sentAfterMessageId: "10",
    poll,
  };
  fake.deliver({ text: "hi", more: { message_id: 10 } });
  return { fake, channel, message };
}

test("telegram: a poll is one of Telegram's own, in its topic, without marks, a preview or its text", async (t) => {
  const { fake, channel, message } = await telegram(t);
  assert.equal((await channel.send(message)).outcome, "sent");
  const options = [{ text: "Yes" }, { text: "No" }, { text: "Maybe" }];
  const plain = { chat_id: "42", question: poll.question, options };
  assert.deepEqual(fake.callsOf("sendPoll")[0]?.payload, plain);
  const more = { maxSelections: 3, durationSeconds: 300, isAnonymous: false };
  const conversation = { kind: "group", id: "-1001", threadId: "8" } as const;
  await channel.send({ ...message, conversation, poll: { ...poll, ...more } });
  assert.deepEqual(fake.callsOf("sendPoll")[1]?.payload, {
    ...plain,
    chat_id: "-1001",
    message_thread_id: 8,
    allows_multiple_answers: true,
    open_period: 300,
    is_anonymous: false,
  });
  assert.equal(fake.callsOf("sendMessage").length, 0);
  assert.equal((await channel.send({ ...message, poll: { ...poll, question: "" } })).outcome, "rejected");
});

test("telegram: a poll in doubt is found by an edit that changes nothing, or is absent", async (t) => {
  const { fake, channel, message } = await telegram(t);
  assert.equal(await channel.wasSent!(message, nobody), "absent");
  fake.fault("sendPoll", { kind: "closeAfter" });
  assert.equal((await channel.send(message)).outcome, "unknown");
  const platformId = String(fake.sent[0]?.messageId);
  assert.deepEqual(await channel.wasSent!(message, nobody), { platformId });
  assert.equal(fake.edits, 0);
});

test("discord: a poll is one of Discord's own, once under its nonce, and is known in the history by its words", async (t) => {
  const fake = await FakeDiscord.start();
  t.after(() => fake.api.close());
  const folder = stateFolder();
  t.after(() => folder.remove());
  const channel = openTestDiscord(testAccount(fake), new ManualClock(), folder.path);
  await channel.start(new RecordingHost());
  t.after(() => channel.stop());
  const afterMessageId = fake.write({ text: "hi", from: discordPeople.ada });
  const conversation = { kind: "direct", id: discordPeople.ada } as const;
  const message: OutboundMessage = { id: "o1", conversation, text: inWords, afterMessageId, poll };
  // The same words as a text, or as another poll, are not this poll.
  await channel.send({ ...message, id: "o2", poll: { ...poll, options: ["Yes", "No"] } });
  await channel.send({ id: "o3", conversation, text: inWords });
  assert.equal(await channel.wasSent!(message, nobody), "absent");
  const sent = await channel.send(message);
  assert.deepEqual(await channel.send(message), sent, "the nonce stands for one message");
  assert.ok(sent.outcome === "sent");
  assert.deepEqual(await channel.wasSent!(message, nobody), { platformId: sent.platformId, isExact: true });
  assert.equal(await channel.wasSent!({ ...message, poll: { ...poll, question: "?" } }, nobody), "absent");
  const answers = poll.options.map((text) => ({ poll_media: { text } }));
  const request = fake.sent.at(-1)?.request;
  assert.equal(request?.content, "");
  const made = { question: { text: poll.question }, answers, allow_multiselect: false };
  assert.deepEqual(request?.poll, made);
  const more = { maxSelections: 3, durationSeconds: 48 * 3600 };
  await channel.send({ ...message, id: "o4", poll: { ...poll, ...more } });
  assert.deepEqual(fake.sent.at(-1)?.request.poll, { ...made, allow_multiselect: true, duration: 48 });
});

test("whatsapp: a poll is one of WhatsApp's own, for as many choices as were asked for", async (t) => {
  const stage = whatsappStage();
  t.after(() => stage.close());
  const host = new RecordingHost();
  const channel = stage.open();
  await channel.start(host);
  t.after(() => channel.stop());
  const message = {
    id: "o1",
    conversation: { kind: "direct", id: people.ada },
    text: inWords,
    poll,
  } as const;
  const first = await channel.send(message);
  assert.equal(first.outcome, "sent");
  assert.deepEqual(await channel.send(message), first, "the same id for each try");
  await channel.send({ ...message, id: "o2", poll: { ...poll, maxSelections: 2 } });
  const made = { name: poll.question, values: poll.options, selectableCount: 1 };
  assert.deepEqual(
    stage.fake.sent.map((item) => [item.jid, item.content]),
    [
      [jid("ada"), { poll: made }],
      [jid("ada"), { poll: made }],
      [jid("ada"), { poll: { ...made, selectableCount: 2 } }],
    ],
  );
});
