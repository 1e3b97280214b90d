import { ApiFault, type Rest } from "./rest.ts";
import { repositoryOf } from "./wire.ts";

/** The comments below one comment of a discussion; GitHub has no deeper ones. */
export interface DiscussionThread {
  readonly discussionId: string;
  /** The comment at its top; absent: answers go to the discussion itself. */
  readonly replyToId?: string;
  /** The last hundred below it. */
  readonly bodies: readonly unknown[];
  /** False when there are more. */
  readonly isAll: boolean;
}

const findThread = `query($id: ID!) {
  node(id: $id) {
    ... on DiscussionComment {
      discussion { id number repository { nameWithOwner } }
      replyTo { id replies(last: 100) { totalCount nodes { body } } }
    }
  }
}`;

interface FoundComment {
  readonly discussion?: {
    readonly id?: unknown;
    readonly number?: unknown;
    readonly repository?: { readonly nameWithOwner?: unknown };
  };
  readonly replyTo?: {
    readonly id?: unknown;
    readonly replies?: {
      readonly totalCount?: unknown;
      readonly nodes?: readonly ({ readonly body?: unknown } | null)[];
    };
  } | null;
}

/** The thread that this comment stands in. Rejects as "not found" when it is gone, or of another discussion. */
export async function threadBelow(
  commentId: string,
  of: { readonly repository: string; readonly number: number },
  token: string,
  rest: Rest,
): Promise<DiscussionThread> {
  const data = await rest.query(findThread, { id: commentId }, { token });
  const { discussion, replyTo } = (data.node ?? {}) as FoundComment;
  const isOurs =
    discussion?.number === of.number && repositoryOf(discussion.repository?.nameWithOwner) === of.repository;
  if (!isOurs || typeof discussion.id !== "string" || typeof replyTo?.id !== "string") {
    throw new ApiFault({ kind: "answer", status: 200, word: "NOT_FOUND" });
  }
  const bodies = (replyTo.replies?.nodes ?? []).map((node) => node?.body);
  return {
    discussionId: discussion.id,
    replyToId: replyTo.id,
    bodies,
    isAll: replyTo.replies?.totalCount === bodies.length,
  };
}
