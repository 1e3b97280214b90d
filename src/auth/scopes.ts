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
