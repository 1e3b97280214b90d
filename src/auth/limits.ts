import { admit, refuse, type Verdict } from "../kernel/mod.ts";
import { firstMissing, operatorScopes, type Scope } from "./scopes.ts";

/**
 * What a principal is kept to beyond its scopes. A list that is absent limits nothing, an empty one admits nothing;
 * `*` in an entry stands for any characters.
 */
export interface Limits {
  /** Names of methods. */
  readonly methods?: readonly string[];
  /** Methods that are refused whatever else is said. */
  readonly except?: readonly string[];
  /** Names of tools in lower case, and groups of them (`group:fs`). */
  readonly tools?: readonly string[];
  readonly agents?: readonly string[];
  /** Connectors: the chat platforms. */
  readonly channels?: readonly string[];
}

export const unlimited: Limits = Object.freeze({});
/** Of a principal who is no more. */
export const closed: Limits = Object.freeze({ methods: [], tools: [], agents: [], channels: [] });

const lists = ["methods", "tools", "agents", "channels"] as const;

export function admits(list: readonly string[] | undefined, name: string): boolean {
  return list === undefined || list.some((entry) => fits(entry, name));
}

export function admitsMethod(limits: Limits, name: string): boolean {
  return admits(limits.methods, name) && !(limits.except ?? []).some((entry) => fits(entry, name));
}

/** True when something of what the scopes allow is kept back: such a principal hands out no rights. */
export function isLimited(limits: Limits): boolean {
  return lists.some((list) => limits[list] !== undefined);
}

/** The first thing in which `inner` would reach further than `outer`, in words; undefined when there is none. */
export function beyond(outer: Limits, inner: Limits): string | undefined {
  for (const list of lists) {
    const [bound, wanted] = [outer[list], inner[list]];
    if (bound === undefined) continue;
    if (wanted === undefined) return `${list}: any`;
    // Read as a name, a pattern fits another one only when everything that it stands for does.
    const further = wanted.find((entry) => !admits(bound, entry));
    if (further !== undefined) return `${list}: ${further}`;
  }
  const dropped = (outer.except ?? []).find((entry) => !inner.except?.includes(entry));
  return dropped === undefined ? undefined : `methods: ${dropped}`;
}

/** What a call is about: ids, or "all" where it could show or touch any. */
export interface Reach {
  readonly agents: readonly string[] | "all";
  readonly channels: readonly string[] | "all";
}

/** A call as the limits see it. */
export interface LimitedCall {
  readonly name: string;
  /** It makes rights that no limit binds: a device, a sign-in, a changed config. */
  readonly handsOutRights: boolean;
  /** Undefined: nobody has said what it is about, so who is kept to agents, channels or tools may not make it. */
  readonly reach: () => Reach | undefined;
}

/** May somebody with these limits make this call? Scopes are asked for elsewhere. */
export function mayCall(limits: Limits, call: LimitedCall): Verdict<undefined> {
  const { name } = call;
  if (!admitsMethod(limits, name)) return refuse("auth.method_not_allowed", name);
  if (call.handsOutRights && isLimited(limits))
    return refuse("auth.method_not_allowed", `${name}: a limited token hands out no rights`);
  const { agents, channels, tools } = limits;
  if (agents === undefined && channels === undefined && tools === undefined) return admit(undefined);
  const reach = call.reach();
  if (!reach)
    return refuse("auth.method_not_allowed", `${name}: not for a token of some agents, channels or tools`);
  if (!reaches(agents, reach.agents)) return refuse("auth.agent_not_allowed", named(reach.agents));
  if (!reaches(channels, reach.channels)) return refuse("auth.channel_not_allowed", named(reach.channels));
  return admit(undefined);
}

/** May somebody with these limits have this agent work for him? */
export function mayUseAgent(limits: Limits, agentId: string): Verdict<undefined> {
  return admits(limits.agents, agentId) ? admit(undefined) : refuse("auth.agent_not_allowed", agentId);
}

/** The tools that somebody with these limits may have an agent call; undefined: all that the agent may. */
export function toolsOf(limits: Limits, agentId: string): readonly string[] | undefined {
  return admits(limits.agents, agentId) ? limits.tools : [];
}

/**
 * May somebody with these limits hear this event? Who is kept to methods hears of sessions only when it could read
 * them; who is kept to channels hears nothing, since an event does not say which channel it concerns.
 */
export function mayHear(
  limits: Limits,
  event: { readonly name: string; readonly agentId: string | undefined },
) {
  if (!isLimited(limits) || event.name === "tick" || event.name === "shutdown") return true;
  if (limits.channels !== undefined || !admitsMethod(limits, "chat.history")) return false;
  return limits.agents === undefined || (event.agentId !== undefined && admits(limits.agents, event.agentId));
}

/** What both allow. */
export function both(a: Limits, b: Limits): Limits {
  const limits: { -readonly [list in keyof Limits]: Limits[list] } = {};
  for (const list of lists) {
    const [one, other] = [a[list], b[list]];
    const common = one && other ? shared(one, other) : (one ?? other);
    if (common) limits[list] = common;
  }
  const except = [...(a.except ?? []), ...(b.except ?? [])];
  return { ...limits, ...(except.length === 0 ? {} : { except }) };
}

function shared(one: readonly string[], other: readonly string[]): readonly string[] {
  const inOther = one.filter((entry) => admits(other, entry));
  return [...inOther, ...other.filter((entry) => admits(one, entry) && !inOther.includes(entry))];
}

function reaches(list: readonly string[] | undefined, wanted: readonly string[] | "all"): boolean {
  return list === undefined || (wanted !== "all" && wanted.every((item) => admits(list, item)));
}

function named(wanted: readonly string[] | "all"): string {
  return wanted === "all" ? "name one" : wanted.join(", ");
}

function fits(entry: string, name: string): boolean {
  if (!entry.includes("*")) return entry === name;
  const parts = entry.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(name);
}

/** Names for what people are given: scopes, and what is kept back from them. */
export type RoleName = "owner" | "admin" | "viewer";

/** What only an owner does: deleting what cannot be had back, and saying who else comes in. */
const ownersOnly: readonly string[] = [
  "*.delete",
  "tokens.*",
  "dashboard.ticket",
  "device.pair.approve",
  "device.pair.setupCode",
  "device.token.rotate",
];

/**
 * Owner: everything. Admin: configuration and monitoring. Viewer: reads. Scopes are the protocol's, and its admin
 * scope covers every method; what an admin is kept from stands in `except`.
 */
export const roles: Readonly<
  Record<RoleName, { readonly scopes: readonly Scope[]; readonly limits: Limits }>
> = {
  owner: { scopes: operatorScopes, limits: unlimited },
  admin: {
    scopes: operatorScopes.filter((scope) => scope !== "operator.talk.secrets"),
    limits: { except: ownersOnly },
  },
  viewer: { scopes: ["operator.read"], limits: unlimited },
};

/** The first scope or limit in which a grant would reach further than its maker. */
export function beyondMaker(
  maker: { readonly scopes: readonly string[]; readonly limits: Limits },
  grant: { readonly scopes: readonly string[]; readonly limits: Limits },
): string | undefined {
  return firstMissing(maker.scopes, grant.scopes) ?? beyond(maker.limits, grant.limits);
}
