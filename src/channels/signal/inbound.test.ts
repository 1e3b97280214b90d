import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../kernel/mod.ts";
import { styledText } from "../styled-text.ts";
import { Identities, otherIds } from "./identities.ts";
import { inboundOf } from "./inbound.ts";

const self = { accountId: "default", number: "+15550009999", uuid: "99999999-0000-4000-8000-000000000009" };
const ada = {
  sourceNumber: "+15550000042",
  sourceUuid: "aaaaaaaa-0000-4000-8000-00000000000a",
  sourceName: "Ada",
};
const group = "Pmpi+EfPWmsxiomLe9Nx2XF9HOE483p6iKiFj65iMwI=";

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "signal-in-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

const open = (folder: string) => Identities.open(folder, systemClock, () => {});

function event(data: object, envelope: object = ada): object {
  return {
    account: self.number,
    envelope: { ...envelope, timestamp: 5, dataMessage: { timestamp: 5, message: null, ...data } },
  };
}

test("signal (3): only a message is a message (attack A-067): no reaction, receipt, edit, story, deletion, nothing of ours", async (t) => {
  const known = await open(await folderOf(t));
  const read = (value: unknown) => inboundOf(value, self, known);
  assert.equal(read(event({ message: "hello" }))?.text, "hello");
  const reaction = { emoji: "👍", targetAuthor: self.number, targetSentTimestamp: 1, isRemove: false };
  const notMessages = [
    event({ message: "👍", reaction }),
    event({ reaction }, {}),
    event({ message: "x", remoteDelete: { timestamp: 1 } }),
    event({}),
    event({ groupInfo: { groupId: group, type: "UPDATE" } }),
    event({ message: "mine" }, { sourceNumber: self.number, sourceUuid: self.uuid }),
    event({ message: "mine" }, { sourceNumber: null, sourceUuid: self.uuid }),
    event({ message: "nobody's" }, { sourceName: "Ada" }),
    event({ message: "a number that no account stands behind" }, { sourceNumber: ada.sourceNumber }),
    event({ message: "empty" }, { sourceUuid: "", sourceNumber: "" }),
    event({ message: "a group without an id", groupInfo: {} }),
    event({ message: "no time", timestamp: "5" }),
    {
      account: self.number,
      envelope: { ...ada, editMessage: { dataMessage: { timestamp: 5, message: "edited" } } },
    },
    {
      account: self.number,
      envelope: { ...ada, syncMessage: { sentMessage: { message: "sent elsewhere" } } },
    },
    { account: self.number, envelope: { ...ada, receiptMessage: { isRead: true } } },
    { account: self.number, envelope: { ...ada, storyMessage: {} } },
    { ...event({ message: "another account's" }), account: "+15550008888" },
    ...[null, 1, "x", [], { envelope: null }],
  ];
  for (const value of notMessages) assert.equal(read(value), undefined, JSON.stringify(value));
});

test("signal: groups, mentions, quotes and files are told as Signal tells them", async (t) => {
  const known = await open(await folderOf(t));
  const message = inboundOf(
    event({
      message: "\ufffc ask \ufffc",
      groupInfo: { groupId: group, type: "DELIVER" },
      mentions: [
        { name: "house", number: self.number, uuid: self.uuid, start: 0, length: 1 },
        { name: "Ben", uuid: "bbbbbbbb-0000-4000-8000-00000000000b", start: 6, length: 1 },
        { name: "wrong", number: "+15550000001", start: 99, length: 1 },
      ],
      quote: { id: 3, authorNumber: self.number, text: "earlier" },
      attachments: [
        { id: "abc.jpg", contentType: "image/jpeg", filename: "a\nb.jpg", size: 7 },
        { id: "../../etc/passwd", contentType: "text/plain" },
      ],
    }),
    self,
    known,
  );
  assert.deepEqual(message, {
    channel: "signal",
    account: "default",
    eventId: `${ada.sourceUuid}:5`,
    conversation: { kind: "group", id: group },
    sender: {
      id: `uuid:${ada.sourceUuid}`,
      aliases: { proved: [ada.sourceNumber], own: [ada.sourceNumber] },
      proof: "platform",
      claimedName: "Ada",
    },
    text: "@+15550009999 ask @bbbbbbbb-0000-4000-8000-00000000000b",
    messageId: `5:${ada.sourceUuid}`,
    sentAtMs: 5,
    mentionsBot: true,
    mentionsOthers: true,
    repliesToBot: true,
    quoted: { author: self.number, text: "earlier", isBot: true },
    attachments: [
      {
        kind: "image",
        claimedType: "image/jpeg",
        claimedName: "a b.jpg",
        claimedBytes: 7,
        reference: JSON.stringify({ id: "abc.jpg", groupId: group }),
      },
    ],
    isBot: false,
  });
  const typed = inboundOf(event({ message: `@${self.number} hi` }), self, known);
  assert.equal(typed?.mentionsBot, false, "text is no mention");
  assert.equal(inboundOf(event({ message: "x".repeat(1_000_000) }), self, known)?.text.length, 65_536);
});

const [a, b, c] = ["a", "b", "c"].map((digit) => `${digit.repeat(8)}-0000-4000-8000-${digit.repeat(12)}`);
const number = "+15550000042";

test("signal (2): the id is the uuid; a number is an alias when the envelope proves it, and its first account's own", async (t) => {
  const folder = await folderOf(t);
  const known = await open(folder);
  const both = { proved: [number], own: [number] };
  assert.deepEqual(known.senderOf({ uuid: a, number }), { id: `uuid:${a}`, aliases: both });
  assert.deepEqual(
    known.senderOf({ uuid: a?.toUpperCase(), number: null }),
    { id: `uuid:${a}`, aliases: { proved: [], own: [number] } },
    "a number that is hidden is not proved",
  );
  assert.deepEqual(
    known.senderOf({ uuid: b, number }),
    { id: `uuid:${b}`, aliases: { proved: [number], own: [] } },
    "another account has the number now: it was not the first one's",
  );
  assert.deepEqual(known.senderOf({ uuid: c, number: undefined }), { id: `uuid:${c}` });
  const later = { proved: ["+15550000077"], own: ["+15550000077"] };
  assert.deepEqual(known.senderOf({ uuid: c, number: "+15550000077" }), { id: `uuid:${c}`, aliases: later });
  assert.equal(
    known.senderOf({ uuid: undefined, number }),
    undefined,
    "no account stands behind a number alone",
  );
  assert.equal(known.senderOf({ uuid: "ada", number: "ada" }), undefined);
  assert.deepEqual(
    [number, `uuid:${b}`, "+15550000099"].map((id) => known.recipientOf(id)),
    [a, b, "+15550000099"],
    "what goes to a number goes to the account that wrote under it first",
  );
  await known.save();
  const next = await open(folder);
  assert.deepEqual(next.senderOf({ uuid: b, number })?.aliases, { proved: [number], own: [] });
  assert.deepEqual(next.senderOf({ uuid: a, number: undefined })?.aliases, { proved: [], own: [number] });
  await writeFile(join(folder, "identities.json"), "{broken");
  await assert.rejects(open(folder), /cannot be read/);
  assert.equal(await readFile(join(folder, "identities.json"), "utf8"), "{broken");
});

test("signal (2): an account has a bounded number of numbers of its own", async (t) => {
  const known = await open(await folderOf(t));
  const numbers = Array.from({ length: 12 }, (_, index) => `+1555000010${index}`);
  for (const item of numbers) known.senderOf({ uuid: a, number: item });
  assert.deepEqual(known.senderOf({ uuid: a, number: numbers[11] })?.aliases, {
    proved: [numbers[11]],
    own: numbers.slice(0, 8),
  });
});

test("signal (2): who was known by a number before keeps the conversations that are called by it", async (t) => {
  const folder = await folderOf(t);
  const kept = {
    [a as string]: number,
    [b as string]: `uuid:${b}`,
    [c as string]: { numbers: 7 },
    ada: "+1",
  };
  await writeFile(join(folder, "identities.json"), JSON.stringify(kept));
  const known = await open(folder);
  const own = { proved: [], own: [number] };
  assert.deepEqual(known.senderOf({ uuid: a, number: null }), {
    id: `uuid:${a}`,
    aliases: own,
    formerId: number,
  });
  assert.deepEqual(known.senderOf({ uuid: b, number: null }), { id: `uuid:${b}` });
  assert.equal(known.senderOf({ uuid: b, number })?.formerId, undefined);
  known.senderOf({ uuid: a, number: "+15550000078" });
  await known.save();
  const next = await open(folder);
  assert.equal(next.senderOf({ uuid: a, number: null })?.formerId, number);
  assert.deepEqual(next.senderOf({ uuid: a, number: null })?.aliases?.own, [number, "+15550000078"]);
  // As a person's data is taken out: a member of plain values that names somebody goes.
  assert.deepEqual(JSON.parse(await readFile(join(folder, "identities.json"), "utf8")), {
    [`uuid:${a}`]: { numbers: `${number} +15550000078`, formerId: number },
    [`uuid:${b}`]: { numbers: "" },
  });
});

test("signal: what else an account is called is told by its uuid and by the numbers that were first its own", async (t) => {
  const folder = await folderOf(t);
  assert.deepEqual(await otherIds(folder, number), []);
  const known = await open(folder);
  known.senderOf({ uuid: a, number });
  known.senderOf({ uuid: a, number: "+15550000078" });
  known.senderOf({ uuid: b, number });
  await known.save();
  assert.deepEqual(await otherIds(folder, `uuid:${a}`), [number, "+15550000078"]);
  assert.deepEqual(await otherIds(folder, number), [`uuid:${a}`, "+15550000078"]);
  assert.deepEqual(await otherIds(folder, `uuid:${b}`), []);
  await writeFile(join(folder, "identities.json"), "[]");
  await assert.rejects(otherIds(folder, number), /identities\.json in .* cannot be read/);
});

test("signal: no event of any shape makes the reader fail, and every sender has an id", async (t) => {
  const known = await open(await folderOf(t));
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.constantFrom("message", "mentions", "quote", "attachments", "groupInfo", "timestamp"),
        fc.jsonValue(),
      ),
      (data) => {
        const message = inboundOf(event({ timestamp: 7, message: "x", ...data }), self, known);
        assert.ok(message === undefined || message.sender.id === `uuid:${ada.sourceUuid}`);
      },
    ),
    { numRuns: 300 },
  );
});

test("signal: Markdown becomes Signal's styles, and what is none of its marks stays as it is", () => {
  assert.deepEqual(styledText("# Hi\n**bold _both_** and `a*b*` ~~no~~"), {
    text: "Hi\nbold both and a*b* no",
    styles: ["0:2:BOLD", "8:4:ITALIC", "3:9:BOLD", "17:4:MONOSPACE", "22:2:STRIKETHROUGH"].map((style) =>
      style.startsWith("17") ? "17:4:MONOSPACE" : style,
    ),
  });
  assert.deepEqual(styledText("a\n```ts\nx = **1**\n```\nb"), {
    text: "a\nx = **1**\nb",
    styles: ["2:9:MONOSPACE"],
  });
  for (const plain of ["2*3*4", "snake_case_name", "<b>&amp;", "** alone", "* a\n* b", ""]) {
    assert.deepEqual(styledText(plain), { text: plain, styles: [] });
  }
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      const made = styledText(text);
      for (const style of made.styles) {
        const [from, length] = style.split(":").map(Number) as [number, number];
        assert.ok(from >= 0 && length >= 0 && from + length <= made.text.length);
      }
    }),
  );
});
