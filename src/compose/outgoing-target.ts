import { type IdRule, loadPlatform } from "../channels/mod.ts";
import type { ChannelRow } from "../control/mod.ts";
import type { Conversation } from "../delivery/channel.ts";
import type { Destination } from "../delivery/mod.ts";
import { InputError } from "../kernel/mod.ts";

/**
 * Where an order goes: a chat on an account that is configured. Throws an InputError that says what there is; nothing
 * was sent then.
 */
export async function destinationOf(
  order: {
    readonly channel: string;
    readonly accountId?: string | undefined;
    /** As {@link conversationAt} reads it. */
    readonly to: string;
    readonly threadId?: string | undefined;
  },
  channels: readonly ChannelRow[],
): Promise<Destination> {
  const { channel, accountId, to, threadId } = order;
  const platform = await loadPlatform(channel);
  if (!platform) throw new InputError(`there is no channel ${JSON.stringify(channel)}`);
  const account = accountAt(channel, accountId, channels);
  const found = conversationAt(to, channel, platform.ids);
  return { channel, account, conversation: threadId === undefined ? found : { ...found, threadId } };
}

/** The account that was named; else the only one of the channel, else the one called "default". */
function accountAt(channel: string, named: string | undefined, channels: readonly ChannelRow[]): string {
  const accounts = channels.filter((row) => row.id === channel).map((row) => row.account);
  const wanted = named ?? (accounts.length === 1 ? accounts[0] : "default");
  if (wanted !== undefined && accounts.includes(wanted)) return wanted;
  throw new InputError(
    accounts.length === 0
      ? `the channel ${channel} is not configured; nothing was sent`
      : `which account of ${channel}? There are: ${accounts.join(", ")}; nothing was sent`,
  );
}

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
