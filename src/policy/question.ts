import { hash } from "node:crypto";
import type { ToolRequest } from "../agent/mod.ts";
import { canonicalJson, type Json } from "../kernel/mod.ts";
import type { ApprovalRequest } from "./approval.ts";
import type { Effect } from "./effect.ts";

/** What an operator must say before a call may happen. */
export interface Question {
  readonly approval: Omit<ApprovalRequest, "host">;
  readonly request: ToolRequest;
  readonly effects: readonly Effect[];
  /** Mode auto, and all that would happen can be told from its text: a second model may be asked first. */
  readonly canReview?: boolean;
}

/** A question, with a digest of everything that a yes to it would cover. */
export function questionOf(
  { agentId, sessionKey, runId, id }: ToolRequest,
  asked: Pick<
    Question["approval"],
    "command" | "cwd" | "env" | "warningText" | "allowedDecisions" | "resolvedPath"
  > & { readonly bound: Readonly<Record<string, Json>> },
): Question["approval"] {
  const { bound, ...question } = asked;
  const { command, cwd, env } = question;
  const facts = { command, cwd, env, agentId, sessionKey, runId, toolCallId: id, ...bound };
  return {
    ...question,
    agentId,
    sessionKey,
    runId,
    toolCallId: id,
    binding: hash("sha256", canonicalJson(facts)),
  };
}
