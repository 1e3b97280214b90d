import { namesOf } from "./tool-groups.ts";

/** Where in the config a rule stands. Empty: it is a rule of the house. */
export type RulePath = readonly (string | number)[];

/** One list of a layer, compiled: a turn asks it once for each tool. */
export interface ToolList {
  readonly names: readonly string[];
  readonly at: RulePath;
  readonly holds: (tool: string) => boolean;
}

/** What may narrow an agent's tools. It never widens: a tool must pass every layer. */
export interface ToolLayer {
  /** For people: "profile", "tools", "agent", "sandbox" ... */
  readonly name: string;
  /** Undefined: every tool that is not denied. Of an empty list: none. */
  readonly allow: ToolList | undefined;
  readonly deny: ToolList | undefined;
}

/** What one layer said of one tool. */
export interface ToolStep {
  readonly layer: string;
  readonly outcome: "pass" | "refuse";
  readonly because: string;
  readonly at: RulePath;
}

/** Lists as the config and the other stages write them. */
export interface ToolLists {
  readonly name?: string;
  readonly allow?: readonly string[] | undefined;
  readonly deny?: readonly string[] | undefined;
  /** Where both lists stand. */
  readonly at?: RulePath;
}

export function toolLayer(name: string, { allow, deny, at = [] }: ToolLists): ToolLayer {
  const under = (key: string) => (at.length === 0 ? [] : [...at, key]);
  return Object.freeze({
    name,
    allow: allow && toolList(withImplied(allow), under("allow")),
    deny: deny && deny.length > 0 ? toolList(deny, under("deny")) : undefined,
  });
}

export function toolList(entries: readonly string[], at: RulePath): ToolList {
  const names = entries.flatMap(namesOf);
  const plain = new Set(names.filter((name) => !name.includes("*")));
  const globs = names.filter((name) => name.includes("*")).map(globPattern);
  return Object.freeze({
    names,
    at,
    holds: (tool: string) => {
      const lower = tool.toLowerCase();
      return plain.has(lower) || globs.some((glob) => glob.test(lower));
    },
  });
}

/**
 * Asks the layers about one tool. Gives the step that refuses, or undefined: the tool may be used. `trace` is told
 * every step, so that an explanation is the decision itself and cannot differ from it.
 */
export function judgeTool(
  tool: string,
  layers: readonly ToolLayer[],
  trace?: (step: ToolStep) => void,
): ToolStep | undefined {
  let refused: ToolStep | undefined;
  for (const layer of layers) {
    const step = stepOf(tool, layer);
    trace?.(step);
    if (step.outcome === "refuse") refused ??= step;
    if (refused && !trace) return refused;
  }
  return refused;
}

/** Which rule decided. Not where it stands: a path of the config may name people, and a model reads this. */
export function ruleText({ layer, because }: ToolStep): string {
  return `${because} (rule: ${layer})`;
}

function stepOf(tool: string, { name, allow, deny }: ToolLayer): ToolStep {
  if (deny?.holds(tool)) return { layer: name, outcome: "refuse", because: "it is denied", at: deny.at };
  if (!allow) return { layer: name, outcome: "pass", because: "it is not denied", at: deny?.at ?? [] };
  return allow.holds(tool)
    ? { layer: name, outcome: "pass", because: "it is allowed", at: allow.at }
    : { layer: name, outcome: "refuse", because: "it is not among those allowed", at: allow.at };
}

/** Whoever may write a file may change it by a patch; being denied one says nothing of the other. */
function withImplied(allow: readonly string[]): readonly string[] {
  return allow.some((entry) => entry.trim().toLowerCase() === "write") ? [...allow, "apply_patch"] : allow;
}

/** `*` stands for any characters, and nothing else is special. Whole names only. */
function globPattern(glob: string): RegExp {
  const parts = glob.split(/\*+/).map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
