import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { InputError } from "../../kernel/mod.ts";
import { readAttachment } from "./files.ts";
import { inboundOf, ownOf } from "./inbound.ts";

const known = {
  accountId: "default",
  ours: new Map([["OURS", "earlier"]]),
  services: new Map([
    [7, "SMS"],
    [8, "iMessage"],
  ]),
};
const hello = {
  id: 5,
  guid: "G",
  chat_id: 1,
  chat_guid: "iMessage;-;+15550000042",
  sender: "+15550000042",
  is_from_me: false,
  is_group: false,
  text: "hello",
  created_at: "2026-01-01T00:00:00Z",
};
const read = (more: object) => inboundOf({ ...hello, ...more }, known);

test("imessage (3): tapbacks, our own words and what names nobody are no messages (attack A-067)", () => {
  assert.equal(read({})?.text, "hello");
  for (const more of [
    { is_from_me: true },
    { is_from_me: undefined },
    { is_from_me: 0 },
    { is_reaction: true },
    { associated_message_guid: "p:0/OURS" },
    { sender: "" },
    { sender: undefined },
    { sender: "Ada" },
    { text: " \ufffc " },
    { guid: "" },
    { guid: "x".repeat(201) },
    { chat_id: "1" },
  ]) {
    assert.equal(read(more), undefined, JSON.stringify(more));
  }
  assert.deepEqual(ownOf({ is_from_me: true, guid: "A", text: "x" }), { guid: "A", text: "x" });
  assert.equal(ownOf({ is_from_me: false, guid: "A" }), undefined);
});

test("imessage (2): Apple vouches for an iMessage; of an SMS the number can be forged", () => {
  const proofOf = (more: object) => read(more)?.sender.proof;
  assert.equal(proofOf({}), "platform");
  assert.equal(proofOf({ chat_guid: "SMS;-;+15550000042" }), "claimed");
  assert.equal(proofOf({ chat_guid: "RCS;-;+15550000042" }), "claimed");
  assert.equal(proofOf({ chat_guid: "iMessage;-;+15550000042", service: "SMS" }), "claimed");
  assert.equal(proofOf({ chat_guid: "any;-;+15550000042", chat_id: 7 }), "claimed");
  assert.equal(proofOf({ chat_guid: "any;-;+15550000042", chat_id: 8 }), "platform");
  assert.equal(proofOf({ chat_guid: "any;-;+15550000042", chat_id: 9 }), "claimed", "nobody says");
  assert.equal(proofOf({ chat_guid: undefined }), "claimed");
});

test("imessage: groups, replies and files are told as Messages tells them", () => {
  const file = {
    original_path: "/Users/me/Library/Messages/Attachments/a.jpg",
    mime_type: "image/jpeg",
    transfer_name: "a\n.jpg",
    total_bytes: 9,
  };
  assert.deepEqual(
    read({
      chat_id: 42,
      chat_guid: "iMessage;+;chat1",
      is_group: true,
      sender: "Ada@iCloud.com",
      reply_to_guid: "OURS",
      attachments: [file, { filename: "gone", missing: true }, 3],
    }),
    {
      channel: "imessage",
      account: "default",
      eventId: "G",
      conversation: { kind: "group", id: "chat_id:42" },
      sender: { id: "ada@icloud.com", proof: "platform" },
      text: "hello",
      messageId: "G",
      newestMessageId: "G",
      sentAtMs: Date.UTC(2026, 0, 1),
      mentionsBot: false,
      repliesToBot: true,
      quoted: { author: "us", text: "earlier", isBot: true },
      attachments: [
        {
          kind: "image",
          claimedType: "image/jpeg",
          claimedName: "a .jpg",
          claimedBytes: 9,
          reference: file.original_path,
        },
      ],
      isBot: false,
    },
  );
  assert.equal(read({ is_group: undefined, chat_guid: "iMessage;+;chat1" })?.conversation.kind, "group");
  assert.equal(read({ is_group: undefined })?.conversation.kind, "direct");
  assert.equal(read({ reply_to_guid: "SOMEBODY'S" })?.repliesToBot, false);
  assert.equal(read({ text: "x".repeat(1_000_000) })?.text.length, 65_536);
});

test("imessage: no message of any shape makes the reader fail", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...Object.keys(hello), "attachments", "service"), fc.jsonValue()),
      (more) => {
        const message = read(more as object);
        assert.ok(message === undefined || message.sender.id !== "");
      },
    ),
    { numRuns: 300 },
  );
});

test("imessage (4): files are read from under the configured folders alone, after all links (class FS)", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "imessage-files-"));
  t.after(() => rm(folder, { recursive: true }));
  const root = join(folder, "Attachments");
  await mkdir(join(root, "in"), { recursive: true });
  await mkdir(join(folder, "Attachments-too"));
  await writeFile(join(root, "in/a.txt"), "content");
  await writeFile(join(folder, "secret"), "secret");
  await writeFile(join(folder, "Attachments-too/b"), "secret");
  await symlink(join(folder, "secret"), join(root, "link"));
  await symlink(root, join(folder, "root-link"));
  const { signal } = new AbortController();
  const get = (path: string, max = 100, roots = [root]) => readAttachment(path, roots, max, signal);
  assert.equal(String(await get(join(root, "in/a.txt"))), "content");
  assert.equal(
    String(await get(join(folder, "root-link/in/a.txt"), 7, [join(folder, "root-link")])),
    "content",
  );
  for (const path of [
    join(folder, "secret"),
    join(root, "link"),
    join(root, "../secret"),
    join(folder, "Attachments-too/b"),
    join(root, "in"),
    join(root, "missing"),
    "in/a.txt",
    root,
  ]) {
    await assert.rejects(get(path), InputError, path);
  }
  await assert.rejects(get(join(root, "in/a.txt"), 6), /larger than 6 bytes/);
  await assert.rejects(get(join(root, "in/a.txt"), 100, []), InputError);
});
