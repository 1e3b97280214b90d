/** The parts of GitHub's webhooks and API that we read (https://docs.github.com/rest). What is absent here is not looked at. */

export interface WireUser {
  readonly id?: number;
  readonly login?: string;
  /** "User", "Bot", "Organization", "Mannequin". */
  readonly type?: string;
}

/** A comment, a review, or what opens an issue, a pull request or a discussion. */
export interface WirePost {
  readonly id?: number;
  readonly body?: string | null;
  readonly user?: WireUser | null;
  readonly author_association?: string;
  readonly created_at?: string;
  /** Of a review. */
  readonly submitted_at?: string;
  /** The App that wrote in the user's name. */
  readonly performed_via_github_app?: { readonly id?: number } | null;
}

export interface WireSubject extends WirePost {
  readonly number?: number;
  readonly title?: string;
}

export interface WireComment extends WirePost {
  /** Of a comment on a pull request's lines. */
  readonly path?: string;
  readonly diff_hunk?: string;
  readonly in_reply_to_id?: number;
  /** Of a comment on a discussion: the one that it stands below. */
  readonly parent_id?: number | null;
  /** What GraphQL calls it. */
  readonly node_id?: string;
}

/** What a webhook posts. */
export interface WireEvent {
  readonly action?: string;
  readonly issue?: WireSubject;
  readonly pull_request?: WireSubject;
  readonly discussion?: WireSubject;
  readonly comment?: WireComment;
  readonly review?: WirePost;
  readonly repository?: { readonly full_name?: string };
  readonly sender?: WireUser | null;
  readonly installation?: { readonly id?: number } | null;
}

/** One attempt of GitHub's to post an event. */
export interface WireDelivery {
  readonly id?: number;
  readonly guid?: string;
  readonly delivered_at?: string;
  /** What our answer was; 0 where none came. */
  readonly status_code?: number;
  readonly event?: string;
}

export function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** Undefined for what GraphQL can call nothing. */
export function nodeIdOf(value: unknown): string | undefined {
  return typeof value === "string" && /^[\w=+/-]{1,200}$/.test(value) ? value : undefined;
}

/** "owner/repo" in the one spelling: GitHub takes no notice of case. Undefined for what is no repository's name. */
export function repositoryOf(text: unknown): string | undefined {
  if (typeof text !== "string" || !/^[\w-]{1,64}\/(?!\.{1,2}$)[\w.-]{1,100}$/.test(text)) return undefined;
  return text.toLowerCase();
}

/** Where in a repository a conversation is. Issues, pull requests and discussions share their numbers. */
export type Place =
  | { readonly kind: "issue"; readonly number: number }
  | { readonly kind: "discussion"; readonly number: number }
  /** Comments below one line of a pull request; `root` is the first of them. */
  | { readonly kind: "review"; readonly number: number; readonly root: number };

export function threadIdOf(place: Place): string {
  switch (place.kind) {
    case "issue":
      return String(place.number);
    case "discussion":
      return `discussion-${place.number}`;
    case "review":
      return `${place.number}-review-${place.root}`;
  }
}

/** Undefined for what is no thread of ours. */
export function placeOf(threadId: string | undefined): Place | undefined {
  const parts = /^(discussion-)?([1-9]\d{0,14})(?:-review-([1-9]\d{0,14}))?$/.exec(threadId ?? "");
  if (!parts) return undefined;
  const number = Number(parts[2]);
  if (parts[3] !== undefined) {
    return parts[1] === undefined ? { kind: "review", number, root: Number(parts[3]) } : undefined;
  }
  return { kind: parts[1] === undefined ? "issue" : "discussion", number };
}
