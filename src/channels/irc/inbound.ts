import { createHash } from "node:crypto";
import type { Conversation, InboundMessage, Sender } from "../../delivery/channel.ts";
import type { Session } from "./session.ts";
import { accountIdOf } from "./settings.ts";
import { foldAscii, type IrcLine } from "./wire.ts";

/** Before the nick of somebody whose account the network does not vouch for. No account's id has a colon. */
export const nickPrefix = "nick:";

/** A message that came in, before it is known which account its sender uses. */
export interface Received {
  readonly line: IrcLine;
  readonly eventId: string;
  readonly conversation: Conversation;
  readonly atMs: number | undefined;
}

/**
 * What in a line is a message of somebody else to us; undefined for everything else: notices (which nobody may answer
 * by the protocol's rule), CTCP, our own words coming back.
 *
 * `unique` makes the event id where the server names neither the message nor its time: such a server never repeats one.
 */
export function received(
  line: IrcLine,
  session: Session,
  joined: ReadonlyMap<string, string>,
  unique: () => string,
): Received | undefined {
  const { from } = line;
  const [target = "", text = ""] = line.params;
  if (line.command !== "PRIVMSG" || !from || from.nick === "" || session.isSelf(from.nick)) return undefined;
  // A server has no user and no host; nobody can be answered there.
  if (from.user === "" && from.host === "") return undefined;
  if (contentOf(text) === undefined) return undefined;
  const at = Date.parse(line.tags.get("time") ?? "");
  const atMs = Number.isFinite(at) ? at : undefined;
  return {
    line,
    eventId: eventIdOf(line, atMs, unique),
    conversation: placeOf(target, session, joined),
    atMs,
  };
}

function eventIdOf(line: IrcLine, atMs: number | undefined, unique: () => string): string {
  const id = line.tags.get("msgid");
  if (id) return `id:${id.slice(0, 256)}`;
  if (atMs === undefined) return `at:${unique()}`;
  // What a bouncer plays back carries the time of then, and the same words.
  const facts = JSON.stringify([line.from?.nick, line.params]);
  return `at:${atMs}:${createHash("sha256").update(facts).digest("hex").slice(0, 32)}`;
}

/** A direct conversation gets its id once the sender is known. */
function placeOf(target: string, session: Session, joined: ReadonlyMap<string, string>): Conversation {
  const prefixes = session.supports.get("STATUSMSG") ?? "";
  const status = prefixes.includes(target.charAt(0)) ? target.charAt(0) : "";
  const name = target.slice(status.length);
  const types = session.supports.get("CHANTYPES") ?? "#&";
  if (name === "" || !types.includes(name.charAt(0))) return { kind: "direct", id: "" };
  const id = joined.get(session.fold(name)) ?? foldAscii(name);
  // To "@#house" only its operators listen: an answer that went to all of #house would tell them.
  return { kind: "group", id, ...(status === "" ? {} : { threadId: status }) };
}

/** What the message says; undefined for a CTCP request other than an action. */
function contentOf(text: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: CTCP stands between them
  const ctcp = /^\u0001([^ \u0001]*) ?([^\u0001]*)\u0001?$/s.exec(text);
  if (ctcp && ctcp[1]?.toUpperCase() !== "ACTION") return undefined;
  return plain(ctcp ? `* ${ctcp[2] ?? ""}` : text);
}

/** Without colours and styles, which can hide words from people that a model would read. */
function plain(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: mIRC's colours
      .replace(/\u0003(?:\d{1,2}(?:,\d{1,2})?)?|\u0004(?:[0-9a-fA-F]{6})?/g, "")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: mIRC's styles, and what else no terminal shows
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "")
  );
}

/** `account` is what the network itself says the sender is logged in as. */
export function inboundOf(
  { line, eventId, conversation, atMs }: Received,
  account: string | undefined,
  session: Session,
  ours: ReadonlyMap<string, string>,
  gatewayAccount: string,
): InboundMessage {
  const nick = line.from?.nick ?? "";
  const text = contentOf(line.params[1] ?? "") ?? "";
  const sender = senderOf(nick, account);
  const msgid = line.tags.get("msgid");
  const answered = line.tags.get("+draft/reply") ?? line.tags.get("+reply");
  const quote = answered === undefined ? undefined : ours.get(answered);
  const direct = conversation.kind === "direct";
  return {
    channel: "irc",
    account: gatewayAccount,
    eventId,
    conversation: direct ? { kind: "direct", id: sender.id } : conversation,
    sender,
    text,
    messageId: msgid ?? eventId,
    // Names of messages, not numbers; what was sent later has a later time.
    ...(atMs === undefined ? {} : { sentAtMs: atMs, newestMessageId: String(atMs) }),
    mentionsBot: !direct && isAddressed(text, session),
    repliesToBot: quote !== undefined,
    ...(quote === undefined ? {} : { quoted: { author: session.self.nick, text: quote, isBot: true } }),
    isBot: line.tags.has("bot"),
  };
}

function senderOf(nick: string, account: string | undefined): Sender {
  const id = account === undefined ? undefined : accountIdOf(account);
  const shown = { claimedName: nick, claimedHandle: nick };
  if (id !== undefined) return { id, proof: "platform", ...shown };
  return { id: nickPrefix + foldAscii(nick), proof: "claimed", ...shown };
}

/** IRC's way to speak to somebody is their nick in front: "house: hello". A nick elsewhere is only talked about. */
function isAddressed(text: string, session: Session): boolean {
  const found = /^(?:@([^\s:,]+)(?:[:,\s]|$)|([^\s:,]+)[:,])/.exec(text);
  const word = found?.[1] ?? found?.[2];
  return word !== undefined && session.isSelf(word);
}
