import { type ConnectParams, protocolVersion } from "../../src/control/protocol.ts";

/**
 * The part of the gateway protocol, version 4, that this page speaks.
 *
 * Only what the page sends is typed here. What it receives is JSON from outside and is read field by field
 * with `untrusted.ts`.
 */
export { chatFilePath, sessionPath, signInPath, signOutPath, sizeText } from "../../src/control/protocol.ts";

/** The request that follows the gateway's challenge. No secret in it: the session cookie says who this is. */
export const connectParams: ConnectParams = {
  minProtocol: protocolVersion,
  maxProtocol: protocolVersion,
  client: { id: "openclaw-control-ui", version: "0.1.0", platform: "web", mode: "webchat" },
  role: "operator",
  scopes: [
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.questions",
    "operator.pairing",
  ],
  caps: ["tool-events", "approvals", "exec-approvals"],
};

export const decisions = ["allow-once", "allow-always", "deny"] as const;
export type Decision = (typeof decisions)[number];
