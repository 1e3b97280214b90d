import type { OutboundMessage } from "../../delivery/channel.ts";
import { markOf, type Outbound, type Target, targetOf } from "./outbound.ts";
import { ApiFault } from "./rest.ts";
import { threadBelow } from "./thread.ts";

const maxPages = 5;

interface Found {
  readonly bodies: readonly unknown[];
  /** False when there is more that was not read. */
  readonly isAll: boolean;
}

/**
 * Did this message become a comment before a crash? The comments since the message that it answers are read, which
 * nobody sees; each of ours begins with its own mark. Rejects when GitHub cannot be asked now.
 */
export async function wasSent(
  message: OutboundMessage,
  out: Outbound,
): Promise<"sent" | "absent" | "unknown"> {
  const target = targetOf(message.conversation);
  const sinceMs = Date.parse(message.afterMessageId ?? "");
  if (!target || Number.isNaN(sinceMs)) return "unknown";
  const mark = markOf(message.id);
  try {
    const token = await out.credentials.tokenFor(target.repository);
    const { bodies, isAll } = await commentsSince(target, new Date(sinceMs).toISOString(), token, out);
    // The mark is a digest of an id that nobody else knows: who wrote the comment need not be asked.
    if (bodies.some((body) => typeof body === "string" && body.startsWith(mark))) return "sent";
    return isAll ? "absent" : "unknown";
  } catch (error) {
    if (!(error instanceof ApiFault) || error.failure.kind !== "answer") throw error;
    return "unknown";
  }
}

function commentsSince(target: Target, since: string, token: string, out: Outbound): Promise<Found> {
  const { repository, place, below } = target;
  if (below !== undefined) return threadBelow(below, { repository, number: place.number }, token, out.rest);
  if (place.kind === "discussion") return discussionComments(repository, place.number, token, out);
  const of = place.kind === "review" ? "pulls" : "issues";
  return restComments(
    `/repos/${repository}/${of}/${place.number}/comments?since=${since}&per_page=100`,
    token,
    out,
  );
}

async function restComments(path: string, token: string, { rest }: Outbound): Promise<Found> {
  const bodies: unknown[] = [];
  let next: string | undefined = path;
  for (let page = 0; next !== undefined && page < maxPages; page++) {
    const answer = await rest.call({ method: "GET", path: next, token });
    const items = Array.isArray(answer.value) ? (answer.value as { readonly body?: unknown }[]) : [];
    bodies.push(...items.map(({ body }) => body));
    next = answer.next;
  }
  return { bodies, isAll: next === undefined };
}

const lastComments = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    discussion(number: $number) { comments(last: 100) { totalCount nodes { body } } }
  }
}`;

async function discussionComments(
  repository: string,
  number: number,
  token: string,
  { rest }: Outbound,
): Promise<Found> {
  const [owner, name] = repository.split("/");
  const data = await rest.query(lastComments, { owner, name, number }, { token });
  const found = data.repository as {
    readonly discussion?: {
      readonly comments?: {
        readonly totalCount?: number;
        readonly nodes?: readonly ({ readonly body?: unknown } | null)[];
      };
    } | null;
  } | null;
  const comments = found?.discussion?.comments;
  const bodies = (comments?.nodes ?? []).map((node) => node?.body);
  return { bodies, isAll: comments !== undefined && comments.totalCount === bodies.length };
}
