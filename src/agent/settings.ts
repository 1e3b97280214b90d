import type { OpenClawConfig } from "../config/mod.ts";
import type { Usage } from "../kernel/mod.ts";
import { type CompactionSettings, compactionSettings } from "./compaction.ts";

/** How one agent thinks: which model, within which limits. */
export interface AgentSettings {
  readonly id: string;
  readonly name: string;
  /** Its own name and emoji, where the config gives it any. */
  readonly identityName: string | undefined;
  readonly emoji: string | undefined;
  /** "provider/model"; undefined when the config names none. */
  readonly model: string | undefined;
  /** As the config has it; the composer makes it absolute. */
  readonly workspace: string | undefined;
  readonly perFileChars: number;
  readonly totalChars: number;
  /** Upper bound of a whole run. */
  readonly timeoutMs: number;
  readonly maxRounds: number;
  readonly contextTokens: number | undefined;
  readonly compaction: CompactionSettings;
}

export function agentSettings(config: OpenClawConfig, id: string): AgentSettings {
  const defaults = config.agents?.defaults ?? {};
  const agent = config.agents?.entries?.[id] ?? config.agents?.list?.find((item) => item.id === id);
  return Object.freeze({
    id,
    name: agent?.identity?.name ?? agent?.name ?? "OpenClaw",
    identityName: agent?.identity?.name ?? agent?.name,
    emoji: agent?.identity?.emoji,
    model: primaryOf(agent?.model) ?? primaryOf(defaults.model),
    workspace: agent?.workspace ?? defaults.workspace,
    perFileChars: agent?.bootstrapMaxChars ?? defaults.bootstrapMaxChars ?? 20_000,
    totalChars: agent?.bootstrapTotalMaxChars ?? defaults.bootstrapTotalMaxChars ?? 60_000,
    timeoutMs: (defaults.timeoutSeconds ?? 600) * 1000,
    maxRounds: 50,
    contextTokens: defaults.contextTokens,
    compaction: compactionSettings(agent?.compaction ?? defaults.compaction),
  });
}

function primaryOf(model: string | { readonly primary?: string } | undefined): string | undefined {
  return typeof model === "string" ? model : model?.primary;
}

/** A model of the config, ready to be called. */
export interface ModelChoice {
  readonly provider: string;
  readonly model: string;
  readonly contextTokens: number;
  readonly maxOutputTokens: number;
  /** False for a model whose `input` in the config names no "image". */
  readonly readsImages: boolean;
  /** USD per million tokens. */
  readonly cost: {
    readonly input: number;
    readonly output: number;
    readonly cacheRead: number;
    readonly cacheWrite: number;
  };
}

const defaultContextTokens = 128_000;
const defaultOutputTokens = 8192;

/** Splits "provider/model" (a model id may hold further slashes) and looks up what the config says of it. */
export function modelChoice(
  config: OpenClawConfig,
  reference: string,
  contextTokens: number | undefined,
): ModelChoice {
  const slash = reference.indexOf("/");
  const provider = slash < 0 ? "demo" : reference.slice(0, slash);
  const model = slash < 0 ? reference : reference.slice(slash + 1);
  const known = config.models?.providers?.[provider]?.models?.find((item) => item.id === model);
  const window = contextTokens ?? known?.contextWindow ?? defaultContextTokens;
  return Object.freeze({
    provider,
    model,
    contextTokens: window,
    maxOutputTokens: Math.min(known?.maxTokens ?? defaultOutputTokens, Math.floor(window / 2)),
    readsImages: known?.input?.includes("image") ?? true,
    cost: {
      input: known?.cost?.input ?? 0,
      output: known?.cost?.output ?? 0,
      cacheRead: known?.cost?.cacheRead ?? 0,
      cacheWrite: known?.cost?.cacheWrite ?? 0,
    },
  });
}

/** USD of one call at the model's prices. */
export function costOf(choice: ModelChoice, usage: Usage): number {
  const { cost } = choice;
  const perMillion =
    usage.input * cost.input +
    usage.output * cost.output +
    usage.cacheRead * cost.cacheRead +
    usage.cacheWrite * cost.cacheWrite;
  return perMillion / 1_000_000;
}
