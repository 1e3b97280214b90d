import type { InboundMessage } from "../delivery/mod.ts";
import { admit, refuse, type Source, type Verdict } from "../kernel/mod.ts";
import type { AccessSettings, GroupSettings } from "./settings.ts";

/** Proof that a message passed the access rules. Only {@link decide} makes one. */
class Admitted {
  readonly message: InboundMessage;
  /** The label of everything that the sender wrote. */
  readonly source: Source;
  readonly isOwner: boolean;

  private constructor(message: InboundMessage, source: Source, isOwner: boolean) {
    this.message = message;
    this.source = source;
    this.isOwner = isOwner;
  }

  static of(message: InboundMessage, source: Source, isOwner: boolean): Admitted {
    return new Admitted(message, source, isOwner);
  }
}

export type { Admitted };

/**
 * May this sender reach an agent here? Pure: the same facts give the same answer.
 * `paired` holds the sender ids that were approved for this channel and account.
 */
export function decide(
  message: InboundMessage,
  settings: AccessSettings,
  paired: ReadonlySet<string>,
): Verdict<Admitted> {
  if (!settings.enabled) return refuse("access.channel_disabled", message.channel);
  // A sender without a platform-proved id cannot be told from anybody else: no rule may match it, not even "*".
  if (message.sender.id === "" || message.sender.proof === "none" || message.sender.proof === "claimed") {
    return refuse("access.sender_unidentified", `sender id ${JSON.stringify(message.sender.id)}`);
  }
  const verdict =
    message.conversation.kind === "direct"
      ? decideDirect(message, settings, paired)
      : decideGroup(message, settings);
  if (verdict) return verdict;
  const author = `${message.channel}:${message.sender.id}`;
  const isOwner = settings.owners.includes(author);
  const trust = isOwner ? "owner" : "known";
  return admit(
    Admitted.of(message, { author, proof: message.sender.proof, trust, sensitivity: "private" }, isOwner),
  );
}

/** A refusal, or undefined to go on. */
function decideDirect(message: InboundMessage, settings: AccessSettings, paired: ReadonlySet<string>) {
  const id = message.sender.id;
  switch (settings.dmPolicy) {
    case "open":
      return settings.allowFrom.includes("*")
        ? undefined
        : refuse("access.open_without_wildcard", message.channel);
    case "allowlist":
      return settings.allowFrom.includes(id) || settings.allowFrom.includes("*")
        ? undefined
        : refuse("access.sender_not_listed", id);
    case "pairing":
      return settings.allowFrom.includes(id) || paired.has(id)
        ? undefined
        : refuse("access.sender_unpaired", id);
    default:
      return refuse("access.dm_disabled", message.channel);
  }
}

/** A refusal, or undefined to go on. Pairings play no part here: a direct chat never opens a group. */
function decideGroup(message: InboundMessage, settings: AccessSettings) {
  const { id } = message.conversation;
  const group: GroupSettings | undefined = own(settings.groups, id) ?? own(settings.groups, "*");
  if (settings.groupPolicy !== "open" && settings.groupPolicy !== "allowlist") {
    return refuse("access.group_disabled", message.channel);
  }
  if (settings.groupPolicy === "allowlist" && group === undefined)
    return refuse("access.group_not_listed", id);
  if (group?.enabled === false) return refuse("access.group_disabled", id);
  const senders = group?.allowFrom ?? settings.groupAllowFrom ?? settings.allowFrom;
  const anybody =
    settings.groupPolicy === "open" &&
    group?.allowFrom === undefined &&
    settings.groupAllowFrom === undefined;
  if (!anybody && !senders.includes("*") && !senders.includes(message.sender.id)) {
    return refuse("access.group_sender_not_listed", message.sender.id);
  }
  const mentioned = message.mentionsBot || message.repliesToBot;
  if (group?.requireMention !== false && !mentioned) return refuse("access.not_mentioned", id);
  return undefined;
}

function own<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
