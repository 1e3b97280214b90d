import type { OpenClawConfig } from "../config/mod.ts";
import type { Problem } from "../kernel/mod.ts";
import { agentsOf, mentionPatterns } from "./mentions.ts";
import type { Limit, LoopSettings } from "./meters.ts";
import { directRooms, groupRooms } from "./rooms.ts";
import {
  type IdRule,
  type ListContext,
  type Path,
  type SenderList,
  senderId,
  senderList,
} from "./senders.ts";
import type {
  AccessSettings,
  ChannelSection,
  Channels,
  ContextVisibility,
  DmPolicy,
  GroupPolicy,
  MessageLimits,
  Setting,
} from "./settings.ts";
import { senderTools } from "./tool-limits.ts";

/**
 * Who may talk on one account, from the config: an account's own value, else the channel's, else that of
 * `channels.defaults`, else the safe default. Problems name entries that match nobody; they never widen anything.
 */
export function accessSettings(
  config: OpenClawConfig,
  channel: string,
  account: string,
  ids: IdRule,
): { readonly settings: AccessSettings; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const place = placeOf(config, channel, account);
  const namesMatch = pick(place, "dangerouslyAllowNameMatching", false).value;
  const groups = config.accessGroups ?? {};
  const context: ListContext = { channel, ids, groups, namesMatch, problems };
  // Owners and givers of commands are never found by a name, whatever the account allows for talking.
  const strict: ListContext = { ...context, namesMatch: false };
  const group = first(place, "groupAllowFrom");
  const groupsFrom = first(place, "groups");
  const settings: AccessSettings = Object.freeze({
    channel,
    account,
    ids,
    enabled: enabledOf(place),
    dmPolicy: dmPolicyOf(place),
    allowFrom: allowFromOf(place, context),
    direct: directRooms(first(place, "direct"), context),
    groupPolicy: pick<GroupPolicy>(place, "groupPolicy", "allowlist"),
    groupAllowFrom: group.value === undefined ? undefined : senderList(group.value, group.at, context),
    groupsAt: groupsFrom.at,
    groups: groupRooms(
      {
        groups: groupsFrom,
        guilds: first(place, "guilds"),
        channels: first(place, "channels"),
        dm: first(place, "dm"),
      },
      context,
    ),
    requireMention: pick(place, "requireMention", true),
    implicitMentions: {
      replyToBot: implicitOf(place, "replyToBot"),
      quotedBot: implicitOf(place, "quotedBot"),
      threadParticipation: implicitOf(place, "threadParticipation"),
    },
    mentions: { ...mentionPatterns(config), ...patternScope(place) },
    allowBots: pick<boolean | "mentions">(place, "allowBots", false),
    loop: loopOf(place),
    limits: limitsOf(place),
    contextVisibility: pick<ContextVisibility>(place, "contextVisibility", "all"),
    owners: ownersOf(config, strict),
    commands: commandsOf(config, strict),
    tools: {
      bySender: senderTools(config.tools?.toolsBySender, ["tools", "toolsBySender"], context),
      agents: new Map(
        agentsOf(config).map(({ id, agent, at }) => [
          id,
          senderTools(agent.tools?.toolsBySender, [...at, "tools", "toolsBySender"], context),
        ]),
      ),
    },
  });
  return { settings, problems };
}

/** The sections that are asked for a value, in order, with where they stand. */
interface Place {
  readonly own: ChannelSection;
  readonly ownAt: Path;
  readonly channel: ChannelSection;
  readonly channelAt: Path;
  readonly defaults: NonNullable<Channels["defaults"]>;
}

function placeOf(config: OpenClawConfig, channel: string, account: string): Place {
  const sections: Readonly<Record<string, unknown>> = config.channels ?? {};
  const section = (Object.hasOwn(sections, channel) ? sections[channel] : undefined) as
    | ChannelSection
    | undefined;
  const accounts = section?.accounts ?? {};
  const own = Object.hasOwn(accounts, account) ? accounts[account] : undefined;
  const channelAt = ["channels", channel];
  return {
    own: own ?? {},
    ownAt: own ? [...channelAt, "accounts", account] : channelAt,
    channel: section ?? { enabled: false },
    channelAt,
    defaults: config.channels?.defaults ?? {},
  };
}

/** The first of the account, the channel and the defaults that has the key; where it would stand when none has. */
function first<K extends keyof ChannelSection>(
  place: Place,
  key: K,
): { readonly value: ChannelSection[K] | undefined; readonly at: Path } {
  const { own, ownAt, channel, channelAt } = place;
  if (own[key] !== undefined) return { value: own[key], at: [...ownAt, key] };
  if (channel[key] !== undefined) return { value: channel[key], at: [...channelAt, key] };
  const defaults: Readonly<Record<string, unknown>> = place.defaults;
  if (defaults[key] !== undefined) {
    return { value: defaults[key] as ChannelSection[K], at: ["channels", "defaults", key] };
  }
  return { value: undefined, at: [...channelAt, key] };
}

function pick<T>(place: Place, key: keyof ChannelSection, fallback: T): Setting<T> {
  const { value, at } = first(place, key);
  // The schema has checked the value's type under this key.
  return value === undefined ? { value: fallback, at, isSet: false } : { value: value as T, at, isSet: true };
}

/** A channel that is off turns its accounts off; one that the config does not have is off. */
function enabledOf({ own, ownAt, channel, channelAt }: Place): Setting<boolean> {
  const off = channel.enabled === false ? channelAt : ownAt;
  const isSet = channel.enabled === false || own.enabled !== undefined || channel.enabled !== undefined;
  return { value: channel.enabled !== false && own.enabled !== false, at: [...off, "enabled"], isSet };
}

/** Both spellings: `dmPolicy`, and the older `dm.policy` with `dm.enabled`. */
function dmPolicyOf(place: Place): Setting<DmPolicy> {
  for (const [section, at] of [
    [place.own, place.ownAt],
    [place.channel, place.channelAt],
  ] as const) {
    if (section.dm?.enabled === false) {
      return { value: "disabled", at: [...at, "dm", "enabled"], isSet: true };
    }
    if (section.dmPolicy !== undefined)
      return { value: section.dmPolicy, at: [...at, "dmPolicy"], isSet: true };
    if (section.dm?.policy !== undefined) {
      return { value: section.dm.policy, at: [...at, "dm", "policy"], isSet: true };
    }
  }
  return pick<DmPolicy>(place, "dmPolicy", "pairing");
}

/** An account's own list may narrow the channel's, never widen it. */
function allowFromOf(place: Place, context: ListContext): SenderList {
  const read = (section: ChannelSection, at: Path): SenderList | undefined => {
    const [entries, path] =
      section.allowFrom === undefined
        ? [section.dm?.allowFrom, [...at, "dm", "allowFrom"]]
        : [section.allowFrom, [...at, "allowFrom"]];
    return entries && senderList(entries, path, context);
  };
  const ceiling = read(place.channel, place.channelAt);
  const own = read(place.own, place.ownAt);
  if (!own) return ceiling ?? senderList(undefined, [...place.channelAt, "allowFrom"], context);
  if (!ceiling || ceiling.anybody) return own;
  if (own.anybody) return ceiling;
  const within = (part: "ids" | "memberships" | "names") =>
    new Map([...own[part]].filter(([key]) => ceiling[part].has(key)));
  return { ...own, ids: within("ids"), memberships: within("memberships"), names: within("names") };
}

function implicitOf(place: Place, key: "replyToBot" | "quotedBot" | "threadParticipation"): Setting<boolean> {
  for (const [section, at] of [
    [place.own, place.ownAt],
    [place.channel, place.channelAt],
    [place.defaults, ["channels", "defaults"]],
  ] as const) {
    const value = section.implicitMentions?.[key];
    if (value !== undefined) return { value, at: [...at, "implicitMentions", key], isSet: true };
  }
  return { value: true, at: [...place.channelAt, "implicitMentions", key], isSet: false };
}

function patternScope(place: Place): Pick<AccessSettings["mentions"], "mode" | "allowIn" | "denyIn"> {
  const { value, at } = first(place, "mentionPatterns");
  return {
    mode: { value: value?.mode ?? "allow", at: [...at, "mode"], isSet: value?.mode !== undefined },
    allowIn: new Set(value?.allowIn?.map(String)),
    denyIn: new Set(value?.denyIn?.map(String)),
  };
}

function loopOf(place: Place): Setting<LoopSettings | undefined> {
  const { value, at } = first(place, "botLoopProtection");
  const loop: LoopSettings | undefined =
    value?.enabled === false
      ? undefined
      : {
          maxEvents: value?.maxEventsPerWindow ?? 20,
          windowMs: (value?.windowSeconds ?? 60) * 1000,
          cooldownMs: (value?.cooldownSeconds ?? 60) * 1000,
        };
  return { value: loop, at, isSet: value !== undefined };
}

const dayMs = 24 * 60 * 60 * 1000;
/** Nobody types faster for long; a script does. */
const usualPerSender: Limit = { messages: 60, periodMs: 60_000, burst: 120 };
const usualPerChat: Limit = { messages: 120, periodMs: 60_000, burst: 240 };

function limitsOf(place: Place): MessageLimits {
  const { value, at } = first(place, "messageLimits");
  const rate = (key: "perSender" | "perChat", usual: Limit): Setting<Limit | undefined> => {
    const given = value?.[key];
    const limit: Limit | undefined =
      given === false
        ? undefined
        : given && {
            messages: given.messages,
            periodMs: (given.seconds ?? 60) * 1000,
            burst: given.burst ?? given.messages,
          };
    return { value: given === undefined ? usual : limit, at: [...at, key], isSet: given !== undefined };
  };
  const perDay = value?.perSenderPerDay;
  return {
    perSender: rate("perSender", usualPerSender),
    perChat: rate("perChat", usualPerChat),
    perSenderPerDay: {
      value: perDay === undefined ? undefined : { messages: perDay, periodMs: dayMs, burst: perDay },
      at: [...at, "perSenderPerDay"],
      isSet: perDay !== undefined,
    },
  };
}

/** Entries say whose id it is ("telegram:123"): the same number on another channel is another person. */
function ownersOf(config: OpenClawConfig, context: ListContext): SenderList {
  const at = ["commands", "ownerAllowFrom"];
  const entries = config.commands?.ownerAllowFrom;
  const ids = new Map<string, Path>();
  for (const [index, entry] of (entries ?? []).entries()) {
    const text = String(entry).trim();
    if (!text.toLowerCase().startsWith(`${context.channel}:`)) continue;
    const id = senderId(text, context.channel, context.ids);
    if (id !== undefined) ids.set(id, [...at, index]);
  }
  return {
    at,
    isSet: entries !== undefined,
    anybody: undefined,
    ids,
    memberships: new Map(),
    names: new Map(),
  };
}

/** When `commands.allowFrom` is there, a channel that it does not name has nobody who may give commands. */
function commandsOf(config: OpenClawConfig, context: ListContext): AccessSettings["commands"] {
  const lists = config.commands?.allowFrom;
  const useAccessGroups = config.commands?.useAccessGroups;
  const key = lists && Object.hasOwn(lists, context.channel) ? context.channel : "*";
  // The list for all channels holds ids of many forms; those of other channels match nobody here.
  const quiet = key === "*" ? { ...context, problems: [] } : context;
  const at = ["commands", "allowFrom", key];
  return {
    allowFrom: lists && senderList(Object.hasOwn(lists, key) ? lists[key] : [], at, quiet),
    useAccessGroups: {
      value: useAccessGroups ?? true,
      at: ["commands", "useAccessGroups"],
      isSet: useAccessGroups !== undefined,
    },
  };
}
