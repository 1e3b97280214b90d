import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { messageIdOf } from "../../src/channels/whatsapp/outbound.ts";
import type { Channel, Conversation, OutboundMessage } from "../../src/delivery/channel.ts";
import { jid, people, type WhatsAppStage, whatsappStage } from "../support/whatsapp/harness.ts";
import { RecordingHost } from "./channel.ts";

const direct = { kind: "direct", id: people.ada } as const;
const hidden = { kind: "direct", id: "lid:777000" } as const;
const group = { kind: "group", id: "123456@g.us" } as const;
const turns = async (count = 5) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
};
const proof = (id: string) => ({ platformId: messageIdOf(id), isExact: true });

function staged(t: TestContext): WhatsAppStage {
  const stage = whatsappStage();
  t.after(() => stage.close());
  return stage;
}

/** A life of the gateway: it comes back by itself only when the clock is moved on. */
async function opened(stage: WhatsAppStage): Promise<Channel> {
  const channel = stage.open();
  await channel.start(new RecordingHost());
  return channel;
}

/** What is answered, or "rejected", and after how long; `onTheWay` is called before each half second. */
async function asked(
  stage: WhatsAppStage,
  channel: Channel,
  message: Partial<OutboundMessage>,
  onTheWay: (passedMs: number) => void = () => {},
): Promise<{ readonly answer: unknown; readonly afterMs: number }> {
  const began = stage.clock.now();
  const passedMs = () => stage.clock.now() - began;
  let outcome: { readonly answer: unknown; readonly afterMs: number } | undefined;
  const settle = (answer: unknown) => {
    outcome = { answer, afterMs: passedMs() };
  };
  const whole = { id: "o", conversation: direct, text: "x", ...message };
  channel.wasSent!(whole, () => false).then(settle, () => settle("rejected"));
  stage.clock.advance(0);
  await turns();
  while (!outcome) {
    onTheWay(passedMs());
    await turns();
    stage.clock.advance(500);
    await turns();
  }
  return outcome;
}

test("whatsapp (6): after a kill a reply in doubt is proved by the receipt that was kept for the device; none proves nothing", async (t) => {
  const stage = staged(t);
  const answers: unknown[] = [];
  for (const [id, conversation] of [
    ["o1", direct],
    ["o2", group],
    ["o3", direct],
  ] as const) {
    const killed = await opened(stage);
    stage.fake.nextSend = "lost";
    assert.equal((await killed.send({ id, conversation, text: "x" })).outcome, "unknown");
    await killed.stop();
    const next = await opened(stage);
    answers.push((await asked(stage, next, { id, conversation })).answer);
    await next.stop();
  }
  assert.deepEqual(answers, [proof("o1"), proof("o2"), "unknown"], "the third one's phone is off");
  assert.deepEqual(
    stage.fake.sent.map(({ id }) => id),
    ["o1", "o2", "o3"].map(messageIdOf),
  );
});

test("whatsapp (6): only a receipt for that id, of a message of ours, in that conversation, that is no error is a proof", async (t) => {
  const stage = staged(t);
  const { fake } = stage;
  const channel = await opened(stage);
  fake.numbers.set("777000@lid", jid("ada", ":0"));
  fake.numbers.set("888000@lid", jid("ben"));
  let count = 0;
  /** A message of its own each time, and what is known of it after this one sign. */
  const after = async (key: object, status: unknown, conversation: Conversation = direct) => {
    count += 1;
    const id = `o${count}`;
    const whole = { id: messageIdOf(id), remoteJid: jid("ada"), fromMe: true, ...key };
    fake.emit("messages.update", [{ key: whole, update: { status } }]);
    const { answer } = await asked(stage, channel, { id, conversation });
    if (answer !== "unknown") assert.deepEqual(answer, proof(id));
    return answer !== "unknown";
  };
  for (const [status, isProof] of [
    [0, false],
    [1, false],
    [2, true],
    [3, true],
    [4, true],
    [5, true],
    ["3", false],
    [undefined, false],
  ] as const)
    assert.equal(await after({}, status), isProof, `status ${status}`);
  for (const [key, conversation, isProof] of [
    [{ id: messageIdOf("another") }, direct, false],
    [{ id: 7 }, direct, false],
    [{ fromMe: false }, direct, false],
    [{ fromMe: undefined }, direct, false],
    [{ fromMe: 1 }, direct, false],
    [{ remoteJid: jid("ben") }, direct, false],
    [{ remoteJid: group.id }, direct, false],
    [{ remoteJid: "status@broadcast" }, direct, false],
    [{ remoteJid: undefined }, direct, false],
    [{}, group, false],
    [{ remoteJid: "654321@g.us" }, group, false],
    [{ remoteJid: group.id }, group, true],
    [{ remoteJid: jid("ada", ":12") }, direct, true],
    [{ remoteJid: "777000@lid" }, direct, true],
    [{ remoteJid: "888000@lid" }, direct, false],
    [{ remoteJid: "999000@lid" }, direct, false],
    [{ remoteJid: "999000@lid", remoteJidAlt: jid("ada") }, direct, true],
    [{ remoteJid: "777000@lid" }, hidden, true],
    [{}, hidden, true],
    [{ remoteJid: "999000@lid" }, { kind: "direct", id: "lid:998000" }, false],
    [{ remoteJid: "66600000@lid" }, direct, false],
  ] as const)
    assert.equal(await after(key, 3, conversation), isProof, JSON.stringify([key, conversation]));
  await channel.stop();
});

test("whatsapp (6): in a group it is a proof that one of its people got, read or played the message", async (t) => {
  const stage = staged(t);
  const { fake } = stage;
  const channel = await opened(stage);
  let count = 0;
  for (const [receipt, isProof, more] of [
    [{ receiptTimestamp: 1_700_000_000 }, true, {}],
    [{ readTimestamp: 1_700_000_000 }, true, {}],
    // As the library's protocol buffers give a number of 64 bits.
    [{ playedTimestamp: { toString: () => "1700000000" } }, true, {}],
    [{ userJid: jid("ben"), pendingDeviceJid: [jid("ben")], receiptTimestamp: null }, false, {}],
    [{ receiptTimestamp: 0 }, false, {}],
    [undefined, false, {}],
    [{ receiptTimestamp: 1_700_000_000 }, false, { fromMe: false }],
    [{ receiptTimestamp: 1_700_000_000 }, false, { remoteJid: "654321@g.us" }],
  ] as const) {
    count += 1;
    const id = `o${count}`;
    const key = { id: messageIdOf(id), remoteJid: group.id, fromMe: true, ...more };
    fake.emit("message-receipt.update", [null, { key: null, receipt }, { key, receipt }]);
    const { answer } = await asked(stage, channel, { id, conversation: group });
    assert.deepEqual(answer, isProof ? proof(id) : "unknown", JSON.stringify([receipt, more]));
  }
  fake.emit("message-receipt.update", undefined);
  await channel.stop();
});

test("whatsapp (6): a receipt is waited for three seconds; a connection that is lost meanwhile says nothing at all", async (t) => {
  const stage = staged(t);
  const { fake } = stage;
  const receipt = (id: string) =>
    fake.emit("messages.update", [
      { key: { id: messageIdOf(id), remoteJid: jid("ada"), fromMe: true }, update: { status: 3 } },
    ]);
  const channel = stage.open();
  assert.equal((await asked(stage, channel, {})).answer, "rejected", "not connected yet");
  const host = new RecordingHost();
  await channel.start(host);
  receipt("o1");
  assert.deepEqual(await asked(stage, channel, { id: "o1" }), { answer: proof("o1"), afterMs: 0 });
  const late = await asked(stage, channel, { id: "o2" }, (passedMs) => {
    if (passedMs === 2_500) receipt("o2");
  });
  assert.deepEqual(late, { answer: proof("o2"), afterMs: 3_000 });
  assert.deepEqual(await asked(stage, channel, { id: "o3" }), { answer: "unknown", afterMs: 3_000 });
  const cut = await asked(stage, channel, { id: "o3" }, (passedMs) => {
    if (passedMs === 500) fake.close(428);
  });
  assert.equal(cut.answer, "rejected");
  stage.clock.advance(10_000);
  await host.until(() => host.statuses.at(-1)?.state === "connected");
  const replaced = await asked(stage, channel, { id: "o3" }, (passedMs) => {
    if (passedMs === 1_000) fake.close(515);
  });
  assert.equal(replaced.answer, "rejected", "what was kept may come over the next connection");
  while (!channel.isConnected) {
    stage.clock.advance(500);
    await new Promise(setImmediate);
  }
  let stopped: Promise<void> | undefined;
  const ended = await asked(stage, channel, { id: "o3" }, (passedMs) => {
    if (passedMs === 2_000) stopped = channel.stop();
  });
  assert.deepEqual(ended, { answer: "rejected", afterMs: 2_000 }, "at once, and the next start asks again");
  await stopped;
});

test("whatsapp (6): the newest two thousand receipts are remembered", async (t) => {
  const stage = staged(t);
  const channel = await opened(stage);
  const update = { status: 3 };
  const receipts = Array.from({ length: 2_001 }, (_, index) => ({
    key: { id: messageIdOf(`o${index}`), remoteJid: jid("ada"), fromMe: true },
    update,
  }));
  stage.fake.emit("messages.update", receipts);
  assert.equal((await asked(stage, channel, { id: "o0" })).answer, "unknown");
  assert.deepEqual((await asked(stage, channel, { id: "o1" })).answer, proof("o1"));
  await channel.stop();
});
