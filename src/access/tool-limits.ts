import type { InboundMessage, Sender } from "../delivery/mod.ts";
import type { Problem } from "../kernel/mod.ts";
import { type IdRule, ownIds, type Path, provedIds, senderId } from "./senders.ts";
import type { AccessSettings, Room } from "./settings.ts";

/** One layer that only narrows what an agent's tools may do, for policy to apply: its names are policy's words. */
export interface ToolLimit {
  /** Undefined: every tool that is not denied. */
  readonly allow: readonly string[] | undefined;
  readonly deny: readonly string[];
  readonly at: Path;
}

/** The documented `toolsBySender`. */
export interface SenderTools {
  readonly byId: ReadonlyMap<string, ToolLimit>;
  /** For everybody who is not named. */
  readonly others: ToolLimit | undefined;
}

export const noSenderTools: SenderTools = Object.freeze({ byId: new Map(), others: undefined });

interface Lists {
  readonly allow?: readonly string[];
  readonly alsoAllow?: readonly string[];
  readonly deny?: readonly string[];
}

/** Undefined where nothing is narrowed. `alsoAllow` without `allow` adds to "every tool", so it narrows nothing. */
export function toolLimit(lists: Lists | undefined, at: Path): ToolLimit | undefined {
  if (!lists) return undefined;
  const allow = lists.allow && lists.allow.length > 0 ? lists.allow : undefined;
  return Object.freeze({ allow, deny: lists.deny ?? [], at });
}

/**
 * Keys name an id: `channel:<channel>:<id>` (wins), `id:<id>`, `e164:<number>`, or the id alone. A name is no key
 * (attack A-062): whoever took that name would take its tools.
 */
export function senderTools(
  lists: Readonly<Record<string, Lists>> | undefined,
  at: Path,
  context: { readonly channel: string; readonly ids: IdRule },
): SenderTools {
  const loose = new Map<string, ToolLimit>();
  const exact = new Map<string, ToolLimit>();
  let others: ToolLimit | undefined;
  for (const [key, value] of Object.entries(lists ?? {})) {
    const limit = toolLimit(value, [...at, key]);
    if (key === "*") others = limit;
    const named = senderKey(key);
    if (!limit || !named || (named.channel !== undefined && named.channel !== context.channel)) continue;
    const id = senderId(named.id, context.channel, context.ids);
    if (id !== undefined) (named.channel === undefined ? loose : exact).set(id, limit);
  }
  return Object.freeze({ byId: new Map([...loose, ...exact]), others });
}

/** Undefined for "*". Keys for names never come here: {@link senderToolProblems} refuses the config. */
function senderKey(key: string): { readonly id: string; readonly channel?: string } | undefined {
  const exact = /^channel:([^:]+):(.+)$/.exec(key);
  if (exact) return { channel: exact[1] as string, id: exact[2] as string };
  if (key === "*") return undefined;
  return { id: key.replace(/^(?:id|e164):/, "") };
}

const nameKey = /^(?:username|name|tag):/i;

/** Keys that would give tools to a name. */
export function senderToolProblems(lists: object, at: Path): Problem[] {
  return Object.keys(lists)
    .filter((key) => nameKey.test(key))
    .map((key) => ({
      path: [...at, key],
      kind: "value" as const,
      message: 'name a sender by its stable id ("id:<id>"), not by a name that anybody can take',
    }));
}

/**
 * What narrows the tools of a turn that this sender begins here, widest scope first. Of the rooms the most
 * special one that says anything counts: the topic, the group, "*". In it, what names the sender counts alone; for
 * everybody else the room's own limit and that of "*" both do.
 */
export function toolLimits(
  place: {
    readonly sender: Pick<Sender, "id" | "aliases">;
    readonly agentId: string | undefined;
    readonly rooms: readonly Room[];
  },
  settings: AccessSettings,
): readonly ToolLimit[] {
  const { sender } = place;
  const layers = [settings.tools.bySender, settings.tools.agents.get(place.agentId ?? "")].flatMap(
    (tools) => tools && limitsFor(tools, sender, [tools.others]),
  );
  for (const { tools, toolsBySender } of place.rooms) {
    const limits = limitsFor(toolsBySender, sender, [tools, toolsBySender.others]);
    if (!limits.some((limit) => limit !== undefined)) continue;
    layers.push(...limits);
    break;
  }
  return layers.filter((layer) => layer !== undefined);
}

/** `others`: for whom no id names. Who hides a number, or gave it away, keeps the limit that stands under it. */
function limitsFor(
  { byId }: SenderTools,
  sender: Pick<Sender, "id" | "aliases">,
  others: readonly (ToolLimit | undefined)[],
): readonly (ToolLimit | undefined)[] {
  const proved = provedIds(sender);
  const named = proved.flatMap((id) => byId.get(id) ?? []);
  const kept = ownIds(sender).flatMap((id) => (proved.includes(id) ? [] : (byId.get(id) ?? [])));
  return [...(named.length > 0 ? named : others), ...kept];
}

/** The rooms that a message stands in, most special first: the topic, the group (or guild, or direct chat), then "*". */
export function roomsOf(
  message: Pick<InboundMessage, "conversation" | "sender">,
  settings: AccessSettings,
): readonly Room[] {
  const { kind, id, threadId, spaceId } = message.conversation;
  const isDirect = kind === "direct";
  const rooms = isDirect ? settings.direct : settings.groups;
  const named = (isDirect ? provedIds(message.sender) : [id])
    .map((key) => rooms.get(key))
    .find((room) => room);
  const own = named ?? (spaceId === undefined ? undefined : rooms.get(`guild:${spaceId}`));
  const topic = threadId === undefined ? undefined : own?.topics.get(threadId);
  return [topic, own, rooms.get("*")].filter((room) => room !== undefined);
}
