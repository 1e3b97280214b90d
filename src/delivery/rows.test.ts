import assert from "node:assert/strict";
import { test } from "node:test";
import { unknownSource } from "../kernel/mod.ts";
import type { Conversation, InboundMessage } from "./channel.ts";
import { inboxRowOf, sameConversation } from "./rows.ts";

const place: Conversation = { kind: "group", id: "house/repo", threadId: "discussion-5" };

function rowOf(more: Partial<InboundMessage> = {}, state: "accepted" | "refused" = "accepted") {
  const message: InboundMessage = {
    channel: "github",
    account: "default",
    eventId: "1",
    conversation: place,
    sender: { id: "42", proof: "platform" },
    text: "hello",
    messageId: "1",
    mentionsBot: true,
    repliesToBot: false,
    isBot: false,
    ...more,
  };
  const target = { agentId: "main", sessionKey: "agent:main:main" };
  return inboxRowOf(message, {
    ...{ messageId: "m", runId: "r", now: 0, state, target, source: unknownSource, text: message.text },
  });
}

test("replies to both go to the same place only in one chat, one thread and below one comment", () => {
  const other = (conversation: Partial<Conversation>, more: Partial<InboundMessage> = {}) =>
    sameConversation(rowOf(), rowOf({ ...more, conversation: { ...place, ...conversation } }));
  assert.equal(other({}), true);
  assert.equal(other({ id: "house/other" }), false);
  assert.equal(other({ threadId: "discussion-6" }), false);
  assert.equal(other({ belowMessageId: "DC_9" }), false);
  assert.equal(other({}, { channel: "slack" }), false);
  assert.equal(other({}, { account: "work" }), false);
  const { reply: _, ...unanswered } = rowOf();
  assert.equal(sameConversation(unanswered, unanswered), false, "a control client's has no place");
});

test("what else a sender is called stays with a message that waits, and not with one that was refused", () => {
  const aliases = { proved: ["+15550000042"], own: [] };
  const sender = { id: "uuid:a", proof: "platform", aliases } as const;
  assert.deepEqual(rowOf({ sender }).aliases, aliases);
  assert.equal(rowOf({ sender }, "refused").aliases, undefined);
});

test("delivery (3): the number that a message tells of is stored with it, where its counter is named", () => {
  assert.equal(rowOf({ newestMessageId: "7" }).counted, undefined);
  assert.deepEqual(rowOf({ newestMessageId: "7", counter: "" }, "refused").counted, {
    counter: "",
    number: 7,
  });
});
