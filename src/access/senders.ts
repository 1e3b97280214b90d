import type { InboundMessage, Sender } from "../delivery/mod.ts";
import type { Problem } from "../kernel/mod.ts";

/** Keys from the root of the config. */
export type Path = readonly (string | number)[];

/** How a platform writes its ids. Each function gives the one spelling, or why the text is no id ("be a ..."). */
export interface IdRule {
  sender(text: string): { readonly id: string } | { readonly problem: string };
  group(text: string): { readonly id: string } | { readonly problem: string };
}

/** Who a list names, compiled once: a look-up costs the same for ten entries and for ten thousand. */
export interface SenderList {
  readonly at: Path;
  /** False: the config says nothing, and the list is empty. */
  readonly isSet: boolean;
  /** Where "*" stands; undefined: the list names each sender. */
  readonly anybody: Path | undefined;
  /** By id in its one spelling: where the entry stands. */
  readonly ids: ReadonlyMap<string, Path>;
  /** By membership that the platform proves: "audience:<guild>/<channel>", "role:<id>". */
  readonly memberships: ReadonlyMap<string, Path>;
  /** Names that senders give themselves; empty unless dangerouslyAllowNameMatching is on. */
  readonly names: ReadonlyMap<string, Path>;
}

/** The documented `accessGroups`. */
export type AccessGroups = Readonly<
  Record<
    string,
    | {
        readonly type: "message.senders";
        readonly members: Readonly<Record<string, readonly (string | number)[]>>;
      }
    | { readonly type: "discord.channelAudience"; readonly guildId: string; readonly channelId: string }
  >
>;

export interface ListContext {
  readonly channel: string;
  readonly ids: IdRule;
  readonly groups: AccessGroups;
  readonly namesMatch: boolean;
  /** Entries that match nobody, and why; messages follow "must". */
  readonly problems: Problem[];
}

const groupPrefix = "accessGroup:";
/** What platforms and configs call a place; a place never writes (attack A-061). */
const placeShaped =
  /^(?:channel|group|chat|chat_id|room|thread|topic|guild|team|server):|@g\.us$|@newsletter$|@broadcast$/i;

/** For a platform that names no rule of its own: the id as it is, never a place's. */
export const plainIds: IdRule = {
  sender: (text) =>
    text === "" || text === "*" || placeShaped.test(text)
      ? { problem: "be a sender's id; a place is none" }
      : { id: text },
  group: (text) => (text === "" ? { problem: "be a group's id" } : { id: text }),
};

/** The sender's id in its one spelling; undefined for what can be nobody's. */
export function senderId(text: string, channel: string, ids: IdRule): string | undefined {
  const plain = withoutChannel(text, channel);
  // Asked first: no platform's own rule can make a place or a wildcard into a person.
  if ("problem" in plainIds.sender(plain)) return undefined;
  const read = ids.sender(plain);
  return "id" in read && read.id !== "" ? read.id : undefined;
}

/** The message with its sender's ids in the one spelling, so that all that follows calls the sender the same. */
export function canonical(
  message: InboundMessage,
  rules: { readonly channel: string; readonly ids: IdRule },
): InboundMessage {
  const sender = spelled(message.sender, rules);
  return sender ? { ...message, sender } : message;
}

/** Undefined for an id that can be nobody's. */
export function spelled(
  sender: Sender,
  { channel, ids }: { readonly channel: string; readonly ids: IdRule },
): Sender | undefined {
  const id = senderId(sender.id, channel, ids);
  if (id === undefined) return undefined;
  const { aliases } = sender;
  if (!aliases) return { ...sender, id };
  const read = (texts: readonly string[]) => texts.flatMap((text) => senderId(text, channel, ids) ?? []);
  return { ...sender, id, aliases: { proved: read(aliases.proved), own: read(aliases.own) } };
}

/** What the platform proves now: the stable id, and what else the account is called. Any of them may be listed. */
export function provedIds({ id, aliases }: Pick<Sender, "id" | "aliases">): readonly string[] {
  return aliases ? [id, ...aliases.proved] : [id];
}

/**
 * The stable id, and what was this account's before anybody else's. What was given to a person (a pairing, a limit)
 * goes by these: a number that is hidden, or another's by now, neither loses it nor takes it over.
 */
export function ownIds({ id, aliases }: Pick<Sender, "id" | "aliases">): readonly string[] {
  return aliases ? [id, ...aliases.own] : [id];
}

/** "telegram:42" and "42" are one entry of a Telegram list. */
function withoutChannel(text: string, channel: string): string {
  const trimmed = text.trim();
  return trimmed.toLowerCase().startsWith(`${channel}:`) ? trimmed.slice(channel.length + 1) : trimmed;
}

export function senderList(
  entries: readonly (string | number)[] | undefined,
  at: Path,
  context: ListContext,
): SenderList {
  const ids = new Map<string, Path>();
  const memberships = new Map<string, Path>();
  const names = new Map<string, Path>();
  let anybody: Path | undefined;
  for (const [index, entry] of (entries ?? []).entries()) {
    const text = String(entry).trim();
    const path = [...at, index];
    if (text === "*") anybody ??= path;
    else if (text.startsWith(groupPrefix)) {
      addGroup(text.slice(groupPrefix.length), path, { ids, memberships }, context);
    } else {
      const id = senderId(text, context.channel, context.ids);
      if (id !== undefined) ids.set(id, path);
      else if (context.namesMatch && nameOf(text) !== "") names.set(nameOf(text), path);
      else context.problems.push({ path, kind: "value", message: whyNoId(text, context) });
    }
  }
  return Object.freeze({ at, isSet: entries !== undefined, anybody, ids, memberships, names });
}

/** A group that is missing, or of another channel, admits nobody. */
function addGroup(
  name: string,
  path: Path,
  into: { readonly ids: Map<string, Path>; readonly memberships: Map<string, Path> },
  context: ListContext,
): void {
  const { channel, groups, problems } = context;
  const group = Object.hasOwn(groups, name) ? groups[name] : undefined;
  if (!group) {
    problems.push({ path, kind: "value", message: `name one of accessGroups; there is no group "${name}"` });
    return;
  }
  if (group.type === "discord.channelAudience") {
    if (channel === "discord") into.memberships.set(`audience:${group.guildId}/${group.channelId}`, path);
    return;
  }
  for (const [key, members] of Object.entries(group.members)) {
    if (key !== channel && key !== "*") continue;
    for (const [index, member] of members.entries()) {
      // "*" and groups in groups are read by nobody: an entry of a group is one person.
      const id = senderId(String(member), channel, context.ids);
      if (id !== undefined) into.ids.set(id, ["accessGroups", name, "members", key, index]);
    }
  }
}

function whyNoId(text: string, { channel, ids }: ListContext): string {
  const read = ids.sender(withoutChannel(text, channel));
  return "problem" in read ? read.problem : "be a sender's id; a place or a blank is none";
}

function nameOf(text: string): string {
  return text.trim().replace(/^@/, "");
}

/** How a list came to name a sender. */
export interface Match {
  readonly by: "id" | "membership" | "anybody" | "name";
  readonly at: Path;
  /** The alias that the list names; absent where it names the stable id, or by something else. */
  readonly as?: string;
}

/** Undefined: the list does not name the sender, whose ids are in their one spelling. */
export function matchSender(list: SenderList, sender: Sender): Match | undefined {
  for (const id of provedIds(sender)) {
    const at = list.ids.get(id);
    if (at) return { by: "id", at, ...(id === sender.id ? {} : { as: id }) };
  }
  if (list.memberships.size > 0) {
    const roles = (sender.roles ?? []).map((role) => `role:${role}`);
    for (const membership of [...(sender.memberOf ?? []), ...roles]) {
      const at = list.memberships.get(membership);
      if (at) return { by: "membership", at };
    }
  }
  if (list.anybody) return { by: "anybody", at: list.anybody };
  if (list.names.size > 0) {
    for (const name of [sender.claimedHandle, sender.claimedName]) {
      const at = name === undefined ? undefined : list.names.get(nameOf(name));
      if (at) return { by: "name", at };
    }
  }
  return undefined;
}
