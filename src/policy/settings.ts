import { posix } from "node:path";
import type { OpenClawConfig } from "../config/mod.ts";
import type { ElevatedSettings } from "./elevated.ts";
import { type ExecMode, type ExecRule, execRule, houseRule } from "./exec-mode.ts";
import { ownerOnlyTools, profileTools } from "./tool-groups.ts";
import {
  judgeTool,
  type RulePath,
  type ToolLayer,
  type ToolLists,
  toolLayer,
  toolList,
} from "./tool-policy.ts";

/** What one agent's tools may do. */
export interface PolicySettings {
  /** Each only narrows. None: every tool may be used. */
  readonly layers: readonly ToolLayer[];
  readonly exec: ExecSettings;
  readonly workspaceRoot: string;
  /** Absent: no command leaves a sandbox. */
  readonly elevated?: ElevatedSettings;
  /** Names at the workspace's root that later turns read as instructions, and that this turn may not change. */
  readonly instructionFiles?: readonly string[];
}

export interface ExecSettings {
  readonly mode: ExecMode;
  readonly asksAlways?: boolean;
  /** Where commands run; auto: on the gateway, unless a call asks for a node. */
  readonly host?: "auto" | "sandbox" | "gateway" | "node";
  /** The node, when that is fixed: its id or its name. */
  readonly node?: string;
  /** Programs that run without asking when called plainly: bare names found in trusted folders. */
  readonly safeBins: readonly string[];
  readonly approvalLifetimeMs: number;
}

/** What is known of a turn before its first tool call. */
export interface TurnFacts {
  /** The model that makes the calls, as the config names it; absent for a call that no model makes. */
  readonly model?: { readonly provider: string; readonly model: string };
  readonly isSubagent?: boolean;
  /** Whether the owner alone wrote the turn's message. */
  readonly ownerWrote: boolean;
  /** What the agent is told before each turn: the words of others must not get in there (attack A-213). */
  readonly instructionFiles?: readonly string[];
}

/** The documented ones, and programs that only print; command-options.ts holds what each may be called with. */
const defaultSafeBins = ("cut uniq head tail tr wc " + "date echo ls pwd true false uname whoami").split(" ");

type Agent = NonNullable<NonNullable<OpenClawConfig["agents"]>["list"]>[number];
type AgentTools = NonNullable<Agent["tools"]>;
type Tools = NonNullable<OpenClawConfig["tools"]>;
type Lists = Pick<AgentTools, "allow" | "alsoAllow" | "deny">;

export function policySettings(
  config: OpenClawConfig,
  agentId: string,
  workspaceRoot: string,
  model?: TurnFacts["model"],
): PolicySettings {
  const tools = config.tools ?? {};
  const agent = agentOf(config, agentId);
  const layers = [
    profileLayer(tools, agent),
    ...providerLayers("profile", tools, ["tools"], model),
    ...providerLayers("profile", agent.tools, agent.at, model),
    listLayer("tools", tools, ["tools"]),
    ...providerLayers("lists", tools, ["tools"], model),
    listLayer("agent", agent.tools, agent.at),
    ...providerLayers("lists", agent.tools, agent.at, model),
  ];
  return Object.freeze({
    layers: layers.filter((layer) => layer.allow !== undefined || layer.deny !== undefined),
    exec: execSettings(tools, agent.tools),
    workspaceRoot,
    elevated: elevatedSettings(tools, agent),
  });
}

/** The settings of one turn: each limit (of its sender, its group, its caller) only narrows what the agent may do. */
export function narrowed(settings: PolicySettings, limits: readonly ToolLists[]): PolicySettings {
  if (limits.length === 0) return settings;
  const layers = limits.map((limit) =>
    toolLayer(limit.name ?? (limit.at ? "sender or group" : "caller"), limit),
  );
  return Object.freeze({ ...settings, layers: [...settings.layers, ...layers] });
}

/** What {@link TurnFacts} take away: tools of the owner's, tools of subagents, and running without a person's word. */
export function forTurn(settings: PolicySettings, config: OpenClawConfig, facts: TurnFacts): PolicySettings {
  const layers: ToolLayer[] = [];
  if (facts.isSubagent) layers.push(listLayer("subagent", config.tools?.subagents?.tools, subagentsAt));
  if (!facts.ownerWrote) layers.push(toolLayer("owner only", { deny: ownerOnlyTools }));
  const isOpen = settings.exec.mode === "full" || settings.exec.mode === "auto";
  if (layers.length === 0) return settings;
  return Object.freeze({
    ...settings,
    layers: [...settings.layers, ...layers],
    ...(facts.ownerWrote || !facts.instructionFiles ? {} : { instructionFiles: facts.instructionFiles }),
    exec: isOpen && !facts.ownerWrote ? { ...settings.exec, mode: "ask" as const } : settings.exec,
  });
}

const subagentsAt: RulePath = ["tools", "subagents", "tools"];

/** The same with another rule for commands. */
export function withExecRule(settings: PolicySettings, rule: ExecRule): PolicySettings {
  const { exec } = settings;
  if (exec.mode === rule.mode && exec.asksAlways === rule.asksAlways) return settings;
  return Object.freeze({ ...settings, exec: { ...exec, ...rule } });
}

export function toolAllowed(name: string, settings: Pick<PolicySettings, "layers">): boolean {
  return judgeTool(name, settings.layers) === undefined;
}

/**
 * Whoever could change what the agent is told before each turn would speak in the owner's turns too (attack A-213).
 * Compared without case: some file systems do not know it.
 */
export function instructs(
  path: string,
  { instructionFiles = [], workspaceRoot }: Pick<PolicySettings, "instructionFiles" | "workspaceRoot">,
): boolean {
  const given = posix.resolve(workspaceRoot, path).toLowerCase();
  return instructionFiles.some((name) => posix.join(workspaceRoot, name).toLowerCase() === given);
}

interface FoundAgent {
  readonly tools: AgentTools;
  readonly at: RulePath;
}

function agentOf(config: OpenClawConfig, agentId: string): FoundAgent {
  const { entries, list = [] } = config.agents ?? {};
  if (entries && Object.hasOwn(entries, agentId))
    return { tools: entries[agentId]?.tools ?? {}, at: ["agents", "entries", agentId, "tools"] };
  const index = list.findIndex((item) => item.id === agentId);
  return { tools: list[index]?.tools ?? {}, at: ["agents", "list", index, "tools"] };
}

/** An agent's own profile stands in the place of the general one; `alsoAllow` adds to whichever it is. */
function profileLayer(tools: Tools, agent: FoundAgent): ToolLayer {
  const own = agent.tools.profile;
  const at = own === undefined ? ["tools"] : agent.at;
  const more = [...(tools.alsoAllow ?? []), ...(agent.tools.alsoAllow ?? [])];
  return profileOf("profile", own ?? tools.profile, more, at);
}

function profileOf(
  name: string,
  profile: string | undefined,
  alsoAllow: readonly string[],
  at: RulePath,
): ToolLayer {
  const known = profile === undefined ? undefined : profileTools(profile);
  const allow = known && toolList([...known, ...alsoAllow], [...at, "profile"]);
  return Object.freeze({ name, allow, deny: undefined });
}

/** Both the provider's entry and its model's count: a model's own never widens. */
function providerLayers(
  part: "profile" | "lists",
  { byProvider = {} }: Pick<AgentTools, "byProvider">,
  at: RulePath,
  model: TurnFacts["model"],
): ToolLayer[] {
  if (!model) return [];
  const wanted = [model.provider, `${model.provider}/${model.model}`].map((name) => name.toLowerCase());
  return Object.entries(byProvider)
    .filter(([key]) => wanted.includes(key.trim().toLowerCase()))
    .map(([key, entry]) => {
      const here = [...at, "byProvider", key];
      return part === "profile"
        ? profileOf(`profile of ${key}`, entry.profile, entry.alsoAllow ?? [], here)
        : listLayer(`provider ${key}`, entry, here);
    });
}

function listLayer(name: string, lists: Lists | undefined, at: RulePath): ToolLayer {
  // An empty list is documented to say nothing.
  const allow = lists?.allow && lists.allow.length > 0 ? lists.allow : undefined;
  return toolLayer(name, { allow, deny: lists?.deny, at });
}

function elevatedSettings(tools: Tools, agent: FoundAgent): ElevatedSettings {
  const own = agent.tools.elevated;
  const global = { words: tools.elevated ?? {}, at: ["tools", "elevated"], needsList: true };
  return {
    gates: [global, ...(own ? [{ words: own, at: [...agent.at, "elevated"], needsList: false }] : [])],
  };
}

function execSettings(tools: Tools, agent: AgentTools): ExecSettings {
  const exec = { ...tools.exec, ...agent.exec };
  return Object.freeze({
    // An agent's own words count whole: its "security" must not be outvoted by a general "mode".
    ...execRule(agent.exec ?? {}, execRule(tools.exec ?? {}, houseRule)),
    host: exec.host ?? "auto",
    ...(exec.node === undefined ? {} : { node: exec.node }),
    safeBins: exec.safeBins ?? defaultSafeBins,
    approvalLifetimeMs: 30 * 60 * 1000,
  });
}
