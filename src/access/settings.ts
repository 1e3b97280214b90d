import type { OpenClawConfig } from "../config/mod.ts";
import { type MentionPatterns, noPatterns } from "./mentions.ts";
import type { Limit, LoopSettings } from "./meters.ts";
import { type IdRule, type Path, plainIds, type SenderList } from "./senders.ts";
import type { SenderTools, ToolLimit } from "./tool-limits.ts";

export { accessFindings } from "./findings.ts";

/** A value of the config, and where it stands (or would stand, when nobody wrote it). */
export interface Setting<T> {
  readonly value: T;
  readonly at: Path;
  readonly isSet: boolean;
}

export type DmPolicy = "pairing" | "allowlist" | "open" | "disabled";
export type GroupPolicy = "allowlist" | "open" | "disabled";
export type ContextVisibility = "all" | "allowlist" | "allowlist_quote";

/** What decides who may talk on one account of a channel; made from the config by {@link accessSettings}. */
export interface AccessSettings {
  readonly channel: string;
  readonly account: string;
  readonly ids: IdRule;
  readonly enabled: Setting<boolean>;
  readonly dmPolicy: Setting<DmPolicy>;
  /** Senders of direct messages; empty admits nobody. */
  readonly allowFrom: SenderList;
  /** What single direct chats have of their own, by the sender's id. */
  readonly direct: ReadonlyMap<string, Room>;
  readonly groupPolicy: Setting<GroupPolicy>;
  /** Senders in groups; undefined falls back to allowFrom (never to pairings). */
  readonly groupAllowFrom: SenderList | undefined;
  readonly groupsAt: Path;
  /** By group id, "guild:<id>" (all that a Discord server does not name), or "*". */
  readonly groups: ReadonlyMap<string, Room>;
  readonly requireMention: Setting<boolean>;
  readonly implicitMentions: Readonly<Record<ImplicitMention, Setting<boolean>>>;
  readonly mentions: MentionSettings;
  readonly allowBots: Setting<boolean | "mentions">;
  readonly loop: Setting<LoopSettings | undefined>;
  readonly limits: MessageLimits;
  readonly contextVisibility: Setting<ContextVisibility>;
  /** Owners that this channel can prove. "*" makes nobody an owner. */
  readonly owners: SenderList;
  readonly commands: CommandSettings;
  readonly tools: ToolSettings;
}

export type ImplicitMention = "replyToBot" | "quotedBot" | "threadParticipation";

/** A group, a topic in it, or one direct chat. What is undefined is left to the wider scope. */
export interface Room {
  readonly at: Path;
  readonly enabled: Setting<boolean> | undefined;
  readonly requireMention: Setting<boolean> | undefined;
  readonly ignoreOtherMentions: Setting<boolean> | undefined;
  readonly groupPolicy: Setting<GroupPolicy> | undefined;
  readonly dmPolicy: Setting<DmPolicy> | undefined;
  readonly allowFrom: SenderList | undefined;
  readonly tools: ToolLimit | undefined;
  readonly toolsBySender: SenderTools;
  readonly topics: ReadonlyMap<string, Room>;
}

export interface MentionSettings {
  /** By agent id. */
  readonly byAgent: ReadonlyMap<string, MentionPatterns>;
  /** For an agent that the config does not name. */
  readonly otherwise: MentionPatterns;
  /** Where patterns count: everywhere but in `denyIn` ("allow"), or in `allowIn` only ("deny"). */
  readonly mode: Setting<"allow" | "deny">;
  readonly allowIn: ReadonlySet<string>;
  readonly denyIn: ReadonlySet<string>;
}

export interface CommandSettings {
  /** When set the only source of who may give commands. */
  readonly allowFrom: SenderList | undefined;
  /** False: whoever may talk may give commands. */
  readonly useAccessGroups: Setting<boolean>;
}

export interface MessageLimits {
  readonly perSender: Setting<Limit | undefined>;
  readonly perChat: Setting<Limit | undefined>;
  readonly perSenderPerDay: Setting<Limit | undefined>;
}

export interface ToolSettings {
  readonly bySender: SenderTools;
  /** By agent id. */
  readonly agents: ReadonlyMap<string, SenderTools>;
}

export type Channels = NonNullable<OpenClawConfig["channels"]>;
/** The keys that each channel has, and those under which single platforms name their rooms. */
export type ChannelSection = NonNullable<Channels["telegram"]> &
  Pick<NonNullable<Channels["discord"]>, "guilds"> &
  Pick<NonNullable<Channels["slack"]>, "channels">;

const nobody: SenderList = Object.freeze({
  at: [],
  isSet: false,
  anybody: undefined,
  ids: new Map(),
  memberships: new Map(),
  names: new Map(),
});

function unset<T>(value: T): Setting<T> {
  return { value, at: [], isSet: false };
}

/** Nobody may talk: what an account is without a config. */
export const closedAccess: AccessSettings = Object.freeze({
  channel: "",
  account: "",
  ids: plainIds,
  enabled: unset(false),
  dmPolicy: unset<DmPolicy>("disabled"),
  allowFrom: nobody,
  direct: new Map(),
  groupPolicy: unset<GroupPolicy>("disabled"),
  groupAllowFrom: nobody,
  groupsAt: [],
  groups: new Map(),
  requireMention: unset(true),
  implicitMentions: {
    replyToBot: unset(false),
    quotedBot: unset(false),
    threadParticipation: unset(false),
  },
  mentions: {
    byAgent: new Map(),
    otherwise: noPatterns,
    mode: unset<"allow" | "deny">("deny"),
    allowIn: new Set<string>(),
    denyIn: new Set<string>(),
  },
  allowBots: unset<boolean | "mentions">(false),
  loop: unset<LoopSettings | undefined>({ maxEvents: 1, windowMs: 60_000, cooldownMs: 60_000 }),
  limits: { perSender: unset(undefined), perChat: unset(undefined), perSenderPerDay: unset(undefined) },
  contextVisibility: unset<ContextVisibility>("allowlist"),
  owners: nobody,
  commands: { allowFrom: nobody, useAccessGroups: unset(true) },
  // A turn that was admitted before its account went away keeps no tool.
  tools: {
    bySender: { byId: new Map(), others: { allow: undefined, deny: ["*"], at: [] } },
    agents: new Map(),
  },
});
