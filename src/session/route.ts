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
 * least (exact peer, any peer of the kind, account, channel); without one, the only agent there is, else nobody.
 */
export function route(message: InboundMessage, settings: SessionSettings): Verdict<Route> {
  const agentId = agentFor(message, settings);
  if (agentId === undefined || !settings.agentIds.includes(agentId)) {
    return refuse(
      "session.no_agent",
      `${message.channel} ${message.conversation.kind} ${message.conversation.id}`,
    );
  }
  return admit({
    agentId,
    sessionKey: channelSessionKey(agentId, message, settings),
    kind: message.conversation.kind === "direct" ? "direct" : "group",
  });
}

function agentFor(message: InboundMessage, settings: SessionSettings): string | undefined {
  const tiers: ((binding: Binding) => boolean)[] = [
    (binding) => binding.peer !== undefined && binding.peer.id !== "*",
    (binding) => binding.peer?.id === "*",
    (binding) => binding.peer === undefined && binding.account !== undefined && binding.account !== "*",
    (binding) => binding.peer === undefined && (binding.account === undefined || binding.account === "*"),
  ];
  for (const inTier of tiers) {
    const found = settings.bindings.find((binding) => inTier(binding) && matches(binding, message));
    if (found) return found.agentId;
  }
  return settings.agentIds.length === 1 ? settings.agentIds[0] : undefined;
}

function matches(binding: Binding, message: InboundMessage): boolean {
  if (binding.channel !== message.channel) return false;
  if (binding.account !== undefined && binding.account !== "*" && binding.account !== message.account)
    return false;
  if (!binding.peer) return true;
  const id = message.conversation.kind === "direct" ? message.sender.id : message.conversation.id;
  return (
    binding.peer.kind === message.conversation.kind && (binding.peer.id === "*" || binding.peer.id === id)
  );
}

function channelSessionKey(agentId: string, message: InboundMessage, settings: SessionSettings): string {
  const { conversation } = message;
  const channel = keyPart(message.channel);
  if (conversation.kind !== "direct") {
    const base = `agent:${agentId}:${channel}:${conversation.kind}:${keyPart(conversation.id)}`;
    if (conversation.threadId === undefined) return base;
    const word = message.channel === "telegram" ? "topic" : "thread";
    return `${base}:${word}:${keyPart(conversation.threadId)}`;
  }
  const peer = keyPart(message.sender.id);
  switch (settings.dmScope) {
    case "main":
      return mainKey(agentId);
    case "per-peer":
      return `agent:${agentId}:direct:${peer}`;
    case "per-channel-peer":
      return `agent:${agentId}:${channel}:direct:${peer}`;
    case "per-account-channel-peer":
      return `agent:${agentId}:${channel}:${keyPart(message.account)}:direct:${peer}`;
  }
}
