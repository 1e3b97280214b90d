import type { InboundMessage } from "../delivery/mod.ts";
import type { Reason } from "../kernel/mod.ts";
import { type CommandFact, commandOf } from "./commands.ts";
import { type Mention, mentionOf, requireMentionIn } from "./mentions.ts";
import type { Use } from "./meters.ts";
import { type Match, matchSender, ownIds, type Path, type SenderList, spelled } from "./senders.ts";
import type { AccessSettings, DmPolicy, GroupPolicy, Room, Setting } from "./settings.ts";
import { roomsOf } from "./tool-limits.ts";

/** What a decision is made from. The same facts give the same answer. */
export interface Facts {
  readonly message: InboundMessage;
  /** Sender ids that were approved for this channel and account. */
  readonly paired: ReadonlySet<string>;
  /** The agent that the message would go to, whose name may be called; undefined: none is bound. */
  readonly agentId: string | undefined;
  /** The command that the session stage would read this text as (its config may have words of its own for some). */
  readonly command: string | undefined;
  /** What the meters say now. */
  readonly use: Use;
  /** What an owner chose for this group with /activation, over the config's requireMention. */
  readonly activation?: Activation | undefined;
}

export type Activation = "mention" | "always";

/** What one rule saw and said. */
export interface Step {
  readonly rule: string;
  /** "note" decides nothing: it says what the admitted message brings along. */
  readonly outcome: "pass" | "refuse" | "note";
  readonly reason?: Reason;
  /** For people: the facts that it looked at. */
  readonly facts: string;
  /** The config that decided; empty where none is asked. */
  readonly at: Path;
  /** False: nobody wrote it, the default decided. */
  readonly isSet: boolean;
}

/** The facts, with ids in their one spelling and what follows from them. */
export interface Sight {
  readonly facts: Facts;
  readonly settings: AccessSettings;
  /** The sender's id is in its one spelling, or "" when it can be nobody's. */
  readonly message: InboundMessage;
  readonly rooms: readonly Room[];
  readonly mention: Mention | undefined;
  readonly command: CommandFact | undefined;
  readonly owner: Match | undefined;
  /** How this conversation's rules came to name the sender; undefined where nobody is named and anybody may. */
  readonly sender: Match | undefined;
}

export function sightOf(facts: Facts, settings: AccessSettings): Sight {
  const { sender } = facts.message;
  const message = { ...facts.message, sender: spelled(sender, settings) ?? { id: "", proof: sender.proof } };
  const rooms = roomsOf(message, settings);
  const before = {
    facts,
    settings,
    message,
    rooms,
    // In a direct chat every message is meant for the agent; nobody looks for its name there.
    mention: message.conversation.kind === "direct" ? undefined : mentionOf(message, facts.agentId, settings),
    command: commandOf(facts.command === undefined ? message.text : `/${facts.command}`),
    owner: matchSender(settings.owners, message.sender),
  };
  return { ...before, sender: senderMatch({ ...before, sender: undefined }) };
}

type Rule = (sight: Sight) => Step | undefined;
type Decider = Pick<Setting<unknown>, "at" | "isSet">;

const noConfig: Decider = { at: [], isSet: false };

function pass(rule: string, facts: string, { at, isSet }: Decider = noConfig): Step {
  return { rule, outcome: "pass", facts, at, isSet };
}

function stop(rule: string, reason: Reason, facts: string, { at, isSet }: Decider = noConfig): Step {
  return { rule, outcome: "refuse", reason, facts, at, isSet };
}

const asked = (at: Path): Decider => ({ at, isSet: true });

// --- who, before where ----------------------------------------------------------------------------------------------

const channelIsOn: Rule = ({ settings: { enabled, channel } }) =>
  enabled.value
    ? pass("channel", `${channel} is on`, enabled)
    : stop("channel", "access.channel_disabled", channel, enabled);

/** A sender without a platform-proved id cannot be told from anybody else: no rule may match it, not even "*". */
const senderIsProved: Rule = ({ message: { sender }, facts }) => {
  const seen = `sender id ${JSON.stringify(facts.message.sender.id)}, proof: ${sender.proof}`;
  const isProved = sender.id !== "" && sender.proof !== "none" && sender.proof !== "claimed";
  return isProved ? pass("identity", seen) : stop("identity", "access.sender_unidentified", seen);
};

const botIsWelcome: Rule = ({ message, settings: { allowBots } }) => {
  if (!message.isBot) return undefined;
  const isWelcome = allowBots.value === true || (allowBots.value === "mentions" && message.mentionsBot);
  return isWelcome
    ? pass("bots", "the sender is a bot", allowBots)
    : stop("bots", "access.bot_refused", message.sender.id, allowBots);
};

// --- direct chats ---------------------------------------------------------------------------------------------------

function dmPolicyIn({ rooms, settings }: Sight): Setting<DmPolicy> {
  return rooms.find((room) => room.dmPolicy)?.dmPolicy ?? settings.dmPolicy;
}

function dmList({ rooms, settings }: Sight): SenderList {
  return rooms.find((room) => room.allowFrom)?.allowFrom ?? settings.allowFrom;
}

const directIsOn: Rule = (sight) => {
  const policy = dmPolicyIn(sight);
  const off = sight.rooms.find((room) => room.enabled?.value === false)?.enabled;
  if (off) return stop("direct policy", "access.dm_disabled", "this chat is turned off", off);
  const isKnown = policy.value === "open" || policy.value === "allowlist" || policy.value === "pairing";
  return isKnown
    ? pass("direct policy", policy.value, policy)
    : stop("direct policy", "access.dm_disabled", String(policy.value), policy);
};

/** The id under which the sender was approved. A pairing is a person's: it does not go with a number. */
function pairedAs({ message, facts }: Pick<Sight, "message" | "facts">): string | undefined {
  return ownIds(message.sender).find((id) => facts.paired.has(id));
}

function byText({ by, as }: Match): string {
  return as === undefined ? by : `${by}, as ${as}`;
}

const directSender: Rule = (sight) => {
  const { message, sender } = sight;
  const policy = dmPolicyIn(sight).value;
  const list = dmList(sight);
  const { id } = message.sender;
  if (sender) return pass("sender", `${id} is listed (${byText(sender)})`, asked(sender.at));
  const paired = policy === "pairing" ? pairedAs(sight) : undefined;
  if (paired !== undefined)
    return pass("sender", `${id} is paired${paired === id ? "" : ` (as ${paired})`}`, list);
  const reason =
    policy === "pairing"
      ? "access.sender_unpaired"
      : policy === "open"
        ? "access.open_without_wildcard"
        : "access.sender_not_listed";
  return stop("sender", reason, id, list);
};

// --- groups ---------------------------------------------------------------------------------------------------------

/** The room's own policy, unless groups are off for the whole channel: off wins. */
function groupPolicyIn({ rooms, settings }: Sight): Setting<GroupPolicy> & { readonly isRooms: boolean } {
  const own = rooms.find((room) => room.groupPolicy)?.groupPolicy;
  return own && settings.groupPolicy.value !== "disabled"
    ? { ...own, isRooms: true }
    : { ...settings.groupPolicy, isRooms: false };
}

/** Undefined: anybody in the group may. Pairings play no part: a direct chat never opens a group. */
function groupList(sight: Sight): SenderList | undefined {
  const { rooms, settings } = sight;
  const policy = groupPolicyIn(sight);
  const own = rooms.find((room) => room.allowFrom)?.allowFrom;
  if (own) return own;
  if (policy.value === "open" && (policy.isRooms || !settings.groupAllowFrom)) return undefined;
  return settings.groupAllowFrom ?? settings.allowFrom;
}

const groupsAreOn: Rule = (sight) => {
  const policy = groupPolicyIn(sight);
  return policy.value === "open" || policy.value === "allowlist"
    ? pass("group policy", policy.value, policy)
    : stop("group policy", "access.group_disabled", String(policy.value), policy);
};

const groupIsListed: Rule = (sight) => {
  const { rooms, settings, message } = sight;
  const { id } = message.conversation;
  const off = rooms.find((room) => room.enabled)?.enabled;
  const room = rooms[0];
  if (!room) {
    const where: Decider = { at: settings.groupsAt, isSet: settings.groups.size > 0 };
    return groupPolicyIn(sight).value === "open"
      ? pass("group", `${id} is not listed, and need not be`, where)
      : stop("group", "access.group_not_listed", id, where);
  }
  return off?.value === false
    ? stop("group", "access.group_disabled", id, off)
    : pass("group", `${id} is listed`, asked(room.at));
};

const groupSender: Rule = (sight) => {
  const { message, sender, settings } = sight;
  const { id } = message.sender;
  const list = groupList(sight);
  if (!list) return pass("sender", "anybody in this group may", groupPolicyIn(sight));
  return sender
    ? pass("sender", `${id} is listed (${byText(sender)})`, asked(sender.at))
    : stop("sender", "access.group_sender_not_listed", id, list.isSet ? list : settings.allowFrom);
};

const groupMention: Rule = ({ message, rooms, settings, mention, facts: { activation } }) => {
  const needed: Setting<boolean> = activation
    ? { value: activation === "mention", at: [], isSet: true }
    : requireMentionIn(rooms, settings);
  const { id } = message.conversation;
  const ignores = rooms.find((room) => room.ignoreOtherMentions)?.ignoreOtherMentions;
  if (ignores?.value === true && message.mentionsOthers === true && !message.mentionsBot) {
    return stop("mention", "access.not_mentioned", "the message calls somebody else", ignores);
  }
  if (mention) {
    const decider = mention.at.length > 0 ? mention : needed;
    return pass("mention", `the agent is called (${mention.by})`, decider);
  }
  return needed.value
    ? stop("mention", "access.not_mentioned", id, needed)
    : pass("mention", `not called, and need not be${activation ? " (/activation always)" : ""}`, needed);
};

const unknownKind: Rule = ({ message }) =>
  stop("conversation", "access.conversation_unknown", JSON.stringify(message.conversation.kind));

// --- what the sender wants ------------------------------------------------------------------------------------------

const commandIsAllowed: Rule = ({ command, owner, sender, settings, facts, message }) => {
  if (!command) return undefined;
  const rule = "command";
  const name = `/${command.name}`;
  if (owner) return pass(rule, `${name} by the owner`, asked(owner.at));
  if (command.isOwnerOnly) return stop(rule, "access.command_owner_only", name, settings.owners);
  const { allowFrom, useAccessGroups } = settings.commands;
  if (allowFrom) {
    const found = matchSender(allowFrom, message.sender);
    return found
      ? pass(rule, `${name} by ${message.sender.id}`, asked(found.at))
      : stop(rule, "access.command_not_allowed", name, allowFrom);
  }
  // Whom an open group lets talk, nobody has named: commands are for those who are named, or were paired here.
  const isPaired = message.conversation.kind === "direct" && pairedAs({ message, facts }) !== undefined;
  if (sender || isPaired || !useAccessGroups.value) return pass(rule, name, useAccessGroups);
  return stop(rule, "access.command_not_allowed", name, useAccessGroups);
};

const noBotLoop: Rule = ({ message, facts, settings }) => {
  if (!message.isBot) return undefined;
  const { loopWaitMs } = facts.use;
  return loopWaitMs > 0
    ? stop("bot loop", "access.bot_loop", waitText(loopWaitMs), settings.loop)
    : pass("bot loop", "no loop", settings.loop);
};

/** The owner answers for the bill, and must be able to stop what floods: owners are not slowed down. */
const notTooFast: Rule = ({ owner, facts: { use }, settings: { limits } }) => {
  const rule = "limits";
  if (owner) return pass(rule, "the owner is not slowed down", asked(owner.at));
  if (use.senderWaitMs > 0) {
    return stop(rule, "access.sender_too_fast", waitText(use.senderWaitMs), limits.perSender);
  }
  if (use.chatWaitMs > 0) return stop(rule, "access.chat_too_fast", waitText(use.chatWaitMs), limits.perChat);
  return use.dayWaitMs > 0
    ? stop(rule, "access.budget_spent", waitText(use.dayWaitMs), limits.perSenderPerDay)
    : pass(rule, "within the limits", limits.perSender);
};

function waitText(ms: number): string {
  return `room again in ${Math.ceil(ms / 1000)} s`;
}

// --- the order ------------------------------------------------------------------------------------------------------

const kinds: ReadonlyMap<string, readonly Rule[]> = new Map([
  ["direct", [directIsOn, directSender]],
  ["group", [groupsAreOn, groupIsListed, groupSender, groupMention]],
  ["channel", [groupsAreOn, groupIsListed, groupSender, groupMention]],
]);

/** The rules for a conversation of this kind, in order. A kind that nobody knows has one rule, which refuses. */
export function rulesFor(kind: string): readonly Rule[] {
  return [
    channelIsOn,
    senderIsProved,
    botIsWelcome,
    ...(kinds.get(kind) ?? [unknownKind]),
    noBotLoop,
    notTooFast,
    commandIsAllowed,
  ];
}

/** The list that counts in this conversation; undefined: anybody may. */
export function listFor(sight: Sight): SenderList | undefined {
  return sight.message.conversation.kind === "direct" ? dmList(sight) : groupList(sight);
}

/** How the lists of this conversation name the sender; "*" counts where the policy says that it does. */
function senderMatch(sight: Sight): Match | undefined {
  const { sender, conversation } = sight.message;
  const list = listFor(sight);
  const found = list && matchSender(list, sender);
  if (conversation.kind !== "direct" || !list) return found;
  switch (dmPolicyIn(sight).value) {
    case "open":
      // Without "*" the policy was not meant: nobody is admitted, not even those who are listed.
      return list.anybody && { by: "anybody", at: list.anybody };
    case "pairing":
      return found?.by === "anybody" ? undefined : found;
    default:
      return found;
  }
}
