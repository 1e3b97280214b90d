import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { eventOf, inboundOf } from "./inbound.ts";
import { whatsappText } from "./outbound.ts";
import { personOf, whatsapp, whatsappSettings } from "./settings.ts";

const self = { accountId: "default", ids: new Set(["+15550009999", "lid:99990000"]) };
const key = { id: "3A1", remoteJid: "15550000042:3@s.whatsapp.net", fromMe: false };
const group = "120363000000000001@g.us";

function read(message: object, more: object = {}) {
  return inboundOf(
    eventOf({ key: { ...key, ...more }, pushName: "Ada", messageTimestamp: 5, message }),
    self,
  );
}

const idOf = (text: string) => {
  const found = whatsapp.ids.sender(text);
  return "id" in found ? found.id : undefined;
};

test("channels (5): only the account itself is the account, however its device is named (attack A-064)", () => {
  assert.equal(personOf("15550001234:12@s.whatsapp.net"), "+15550001234");
  assert.equal(personOf("15550001234@c.us"), "+15550001234");
  assert.equal(personOf("15550001234@lid"), "lid:15550001234");
  for (const jid of [
    ...[
      "+15550001234@s.whatsapp.net",
      "15550001234@s.whatsapp.net.evil",
      "15550001234@evil",
      "0015550001234@s.whatsapp.net",
    ],
    ...[
      "1555000１２３４@s.whatsapp.net",
      group,
      "status@broadcast",
      "1@newsletter",
      "15550001234",
      "",
      "x@s.whatsapp.net",
    ],
  ]) {
    assert.equal(personOf(jid), undefined, jid);
  }
  assert.equal(idOf("+1 555 000 1234"), "+15550001234");
  assert.equal(idOf("whatsapp:15550001234:12@s.whatsapp.net"), "+15550001234");
  assert.equal(idOf("15550001234@lid"), "lid:15550001234");
  for (const text of [
    "++15550001234",
    "+1 555 000 1234 ext 9",
    "+15550001234@evil",
    "0015550001234",
    "Ada",
    "",
    group,
  ]) {
    assert.equal(idOf(text), undefined, text);
  }
  assert.deepEqual(whatsapp.ids.group(`group:${group}`), { id: group });
  assert.ok("problem" in whatsapp.ids.group("Family"));
});

test("whatsapp (2): a hidden id is a number only where the server names it beside", () => {
  const hello = { conversation: "hello" };
  assert.equal(read(hello)?.sender.id, "+15550000042");
  const hidden = { remoteJid: "777000@lid" };
  assert.equal(read(hello, hidden)?.sender.id, "lid:777000");
  assert.equal(
    read(hello, { ...hidden, remoteJidAlt: "15550000042@s.whatsapp.net" })?.sender.id,
    "+15550000042",
  );
  assert.equal(read(hello, { ...hidden, remoteJidAlt: "888000@lid" })?.sender.id, "lid:777000");
  // What stands beside a number changes nothing.
  assert.equal(read(hello, { remoteJidAlt: "15550009998@s.whatsapp.net" })?.sender.id, "+15550000042");
  // Inside the message, everything is the sender's own claim.
  const claims = {
    conversation: "hello",
    senderPn: "15550009998@s.whatsapp.net",
    remoteJidAlt: "15550009998@s.whatsapp.net",
  };
  assert.equal(read(claims, hidden)?.sender.id, "lid:777000");
  const inGroup = {
    remoteJid: group,
    participant: "777000@lid",
    participantAlt: "15550000042@s.whatsapp.net",
  };
  assert.deepEqual(
    [read(hello, inGroup)?.sender.id, read(hello, inGroup)?.conversation],
    ["+15550000042", { kind: "group", id: group }],
  );
});

test("whatsapp: reactions, edits, polls, status, our own and nobody's are no messages (attack A-067)", () => {
  const hello = { conversation: "hello" };
  for (const [message, more] of [
    [{ reactionMessage: { text: "👍", key: {} } }, {}],
    [{ protocolMessage: { type: 14, editedMessage: hello } }, {}],
    [{ pollUpdateMessage: {} }, {}],
    [{ conversation: "" }, {}],
    [{}, {}],
    [hello, { fromMe: true }],
    [hello, { remoteJid: "15550009999:1@s.whatsapp.net" }],
    [hello, { remoteJid: "99990000@lid" }],
    [hello, { remoteJid: "status@broadcast", participant: key.remoteJid }],
    [hello, { remoteJid: "1@newsletter" }],
    [hello, { remoteJid: group }],
    [hello, { remoteJid: group, participant: group }],
    [hello, { remoteJid: undefined }],
    [hello, { id: "" }],
  ] as const) {
    assert.equal(read(message, more), undefined, JSON.stringify([message, more]));
  }
  for (const value of [null, 1, {}, { key }, { key, message: null }]) assert.equal(eventOf(value), undefined);
});

test("whatsapp: mentions, replies, forwards, wrapped messages and files are told as WhatsApp tells them", () => {
  const reply = read({
    extendedTextMessage: {
      text: "@15550009999 yes",
      contextInfo: {
        stanzaId: "X",
        participant: "99990000:2@lid",
        quotedMessage: { conversation: "shall I?" },
        mentionedJid: ["15550009999@s.whatsapp.net", "15550000043@s.whatsapp.net"],
      },
    },
  });
  assert.deepEqual(
    [reply?.mentionsBot, reply?.mentionsOthers, reply?.repliesToBot, reply?.quoted],
    [true, true, true, { author: "lid:99990000", text: "shall I?", isBot: true }],
  );
  assert.equal(read({ conversation: "@15550009999" })?.mentionsBot, false, "text is no mention");
  const forward = read({ extendedTextMessage: { text: "/wipe", contextInfo: { isForwarded: true } } });
  assert.deepEqual(
    [forward?.text, forward?.quoted],
    ["[forwarded message]", { author: "unknown", text: "/wipe" }],
  );
  const handedOn = read({
    extendedTextMessage: {
      text: "@15550009999 yes",
      contextInfo: {
        isForwarded: true,
        stanzaId: "X",
        participant: "99990000:2@lid",
        mentionedJid: ["15550009999@s.whatsapp.net"],
      },
    },
  });
  // Attack A-070.
  assert.deepEqual([handedOn?.mentionsBot, handedOn?.repliesToBot], [false, false]);
  const file = {
    directPath: "/v/t62/x.enc",
    mediaKey: Buffer.from("key"),
    mimetype: "image/jpeg",
    fileLength: "9",
    caption: "look",
    url: "https://evil.example/x",
  };
  const picture = read({
    ephemeralMessage: { message: { viewOnceMessageV2: { message: { imageMessage: file } } } },
  });
  assert.equal(picture?.text, "look");
  assert.deepEqual(picture?.attachments, [
    {
      kind: "image",
      claimedType: "image/jpeg",
      claimedBytes: 9,
      reference: JSON.stringify({
        directPath: "/v/t62/x.enc",
        mediaKey: Buffer.from("key").toString("base64"),
        type: "image",
      }),
    },
  ]);
  for (const directPath of ["//evil.example/x", "https://evil.example/x", undefined])
    assert.equal(read({ imageMessage: { ...file, directPath } })?.attachments, undefined);
  assert.equal(read({ conversation: "x".repeat(1_000_000) })?.text.length, 65_536);
});

test("whatsapp: no message of any shape makes the reader fail", () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.constantFrom("conversation", "extendedTextMessage", "imageMessage", "ephemeralMessage"),
        fc.jsonValue(),
      ),
      (message) => {
        const found = read(message as object);
        assert.ok(found === undefined || found.sender.id === "+15550000042");
      },
    ),
    { numRuns: 300 },
  );
});

test("whatsapp: Markdown's marks become WhatsApp's, outside of code", () => {
  assert.equal(
    whatsappText("# Hi\n**bold** and *thin* ~~no~~ `a**b**`"),
    "*Hi*\n*bold* and _thin_ ~no~ `a**b**`",
  );
  for (const plain of ["2*3*4", "* a\n* b", "a_b_c", "<b>&"]) assert.equal(whatsappText(plain), plain);
});

test("settings: an empty block is one device in the state folder; two accounts never share keys (attack A-181)", () => {
  const account = whatsappSettings({}).accounts[0];
  assert.deepEqual(account, { accountId: "default", sendReadReceipts: true, textChunkLimit: 4000 });
  assert.deepEqual(whatsappSettings(undefined).accounts, []);
  const said = (config: object) =>
    whatsappSettings(config)
      .problems.map(({ path, message }) => `${path.slice(2).join(".")}: ${message}`)
      .join();
  assert.match(said({ authDir: "keys" }), /authDir: be an absolute path/);
  assert.match(
    said({ accounts: { a: { authDir: "/x" }, b: { authDir: "/x" } } }),
    /accounts: not name one authDir twice/,
  );
  assert.equal(whatsappSettings({ authDir: "/x", accounts: { a: {} } }).accounts[1]?.authDir, undefined);
});
