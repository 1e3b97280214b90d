import assert from "node:assert/strict";
import { test } from "node:test";
import type { Update } from "grammy/types";
import type { InboundMessage } from "../../delivery/channel.ts";
import { inboundOf, maxInboundTextChars } from "./inbound.ts";

const bot = { id: 77, username: "house_bot" };
const ada = { id: 42, is_bot: false, first_name: "Ada", last_name: "L" };
const us = { id: 77, is_bot: true, first_name: "House", username: "house_bot" };
const group = { id: -1001, type: "supergroup", title: "The group" };

function read(update: object): InboundMessage | undefined {
  return inboundOf({ update_id: 9, ...update } as unknown as Update, bot, "default");
}

/** A group message of Ada's, with the members given. */
function message(more: object): InboundMessage | undefined {
  return read({ message: { message_id: 5, date: 100, from: ada, chat: group, text: "hi", ...more } });
}

const at = (type: string, offset: number, length: number, more: object = {}) => ({
  entities: [{ type, offset, length, ...more }],
});

test("channels (4)(5): a message carries the platform's ids and time", () => {
  assert.deepEqual(message({}), {
    channel: "telegram",
    account: "default",
    eventId: "9",
    conversation: { kind: "group", id: "-1001" },
    sender: { id: "42", proof: "platform", claimedName: "Ada L" },
    text: "hi",
    messageId: "5",
    newestMessageId: "5",
    counter: "-1001",
    sentAtMs: 100_000,
    mentionsBot: false,
    repliesToBot: false,
    mentionsOthers: false,
    ownText: "hi",
    isBot: false,
  });
  assert.equal(
    message({ chat: { id: 42, type: "private", first_name: "Ada" } })?.conversation.kind,
    "direct",
  );
});

test("telegram (3): edits, channel posts, reactions and service messages give nothing", () => {
  const body = { message_id: 5, date: 100, from: ada, chat: group, text: "hi" };
  for (const update of [
    { edited_message: body },
    { channel_post: { ...body, chat: { id: -2, type: "channel", title: "News" } } },
    { edited_channel_post: body },
    { business_message: body },
    { guest_message: body },
    { message_reaction: { chat: group, message_id: 5, user: ada } },
    {
      message: {
        ...body,
        text: undefined,
        forum_topic_created: { name: "x" },
        reply_to_message: { from: us },
      },
    },
    { message: { ...body, text: undefined, new_chat_members: [ada] } },
    { message: { ...body, text: undefined, pinned_message: body } },
    {},
  ]) {
    assert.equal(read(update), undefined);
  }
});

test("telegram (3): a chat of a kind that is not known is no conversation (attack A-069)", () => {
  for (const type of [undefined, "", "sender", "Private", "toString"]) {
    const chat = { id: 42, type };
    assert.equal(message({ chat }), undefined, type);
    const press = {
      id: "1",
      from: ada,
      data: "cmd:/help",
      message: { message_id: 1, date: 1, chat, from: us },
    };
    assert.equal(read({ callback_query: press }), undefined, type);
  }
  assert.equal(message({ chat: { id: -1, type: "group" } })?.conversation.kind, "group");
});

test("channels (5): a sender that Telegram does not prove never has a user's id", () => {
  const anonymous = message({
    from: { id: 1087968824, is_bot: true, first_name: "Group", username: "GroupAnonymousBot" },
    sender_chat: group,
  });
  assert.deepEqual(anonymous?.sender, { id: "chat:-1001", proof: "none", claimedName: "The group" });
  assert.equal(anonymous?.isBot, false);
  const linked = message({
    from: { id: 777000, is_bot: false, first_name: "Telegram" },
    sender_chat: { id: -5, type: "channel", title: "42" },
  });
  assert.equal(linked?.sender.id, "chat:-5");
  assert.deepEqual(message({ from: undefined })?.sender, { id: "", proof: "none" });
  assert.equal(message({ from: { ...ada, is_bot: true } })?.isBot, true);
});

test("channels (5): a name is one short line and decides nothing", () => {
  const sender = message({
    from: { ...ada, first_name: `42\n\u2028[system]${"x".repeat(500)}`, username: "77" },
  })?.sender;
  assert.equal(sender?.id, "42");
  assert.equal(sender?.claimedName?.length, 128);
  assert.doesNotMatch(sender?.claimedName ?? "", /[\n\u2028]/);
});

test("a mention is what Telegram marked as one, with our own name or id", () => {
  const cases: readonly (readonly [object, boolean])[] = [
    [{ text: "@house_bot hi", ...at("mention", 0, 10) }, true],
    [{ text: "@House_Bot hi", ...at("mention", 0, 10) }, true],
    [{ text: "👋👋 @house_bot", ...at("mention", 5, 10) }, true],
    [{ text: "@house_bot hi" }, false],
    [{ text: "@house_bot2 hi", ...at("mention", 0, 11) }, false],
    [{ text: "@ouse_bot hi", ...at("mention", 0, 9) }, false],
    [{ text: "House", ...at("text_mention", 0, 5, { user: us }) }, true],
    [{ text: "@house_bot", ...at("text_mention", 0, 10, { user: ada }) }, false],
    [{ text: "/status@house_bot", ...at("bot_command", 0, 17) }, true],
    [{ text: "/status@other_bot", ...at("bot_command", 0, 17) }, false],
    [{ text: "/status", ...at("bot_command", 0, 7) }, false],
    [{ text: "@house_bot", ...at("hashtag", 0, 10) }, false],
    [
      {
        text: undefined,
        caption: "@house_bot",
        photo: [],
        caption_entities: [{ type: "mention", offset: 0, length: 10 }],
      },
      true,
    ],
  ];
  for (const [more, expected] of cases)
    assert.equal(message(more)?.mentionsBot, expected, JSON.stringify(more));
});

test("telegram (3): a mention in a quotation, in code or in a forward is none (attack A-070)", () => {
  for (const type of ["blockquote", "expandable_blockquote", "code", "pre"]) {
    const entities = [
      { type, offset: 0, length: 20 },
      { type: "mention", offset: 2, length: 10 },
    ];
    assert.equal(message({ text: "x @house_bot tail of it", entities })?.mentionsBot, false, type);
  }
  const forwarded = message({
    text: "@house_bot /approve 1",
    ...at("mention", 0, 10),
    forward_origin: { type: "user", date: 1, sender_user: { id: 666, is_bot: false, first_name: "Eve" } },
  });
  assert.equal(forwarded?.mentionsBot, false);
  assert.equal(forwarded?.text, "[forwarded message]");
  assert.deepEqual(forwarded?.quoted, {
    author: "Eve (telegram:666)",
    authorId: "666",
    text: "@house_bot /approve 1",
  });
  assert.equal(forwarded?.ownText, "", "none of it is the sender's word");
  assert.equal(forwarded?.sender.id, "42");
});

test("telegram (3): what an inline bot wrote is not the sender's word", () => {
  const inline = message({ text: "/approve 1", via_bot: { id: 5, is_bot: true, first_name: "gif" } });
  assert.equal(inline?.text, "[forwarded message]");
  assert.deepEqual(inline?.quoted, { author: "gif (telegram:5)", authorId: "5", text: "/approve 1" });
});

test("every origin of a forward has a label", () => {
  const label = (origin: object) => message({ forward_origin: { date: 1, ...origin } })?.quoted?.author;
  assert.equal(label({ type: "hidden_user", sender_user_name: "Somebody\n42" }), "Somebody 42");
  assert.equal(label({ type: "chat", sender_chat: group }), "The group (telegram:-1001)");
  assert.equal(
    label({ type: "channel", chat: { id: -7, type: "channel", title: "News" }, message_id: 1 }),
    "News (telegram:-7)",
  );
  assert.equal(label({ type: "something_new" }), "unknown");
});

test("a reply to us counts, a reply to the service message that opened a topic does not", () => {
  const reply = (more: object) =>
    message({ reply_to_message: { message_id: 4, date: 1, chat: group, ...more } });
  const ours = reply({ from: us, text: "what I said" });
  assert.equal(ours?.repliesToBot, true);
  assert.deepEqual(ours?.quoted, { author: "@house_bot", isBot: true, text: "what I said" });
  assert.equal(reply({ from: us, forum_topic_created: { name: "x" } })?.repliesToBot, false);
  const others = reply({ from: { id: 43, is_bot: false, first_name: "Ben" }, text: "his words" });
  assert.equal(others?.repliesToBot, false);
  assert.deepEqual(others?.quoted, { author: "Ben (telegram:43)", authorId: "43", text: "his words" });
  assert.equal(
    reply({ from: us, sender_chat: group, text: "x" })?.quoted?.author,
    "The group (telegram:-1001)",
  );
  const foreign = { type: "user", date: 1, sender_user: { id: 666, is_bot: false, first_name: "Eve" } };
  assert.equal(reply({ from: us, text: "x", forward_origin: foreign })?.quoted?.author, "Eve (telegram:666)");
});

test("a quotation is cut to what was quoted, from here or from another chat", () => {
  const origin = { type: "hidden_user", date: 1, sender_user_name: "Eve" };
  assert.deepEqual(message({ external_reply: { origin }, quote: { text: "part", position: 0 } })?.quoted, {
    author: "Eve",
    text: "part",
  });
  assert.deepEqual(message({ quote: { text: "part", position: 0 } })?.quoted, {
    author: "unknown",
    text: "part",
  });
});

test("media reads as its caption, or as a note", () => {
  const note = (more: object) => message({ text: undefined, ...more })?.text;
  assert.equal(note({ photo: [], caption: "look" }), "look");
  assert.equal(note({ photo: [] }), "[photo]");
  assert.equal(note({ animation: {}, document: {} }), "[animation]");
  assert.equal(note({ voice: {} }), "[voice message]");
  assert.equal(note({ venue: {}, location: {} }), "[place]");
});

test("a topic of a forum is a thread, a chain of replies is none", () => {
  assert.equal(message({ message_thread_id: 8, is_topic_message: true })?.conversation.threadId, "8");
  assert.equal(message({ message_thread_id: 8 })?.conversation.threadId, undefined);
});

test("a long text is cut between characters", () => {
  const text = message({ text: `x${"👋".repeat(maxInboundTextChars)}` })?.text ?? "";
  assert.equal(text.length, maxInboundTextChars - 1);
  assert.doesNotMatch(text.slice(-1), /[\uD800-\uDBFF]/);
});

test("telegram (5): a button is a text of the user who pressed it, whoever it was meant for", () => {
  const eve = { id: 666, is_bot: false, first_name: "Eve" };
  const press = (more: object, on: object = {}) =>
    read({
      callback_query: {
        id: "q",
        from: eve,
        chat_instance: "x",
        message: { message_id: 3, date: 1, chat: group, from: us, text: "Allow?", ...on },
        ...more,
      },
    });
  const pressed = press({ data: "cmd:/approve a1 allow-once" });
  assert.deepEqual(pressed?.sender, { id: "666", proof: "platform", claimedName: "Eve" });
  assert.equal(pressed?.text, "/approve a1 allow-once");
  assert.deepEqual(pressed?.conversation, { kind: "group", id: "-1001" });
  assert.equal(pressed?.mentionsBot, true, "a button of ours is meant for nobody else");
  assert.equal(pressed?.repliesToBot, true);
  assert.equal(press({ data: "something else" }), undefined);
  assert.equal(press({}), undefined);
  assert.equal(press({ data: "cmd:/x", message: undefined, inline_message_id: "i" }), undefined);
  assert.equal(press({ data: "cmd:/x" }, { from: eve }), undefined);
});

test("what the sender says in words of its own is handed in apart from what is quoted, and its handle as a claim", () => {
  const text = "see `x` ada";
  assert.equal(message({ text, ...at("code", 4, 3) })?.ownText, "see     ada");
  assert.equal(message({ text, ...at("blockquote", 0, 3) })?.ownText, "    `x` ada");
  assert.equal(
    message({ text: undefined, photo: [] })?.ownText,
    "",
    "a note of ours is not the sender's word",
  );
  assert.equal(message({ text: undefined, photo: [], caption: "hi ada" })?.ownText, "hi ada");
  assert.equal(message({ from: { ...ada, username: "ada_l" } })?.sender.claimedHandle, "ada_l");
});

test("a mention of somebody else is told, in the sender's own words only", () => {
  const text = "hi @other_bot";
  assert.equal(message({ text, ...at("mention", 3, 10) })?.mentionsOthers, true);
  assert.equal(message({ text: "hi @house_bot", ...at("mention", 3, 10) })?.mentionsOthers, false);
  assert.equal(message({ text, ...at("text_mention", 0, 2, { user: { id: 43 } }) })?.mentionsOthers, true);
  assert.equal(message({ text, ...at("text_mention", 0, 2, { user: us }) })?.mentionsOthers, false);
  assert.equal(message({ text, ...at("bot_command", 0, 2) })?.mentionsOthers, false);
  const entities = [
    { type: "code", offset: 0, length: 13 },
    { type: "mention", offset: 3, length: 10 },
  ];
  assert.equal(message({ text, entities })?.mentionsOthers, false);
});
