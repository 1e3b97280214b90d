import { createHash } from "node:crypto";
import type { Attachment, InboundMessage } from "../../delivery/channel.ts";
import { automaticReason } from "./automatic.ts";
import { partsOf, textOfHtml } from "./body.ts";
import { type Header, messageIdsOf, valuesOf } from "./headers.ts";
import { fromOf } from "./proof.ts";
import type { EmailAccount } from "./settings.ts";
import type { Thread } from "./threads.ts";

export const maxInboundTextChars = 65_536;
const maxSubjectChars = 300;
const maxReferences = 30;
const maxAttachments = 16;

/** A message as the mailbox holds it, as far as it was read. */
export interface Mail {
  /** "UIDVALIDITY:UID". */
  readonly place: string;
  readonly headers: readonly Header[];
  /** Decoded. */
  readonly subject: string;
  readonly fromName: string;
  readonly text: { readonly kind: "plain" | "html"; readonly content: string } | undefined;
  readonly attachments: readonly Attachment[];
  readonly receivedAtMs: number | undefined;
}

export interface Arrived {
  readonly message: InboundMessage;
  readonly thread: Thread;
}

/** The message, or why it is none for us. */
export function inboundOf(mail: Mail, account: EmailAccount): Arrived | { readonly ignored: string } {
  const { headers } = mail;
  const from = fromOf(headers, account.authservId);
  const automatic = automaticReason(headers, from.address);
  if (automatic !== undefined) return { ignored: automatic };
  if (from.address === undefined) return { ignored: "its From is not one address" };
  const ours = [account.address, ...account.aliases].some((own) => sameMailbox(own, from.address ?? ""));
  if (ours) return { ignored: "it is from our own address" };

  // Nobody's list can hold an address with a colon in front: a claim never reads as the address itself.
  const id = from.isProved ? from.address : `from:${from.address}`;
  const messageId = messageIdsOf(valuesOf(headers, "message-id")[0] ?? "")[0];
  const answered = messageIdsOf(valuesOf(headers, "in-reply-to")[0] ?? "");
  const chain = [...messageIdsOf(valuesOf(headers, "references")[0] ?? ""), ...answered.slice(0, 1)];
  const root = chain[0] ?? messageId ?? mail.place;
  const subject = oneLine(mail.subject).slice(0, maxSubjectChars);
  const words = wordsOf(mail, subject, chain.length > 0);
  const message: InboundMessage = {
    channel: "email",
    account: account.accountId,
    eventId: eventIdOf(mail, { id, messageId, subject, ...words }),
    conversation: { kind: "direct", id, threadId: threadIdOf(root) },
    sender: {
      id,
      proof: from.isProved ? "platform" : "claimed",
      claimedName: oneLine(mail.fromName).slice(0, 128),
      claimedHandle: from.address,
    },
    text: words.text,
    messageId: messageId ?? mail.place,
    ...(mail.receivedAtMs === undefined ? {} : { sentAtMs: mail.receivedAtMs }),
    mentionsBot: false,
    repliesToBot: answered.some((item) => isOurs(item, account)),
    ...(words.quoted === undefined ? {} : { quoted: { author: "unknown", text: words.quoted } }),
    ...(mail.attachments.length > 0 ? { attachments: mail.attachments.slice(0, maxAttachments) } : {}),
    isBot: false,
  };
  const references = [...new Set([...chain, ...(messageId === undefined ? [] : [messageId])])];
  const kept =
    references.length <= maxReferences
      ? references
      : [references[0] ?? "", ...references.slice(1 - maxReferences)];
  return { message, thread: { address: from.address, subject, references: kept } };
}

/** The text, and what it repeats of others. */
function wordsOf(
  mail: Mail,
  subject: string,
  isAnswer: boolean,
): { readonly text: string; readonly quoted: string | undefined } {
  const { text } = mail;
  const body = partsOf(
    text === undefined ? "" : text.kind === "html" ? textOfHtml(text.content) : text.content,
  );
  const note = body.isForward
    ? "[forwarded message]"
    : body.quoted !== undefined
      ? "[quotation]"
      : mail.attachments.length > 0
        ? "[attachment]"
        : "[empty message]";
  const own = body.own === "" ? note : body.own;
  // A command stands at the beginning of a text, and a subject of somebody else's making is not the sender's words.
  const titled = !isAnswer && !body.isForward && subject !== "" && !own.startsWith("/");
  return {
    text: cut(titled ? `Subject: ${subject}\n\n${own}` : own),
    quoted: body.quoted === undefined ? undefined : cut(body.quoted),
  };
}

/**
 * The same for each copy of a message, under whatever number and in whatever mailbox generation it lies. The content is
 * in it: by the Message-ID alone, which the sender chooses, a stranger could take the place of a message that is to come
 * (attack A-180).
 */
export function eventIdOf(
  mail: Pick<Mail, "place" | "headers">,
  facts: {
    readonly id: string;
    readonly messageId: string | undefined;
    readonly subject: string;
    readonly text: string;
    readonly quoted?: string | undefined;
  },
): string {
  if (facts.messageId === undefined) return `uid:${mail.place}`;
  const date = valuesOf(mail.headers, "date")[0] ?? "";
  const all = [facts.messageId, facts.id, date, facts.subject, facts.text, facts.quoted ?? ""];
  return `mid:${createHash("sha256").update(JSON.stringify(all)).digest("hex")}`;
}

/** A thread goes by its first message; its name is the sender's choice, so it is not used as it is (attack A-247). */
export function threadIdOf(rootMessageId: string): string {
  return createHash("sha256").update(rootMessageId).digest("hex").slice(0, 32);
}

/** The Message-ID of one of our messages: the same for each attempt to send it. */
export function ownMessageId(outboxId: string, account: EmailAccount): string {
  const digest = createHash("sha256")
    .update(JSON.stringify([account.accountId, outboxId]))
    .digest("hex");
  return `openclaw.${digest.slice(0, 32)}@${account.address.slice(account.address.lastIndexOf("@") + 1)}`;
}

function isOurs(messageId: string, account: EmailAccount): boolean {
  const domain = account.address.slice(account.address.lastIndexOf("@") + 1);
  return /^openclaw\.[0-9a-f]{32}@/.test(messageId) && messageId.slice(messageId.indexOf("@") + 1) === domain;
}

/** For recognising ourselves, letters of either case are the same: answering ourselves is the greater harm. */
function sameMailbox(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
}

/** At most the limit's UTF-16 units, never half a surrogate pair. */
function cut(text: string): string {
  if (text.length <= maxInboundTextChars) return text;
  const last = text.charCodeAt(maxInboundTextChars - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? maxInboundTextChars - 1 : maxInboundTextChars);
}
