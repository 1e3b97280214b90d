/**
 * Where a piece of a conversation came from. Each message part, tool result, file and summary carries one
 * from the moment it enters, so that a sink can be refused for what flowed into it.
 */
export interface Source {
  /** Stable id of who wrote it: "operator", "telegram:123", "tool:web_fetch", "file:notes.md", "model:openai/gpt-x". */
  readonly author: string;
  /** How we know that. */
  readonly proof: Proof;
  readonly trust: Trust;
  readonly sensitivity: Sensitivity;
}

/** How an author was proved, weakest first. `claimed` is a name somebody wrote; `platform` is vouched for by the channel. */
export const proofs = ["none", "claimed", "platform", "device", "secret", "self"] as const;
export type Proof = (typeof proofs)[number];

/** What instructions in the text are worth, least first: `untrusted` may never be followed. */
export const trusts = ["untrusted", "known", "owner", "system"] as const;
export type Trust = (typeof trusts)[number];

/** Who may see it, widest first. */
export const sensitivities = ["public", "private", "secret"] as const;
export type Sensitivity = (typeof sensitivities)[number];

/** The label of a value made from both: least proved, least trusted, most sensitive; authors are listed once, sorted. */
export function joinSources(a: Source, b: Source): Source {
  const authors = new Set([...a.author.split(","), ...b.author.split(",")]);
  return {
    author: [...authors].sort().join(","),
    proof: least(proofs, a.proof, b.proof),
    trust: least(trusts, a.trust, b.trust),
    sensitivity: most(sensitivities, a.sensitivity, b.sensitivity),
  };
}

/** The zero: nobody vouches for it, and nobody but us may see it. */
export const unknownSource: Source = {
  author: "unknown",
  proof: "none",
  trust: "untrusted",
  sensitivity: "private",
};

function least<T>(order: readonly T[], a: T, b: T): T {
  return order.indexOf(a) <= order.indexOf(b) ? a : b;
}

function most<T>(order: readonly T[], a: T, b: T): T {
  return order.indexOf(a) >= order.indexOf(b) ? a : b;
}
