import assert from "node:assert/strict";
import { test } from "node:test";
import { inboundOf, received } from "./inbound.ts";
import { Session } from "./session.ts";
import { parseLine } from "./wire.ts";

function session(): Session {
  const found = new Session("house");
  found.see(parseLine(":s 005 house CASEMAPPING=rfc1459 CHANTYPES=# STATUSMSG=@+ :are supported")!);
  return found;
}

function read(text: string, account?: string, ours: ReadonlyMap<string, string> = new Map()) {
  const at = session();
  const item = received(parseLine(text)!, at, new Map([["#lounge", "#lounge"]]), () => "unique");
  return item && inboundOf(item, account, at, ours, "default");
}

const direct = (text: string) => `@msgid=1 :ada!u@h PRIVMSG house :${text}`;
const group = (text: string, target = "#lounge") => `@msgid=1 :ada!u@h PRIVMSG ${target} :${text}`;

test("irc (1): an account is proof, a nick is a claim that no list of accounts can hold (attacks A-055, A-056)", () => {
  const proved = read(direct("hi"), "Ada");
  assert.deepEqual(
    [proved?.sender.id, proved?.sender.proof, proved?.conversation.id],
    ["ada", "platform", "ada"],
  );
  const claimed = read(direct("hi"));
  assert.deepEqual(
    [claimed?.sender.id, claimed?.sender.proof, claimed?.conversation.id],
    ["nick:ada", "claimed", "nick:ada"],
  );
  assert.equal(claimed?.sender.claimedHandle, "ada");
});

test("irc (1): an account whose name could be read as something else is no proof (attacks A-057, A-061, A-247)", () => {
  for (const account of [
    "nick:ada",
    "bob:thread:1",
    "#lounge",
    "a b",
    "a@b",
    "a!b",
    "*",
    "",
    "a,b",
    "x".repeat(65),
  ]) {
    assert.equal(read(direct("hi"), account)?.sender.proof, "claimed", account);
  }
  assert.notEqual(read(direct("hi"), "\u212ate")?.sender.id, read(direct("hi"), "Kte")?.sender.id);
  assert.notEqual(read(direct("hi"), "a[")?.sender.id, read(direct("hi"), "a{")?.sender.id);
});

test("irc (5): notices, CTCP, servers and our own words are no messages", () => {
  assert.equal(read(":ada!u@h NOTICE house :hi"), undefined);
  assert.equal(read(direct("\u0001VERSION\u0001")), undefined);
  assert.equal(read(direct("\u0001DCC SEND x 1 2\u0001")), undefined);
  assert.equal(read(":irc.test PRIVMSG house :hi"), undefined);
  assert.equal(read(":HOUSE!u@h PRIVMSG #lounge :hi"), undefined);
  assert.equal(read(":ada!u@h JOIN #lounge"), undefined);
  assert.equal(
    read("@+draft/react=x :ada!u@h TAGMSG house"),
    undefined,
    "a reaction wakes nobody (attack A-067)",
  );
  assert.equal(read(direct("\u0001ACTION waves\u0001"))?.text, "* waves");
});

test("colours and styles are taken out, so that nothing is hidden from people", () => {
  assert.equal(
    read(direct("\u000301,01hidden\u0003 \u0002bold\u0002 \u0004ff00ffx\u000f 5\u00032"))?.text,
    "hidden bold x 5",
  );
});

test("the conversation is the channel as configured, or the sender; a message to its operators is a thread", () => {
  assert.deepEqual(read(group("hi"))?.conversation, { kind: "group", id: "#lounge" });
  assert.deepEqual(read(group("hi", "#LOUNGE"))?.conversation, { kind: "group", id: "#lounge" });
  assert.deepEqual(read(group("hi", "@#lounge"))?.conversation, {
    kind: "group",
    id: "#lounge",
    threadId: "@",
  });
  assert.equal(read(direct("hi"), "ada")?.conversation.kind, "direct");
});

test("a mention is our nick in front, as IRC has it; a nick within the text is none (attack A-070)", () => {
  for (const text of ["house: hi", "HOUSE, hi", "@house hi", "@house", "house:"]) {
    assert.equal(read(group(text))?.mentionsBot, true, text);
  }
  for (const text of [
    "the house: hi",
    "house is nice",
    "housework: x",
    "> house: hi",
    "hi house",
    ": house:",
  ]) {
    assert.equal(read(group(text))?.mentionsBot, false, text);
  }
  assert.equal(read(direct("house: hi"), "ada")?.mentionsBot, false);
});

test("a reply is one to a message that we know as ours", () => {
  const ours = new Map([["m9", "what I said"]]);
  const reply = read(group("yes").replace("msgid=1", "msgid=1;+draft/reply=m9"), "ada", ours);
  assert.equal(reply?.repliesToBot, true);
  assert.deepEqual(reply?.quoted, { author: "house", text: "what I said", isBot: true });
  assert.equal(
    read(group("yes").replace("msgid=1", "msgid=1;+draft/reply=m8"), "ada", ours)?.repliesToBot,
    false,
  );
});

test("channels (4): the event id is the message's, or its time, sender and words, or unique", () => {
  assert.equal(read(direct("hi"))?.eventId, "id:1");
  const timed = "@time=2026-01-02T03:04:05.678Z :ada!u@h PRIVMSG house :hi";
  assert.equal(read(timed)?.eventId, read(timed)?.eventId);
  assert.match(read(timed)?.eventId ?? "", /^at:1767323045678:[0-9a-f]{32}$/);
  assert.notEqual(read(timed)?.eventId, read(timed.replace("ada", "ben"))?.eventId);
  assert.notEqual(read(timed)?.eventId, read(timed.replace(":hi", ":ho"))?.eventId);
  assert.equal(read(":ada!u@h PRIVMSG house :hi")?.eventId, "at:unique");
  assert.equal(read(timed)?.sentAtMs, 1767323045678);
});

test("what a bot marks as its own is a bot's", () => {
  assert.equal(read(group("hi").replace("msgid=1", "msgid=1;bot"))?.isBot, true);
  assert.equal(read(group("hi"))?.isBot, false);
});
