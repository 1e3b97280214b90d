/** What the channel makes of a server's moods: against the fake on a real socket, on a clock that stands. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { IrcAccount } from "../../src/channels/irc/settings.ts";
import type { Channel, OutboundMessage } from "../../src/delivery/channel.ts";
import { admit, Secret } from "../../src/kernel/mod.ts";
import { type IrcStage, ircStage, people } from "../support/irc/harness.ts";
import { type FakeIrcOptions, modernCaps } from "../support/irc/server.ts";
import { RecordingHost } from "./channel.ts";

interface Running {
  readonly stage: IrcStage;
  readonly host: RecordingHost;
  readonly channel: Channel;
}

async function running(
  t: TestContext,
  options: FakeIrcOptions = {},
  more: Partial<IrcAccount> = {},
  prepare: (stage: IrcStage) => void = () => {},
): Promise<Running> {
  const stage = await ircStage(options);
  prepare(stage);
  const host = new RecordingHost();
  const channel = stage.open(more);
  t.after(async () => {
    await channel.stop();
    await stage.close();
  });
  await channel.start(host);
  return { stage, host, channel };
}

const noSasl = { sasl: undefined } as unknown as Partial<IrcAccount>;
/** What ngircd and other plain servers can do. */
const plain = { caps: "" };
const out = (text: string, more: Partial<OutboundMessage> = {}): OutboundMessage => ({
  id: "out-1",
  conversation: { kind: "group", id: "#lounge" },
  text,
  ...more,
});
const toAda = { conversation: { kind: "direct", id: "ada" } } as const;

test("irc (3): a refused password stops everything before a channel is joined or a word is said", async (t) => {
  const { stage, host } = await running(t, { accounts: { house: "another" } });
  assert.equal(host.statuses.at(-1)?.state, "failed");
  assert.match(host.statuses.at(-1)?.detail ?? "", /refused the account's password.*channels\.irc\.sasl/);
  assert.equal(
    stage.fake.lines.some((line) => /^(?:CAP END|JOIN|PRIVMSG)/.test(line)),
    false,
  );
});

test("irc (3): a server that offers no SASL is not entered without", async (t) => {
  for (const caps of ["message-tags server-time", ""]) {
    const { stage, host } = await running(t, { caps });
    assert.equal(host.statuses.at(-1)?.state, "failed", caps);
    assert.equal(
      stage.fake.lines.some((line) => /^(?:AUTHENTICATE|JOIN)/.test(line)),
      false,
    );
  }
});

test("a second gateway with our nick is told so, and does not take another nick", async (t) => {
  const { host } = await running(t, {}, {}, (stage) => stage.fake.taken.add("house"));
  assert.equal(host.statuses.at(-1)?.state, "failed");
  assert.match(host.statuses.at(-1)?.detail ?? "", /house is in use: by another gateway/);
});

test("irc (1): where messages carry no account, the server is asked who holds the nick", async (t) => {
  const { stage, host } = await running(t, plain, noSasl);
  stage.fake.say(people.ada, "house", "with an account");
  stage.fake.say({ nick: "eve", account: "" }, "house", "with none");
  await host.until(() => host.offered.length === 2);
  assert.deepEqual(host.offered.map((message) => [message.sender.id, message.sender.proof]).sort(), [
    ["ada", "platform"],
    ["nick:eve", "claimed"],
  ]);
});

test("irc (1): an answer about a nick that changed hands proves nothing (attack A-056)", async (t) => {
  const { stage, host } = await running(t, plain, noSasl);
  stage.fake.people.set("ada", people.ada);
  // Eve wrote as "ada" from elsewhere, and let go of the nick before the server was asked.
  stage.fake.raw(":ada!eve@elsewhere.test PRIVMSG house :/approve all");
  await host.until(() => host.offered.length === 1);
  assert.deepEqual(host.offered[0]?.sender.proof, "claimed");
});

test("irc (1): the sender cannot write the account's tag", async (t) => {
  const { stage, host } = await running(t);
  stage.fake.say({ nick: "eve", account: "" }, "house", "hi", "+account=ada;+draft/account=ada");
  await host.until(() => host.offered.length === 1);
  assert.equal(host.offered[0]?.sender.proof, "claimed");
});

test("irc (2): an answer does not go to somebody else who took the nick", async (t) => {
  const { stage, host, channel } = await running(t);
  stage.fake.say(people.ada, "house", "hi");
  await host.until(() => host.offered.length === 1);
  stage.fake.people.set("ada", { nick: "ada", account: "eve" });
  const result = await channel.send(out("secret", toAda));
  assert.equal(result.outcome, "retry");
  assert.equal(stage.fake.said.length, 0);
  // Under her new nick she gets it.
  stage.fake.say({ nick: "ada2", account: "Ada" }, "house", "me again");
  await host.until(() => host.offered.length === 2);
  assert.equal((await channel.send(out("secret", toAda))).outcome, "sent");
  assert.deepEqual(
    stage.fake.said.map((item) => item.target),
    ["ada2"],
  );
});

test("irc (4): neither a text nor an id becomes a command", async (t) => {
  const { stage, channel } = await running(t);
  const attack = "hi\r\nQUIT :x\nJOIN #evil\u0000\u0001DCC SEND";
  assert.equal((await channel.send(out(attack))).outcome, "sent");
  for (const id of [
    "#a\r\nQUIT",
    "#a,#b",
    "#a b",
    "ada\r\nQUIT",
    "a b",
    "NickServ :x",
    ":x",
    "",
    "nick:a b",
  ]) {
    for (const kind of ["group", "direct"] as const) {
      const result = await channel.send(out("x", { conversation: { kind, id } }));
      assert.notEqual(result.outcome, "sent", `${kind} ${id}`);
    }
  }
  const threaded = out("x", { conversation: { kind: "group", id: "#lounge", threadId: "a b" } });
  assert.equal((await channel.send(threaded)).outcome, "rejected");
  await channel.send(out("y", { replyToMessageId: "m1 QUIT\r\nQUIT" }));
  assert.equal(
    stage.fake.lines.some((line) => /^(?:QUIT|JOIN #evil)/.test(line)),
    false,
  );
  assert.ok(stage.fake.said.every((item) => item.target === "#lounge"));
});

test("irc (4): a long text leaves as lines that fit with what the server puts in front", async (t) => {
  const { stage, channel } = await running(t);
  const text = "wörter 👩‍👩‍👧 ".repeat(150);
  const sending = channel.send(out(text));
  while (stage.fake.said.length < 5) await new Promise(setImmediate);
  // A flood would get us thrown out: the sixth line waits for the clock.
  assert.equal(stage.fake.said.length, 5);
  while (!(await Promise.race([sending.then(() => true), new Promise((resolve) => setImmediate(resolve))]))) {
    stage.clock.advance(1000);
  }
  assert.equal((await sending).outcome, "sent");
  const front = ":house!u-house@host.test ";
  for (const { raw } of stage.fake.said) assert.ok(Buffer.byteLength(front + raw) <= 510);
  assert.equal(stage.fake.said.map((item) => item.text).join(" "), text.trim());
});

test("channels (6): lines that may be missing behind a first one make it unknown", async (t) => {
  const { stage, channel } = await running(t);
  const sending = channel.send(out("one\ntwo\nthree"));
  await stage.fake.until(() => stage.fake.said.length === 1);
  stage.fake.cut();
  assert.equal((await sending).outcome, "unknown");
});

test("channels (6): a refusal behind a first line that arrived is no refusal of the message", async (t) => {
  const { stage, channel } = await running(t);
  stage.fake.faults.push("none", { answer: "404 % :Cannot send to channel" });
  assert.equal((await channel.send(out("one\ntwo"))).outcome, "unknown");
});

test("channels (6): each refusal has its outcome", async (t) => {
  const { stage, channel } = await running(t);
  for (const [answer, outcome] of [
    ["404 % :Cannot send to channel", "rejected"],
    ["477 % :You need to be identified", "rejected"],
    ["263 house PRIVMSG :Please wait a while and try again", "retry"],
    ["707 % :Targets changing too fast", "retry"],
    ["301 % :is away", "sent"],
    ["404 house #other :Cannot send to channel", "sent"],
  ] as const) {
    stage.fake.faults.push({ answer });
    stage.clock.advance(60_000);
    assert.equal((await channel.send(out("x"))).outcome, outcome, answer);
  }
});

test("channels (6): nobody who is not there is written to; it is tried again", async (t) => {
  const { channel } = await running(t);
  const result = await channel.send(out("x", toAda));
  assert.deepEqual([result.outcome, "retryAfterMs" in result && result.retryAfterMs], ["retry", 60_000]);
});

test("a crash in mid-send is settled by the server's history", async (t) => {
  const { stage, host, channel } = await running(t);
  stage.fake.say(people.ada, "house", "hi");
  await host.until(() => host.offered.length === 1);
  const afterMessageId = host.offered[0]!.newestMessageId!;
  const message = out("the answer\nin two lines", { ...toAda, afterMessageId });
  const ask = (known: readonly string[] = []) => {
    stage.clock.advance(20_000);
    return channel.wasSent!(message, (id) => known.includes(id));
  };
  assert.equal(await ask(), "absent");
  const sent = await channel.send(message);
  assert.equal(await ask(), "sent");
  assert.ok(sent.outcome === "sent");
  assert.equal(await ask([sent.platformId]), "unknown", "its first line stands there without its last");
  for (let index = 0; index < 130; index += 1) stage.fake.say(people.ada, "house", `more ${index}`);
  assert.equal(await ask(), "sent");
  const another = { ...message, text: "another" };
  const askAnother = () => {
    stage.clock.advance(20_000);
    return channel.wasSent!(another, () => false);
  };
  assert.equal(await askAnother(), "absent", "however much was written since");
  await channel.send(another);
  assert.equal(await askAnother(), "sent");
  assert.equal(
    await channel.wasSent!(
      { ...message, afterMessageId: undefined } as unknown as OutboundMessage,
      () => false,
    ),
    "unknown",
  );
  // The history that was asked for is no news.
  assert.equal(host.texts.filter((text) => !text.startsWith("more")).length, 1);
  stage.fake.people.delete("ada");
  await assert.rejects(ask(), /nobody who is logged in as ada is online/, "it can be asked later");
});

test("a server without a history cannot tell whether a message arrived", async (t) => {
  const { stage, channel } = await running(t, plain, noSasl);
  stage.fake.people.set("ada", people.ada);
  const result = await channel.send(out("x", toAda));
  assert.deepEqual(result, { outcome: "sent", platformId: "outbox:out-1" });
  assert.equal(await channel.wasSent!(out("x", { ...toAda, afterMessageId: "1" }), () => false), "unknown");
});

test("channels (8): what was written while we were away is fetched, before what came since", async (t) => {
  const { stage, host, channel } = await running(t);
  stage.fake.say(people.ada, "house", "first");
  await host.until(() => host.offered.length === 1);
  await channel.stop();
  // Pages of a hundred end in the midst of what was written at once.
  stage.fake.perMillisecond = 7;
  for (let index = 0; index < 250; index += 1) stage.fake.say(people.ada, "house", `missed ${index}`);
  stage.fake.say(people.ben, "#lounge", "in the room");
  const next = stage.open();
  const nextHost = new RecordingHost();
  t.after(() => next.stop());
  await next.start(nextHost);
  await nextHost.until(() => nextHost.texts.filter((text) => text.startsWith("missed")).length === 250);
  const missed = nextHost.texts.filter((text) => text.startsWith("missed"));
  assert.deepEqual(
    missed,
    Array.from({ length: 250 }, (_, index) => `missed ${index}`),
  );
  assert.ok(nextHost.texts.includes("in the room"));
  const ids = nextHost.offered.map((message) => message.eventId);
  assert.equal(new Set(ids).size, ids.length);
});

test("irc (6): what was not stored when the process died is fetched, although later messages were", async (t) => {
  const { stage, host } = await running(t);
  const ended = Promise.withResolvers<void>();
  t.after(() => ended.resolve());
  host.answer = async (message) => {
    if (message.sender.id === "ada") await ended.promise;
    return admit({ messageId: message.eventId });
  };
  stage.fake.say(people.ada, "house", "being stored when it ended");
  stage.fake.say(people.ben, "house", "stored");
  await host.until(() => host.offered.length === 2);
  await new Promise(setImmediate);
  // The first life never ends in order: its connection is only gone.
  const next = stage.open();
  const nextHost = new RecordingHost();
  t.after(() => next.stop());
  await next.start(nextHost);
  await nextHost.until(() => nextHost.offered.length > 0);
  assert.ok(nextHost.texts.includes("being stored when it ended"));
  ended.resolve();
});

test("irc (6): without a history, what could not be stored is offered to the next start, with its proof", async (t) => {
  const { stage, host, channel } = await running(t, plain, noSasl);
  host.answer = async () => {
    throw new Error("no space left on device");
  };
  stage.fake.say(people.ada, "house", "one");
  stage.fake.say(people.ada, "house", "two");
  await host.until(() => host.offered.length === 1);
  await channel.stop();
  stage.fake.people.clear();
  const next = stage.open(noSasl);
  const nextHost = new RecordingHost();
  t.after(() => next.stop());
  await next.start(nextHost);
  await nextHost.until(() => nextHost.offered.length === 2);
  assert.deepEqual(nextHost.texts, ["one", "two"]);
  assert.equal(nextHost.offered[0]?.eventId, host.offered[0]?.eventId);
  assert.equal(nextHost.offered[0]?.sender.proof, "platform");
});

test("channels (8): a silent connection is noticed and taken up again", async (t) => {
  const { stage, host } = await running(t);
  const before = stage.fake.lines.filter((line) => line.startsWith("NICK")).length;
  assert.equal(before, 1);
  const pass = async () => {
    while (!stage.clock.waiting.includes(90_000)) await new Promise(setImmediate);
    stage.clock.advance(90_000);
  };
  const answers = host.statuses.length;
  await pass();
  await host.until(() => host.statuses.length > answers);
  assert.equal(host.statuses.at(-1)?.lastConfirmedAtMs, stage.clock.now());
  stage.fake.mute = true;
  await pass();
  await stage.fake.until(() => stage.fake.lines.filter((line) => line === "PING :alive").length === 2);
  await pass();
  await host.until(() => host.statuses.at(-1)?.state === "reconnecting");
  assert.match(host.statuses.at(-1)?.detail ?? "", /no answer in time/);
  stage.fake.mute = false;
  stage.clock.advance(60_000);
  await host.until(() => host.statuses.at(-1)?.state === "connected");
});

test("a channel that does not let us in, or throws us out, is told to the operator", async (t) => {
  const { stage, host } = await running(t, {}, { channels: ["#lounge", "#closed"] }, (at) =>
    at.fake.refusedChannels.set("#closed", "473 % :Cannot join channel (+i)"),
  );
  assert.match(host.statuses.at(-1)?.detail ?? "", /not in #closed: Cannot join channel/);
  assert.equal(host.statuses.at(-1)?.state, "connected");
  stage.fake.raw(":ben!u@h KICK #lounge house :out");
  await host.until(() => /not in #lounge: we were kicked by ben/.test(host.statuses.at(-1)?.detail ?? ""));
});

test("NickServ gets the password, and nobody else sees it", async (t) => {
  const secret = "nickserv-password";
  const nickserv = { service: "NickServ@services.test", password: new Secret(secret) };
  const { stage, host } = await running(t, plain, { ...noSasl, nickserv });
  assert.ok(stage.fake.lines.includes(`PRIVMSG NickServ@services.test :IDENTIFY ${secret}`));
  assert.equal(JSON.stringify(host.statuses).includes(secret), false);
});

test("a line that never ends does not fill the memory, and the next one is read", async (t) => {
  const { stage, host } = await running(t);
  stage.fake.raw(`:eve!u@h PRIVMSG house :${"x".repeat(1_000_000)}`);
  stage.fake.say(people.ada, "house", "hi");
  await host.until(() => host.offered.length > 0);
  assert.deepEqual(host.texts, ["hi"]);
});

test("typing and reactions are tags, at most one note in three seconds", async (t) => {
  const { stage, host, channel } = await running(t);
  stage.fake.say(people.ada, "house", "hi");
  await host.until(() => host.offered.length === 1);
  channel.typing(toAda.conversation);
  channel.typing(toAda.conversation);
  channel.react?.(toAda.conversation, "m1", "👍");
  const tags = () => stage.fake.lines.filter((line) => line.includes("TAGMSG"));
  await stage.fake.until(() => tags().length === 2);
  assert.deepEqual(tags(), ["@+typing=active TAGMSG ada", "@+draft/react=👍;+draft/reply=m1 TAGMSG ada"]);
});

test("a server with some of the capabilities is asked for those only", async (t) => {
  const { stage } = await running(t, { caps: "sasl account-tag unknown/thing" });
  assert.ok(stage.fake.lines.includes("CAP REQ :account-tag sasl"));
  assert.ok(modernCaps.includes("echo-message"));
});
