import { parseSessionKey, resolveSessionKey, type SessionSettings } from "../../session/mod.ts";
import {
  type HookContext,
  memberOf,
  renderTemplate,
  templateNames,
  templateValue,
  wordsOf,
} from "./hook-template.ts";
import type { HookMapping, HookSettings } from "./settings.ts";

/** Why a hook call is not carried out, in words for whoever configured the sender. */
export interface HookRefusal {
  readonly status: number;
  readonly error: string;
}

export type Fence = (text: string, origin: string, place: string) => string;

const maxItems = 200;

export function isRefusal(value: object): value is HookRefusal {
  return "status" in value && "error" in value;
}

/** The agent that a hook reaches. An empty allowedAgentIds denies all, the default agent too. */
export function hookAgent(
  named: string | undefined,
  settings: HookSettings,
  sessions: SessionSettings,
): { readonly agentId: string } | HookRefusal {
  const agentId = named ?? sessions.defaultAgentId;
  const { allowedAgentIds: allowed } = settings;
  if (allowed !== undefined && !allowed.includes("*") && !allowed.includes(agentId)) {
    return { status: 400, error: "agentId is not in hooks.allowedAgentIds" };
  }
  // Refused, never the default instead: the sender meant somebody (attack A-245).
  if (!sessions.agentIds.includes(agentId)) return { status: 400, error: "there is no such agent" };
  return { agentId };
}

/**
 * The session that a hook writes into. What the caller chose, in the body or through a template, needs
 * allowRequestSessionKey and one of the allowed prefixes; what the config names needs neither.
 */
export function hookSession(input: {
  readonly chosen: string | undefined;
  readonly configured: string | undefined;
  readonly isolated: boolean;
  readonly agentId: string;
  readonly requestId: string;
  readonly settings: HookSettings;
}): { readonly key: string } | HookRefusal {
  const { chosen, configured, isolated, agentId, requestId, settings } = input;
  if (chosen !== undefined) {
    const problem = chosenProblem(chosen, agentId, settings);
    if (problem) return problem;
  }
  const named = chosen ?? configured ?? settings.defaultSessionKey;
  const resolved = resolveSessionKey(named ?? `hook:${requestId}`, agentId);
  const key = named !== undefined && isolated && resolved ? `${resolved}:${requestId}` : resolved;
  const parsed = key === undefined ? undefined : parseSessionKey(key);
  if (key === undefined || parsed === undefined) return { status: 400, error: "sessionKey is not one" };
  if (parsed.agentId !== agentId) {
    return { status: 400, error: `sessionKey belongs to another agent than ${agentId}` };
  }
  return { key };
}

function chosenProblem(chosen: string, agentId: string, settings: HookSettings): HookRefusal | undefined {
  if (!settings.allowRequestSessionKey) {
    return {
      status: 400,
      error: "sessionKey may not be chosen by the caller (hooks.allowRequestSessionKey)",
    };
  }
  const own = `agent:${agentId}:`;
  const name = (chosen.startsWith(own) ? chosen.slice(own.length) : chosen).toLowerCase();
  if (/^(?:subagent|cron|acp):/.test(name)) return { status: 400, error: "sessionKey is reserved" };
  const prefixes = settings.allowedSessionKeyPrefixes;
  if (prefixes !== undefined && !prefixes.some((prefix) => name.startsWith(prefix))) {
    return { status: 400, error: "sessionKey begins with none of hooks.allowedSessionKeyPrefixes" };
  }
  return undefined;
}

/** The first mapping for this path and payload. */
export function hookMapping(
  path: string,
  payload: unknown,
  mappings: readonly HookMapping[],
): HookMapping | undefined {
  return mappings.find(
    (mapping) =>
      (mapping.path === undefined || mapping.path === path) &&
      (mapping.source === undefined || mapping.source === memberOf(payload, "source")),
  );
}

/** The payloads that a mapping makes runs of: one, or one for each member of the list that forEach names. */
export function hookItems(mapping: HookMapping, payload: unknown): readonly unknown[] | HookRefusal {
  if (mapping.forEach === undefined) return [payload];
  const words = wordsOf(mapping.forEach.replace(/^payload\./, ""));
  const list = words.reduce(memberOf, payload);
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return { status: 400, error: "what forEach names is not a list" };
  if (list.length > maxItems) return { status: 400, error: `the list has more than ${maxItems} items` };
  return list.map((item: unknown) => ({ ...(payload as object), item }));
}

/**
 * What the agent reads of a mapped call. The words of the template are the operator's, and stand as instructions; what
 * the caller sent stands behind a fence, under the names that the template uses for it. Whoever writes into an issue
 * or a mail can so never write into the instructions.
 */
export function mappedText(mapping: HookMapping, context: HookContext, fence: Fence): string {
  if (mapping.unfenced) return `Hook ${mapping.name}:\n${renderTemplate(mapping.template, context)}`;
  const names = templateNames(mapping.template);
  const instructions = mapping.template.replace(/\{\{\s*([^{}]{1,200}?)\s*\}\}/g, "{{$1}}").trim();
  const head = `The hook ${mapping.name} was called. What to do, from this gateway's configuration:\n${instructions}`;
  if (names.length === 0) return head;
  const values = names.map((name) => `{{${name}}}: ${templateValue(name, context)}`).join("\n");
  return `${head}\n\nThe values it was called with:\n${fence(values, `hook ${mapping.name}`, "values")}`;
}

/** What the agent reads of a call that brings its own message: all of it is the caller's, the name too. */
export function messageText(message: string, name: string, fence: Fence): string {
  return [
    "A webhook called this agent with the message below. Handle it as your own instructions say for calls of this kind; without any, sum up what came in.",
    fence(message, `hook ${name}`, "message"),
  ].join("\n");
}
