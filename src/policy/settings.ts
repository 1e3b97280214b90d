import type { OpenClawConfig } from "../config/mod.ts";

/** What one agent's tools may do. */
export interface PolicySettings {
  /** Names or globs ("*"); undefined means every tool that is not denied. */
  readonly allow: readonly string[] | undefined;
  readonly deny: readonly string[];
  readonly exec: ExecSettings;
  readonly workspaceRoot: string;
}

export interface ExecSettings {
  /** deny: nothing runs. allowlist: listed commands run, the rest is refused. ask: the rest asks. full: all runs. */
  readonly mode: "deny" | "allowlist" | "ask" | "full";
  /** Where commands run; auto: on the gateway, unless a call asks for a node. */
  readonly host?: "auto" | "sandbox" | "gateway" | "node";
  /** The node, when that is fixed: its id or its name. */
  readonly node?: string;
  /** Programs that run without asking when called plainly: bare names found in trusted folders. */
  readonly safeBins: readonly string[];
  readonly approvalLifetimeMs: number;
}

/** The documented ones, and programs that only print; command-options.ts holds what each may be called with. */
const defaultSafeBins = ("cut uniq head tail tr wc " + "date echo ls pwd true false uname whoami").split(" ");

const groups: Readonly<Record<string, readonly string[]>> = {
  "group:fs": ["read", "write", "edit", "apply_patch"],
  "group:runtime": ["exec", "process"],
  "group:web": ["web_fetch"],
};

const profiles: Readonly<Record<string, readonly string[] | undefined>> = {
  minimal: [],
  messaging: [],
  coding: ["group:fs", "group:runtime", "group:web"],
  full: undefined,
};

export function policySettings(
  config: OpenClawConfig,
  agentId: string,
  workspaceRoot: string,
): PolicySettings {
  const agent = config.agents?.entries?.[agentId] ?? config.agents?.list?.find((item) => item.id === agentId);
  const tools = config.tools ?? {};
  const layers = [
    profiles[agent?.tools?.profile ?? tools.profile ?? "full"],
    listOf(tools.allow),
    listOf(agent?.tools?.allow),
  ].filter((layer) => layer !== undefined);
  return Object.freeze({
    allow: intersect(layers.map(expand)),
    deny: expand([...(tools.deny ?? []), ...(agent?.tools?.deny ?? [])]),
    exec: execSettings(config, agentId),
    workspaceRoot,
  });
}

/** The settings of one turn: each limit (of its sender, its group, its caller) only narrows what the agent may do. */
export function narrowed(
  settings: PolicySettings,
  limits: readonly { readonly allow?: readonly string[] | undefined; readonly deny?: readonly string[] }[],
): PolicySettings {
  if (limits.length === 0) return settings;
  const layers = [settings.allow, ...limits.map((limit) => limit.allow && expand(limit.allow))];
  return Object.freeze({
    ...settings,
    allow: intersect(layers.filter((layer) => layer !== undefined)),
    deny: [...settings.deny, ...expand(limits.flatMap((limit) => limit.deny ?? []))],
  });
}

function listOf(list: readonly string[] | undefined): readonly string[] | undefined {
  return list && list.length > 0 ? list : undefined;
}

function expand(names: readonly string[]): string[] {
  return names.flatMap((name) => groups[name.toLowerCase()] ?? [name.toLowerCase()]);
}

/** Each layer only narrows: a tool is allowed when every layer lets it through. Undefined: no layer says anything. */
function intersect(layers: readonly (readonly string[])[]): readonly string[] | undefined {
  if (layers.length === 0) return undefined;
  return layers.reduce((a, b) => [
    ...a.filter((name) => nameMatches(name, b)),
    ...b.filter((name) => nameMatches(name, a) && !a.includes(name)),
  ]);
}

/** True when the name is on the list, `*` standing for any characters. */
export function nameMatches(name: string, list: readonly string[]): boolean {
  const lower = name.toLowerCase();
  return list.some((entry) => {
    if (!entry.includes("*")) return entry === lower;
    const pattern = entry.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${pattern.join(".*")}$`).test(lower);
  });
}

function execSettings(config: OpenClawConfig, agentId: string): ExecSettings {
  const agent = config.agents?.entries?.[agentId] ?? config.agents?.list?.find((item) => item.id === agentId);
  const exec = { ...config.tools?.exec, ...agent?.tools?.exec };
  return Object.freeze({
    mode: exec.mode === "auto" ? "ask" : (exec.mode ?? modeOf(exec.security, exec.ask)),
    host: exec.host ?? "auto",
    ...(exec.node === undefined ? {} : { node: exec.node }),
    safeBins: exec.safeBins ?? defaultSafeBins,
    approvalLifetimeMs: 30 * 60 * 1000,
  });
}

/** The older pair of keys. Without either the answer is to ask: an unset key never means "run anything". */
function modeOf(security: string | undefined, ask: string | undefined): ExecSettings["mode"] {
  if (security === "deny") return "deny";
  if (security === "full" && ask === "off") return "full";
  if (security === "allowlist" && ask === "off") return "allowlist";
  return "ask";
}
