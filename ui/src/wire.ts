/**
 * The part of the gateway protocol, version 4, that this page speaks.
 *
 * Only what the page sends is typed here. What it receives is JSON from outside and is read field by field
 * with `untrusted.ts`.
 */
export const protocolVersion = 4;

export const pageClient = {
  id: "openclaw-control-ui",
  version: "0.1.0",
  platform: "web",
  mode: "webchat",
} as const;

export const pageScopes = [
  "operator.admin",
  "operator.read",
  "operator.write",
  "operator.approvals",
  "operator.pairing",
] as const;

export const pageCaps = ["tool-events", "approvals", "exec-approvals"] as const;

/** The request that follows the gateway's challenge. No secret in it: the session cookie says who this is. */
export function connectParams(): Readonly<Record<string, unknown>> {
  return {
    minProtocol: protocolVersion,
    maxProtocol: protocolVersion,
    client: pageClient,
    role: "operator",
    scopes: pageScopes,
    caps: pageCaps,
  };
}

export const decisions = ["allow-once", "allow-always", "deny"] as const;
export type Decision = (typeof decisions)[number];
