import { hash } from "node:crypto";
import type { Conversation, OutboundMessage, SendResult } from "../../delivery/channel.ts";
import type { Credentials } from "./credentials.ts";
import { commentText } from "./markdown.ts";
import { type ApiFailure, ApiFault, failureText, type Rest } from "./rest.ts";
import { type DiscussionThread, threadBelow } from "./thread.ts";
import { isId, nodeIdOf, type Place, placeOf, repositoryOf } from "./wire.ts";

const sendDeadlineMs = 30_000;
const retryAfterMs = 5_000;
/** GitHub takes 65,536; each mark that loses its meaning adds one to two. */
export const maxTextChars = 40_000;

export interface Outbound {
  readonly rest: Rest;
  readonly credentials: Credentials;
}

export interface Target {
  readonly repository: string;
  readonly place: Place;
  /** A comment of a discussion, in whose thread the answer goes. */
  readonly below: string | undefined;
}

/** Undefined for a conversation that is none of GitHub's. */
export function targetOf({ id, threadId, belowMessageId }: Conversation): Target | undefined {
  const repository = repositoryOf(id);
  const place = placeOf(threadId);
  const below = nodeIdOf(belowMessageId);
  if (belowMessageId !== undefined && (below === undefined || place?.kind !== "discussion")) return undefined;
  return repository !== undefined && place ? { repository, place, below } : undefined;
}

/** What a message of ours is known by: the first line of its comment, which is shown to nobody. */
export function markOf(id: string): string {
  return `<!-- openclaw ${hash("sha256", id).slice(0, 32)} -->`;
}

export async function sendMessage(message: OutboundMessage, out: Outbound): Promise<SendResult> {
  const rejected = (detail: string): SendResult => ({ outcome: "rejected", detail });
  if (message.text.trim() === "") return rejected("the message has no text");
  if (message.text.length > maxTextChars) return rejected(`the text is longer than ${maxTextChars}`);
  const target = targetOf(message.conversation);
  if (!target) {
    return rejected(
      'write to "owner/repo" with the number of an issue or pull request (or discussion-<number>) as thread',
    );
  }
  const body = `${markOf(message.id)}\n${commentText(message.text)}`;
  let ready: Ready;
  try {
    ready = await prepare(target, out);
  } catch (error) {
    const result = resultOf(error, target.repository, out);
    // Nothing was sent before this: what had no answer is no doubt.
    return result.outcome === "unknown" ? { ...result, outcome: "retry", retryAfterMs } : result;
  }
  try {
    return { outcome: "sent", platformId: await post(target, body, ready, out.rest) };
  } catch (error) {
    return resultOf(error, target.repository, out);
  }
}

interface Ready {
  readonly token: string;
  readonly discussion?: Pick<DiscussionThread, "discussionId" | "replyToId">;
}

async function prepare(target: Target, { credentials, rest }: Outbound): Promise<Ready> {
  const { repository, place, below } = target;
  const token = await credentials.tokenFor(repository);
  if (place.kind !== "discussion") return { token };
  if (below !== undefined) {
    return { token, discussion: await threadBelow(below, { repository, number: place.number }, token, rest) };
  }
  return { token, discussion: { discussionId: await discussionIdOf(repository, place.number, token, rest) } };
}

async function post(
  { repository, place }: Target,
  body: string,
  { token, discussion }: Ready,
  rest: Rest,
): Promise<string> {
  const deadlineMs = sendDeadlineMs;
  if (discussion) {
    const { discussionId, replyToId = null } = discussion;
    const answer = await rest.query(addComment, { discussionId, replyToId, body }, { token, deadlineMs });
    const { comment } = (answer.addDiscussionComment ?? {}) as {
      readonly comment?: { readonly databaseId?: unknown };
    };
    return named("discussion_comment", comment?.databaseId);
  }
  const isReview = place.kind === "review";
  const path = isReview
    ? `/repos/${repository}/pulls/${place.number}/comments/${place.root}/replies`
    : `/repos/${repository}/issues/${place.number}/comments`;
  const { value } = await rest.call({ method: "POST", path, token, json: { body }, deadlineMs });
  return named(
    isReview ? "review_comment" : "issue_comment",
    (value as { readonly id?: unknown } | null)?.id,
  );
}

const addComment = `mutation($discussionId: ID!, $replyToId: ID, $body: String!) {
  addDiscussionComment(input: {discussionId: $discussionId, replyToId: $replyToId, body: $body}) {
    comment { databaseId }
  }
}`;

const findDiscussion = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { discussion(number: $number) { id } }
}`;

async function discussionIdOf(
  repository: string,
  number: number,
  token: string,
  rest: Rest,
): Promise<string> {
  const [owner, name] = repository.split("/");
  const data = await rest.query(findDiscussion, { owner, name, number }, { token });
  const found = data.repository as { readonly discussion?: { readonly id?: unknown } | null } | null;
  const id = found?.discussion?.id;
  if (typeof id === "string") return id;
  throw new ApiFault({ kind: "answer", status: 200, word: "NOT_FOUND" });
}

/** It was taken, and only its name is not known: it must not be sent again. */
function named(kind: string, id: unknown): string {
  if (isId(id)) return `${kind}/${id}`;
  throw new ApiFault({ kind: "network", code: "ANSWER_NAMES_NO_COMMENT", reached: true });
}

function resultOf(error: unknown, repository: string, { credentials }: Outbound): SendResult {
  if (!(error instanceof ApiFault)) {
    return { outcome: "unknown", detail: "sending ended in an unexpected error" };
  }
  const { failure } = error;
  // The token of an installation ends early when its permissions change: the next try gets a new one.
  if (failure.kind === "answer" && failure.status === 401 && credentials.forget(repository)) {
    return { outcome: "retry", retryAfterMs, detail: "the installation's token was not taken any more" };
  }
  return sendOutcome(failure);
}

/** Of GraphQL's words, those that say that nothing was done. */
const refusals: ReadonlySet<string> = new Set([
  "NOT_FOUND",
  "FORBIDDEN",
  "INSUFFICIENT_SCOPES",
  "UNPROCESSABLE",
  "VALIDATION",
]);

/** What a failed send means for the outbox: sure that it was not sent, or not sure. */
export function sendOutcome(failure: ApiFailure): SendResult {
  const detail = failureText(failure);
  switch (failure.kind) {
    case "limited":
      return { outcome: "retry", retryAfterMs: failure.retryAfterMs, detail };
    case "network":
      return failure.reached ? { outcome: "unknown", detail } : { outcome: "retry", retryAfterMs, detail };
    case "answer":
      if (failure.word !== undefined) {
        return { outcome: refusals.has(failure.word) ? "rejected" : "unknown", detail };
      }
      // Only a 503 says that nobody took the request.
      if (failure.status === 503) return { outcome: "retry", retryAfterMs, detail };
      if (failure.status >= 500) return { outcome: "unknown", detail };
      return { outcome: "rejected", detail: `${detail}${advice(failure.status)}` };
  }
}

function advice(status: number): string {
  switch (status) {
    case 401:
      return ": the token was revoked or has ended, or the App's key was deleted; make a new one";
    case 403:
      return ": the conversation is locked, or a permission is missing (issues, pull requests, discussions: write)";
    case 404:
      return ": the App is not installed there, the token does not cover the repository, or it is gone";
    case 410:
      return ": it was deleted, or issues are turned off";
    default:
      return "";
  }
}
