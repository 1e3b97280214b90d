import type { OpenClawConfig } from "../config/mod.ts";

export interface SessionSettings {
  /** Agents by id, in the order of the config; never empty. */
  readonly agentIds: readonly string[];
  /** The one that a caller means who names none. */
  readonly defaultAgentId: string;
  readonly dmScope: DmScope;
  readonly bindings: readonly Binding[];
  /** Messages that may wait in one session, and in all. */
  readonly perSessionWaiting: number;
  readonly totalWaiting: number;
  readonly concurrentSessions: number;
}

export type DmScope = "main" | "per-peer" | "per-channel-peer" | "per-account-channel-peer";

/** Sends what matches (every named field must) to an agent. */
export interface Binding {
  readonly agentId: string;
  readonly channel: string;
  readonly account?: string;
  readonly peer?: { readonly kind: "direct" | "group" | "channel"; readonly id: string };
}

export function sessionSettings(config: OpenClawConfig): SessionSettings {
  const named = [
    ...(config.agents?.list ?? []).map((agent) => agent.id),
    ...Object.keys(config.agents?.entries ?? {}),
  ];
  const agentIds = named.length > 0 ? named : ["main"];
  const marked = (config.agents?.list ?? []).find((agent) => agent.default === true)?.id;
  const scope = config.session?.dmScope ?? "main";
  return Object.freeze({
    agentIds,
    defaultAgentId: marked ?? (agentIds.includes("main") ? "main" : (agentIds[0] as string)),
    dmScope: scope === "default" ? "main" : scope,
    bindings: (config.bindings ?? []).filter((binding) => binding.type !== "acp").flatMap(bindingOf),
    perSessionWaiting: 1000,
    totalWaiting: 20_000,
    concurrentSessions: config.agents?.defaults?.maxConcurrent ?? 32,
  });
}

function bindingOf(binding: NonNullable<OpenClawConfig["bindings"]>[number]): Binding[] {
  const { match } = binding;
  // A binding that does not say what it matches would match everything: it matches nothing.
  if (match?.channel === undefined) return [];
  const { kind, id } = match.peer ?? {};
  if (match.peer !== undefined && (kind === undefined || id === undefined)) return [];
  return [
    {
      agentId: binding.agentId,
      channel: match.channel,
      ...(match.accountId === undefined ? {} : { account: match.accountId }),
      ...(kind === undefined || id === undefined
        ? {}
        : { peer: { kind: kind === "dm" ? "direct" : kind, id: String(id) } }),
    },
  ];
}
