/** Small signs on a channel: the emoji that says "seen", and the words that stand before each reply. */
import type { InboundMessage } from "./channel.ts";
import type { DeliverySettings } from "./settings.ts";

const defaultEmoji = "👀";

/** The emoji to put on this message as a sign that it was seen; "" for none. */
export function ackEmoji(
  { conversation, mentionsBot }: Pick<InboundMessage, "conversation" | "mentionsBot">,
  settings: Pick<DeliverySettings, "ackReaction" | "ackReactionScope">,
  agentEmoji: string | undefined,
): string {
  const isGroup = conversation.kind !== "direct";
  const wanted: Record<DeliverySettings["ackReactionScope"], boolean> = {
    "group-mentions": isGroup && mentionsBot,
    "group-all": isGroup,
    direct: !isGroup,
    all: true,
    off: false,
    none: false,
  };
  return wanted[settings.ackReactionScope] === true
    ? (settings.ackReaction ?? agentEmoji ?? defaultEmoji)
    : "";
}

/** What a prefix may name. */
export interface PrefixFacts {
  readonly provider: string;
  readonly model: string;
  readonly thinkingLevel: string | undefined;
  /** The agent's own name; undefined when it has none. */
  readonly identityName: string | undefined;
}

/** The reply with its prefix, once; "auto" is the agent's name in brackets. What is not known stays as it is written. */
export function withPrefix(text: string, template: string | undefined, facts: PrefixFacts): string {
  if (template === undefined || template === "" || text.trim() === "") return text;
  const { provider, model, thinkingLevel, identityName } = facts;
  if (template === "auto") return identityName === undefined ? text : begin(text, `[${identityName}]`);
  const values: Readonly<Record<string, string | undefined>> = {
    model: model.split("/").at(-1),
    modelfull: `${provider}/${model}`,
    provider,
    thinkinglevel: thinkingLevel,
    "identity.name": identityName,
  };
  return begin(
    text,
    template.replace(/\{([A-Za-z.]+)\}/g, (whole, name: string) => values[name.toLowerCase()] ?? whole),
  );
}

function begin(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text : `${prefix} ${text}`;
}
