import type { InboundMessage, Sender } from "../../delivery/channel.ts";
import { mentionsIn, visibleText, withoutAsides } from "./markdown.ts";
import {
  isId,
  nodeIdOf,
  type Place,
  repositoryOf,
  threadIdOf,
  type WireEvent,
  type WirePost,
  type WireSubject,
  type WireUser,
} from "./wire.ts";

/** Our own account: an App's, or the user's whose token it is. */
export interface BotIdentity {
  /** Lower case, as others call it: "house-bot". */
  readonly login: string;
  /** Of a user. */
  readonly userId?: number;
  /** Of an App. */
  readonly appId?: number;
}

/** Longest text handed in, UTF-16 units; GitHub's own limit. */
const maxInboundTextChars = 65_536;
const maxQuotedChars = 16_384;
const maxNameChars = 128;

/** What somebody wrote in an event, and where it is. */
interface Written {
  /** What the post is called, with its id: the same in each delivery. */
  readonly key: string;
  readonly post: WirePost;
  readonly text: string;
  readonly place: Place;
  /** What GraphQL calls a comment that stands below another one of a discussion: the answer goes there too. */
  readonly below?: string | undefined;
  /** The issue, pull request or discussion that it is about; absent where it is the post itself. */
  readonly about?: WireSubject;
  /** The lines of code that it is about. */
  readonly lines?: string;
}

/**
 * What an event says to us, or undefined for what is nothing new, not written by a person now, or our own. The kind of
 * an event is read from the signed body: its header is not signed.
 */
export function inboundOf(event: WireEvent, account: string, bot: BotIdentity): InboundMessage | undefined {
  const repository = repositoryOf(event.repository?.full_name);
  const written = writtenIn(event);
  if (!repository || !written) return undefined;
  const { key, post, place, about } = written;
  // What somebody moves, converts or imports was written by another person at another time.
  if (isOwn(post, bot) || (post.user?.id ?? 0) !== (event.sender?.id ?? 0)) return undefined;
  const text = cut(visibleText(cut(written.text, maxInboundTextChars)), maxInboundTextChars);
  if (text === "") return undefined;
  const own = withoutAsides(text);
  const called = mentionsIn(own);
  const ours = new Set([bot.login, `${bot.login}[bot]`]);
  const sentAtMs = Date.parse(post.submitted_at ?? post.created_at ?? "");
  const toBot = about !== undefined && isOwn(about, bot);
  return {
    channel: "github",
    account,
    eventId: key,
    conversation: {
      kind: "group",
      id: repository,
      threadId: threadIdOf(place),
      ...(written.below === undefined ? {} : { belowMessageId: written.below }),
      spaceId: repository.split("/")[0] as string,
    },
    sender: senderOf(post),
    text,
    messageId: key,
    ...(Number.isNaN(sentAtMs) ? {} : { newestMessageId: new Date(sentAtMs).toISOString(), sentAtMs }),
    mentionsBot: called.some((login) => ours.has(login)),
    repliesToBot: toBot,
    ...(toBot ? { inBotThread: true } : {}),
    ...(called.some((login) => !ours.has(login)) ? { mentionsOthers: true } : {}),
    ownText: own,
    ...(about ? { quoted: quotedOf(about, written.lines, bot) } : {}),
    isBot: isProgram(post),
  };
}

function writtenIn(event: WireEvent): Written | undefined {
  const { action, comment, review } = event;
  const issue = subject(event.issue);
  const pull = subject(event.pull_request);
  const discussion = subject(event.discussion);
  if (comment !== undefined) {
    if (action !== "created" || !isId(comment.id)) return undefined;
    const text = comment.body ?? "";
    const post = comment;
    if (issue) {
      return { key: `issue_comment/${comment.id}`, post, text, place: at("issue", issue), about: issue };
    }
    if (discussion) {
      const place = at("discussion", discussion);
      const below = isId(comment.parent_id) ? nodeIdOf(comment.node_id) : undefined;
      return { key: `discussion_comment/${comment.id}`, post, text, place, below, about: discussion };
    }
    if (!pull) return undefined;
    const root = isId(comment.in_reply_to_id) ? comment.in_reply_to_id : comment.id;
    const lines = `${comment.path ?? ""}\n${comment.diff_hunk ?? ""}`;
    const place = { kind: "review", number: pull.number, root } as const;
    return { key: `review_comment/${comment.id}`, post, text, place, about: pull, lines };
  }
  if (review !== undefined) {
    if (action !== "submitted" || !pull || !isId(review.id)) return undefined;
    const text = review.body ?? "";
    return { key: `review/${review.id}`, post: review, text, place: at("issue", pull), about: pull };
  }
  if (issue && action === "opened") return opened("issue", issue, "issue");
  if (pull && action === "opened") return opened("pull", pull, "issue");
  if (discussion && action === "created") return opened("discussion", discussion, "discussion");
  return undefined;
}

type Subject = WireSubject & { readonly id: number; readonly number: number };

function subject(value: WireSubject | undefined): Subject | undefined {
  return isId(value?.id) && isId(value.number) ? { ...value, id: value.id, number: value.number } : undefined;
}

function at(kind: "issue" | "discussion", { number }: Subject): Place {
  return { kind, number };
}

function opened(name: string, post: Subject, kind: "issue" | "discussion"): Written {
  return { key: `${name}/${post.id}`, post, text: contentOf(post), place: at(kind, post) };
}

function contentOf({ title, body }: WireSubject): string {
  return `${title ?? ""}\n\n${body ?? ""}`;
}

/** The number is the person; the login is a name, and changes hands (attacks A-055, A-056). */
function senderOf({ user, author_association: association }: WirePost): Sender {
  const login = name(user?.login ?? "");
  const isKnown = isId(user?.id) && (user.type === "User" || user.type === "Bot");
  if (!isKnown) return { id: "", proof: "none", claimedName: login };
  return {
    id: String(user.id),
    proof: "platform",
    claimedName: login,
    claimedHandle: login,
    ...(association && /^[A-Z_]{1,40}$/.test(association) ? { roles: [association.toLowerCase()] } : {}),
  };
}

function isProgram({ user, performed_via_github_app: via }: WirePost): boolean {
  return user?.type !== "User" || (via !== undefined && via !== null);
}

/** Nobody's login may hold "[": an App's own cannot be taken. */
function isOwn({ user, performed_via_github_app: via }: WirePost, bot: BotIdentity): boolean {
  if (bot.appId === undefined) return user?.id !== undefined && user.id === bot.userId;
  const isApp = (who: WireUser) => who.type === "Bot" && who.login?.toLowerCase() === `${bot.login}[bot]`;
  return via?.id === bot.appId || (user !== undefined && user !== null && isApp(user));
}

function quotedOf(
  about: WireSubject,
  lines: string | undefined,
  bot: BotIdentity,
): NonNullable<InboundMessage["quoted"]> {
  const { user } = about;
  const isKnown = isId(user?.id);
  const text = visibleText(cut(contentOf(about), maxQuotedChars));
  return {
    author: `${name(user?.login ?? "unknown")}${isKnown ? ` (github:${user.id})` : ""}`,
    text: cut(lines === undefined ? text : `${text}\n\n${lines}`, maxQuotedChars),
    ...(isKnown ? { authorId: String(user.id), isBot: isOwn(about, bot) } : {}),
  };
}

/** A name somebody chose: on one line, and short. */
function name(text: string): string {
  return cut(text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " "), maxNameChars);
}

/** At most `limit` UTF-16 units, never half a surrogate pair. */
function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit);
}
