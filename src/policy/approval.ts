import type { Write } from "../kernel/mod.ts";
import type { StandingRule } from "./standing-rule.ts";

export const approvalDecisions = ["allow-once", "allow-always", "deny"] as const;
export type ApprovalDecision = (typeof approvalDecisions)[number];

/** A question to an operator: may exactly this run? */
export interface Approval {
  readonly id: string;
  readonly kind: "exec";
  readonly request: ApprovalRequest;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly state: "pending" | "allowed" | "denied" | "expired" | "cancelled";
  readonly decision?: ApprovalDecision;
  readonly resolvedBy?: string;
  readonly resolvedAtMs?: number;
  /** What an allow-always keeps: one of the rules that were shown with the question. */
  readonly keeps?: StandingRule;
}

export interface ApprovalRequest {
  /** The whole command, exactly as it will run. */
  readonly command: string;
  /** Absolute. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly host: "gateway" | "node" | "sandbox";
  /** For a command in a sandbox: what a lasting yes would open to this agent. */
  readonly sandboxEntry?: string;
  /** Where it runs, when that is a node: a name decides nothing. */
  readonly nodeId?: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly runId: string;
  readonly toolCallId: string;
  /** What made it ask, in one sentence. */
  readonly warningText: string;
  readonly allowedDecisions: readonly ApprovalDecision[];
  /** What allow-always would keep. There whenever that is offered, but for a node, which keeps its own rules. */
  readonly standing?: StandingRule;
  /** What allow-always would keep instead, when it is asked to: exactly this command and the like ones before it. */
  readonly proposal?: StandingRule;
  /** Absolute path of the program, when it could be told. */
  readonly resolvedPath: string | null;
  /** Digest of all that the answer is for: the tree, the arguments, the files and folder as they are, who asks. */
  readonly binding: string;
}

export interface ApprovalStore {
  get(id: string): Approval | undefined;
  pending(): Approval[];
  /** The newest that were allowed to this agent, newest first. */
  allowed(agentId: string, limit: number): Approval[];
  put(approval: Approval): Write;
}
