import type { ChannelRow } from "../../control/mod.ts";
import type { Destination, InboxStore, OutboxRow, OutboxStore } from "../../delivery/mod.ts";
import { type Clock, InputError, sleep } from "../../kernel/mod.ts";
import { mainKey, maySend, type SendPolicy, type SessionStore } from "../../session/mod.ts";
import { destinationOf } from "../outgoing-target.ts";
import { type HookRefusal, isRefusal } from "./hook-order.ts";
import type { HookMapping } from "./settings.ts";

/** Where a hook's reply is to go, in the words of the caller or of a mapping. */
export interface HookTarget {
  /** Absent: to where the session was last spoken in, if it ever was on a channel. */
  readonly deliver?: boolean | undefined;
  /** "last": the conversation that the session was last spoken in. */
  readonly channel?: string | undefined;
  readonly to?: string | undefined;
  readonly accountId?: string | undefined;
}

/** What a run's delivery order says; `asked` (empty: nothing) tells a repeat from another order under the same key. */
export interface HookDelivery {
  readonly to: Destination;
  readonly asked: string;
}

/** How the reply of a run that was waited for went out: never what it says. */
export interface HookCompletion {
  readonly status: "ok" | "error" | "aborted" | "timeout";
  readonly replyDisposition: "none" | "delivered" | "queued" | "unknown" | "rejected";
  readonly delivered: boolean;
}

export interface HookDeliveryParts {
  readonly channels: () => readonly ChannelRow[];
  readonly sessions: Pick<SessionStore, "get">;
  readonly sendPolicy: () => SendPolicy;
}

/** How long an answer waits for the platform once its run has ended; the delivery itself goes on. */
const waitMs = 8_000;
const lookEveryMs = 25;

/**
 * Where the reply of a hook's run goes; undefined: nowhere. A caller may name what the config names for this agent, or
 * the session's own last conversation (attack A-253); a mapping is the config.
 */
export async function hookDelivery(
  target: HookTarget,
  run: {
    readonly sessionKey: string;
    readonly agentId: string;
    /** Places that the caller may name; undefined: the config itself speaks. */
    readonly named: readonly HookTarget[] | undefined;
  },
  parts: HookDeliveryParts,
): Promise<HookDelivery | HookRefusal | undefined> {
  const { deliver, channel = "last", to, accountId } = target;
  if (deliver === false) return undefined;
  const isAsked = deliver === true || [target.channel, to, accountId].some((word) => word !== undefined);
  // What a mapping calls the last conversation may, as documented, be the main session's; no caller reaches that one.
  const last =
    lastRoute(parts.sessions, run.sessionKey) ??
    (run.named === undefined && isAsked ? lastRoute(parts.sessions, mainKey(run.agentId)) : undefined);
  const found = await placeOf(target, last, run.named, parts);
  if (isRefusal(found)) return isAsked ? found : undefined;
  const { conversation } = found;
  const place = { channel: found.channel, kind: conversation.kind, sessionKey: run.sessionKey };
  if (isAsked && !maySend(parts.sendPolicy(), place))
    return refused(`session.sendPolicy does not let messages go to ${place.channel} ${place.kind} chats`);
  return { to: found, asked: isAsked ? JSON.stringify([channel, to ?? "", accountId ?? ""]) : "" };
}

async function placeOf(
  target: HookTarget,
  last: Destination | undefined,
  named: readonly HookTarget[] | undefined,
  parts: HookDeliveryParts,
): Promise<Destination | HookRefusal> {
  const rows = parts.channels();
  const { channel: word = "last", to, accountId } = target;
  const channel = word === "last" ? last?.channel : word;
  if (channel === undefined)
    return refused('this session was never spoken in on a channel; name "channel" and "to"');
  if (to === undefined) {
    if (last?.channel !== channel || (accountId ?? last.account) !== last.account)
      return refused(`this session has no conversation on ${channel}; say "to"`);
    if (!rows.some((row) => row.id === last.channel && row.account === last.account))
      return refused(`${last.channel} (${last.account}) is not configured any more`);
    return last;
  }
  try {
    const place = await destinationOf({ channel, accountId, to }, rows);
    if (named === undefined) return place;
    if (last && isSameChat(place, last)) return last;
    for (const other of named)
      if (isSame(place, await placeOf(other, undefined, undefined, parts))) return place;
    return refused(
      "a caller may name only the session's own last conversation, or a channel and to that a mapping names for this agent (hooks.mappings)",
    );
  } catch (error) {
    if (error instanceof InputError) return refused(error.message);
    throw error;
  }
}

/** Of a mapping's words, what a caller may say too: nothing that a payload fills in. */
export function namedTargets(
  mappings: readonly HookMapping[],
  agentId: string,
  defaultAgentId: string,
): readonly HookTarget[] {
  return mappings
    .filter((mapping) => (mapping.agentId ?? defaultAgentId) === agentId)
    .map(({ target }) => target)
    .filter(
      ({ deliver, channel, to }) =>
        deliver !== false && channel !== undefined && channel !== "last" && to !== undefined,
    )
    .filter(({ channel, to, accountId }) => ![channel, to, accountId].some((word) => word?.includes("{{")));
}

/** Waits, for a while, until the platform has the reply of a run that has ended. */
export async function hookCompletion(
  runId: string,
  status: HookCompletion["status"],
  parts: {
    readonly inbox: Pick<InboxStore, "byRunId">;
    readonly outbox: Pick<OutboxStore, "byMessageId">;
    readonly clock: Clock;
  },
): Promise<HookCompletion> {
  const row = parts.inbox.byRunId(runId);
  const until = parts.clock.monotonic() + waitMs;
  for (;;) {
    const rows = row?.deliverTo ? parts.outbox.byMessageId(row.messageId) : [];
    const replyDisposition = dispositionOf(rows);
    if (replyDisposition !== "queued" || parts.clock.monotonic() >= until)
      return { status, replyDisposition, delivered: replyDisposition === "delivered" };
    await sleep(parts.clock, lookEveryMs);
  }
}

function dispositionOf(rows: readonly Pick<OutboxRow, "state">[]): HookCompletion["replyDisposition"] {
  const is = (...states: readonly OutboxRow["state"][]) => rows.some(({ state }) => states.includes(state));
  if (rows.length === 0) return "none";
  if (is("rejected", "dismissed")) return "rejected";
  if (is("unknown")) return "unknown";
  return is("pending", "sending") ? "queued" : "delivered";
}

/** Undefined too for what an older version wrote without a conversation. */
function lastRoute(sessions: HookDeliveryParts["sessions"], key: string): Destination | undefined {
  const { route } = sessions.get(key) ?? {};
  if (route === undefined) return undefined;
  const { channel, account, conversation } = JSON.parse(route) as Partial<Destination>;
  if (channel === undefined || account === undefined || conversation === undefined) return undefined;
  return { channel, account, conversation };
}

function isSame(a: Destination, b: Destination | HookRefusal): boolean {
  return !isRefusal(b) && isSameChat(a, b) && a.conversation.kind === b.conversation.kind;
}

/** The stored conversation knows its kind; what a caller calls it does not count there. */
function isSameChat(a: Destination, b: Destination): boolean {
  return a.channel === b.channel && a.account === b.account && a.conversation.id === b.conversation.id;
}

function refused(error: string): HookRefusal {
  return {
    status: 400,
    error: `${error.replace(/[;.] Nothing was sent$|; nothing was sent$/, "")}; nothing was started`,
  };
}
