import type { OpenClawConfig } from "../config/mod.ts";
import { type QueueSettings, queueSettings } from "./queue-mode.ts";
import { type ResetSettings, resetSettings } from "./reset.ts";
import { type SendPolicy, sendPolicyOf } from "./send-policy.ts";

export interface SessionSettings {
  /** Agents by id, in the order of the config; never empty. */
  readonly agentIds: readonly string[];
  /** The one that a caller means who names none. */
  readonly defaultAgentId: string;
  readonly dmScope: DmScope;
  readonly groupScope: GroupScope;
  readonly bindings: readonly Binding[];
  /** "telegram:123" -> the name of the person who has that account; only who is named there is linked. */
  readonly identities: ReadonlyMap<string, string>;
  readonly resets: ResetSettings;
  /** Messages that, alone, begin a fresh conversation; lower case. */
  readonly resetTriggers: ReadonlySet<string>;
  readonly sendPolicy: SendPolicy;
  readonly queue: QueueSettings;
  /** "none": nothing of a conversation stays on disk once its answer was delivered. */
  readonly retention: "keep" | "none";
  /** Messages that may wait in one session, and in all. */
  readonly perSessionWaiting: number;
  readonly totalWaiting: number;
  readonly concurrentSessions: number;
}

export type DmScope = "main" | "per-peer" | "per-channel-peer" | "per-account-channel-peer";

export type GroupScope = "per-group" | "main";

/** Sends what matches (every named field must) to an agent. */
export interface Binding {
  readonly agentId: string;
  readonly channel: string;
  readonly account?: string;
  readonly peer?: { readonly kind: "direct" | "group" | "channel"; readonly id: string };
  /** A Discord guild or a Slack team. */
  readonly space?: { readonly kind: "guild" | "team"; readonly id: string };
  /** The sender must have one of these. */
  readonly roles?: readonly string[];
  /** How this binding's conversations are told apart, where it differs. */
  readonly dmScope?: DmScope;
  readonly groupScope?: GroupScope;
}

export function sessionSettings(config: OpenClawConfig): SessionSettings {
  const named = [
    ...(config.agents?.list ?? []).map((agent) => agent.id),
    ...Object.keys(config.agents?.entries ?? {}),
  ];
  const agentIds = named.length > 0 ? named : ["main"];
  const marked = (config.agents?.list ?? []).find((agent) => agent.default === true)?.id;
  const { session } = config;
  return Object.freeze({
    agentIds,
    defaultAgentId: marked ?? (agentIds.includes("main") ? "main" : (agentIds[0] as string)),
    dmScope: dmScopeOf(session?.dmScope) ?? "main",
    groupScope: session?.groupScope ?? "per-group",
    identities: identitiesOf(session?.identityLinks ?? {}),
    resets: resetSettings(session),
    resetTriggers: new Set((session?.resetTriggers ?? []).map((word) => word.trim().toLowerCase())),
    sendPolicy: sendPolicyOf(session?.sendPolicy),
    queue: queueSettings(config.messages?.queue),
    retention: session?.retention ?? "keep",
    bindings: (config.bindings ?? []).filter((binding) => binding.type !== "acp").flatMap(bindingOf),
    perSessionWaiting: 1000,
    totalWaiting: 20_000,
    concurrentSessions: config.agents?.defaults?.maxConcurrent ?? 32,
  });
}

function bindingOf(binding: NonNullable<OpenClawConfig["bindings"]>[number]): Binding[] {
  const { match, session } = binding;
  // A binding that does not say what it matches would match everything: it matches nothing.
  if (match?.channel === undefined) return [];
  const { kind, id } = match.peer ?? {};
  if (match.peer !== undefined && (kind === undefined || id === undefined)) return [];
  const dmScope = dmScopeOf(session?.dmScope);
  return [
    {
      agentId: binding.agentId,
      channel: match.channel,
      ...(match.accountId === undefined ? {} : { account: match.accountId }),
      ...(kind === undefined || id === undefined
        ? {}
        : { peer: { kind: kind === "dm" ? "direct" : kind, id: String(id) } }),
      ...(match.guildId === undefined ? {} : { space: { kind: "guild", id: String(match.guildId) } }),
      ...(match.teamId === undefined ? {} : { space: { kind: "team", id: String(match.teamId) } }),
      ...(match.roles === undefined ? {} : { roles: match.roles.map(String) }),
      ...(dmScope === undefined ? {} : { dmScope }),
      ...(session?.groupScope === undefined ? {} : { groupScope: session.groupScope }),
    },
  ];
}

function dmScopeOf(scope: DmScope | "default" | undefined): DmScope | undefined {
  return scope === "default" ? "main" : scope;
}

/** An account that two people claim belongs to neither: whoever could add it to a second list would take it over. */
function identitiesOf(links: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, string> {
  const identities = new Map<string, string>();
  const twice = new Set<string>();
  for (const [person, accounts] of Object.entries(links)) {
    for (const account of accounts) {
      if ((identities.get(account) ?? person) !== person) twice.add(account);
      identities.set(account, person);
    }
  }
  for (const account of twice) identities.delete(account);
  return identities;
}
