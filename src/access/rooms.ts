import { type ListContext, type Path, type SenderList, senderId, senderList } from "./senders.ts";
import type { ChannelSection, DmPolicy, Room, Setting } from "./settings.ts";
import { senderTools, toolLimit } from "./tool-limits.ts";

/** A part of the config, and where it stands. */
interface From<T> {
  readonly value: T | undefined;
  readonly at: Path;
}

type GroupSection = NonNullable<ChannelSection["groups"]>[string];
type GuildSection = NonNullable<ChannelSection["guilds"]>[string];
/** What any kind of room may say; each platform's schema lets its own part through. */
type RoomSection = GroupSection &
  Partial<Pick<GuildSection, "users" | "roles">> & { readonly allow?: boolean; readonly dmPolicy?: DmPolicy };

/** Single direct chats, by the sender's id. */
export function directRooms(
  from: From<Readonly<Record<string, RoomSection>>>,
  context: ListContext,
): ReadonlyMap<string, Room> {
  const rooms = new Map<string, Room>();
  for (const [key, section] of Object.entries(from.value ?? {})) {
    const id = key === "*" ? key : senderId(key, context.channel, context.ids);
    if (id !== undefined) rooms.set(id, roomFrom(section, [...from.at, key], context));
  }
  return rooms;
}

/**
 * Every group that the config names: under `groups`, and as platforms call them: the channels of Discord's `guilds`
 * and its group chats (`dm.groupChannels`), Slack's `channels`.
 */
export function groupRooms(
  from: {
    readonly groups: From<ChannelSection["groups"]>;
    readonly guilds: From<ChannelSection["guilds"]>;
    readonly channels: From<ChannelSection["channels"]>;
    readonly dm: From<ChannelSection["dm"]>;
  },
  context: ListContext,
): ReadonlyMap<string, Room> {
  const rooms = new Map<string, Room>();
  const put = (key: string, section: RoomSection, at: Path) => {
    const id = key === "*" ? key : groupId(key, at, context);
    if (id !== undefined) rooms.set(id, roomFrom(section, at, context));
  };
  for (const [key, section] of Object.entries(from.groups.value ?? {}))
    put(key, section, [...from.groups.at, key]);
  // The same key means other things on other platforms (the rooms that an IRC bot joins).
  if (context.channel === "slack") {
    for (const [key, section] of Object.entries(from.channels.value ?? {})) {
      put(key, section, [...from.channels.at, key]);
    }
  }
  if (context.channel === "discord") {
    const { value, at } = from.dm;
    for (const [index, id] of (value?.groupEnabled ? (value.groupChannels ?? []) : []).entries()) {
      put(String(id), {}, [...at, "groupChannels", index]);
    }
    for (const [key, guild] of Object.entries(from.guilds.value ?? {})) {
      addGuild(key, guild, [...from.guilds.at, key], rooms, context);
    }
  }
  return rooms;
}

/** A guild that lists channels opens these alone, with its own values where theirs are unset; else all of its own. */
function addGuild(
  key: string,
  guild: GuildSection,
  at: Path,
  rooms: Map<string, Room>,
  context: ListContext,
): void {
  const whole = roomFrom(guild, at, context);
  const others = key === "*" ? key : `guild:${key}`;
  const channels = Object.entries(guild.channels ?? {});
  const closed: Setting<boolean> = { value: false, at: [...at, "channels"], isSet: true };
  rooms.set(others, channels.length === 0 ? whole : { ...whole, enabled: closed });
  for (const [name, section] of channels) {
    const place = [...at, "channels", name];
    const id = name === "*" ? others : groupId(name, place, context);
    if (id !== undefined) rooms.set(id, within(whole, roomFrom(section, place, context)));
  }
}

/** The channel's own values, and its guild's for the rest. */
function within(guild: Room, channel: Room): Room {
  return {
    ...channel,
    enabled: channel.enabled ?? guild.enabled,
    requireMention: channel.requireMention ?? guild.requireMention,
    ignoreOtherMentions: channel.ignoreOtherMentions ?? guild.ignoreOtherMentions,
    groupPolicy: channel.groupPolicy ?? guild.groupPolicy,
    allowFrom: channel.allowFrom ?? guild.allowFrom,
    tools: channel.tools ?? guild.tools,
    toolsBySender: {
      byId: new Map([...guild.toolsBySender.byId, ...channel.toolsBySender.byId]),
      others: channel.toolsBySender.others ?? guild.toolsBySender.others,
    },
  };
}

function roomFrom(section: RoomSection, at: Path, context: ListContext): Room {
  const own = <K extends keyof RoomSection>(
    key: K,
    value: RoomSection[K] = section[key],
  ): Setting<NonNullable<RoomSection[K]>> | undefined =>
    value === undefined || value === null ? undefined : { value, at: [...at, key], isSet: true };
  const topics = Object.entries(section.topics ?? {});
  return Object.freeze({
    at,
    // `allow` is the older word on Discord; a room that either turns off is off.
    enabled: section.allow === false ? own("allow") : own("enabled"),
    requireMention: own("requireMention"),
    ignoreOtherMentions: own("ignoreOtherMentions"),
    groupPolicy: own("groupPolicy"),
    dmPolicy: own("dmPolicy"),
    allowFrom: listFrom(section, at, context),
    tools: toolLimit(section.tools, [...at, "tools"]),
    toolsBySender: senderTools(section.toolsBySender, [...at, "toolsBySender"], context),
    topics: new Map(topics.map(([id, topic]) => [id, roomFrom(topic, [...at, "topics", id], context)])),
  });
}

/** `users` is the platforms' own word for allowFrom; whoever has one of `roles` is listed too. */
function listFrom(section: RoomSection, at: Path, context: ListContext): SenderList | undefined {
  const { users, roles, allowFrom } = section;
  if (!users && !roles && !allowFrom) return undefined;
  const list = senderList(users ?? allowFrom ?? [], [...at, users ? "users" : "allowFrom"], context);
  const places = (roles ?? []).map((role, index) => [`role:${role}`, [...at, "roles", index]] as const);
  return { ...list, memberships: new Map([...list.memberships, ...places]) };
}

function groupId(text: string, path: Path, { ids, problems }: ListContext): string | undefined {
  const read = ids.group(text);
  if ("id" in read) return read.id;
  problems.push({ path, kind: "value", message: read.problem });
  return undefined;
}
