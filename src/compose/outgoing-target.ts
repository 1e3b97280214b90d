import type { IdRule } from "../channels/mod.ts";
import type { Conversation } from "../delivery/channel.ts";
import { InputError } from "../kernel/mod.ts";

/**
 * The chat that a target names: "user:<id>", "group:<id>", "channel:<id>", "chat_id:<id>", or an id by itself, each
 * with or without "<channel>:" before it. Ids as the platform writes them: a name changes hands, and is none. Throws
 * an InputError that says what an id looks like there.
 */
export function conversationAt(text: string, channel: string, ids: IdRule): Conversation {
  const target = withoutPrefix(text.trim(), channel);
  const [, word = "", rest = target] = /^(user|group|channel|chat_id):(.+)$/s.exec(target) ?? [];
  const person = ids.sender(rest);
  const chat = ids.group(rest);
  if ((word === "user" || word === "") && "id" in person) return { kind: "direct", id: person.id };
  if (word === "user") throw unfit(text, channel, person);
  if ("id" in chat) return { kind: word === "channel" ? "channel" : "group", id: chat.id };
  if (word === "chat_id" && "id" in person) return { kind: "direct", id: person.id };
  throw unfit(text, channel, word === "" ? person : chat);
}

function withoutPrefix(text: string, channel: string): string {
  return text.toLowerCase().startsWith(`${channel}:`) ? text.slice(channel.length + 1) : text;
}

function unfit(text: string, channel: string, found: { id: string } | { problem: string }): InputError {
  const problem = "problem" in found ? `; it must ${found.problem}` : "";
  return new InputError(`${JSON.stringify(text)} is no place on ${channel}${problem}. Nothing was sent`);
}
