/** A session key, taken apart: `agent:<agentId>:<rest>`. */
export interface SessionKey {
  readonly agentId: string;
  readonly rest: string;
}

const keyPattern = /^agent:([A-Za-z0-9][A-Za-z0-9_-]{0,63}):(.{1,400})$/s;

/** Undefined for anything that is not a whole key. Control characters never pass: keys are shown and logged. */
export function parseSessionKey(key: string): SessionKey | undefined {
  if (/\p{Cc}/u.test(key)) return undefined;
  const match = keyPattern.exec(key);
  return match ? { agentId: match[1] as string, rest: match[2] as string } : undefined;
}

export function mainKey(agentId: string): string {
  return `agent:${agentId}:main`;
}

/**
 * The key that a caller named: a whole key as it is, `main` or nothing as the main session, any other word inside
 * the default agent. Undefined when it cannot be one.
 */
export function resolveSessionKey(named: string | undefined, defaultAgentId: string): string | undefined {
  if (named === undefined || named === "" || named === "main") return mainKey(defaultAgentId);
  const key = named.startsWith("agent:") ? named : `agent:${defaultAgentId}:${named}`;
  return parseSessionKey(key) ? key : undefined;
}

/** A part of a key made from a platform's id: what could be taken for a separator is percent-encoded. */
export function keyPart(id: string): string {
  return encodeURIComponent(id).replaceAll("%40", "@").replaceAll("%2B", "+");
}
