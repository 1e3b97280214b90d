import type { InboundMessage } from "../delivery/mod.ts";
import { admit, refuse, type Verdict } from "../kernel/mod.ts";
import { keyPart, mainKey } from "./key.ts";
import type { Binding, SessionSettings } from "./settings.ts";

export interface Route {
  readonly agentId: string;
  readonly sessionKey: string;
  readonly kind: "direct" | "group";
}

/**
 * Which agent and which session a channel's message belongs to. Bindings are tried from the most special to the
 * least; without one, the only agent there is, else nobody.
 */
export function route(message: InboundMessage, settings: SessionSettings): Verdict<Route> {
  const binding = bindingFor(message, settings.bindings);
  const only = settings.agentIds.length === 1 ? settings.agentIds[0] : undefined;
  const agentId = binding?.agentId ?? only;
  const { conversation, channel } = message;
  if (agentId === undefined || !settings.agentIds.includes(agentId)) {
    return refuse("session.no_agent", `${channel} ${conversation.kind} ${conversation.id}`);
  }
  const isDirect = conversation.kind === "direct";
  const sessionKey = isDirect
    ? directKey(agentId, message, settings, binding)
    : groupKey(agentId, message, binding?.groupScope ?? settings.groupScope);
  return admit({ agentId, sessionKey, kind: isDirect ? "direct" : "group" });
}

/** From the most special to the least. Within one tier the first in the file wins. */
const tiers: readonly ((binding: Binding, message: InboundMessage) => boolean)[] = [
  ({ peer }, message) => peer !== undefined && exactPeers(message).includes(peer.id),
  ({ peer }) => peer !== undefined && peer.id !== "*",
  ({ peer }) => peer?.id === "*",
  ({ space, roles }) => space !== undefined && roles !== undefined,
  ({ space, roles }) => space?.kind === "guild" && roles === undefined,
  ({ space, roles }) => space?.kind === "team" && roles === undefined,
  ({ account, space, peer }) => !space && !peer && account !== undefined && account !== "*",
  ({ account, space, peer }) => !space && !peer && (account === undefined || account === "*"),
];

function bindingFor(message: InboundMessage, bindings: readonly Binding[]): Binding | undefined {
  const matching = bindings.filter((binding) => matches(binding, message));
  for (const inTier of tiers) {
    const found = matching.find((binding) => inTier(binding, message));
    if (found) return found;
  }
  return undefined;
}

/** The thread itself where there is one: a binding of a thread goes before one of the chat that it is in. */
function exactPeers({ conversation, sender }: InboundMessage): readonly string[] {
  if (conversation.kind === "direct") return [sender.id, ...(sender.aliases?.proved ?? [])];
  return [conversation.threadId ?? conversation.id];
}

/** Every field that the binding names must match. */
function matches({ channel, account, peer, space, roles }: Binding, message: InboundMessage): boolean {
  const { conversation, sender } = message;
  if (channel !== message.channel) return false;
  if (account !== undefined && account !== "*" && account !== message.account) return false;
  if (space && space.id !== conversation.spaceId) return false;
  if (roles && !roles.some((role) => sender.roles?.includes(role))) return false;
  if (!peer) return true;
  if (peer.kind !== conversation.kind) return false;
  return peer.id === "*" || exactPeers(message).includes(peer.id) || isIn(peer.id, conversation);
}

function isIn(id: string, { kind, id: chat }: InboundMessage["conversation"]): boolean {
  return kind !== "direct" && id === chat;
}

/**
 * Undefined: nobody is named. By what the account was called before anybody else was: who has taken a number over is
 * not shown the conversations of the one before. An account under two names belongs to neither.
 */
function personOf({ channel, sender }: InboundMessage, { identities }: SessionSettings): string | undefined {
  const ids = [sender.id, ...(sender.aliases?.own ?? [])];
  const people = new Set(ids.flatMap((id) => identities.get(`${channel}:${id}`) ?? []));
  const [person] = people;
  return people.size === 1 ? person : undefined;
}

function groupKey(agentId: string, message: InboundMessage, scope: SessionSettings["groupScope"]): string {
  if (scope === "main") return mainKey(agentId);
  const { conversation, channel } = message;
  const base = `agent:${agentId}:${keyPart(channel)}:${conversation.kind}:${keyPart(conversation.id)}`;
  if (conversation.threadId === undefined) return base;
  const word = channel === "telegram" ? "topic" : "thread";
  return `${base}:${word}:${keyPart(conversation.threadId)}`;
}

function directKey(
  agentId: string,
  message: InboundMessage,
  settings: SessionSettings,
  binding: Binding | undefined,
): string {
  const { sender, account } = message;
  const channel = keyPart(message.channel);
  const peer = keyPart(sender.formerId ?? sender.id);
  const scope = binding?.dmScope ?? settings.dmScope;
  if (scope === "main") return mainKey(agentId);
  const person = personOf(message, settings);
  // One part more than any platform's id makes: nobody can spell a person's name with an id.
  if (person !== undefined) return `agent:${agentId}:direct:person:${keyPart(person)}`;
  switch (scope) {
    case "per-peer":
      return `agent:${agentId}:direct:${peer}`;
    case "per-channel-peer":
      return `agent:${agentId}:${channel}:direct:${peer}`;
    case "per-account-channel-peer":
      return `agent:${agentId}:${channel}:${keyPart(account)}:direct:${peer}`;
  }
}
