import type { InboundMessage } from "../delivery/mod.ts";
import { admit, refuse, type Source, type Verdict } from "../kernel/mod.ts";
import { type Facts, rulesFor, type Sight, type Step, sightOf } from "./rules.ts";
import { matchSender } from "./senders.ts";
import type { AccessSettings } from "./settings.ts";
import { type ToolLimit, toolLimits } from "./tool-limits.ts";

/** Proof that a message passed the access rules. Only {@link decide} makes one. */
class Admitted {
  /** With the sender's id in its one spelling. */
  readonly message: InboundMessage;
  /** The label of everything that the sender wrote. */
  readonly source: Source;
  readonly isOwner: boolean;
  /** What narrows the tools of this sender here, for policy. */
  readonly tools: readonly ToolLimit[];
  /** May the model see what the message quotes of somebody else? */
  readonly showsQuote: boolean;

  private constructor(sight: Sight, source: Source, tools: readonly ToolLimit[], showsQuote: boolean) {
    this.message = sight.message;
    this.source = source;
    this.isOwner = sight.owner !== undefined;
    this.tools = tools;
    this.showsQuote = showsQuote;
  }

  static of(sight: Sight, source: Source, tools: readonly ToolLimit[], showsQuote: boolean): Admitted {
    return new Admitted(sight, source, tools, showsQuote);
  }
}

export type { Admitted };

/**
 * May this sender reach an agent here? Pure: the same facts give the same answer. `tell` hears each rule's step, in
 * order, up to the one that refuses: what explains an answer is what gave it.
 */
export function decide(
  facts: Facts,
  settings: AccessSettings,
  tell: (step: Step) => void = () => {},
): Verdict<Admitted> {
  const sight = sightOf(facts, settings);
  for (const rule of rulesFor(sight.message.conversation.kind)) {
    const step = rule(sight);
    if (!step) continue;
    tell(step);
    if (step.reason) return refuse(step.reason, step.facts);
  }
  const source = sourceOf(sight);
  const { at, isSet } = settings.owners;
  tell({ rule: "owner", outcome: "note", facts: `trust: ${source.trust}`, at: sight.owner?.at ?? at, isSet });
  const showsQuote = quoteIsShown(sight, tell);
  const place = { sender: sight.message.sender, agentId: facts.agentId, rooms: sight.rooms };
  const tools = toolLimits(place, settings);
  for (const limit of tools)
    tell({ rule: "tools", outcome: "note", facts: limitText(limit), at: limit.at, isSet: true });
  return admit(Admitted.of(sight, source, tools, showsQuote));
}

/** Who was let in by a name proved nothing: what such a sender writes is labelled as a claim, and never an owner's. */
function sourceOf({ message, owner, sender, settings }: Sight): Source {
  return {
    author: `${settings.channel}:${message.sender.id}`,
    proof: sender?.by === "name" ? "claimed" : message.sender.proof,
    trust: owner ? "owner" : "known",
    sensitivity: "private",
  };
}

/**
 * Of what did not address the agent in a group: may its next turn be shown it? Whoever may not talk is refused before
 * that is asked; contextVisibility may narrow it to those whom a list names.
 */
export function mayBeOverheard(facts: Facts, settings: AccessSettings): boolean {
  const sight = sightOf(facts, settings);
  return settings.contextVisibility.value === "all" || isNamed(sight, sight.message.sender);
}

/** By a list of this account or of the rooms that the message stands in. */
function isNamed({ settings, rooms }: Sight, who: Parameters<typeof matchSender>[1]): boolean {
  const lists = [settings.allowFrom, settings.groupAllowFrom, ...rooms.map((room) => room.allowFrom)];
  return lists.some((list) => list && matchSender(list, who) !== undefined);
}

/** The documented contextVisibility: whose words the model sees when somebody quotes them (attack A-071). */
function quoteIsShown(sight: Sight, tell: (step: Step) => void): boolean {
  const { quoted, sender, conversation } = sight.message;
  if (!quoted) return true;
  const { contextVisibility: mode, channel, ids } = sight.settings;
  const id = quoted.authorId === undefined ? undefined : ids.sender(quoted.authorId);
  const author = id && "id" in id ? { id: id.id, proof: sender.proof } : undefined;
  const isListed =
    author !== undefined &&
    (author.id === sender.id ||
      isNamed(sight, author) ||
      (conversation.kind === "direct" && sight.facts.paired.has(author.id)));
  const isShown =
    mode.value === "all" || mode.value === "allowlist_quote" || quoted.isBot === true || isListed;
  const who = author ? `${channel}:${author.id}` : "an author whom the platform does not prove";
  tell({
    rule: "context",
    outcome: "note",
    facts: `words of ${who} are ${isShown ? "shown to" : "kept from"} the model`,
    at: mode.at,
    isSet: mode.isSet,
  });
  return isShown;
}

function limitText({ allow, deny }: ToolLimit): string {
  const parts = [allow && `only ${allow.join(", ")}`, deny.length > 0 && `never ${deny.join(", ")}`];
  return parts.filter((part) => part).join("; ") || "no limit";
}
