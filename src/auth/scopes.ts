export const operatorScopes = [
  "operator.read",
  "operator.write",
  "operator.admin",
  "operator.pairing",
  "operator.approvals",
  "operator.questions",
  "operator.talk",
  "operator.talk.secrets",
] as const;
export type Scope = (typeof operatorScopes)[number];

/** True when the granted scopes cover the needed one: admin covers all, write covers read and talk. */
export function holds(granted: readonly string[], needed: Scope): boolean {
  if (granted.includes("operator.admin") || granted.includes(needed)) return true;
  return granted.includes("operator.write") && (needed === "operator.read" || needed === "operator.talk");
}

/** The scopes that there are, without repeats, in the order given. A name that we do not know grants nothing. */
export function knownScopes(scopes: readonly string[]): Scope[] {
  return [...new Set(scopes)].filter((scope): scope is Scope =>
    (operatorScopes as readonly string[]).includes(scope),
  );
}

/** The first known scope that `granted` does not cover. */
export function firstMissing(granted: readonly string[], asked: readonly string[]): Scope | undefined {
  return knownScopes(asked).find((scope) => !holds(granted, scope));
}
