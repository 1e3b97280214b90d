import { admitted, type Reason, type Refusal } from "../kernel/mod.ts";
import { type Admitted, decide } from "./decide.ts";
import { unused } from "./meters.ts";
import { type Facts, listFor, type Step, sightOf } from "./rules.ts";
import { canonical, ownIds, type Path, provedIds, type SenderList } from "./senders.ts";
import type { AccessSettings, Room, Setting } from "./settings.ts";
import { noSenderTools } from "./tool-limits.ts";

/** An answer with its way through the rules, and what would turn it around. */
export interface Explanation {
  readonly answer: Admitted | Refusal;
  readonly steps: readonly Step[];
  /** For a refusal: what it takes, each in addition to those before. Empty where nothing helps. */
  readonly needs: readonly Change[];
  /** For an admission: each of these alone would end it. */
  readonly losses: readonly Change[];
}

/** A change of the facts or of the config, in words, and where in the config it is made. */
export interface Change {
  readonly text: string;
  readonly at: Path;
}

/** Asks {@link decide}, and asks it again with one thing changed at a time: what it says would help has helped. */
export function explain(facts: Facts, settings: AccessSettings): Explanation {
  const steps: Step[] = [];
  const verdict = decide(facts, settings, (step) => steps.push(step));
  if (admitted(verdict)) {
    return { answer: verdict.value, steps, needs: [], losses: lossesOf(facts, settings) };
  }
  return { answer: verdict, steps, needs: needsOf(facts, settings), losses: [] };
}

interface Variant extends Change {
  readonly facts: Facts;
  readonly settings: AccessSettings;
}

/** Mends one refusal after the other until the message is admitted. */
function needsOf(facts: Facts, settings: AccessSettings): readonly Change[] {
  const changes: Change[] = [];
  const seen = new Set<Reason>();
  let now = { facts, settings };
  for (;;) {
    const verdict = decide(now.facts, now.settings);
    if (admitted(verdict)) return changes;
    // A repair that does not help, or a refusal that has none: the message cannot be let in.
    const next = seen.has(verdict.reason) ? undefined : repairs[verdict.reason]?.(now.facts, now.settings);
    if (!next) return [];
    seen.add(verdict.reason);
    changes.push({ text: next.text, at: next.at });
    now = next;
  }
}

type Repair = (facts: Facts, settings: AccessSettings) => Variant;

const repairs: { readonly [R in Reason]?: Repair } = {
  "access.channel_disabled": (facts, settings) =>
    set(facts, settings, "enabled", true, "turn the channel on"),
  "access.bot_refused": (facts, settings) => set(facts, settings, "allowBots", true, "let bots talk"),
  "access.dm_disabled": (facts, settings) => openDirect(facts, settings),
  "access.open_without_wildcard": (facts, settings) => openDirect(facts, settings),
  "access.sender_unpaired": (facts, settings) => ({
    text: "pair the sender: openclaw pairing approve",
    at: [],
    facts: { ...facts, paired: new Set([...facts.paired, idOf(facts, settings)]) },
    settings,
  }),
  "access.sender_not_listed": listSender,
  "access.group_sender_not_listed": listSender,
  "access.group_disabled": openGroups,
  "access.group_not_listed": (facts, settings) => {
    const { id } = facts.message.conversation;
    const at = [...settings.groupsAt, id];
    return {
      text: "list the group",
      at,
      facts,
      settings: { ...settings, groups: new Map([...settings.groups, [id, emptyRoom(at)]]) },
    };
  },
  "access.not_mentioned": (facts, settings) => ({
    text: "mention the agent (or set requireMention to false)",
    at: settings.requireMention.at,
    facts: { ...facts, message: { ...facts.message, mentionsBot: true } },
    settings,
  }),
  "access.command_not_allowed": (facts, settings) => {
    const list = settings.commands.allowFrom ?? settings.allowFrom;
    const allowFrom = withSender(list, idOf(facts, settings));
    const commands = { ...settings.commands, allowFrom };
    return {
      text: "list the sender among those who may give commands",
      at: list.at,
      facts,
      settings: { ...settings, commands },
    };
  },
  "access.command_owner_only": (facts, settings) => ({
    text: "make the sender an owner",
    at: settings.owners.at,
    facts,
    settings: { ...settings, owners: withSender(settings.owners, idOf(facts, settings)) },
  }),
  "access.bot_loop": wait,
  "access.sender_too_fast": wait,
  "access.chat_too_fast": wait,
  "access.budget_spent": wait,
};

function wait(facts: Facts, settings: AccessSettings): Variant {
  return { text: "wait", at: settings.limits.perSender.at, facts: { ...facts, use: unused }, settings };
}

function openDirect(facts: Facts, settings: AccessSettings): Variant {
  const direct = new Map(
    [...settings.direct].map(([id, room]) => [id, { ...room, enabled: undefined, dmPolicy: undefined }]),
  );
  return set(facts, { ...settings, direct }, "dmPolicy", "pairing", 'let people pair: "pairing"');
}

function openGroups(facts: Facts, settings: AccessSettings): Variant {
  const groups = new Map(
    [...settings.groups].map(([id, room]) => [id, { ...room, enabled: undefined, groupPolicy: undefined }]),
  );
  return set(
    facts,
    { ...settings, groups },
    "groupPolicy",
    "allowlist",
    'answer in listed groups: "allowlist"',
  );
}

/** The list that counts here gets the sender: the room's own where it has one. */
function listSender(facts: Facts, settings: AccessSettings): Variant {
  // Who was refused for not being listed was looked for in a list.
  const list = listFor(sightOf(facts, settings)) as SenderList;
  const id = idOf(facts, settings);
  const replace = (old: SenderList) => (old === list ? withSender(old, id) : old);
  return { text: `list the sender ${id}`, at: list.at, facts, settings: withLists(settings, replace) };
}

function withLists(settings: AccessSettings, replace: (list: SenderList) => SenderList): AccessSettings {
  const inRooms = (rooms: ReadonlyMap<string, Room>): ReadonlyMap<string, Room> =>
    new Map(
      [...rooms].map(([id, room]) => [
        id,
        { ...room, allowFrom: room.allowFrom && replace(room.allowFrom), topics: inRooms(room.topics) },
      ]),
    );
  return {
    ...settings,
    allowFrom: replace(settings.allowFrom),
    groupAllowFrom: settings.groupAllowFrom && replace(settings.groupAllowFrom),
    direct: inRooms(settings.direct),
    groups: inRooms(settings.groups),
  };
}

/** What each alone would end an admission. */
function lossesOf(facts: Facts, settings: AccessSettings): readonly Change[] {
  const { sender } = canonical(facts.message, settings);
  const listed = provedIds(sender);
  const known = ownIds(sender);
  const { message } = facts;
  const variants: Variant[] = [
    {
      text: "the message does not call the agent",
      at: settings.requireMention.at,
      facts: {
        ...facts,
        message: {
          ...message,
          mentionsBot: false,
          repliesToBot: false,
          quotesBot: false,
          inBotThread: false,
          ownText: "",
        },
      },
      settings,
    },
    {
      text: "the pairing is taken back",
      at: [],
      facts: { ...facts, paired: new Set([...facts.paired].filter((item) => !known.includes(item))) },
      settings,
    },
    {
      text: "the sender is taken off the list",
      at: listFor(sightOf(facts, settings))?.at ?? [],
      facts,
      settings: withLists(settings, (list) => withoutSender(list, listed)),
    },
    {
      text: "the sender is no longer an owner",
      at: settings.owners.at,
      facts,
      settings: { ...settings, owners: withoutSender(settings.owners, listed) },
    },
    set(facts, settings, "enabled", false, "the channel is turned off"),
  ];
  return variants
    .filter((variant) => !admitted(decide(variant.facts, variant.settings)))
    .map(({ text, at }) => ({ text, at }));
}

function set<K extends "enabled" | "allowBots" | "dmPolicy" | "groupPolicy">(
  facts: Facts,
  settings: AccessSettings,
  key: K,
  value: AccessSettings[K]["value"],
  text: string,
): Variant {
  const setting: Setting<unknown> = { ...settings[key], value, isSet: true };
  return { text, at: settings[key].at, facts, settings: { ...settings, [key]: setting } };
}

function idOf(facts: Facts, settings: AccessSettings): string {
  return canonical(facts.message, settings).sender.id;
}

function withSender(list: SenderList, id: string): SenderList {
  return { ...list, isSet: true, ids: new Map([...list.ids, [id, list.at]]) };
}

function withoutSender(list: SenderList, ids: readonly string[]): SenderList {
  return { ...list, ids: new Map([...list.ids].filter(([key]) => !ids.includes(key))) };
}

function emptyRoom(at: Path): Room {
  return {
    at,
    enabled: undefined,
    requireMention: undefined,
    ignoreOtherMentions: undefined,
    groupPolicy: undefined,
    dmPolicy: undefined,
    allowFrom: undefined,
    tools: undefined,
    toolsBySender: noSenderTools,
    topics: new Map(),
  };
}
