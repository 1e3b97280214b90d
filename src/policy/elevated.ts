import type { RulePath, ToolStep } from "./tool-policy.ts";

/** One of the two published shapes of `allowFrom`: agents ("main"), or senders of each channel. */
export type ElevatedFrom =
  | readonly (string | number)[]
  | { readonly [channel: string]: readonly (string | number)[] };

export interface ElevatedWords {
  readonly enabled?: boolean;
  readonly allowFrom?: ElevatedFrom;
  readonly requireApproval?: boolean;
}

/** The gates before a command of a sandboxed session may run on the host: the global one, then the agent's own. */
export interface ElevatedSettings {
  readonly gates: readonly {
    readonly words: ElevatedWords;
    readonly at: RulePath;
    /** The global gate is closed until somebody is listed; an agent's own only narrows it. */
    readonly needsList: boolean;
  }[];
}

/** Who asks for it. */
export interface ElevatedCaller {
  readonly agentId: string;
  /** The platform, or "control" for the page, the terminal and the API. */
  readonly channel: string;
  /** Everybody who had a part in the message, each by all ids that the platform proves; each must be listed by one. */
  readonly senders: readonly (readonly string[])[];
}

/** Asks both gates. Gives the step that refuses; undefined: the command may be asked about as one on the host. */
export function judgeElevated(
  { gates }: ElevatedSettings,
  caller: ElevatedCaller,
  trace?: (step: ToolStep) => void,
): ToolStep | undefined {
  let refused: ToolStep | undefined;
  for (const { words, at, needsList } of gates) {
    const because = closedBecause(words, needsList, caller);
    const step: ToolStep = {
      layer: needsList ? "elevated" : "elevated, agent",
      outcome: because === undefined ? "pass" : "refuse",
      because: because ?? "it is open",
      at,
    };
    trace?.(step);
    if (because !== undefined) refused ??= step;
  }
  return refused;
}

/** Only where every gate that says anything says no, and one does, may a command be let through without a person. */
export function elevatedAsks({ gates }: ElevatedSettings): boolean {
  const said = gates.flatMap(({ words }) => words.requireApproval ?? []);
  return said.length === 0 || said.includes(true);
}

function closedBecause(
  { enabled, allowFrom }: ElevatedWords,
  needsList: boolean,
  caller: ElevatedCaller,
): string | undefined {
  if (enabled === false) return "it is turned off";
  if (allowFrom === undefined) return needsList ? "nobody is listed in allowFrom" : undefined;
  if (isAgentList(allowFrom))
    return listed(allowFrom, caller.agentId) ? undefined : `agent ${caller.agentId} is not in allowFrom`;
  const senders = new Map(Object.entries(allowFrom)).get(caller.channel) ?? [];
  const stranger = caller.senders.find((ids) => !ids.some((id) => listed(senders, id)));
  if (stranger === undefined && caller.senders.length > 0) return undefined;
  return `${caller.channel}:${stranger?.[0] ?? "nobody"} is not in allowFrom`;
}

function isAgentList(allowFrom: ElevatedFrom): allowFrom is readonly (string | number)[] {
  return Array.isArray(allowFrom);
}

/** Ids only: a name is nobody's for long. */
function listed(entries: readonly (string | number)[], id: string): boolean {
  return entries.some((entry) => {
    const text = String(entry).trim();
    return text === "*" || text.replace(/^(?:id|from|e164):/, "") === id;
  });
}
