import type { Attachment, InboundMessage } from "../../delivery/channel.ts";
import { isObject } from "../settings-reader.ts";
import type { Identities } from "./identities.ts";
import { accountUuid, phoneNumber } from "./settings.ts";

type Fields = Readonly<Record<string, unknown>>;

const maxAttachments = 16;
const maxInboundTextChars = 65_536;
const maxNameChars = 200;

export interface Self {
  readonly accountId: string;
  readonly number: string;
  readonly uuid: string | undefined;
}

/**
 * The message in an event of signal-cli's; undefined for everything else: what we wrote ourselves on another device,
 * receipts, typing, reactions, edits, deletions, stories, calls, changes of a group.
 */
export function inboundOf(event: unknown, self: Self, identities: Identities): InboundMessage | undefined {
  const envelope = envelopeOf(event, self);
  const data = objectAt(envelope, "dataMessage");
  const at = data.timestamp;
  if (
    !Number.isSafeInteger(at) ||
    data.reaction ||
    data.remoteDelete ||
    isSelf(envelope.sourceNumber, envelope.sourceUuid, self)
  )
    return undefined;
  const attachments = attachmentsOf(data, envelope);
  const raw = typeof data.message === "string" ? data.message.slice(0, maxInboundTextChars) : "";
  if (raw === "" && attachments.length === 0) return undefined;
  const group = objectAt(data, "groupInfo").groupId;
  if (data.groupInfo !== undefined && typeof group !== "string") return undefined;
  const identity = identities.senderOf({ uuid: envelope.sourceUuid, number: envelope.sourceNumber });
  if (!identity) return undefined;
  const { id } = identity;
  const uuid = identities.recipientOf(id);
  const mentions = listAt(data, "mentions");
  const quote = objectAt(data, "quote");
  const isQuoteOurs = isSelf(quote.authorNumber ?? quote.author, quote.authorUuid, self);
  return {
    channel: "signal",
    account: self.accountId,
    eventId: `${uuid}:${at}`,
    conversation: typeof group === "string" ? { kind: "group", id: group } : { kind: "direct", id },
    sender: { ...identity, proof: "platform", ...nameOf(envelope.sourceName) },
    text: withMentions(raw, mentions),
    messageId: `${at}:${uuid}`,
    sentAtMs: at as number,
    mentionsBot: mentions.some((item) => isSelf(item.number, item.uuid, self)),
    mentionsOthers: mentions.some((item) => !isSelf(item.number, item.uuid, self)),
    repliesToBot: isQuoteOurs,
    ...(data.quote === undefined || data.quote === null ? {} : { quoted: quotedOf(quote, isQuoteOurs) }),
    ...(attachments.length > 0 ? { attachments } : {}),
    isBot: false,
  };
}

/** What is addressed to another account of the same signal-cli is not ours. */
function envelopeOf(event: unknown, self: Self): Fields {
  const outer = isObject(event) ? event : {};
  const inner = isObject(outer.result) ? outer.result : outer;
  const account = inner.account ?? outer.account;
  if (typeof account === "string" && account !== self.number && account !== self.uuid) return {};
  return objectAt(inner, "envelope");
}

function isSelf(number: unknown, uuid: unknown, self: Self): boolean {
  return number === self.number || (self.uuid !== undefined && uuid === self.uuid);
}

/** Signal puts one replacement character where somebody is mentioned. */
function withMentions(text: string, mentions: readonly Fields[]): string {
  let out = text;
  const last = [...mentions].sort((a, b) => Number(b.start) - Number(a.start));
  for (const { start, length, number, uuid } of last) {
    const who =
      (typeof number === "string" && phoneNumber(number)) || (typeof uuid === "string" && accountUuid(uuid));
    if (!who || !isOffset(start) || !isOffset(length) || out.slice(start, start + length) !== "\ufffc")
      continue;
    out = `${out.slice(0, start)}@${who}${out.slice(start + length)}`;
  }
  return out;
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Whose words they are, the quoting person says: they are not proved. */
function quotedOf(quote: Fields, isOurs: boolean): NonNullable<InboundMessage["quoted"]> {
  const author = [quote.authorNumber, quote.author, quote.authorUuid].find(
    (item) => typeof item === "string",
  );
  return {
    author: typeof author === "string" ? author.slice(0, maxNameChars) : "unknown",
    text: typeof quote.text === "string" ? quote.text.slice(0, maxInboundTextChars) : "",
    ...(isOurs ? { isBot: true } : {}),
  };
}

function attachmentsOf(data: Fields, envelope: Fields): readonly Attachment[] {
  const group = objectAt(data, "groupInfo").groupId;
  const from =
    typeof group === "string"
      ? { groupId: group }
      : { recipient: envelope.sourceUuid ?? envelope.sourceNumber };
  return listAt(data, "attachments")
    .filter(({ id }) => typeof id === "string" && /^[A-Za-z0-9._-]{1,200}$/.test(id))
    .slice(0, maxAttachments)
    .map(({ id, contentType, filename, size }) => ({
      kind: kindOf(contentType),
      ...(typeof contentType === "string" ? { claimedType: contentType.slice(0, 128) } : {}),
      ...(typeof filename === "string" ? { claimedName: oneLine(filename) } : {}),
      ...(Number.isSafeInteger(size) ? { claimedBytes: size as number } : {}),
      reference: JSON.stringify({ id, ...from }),
    }));
}

function kindOf(type: unknown): Attachment["kind"] {
  const kind = typeof type === "string" ? /^(image|audio|video)\//.exec(type)?.[1] : undefined;
  return kind === "image" || kind === "audio" || kind === "video" ? kind : "file";
}

function nameOf(name: unknown): { readonly claimedName?: string } {
  return typeof name === "string" && name !== "" ? { claimedName: oneLine(name) } : {};
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " ").slice(0, maxNameChars);
}

function objectAt(of: Fields, key: string): Fields {
  const value = of[key];
  return isObject(value) ? value : {};
}

function listAt(of: Fields, key: string): readonly Fields[] {
  const value = of[key];
  return Array.isArray(value) ? value.filter(isObject) : [];
}
