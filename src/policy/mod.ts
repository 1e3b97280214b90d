/**
 * May this call happen? Takes a ToolRequest and what the tool says it would do; gives a Permit, a question for an
 * operator, or a reason.
 *
 * 1. Deny always wins; each layer only narrows; an effect that no rule knows is refused.
 * 2. A Permit names exactly what was judged, and is good for one execution.
 * 3. Only a literal allow answer permits; an unanswered question is a refusal.
 * 4. A standing rule covers exact commands in one folder for one agent, and never an interpreter or a wrapper; it is
 *    shown before it is kept, and what is kept is what was shown.
 * 5. An address that is not public is refused in every notation.
 * 6. A command line is judged as a tree, each of its commands by itself, and the tree is what runs; what is not
 *    understood asks, and so does what runs text that it is given.
 *    A command of a sandboxed session is not judged: it may enter its sandbox or not, and never leaves it.
 * 7. An answer is bound to the tree, the programs, scripts and folder as they were when it was asked, and to who asked.
 * 8. What explains a decision about a tool is that decision: one function gives both, and names the line that decided.
 * 9. Of the config and the host's document the stricter counts; what a call itself asks for only tightens.
 * 10. A command leaves its sandbox through both gates, the global one and its agent's, and with a person's yes.
 * 11. A second model lets through only what its text tells whole, in turns that the owner wrote; every doubt is a
 *     person's, and what is refused it cannot allow.
 * 12. Nothing that an agent writes, calls or runs loosens its own rules.
 */
export * from "./address.ts";
export * from "./approval.ts";
export { type ApprovalNotice, approvalNotice } from "./approval-text.ts";
export * from "./approvals.ts";
export { runsWhatItIsTold } from "./command-programs.ts";
export { type CommandRules, isInterpreter } from "./command-rules.ts";
export {
  type CommandLine,
  type CommandRun,
  type FileIdentity,
  literalArgv,
  type ReadCommandLine,
} from "./command-tree.ts";
export type { PolicyContext } from "./context.ts";
export { type Decision, decide, type Permit, settle } from "./decide.ts";
export { type Effect, effectFacts, plainPath } from "./effect.ts";
export { type ElevatedCaller, judgeElevated } from "./elevated.ts";
export { type ExecRule, type ExecWords, execRule, execWords, houseRule, stricter } from "./exec-mode.ts";
export { commandPlace, judgeNodeCommand, type NodeCommandFacts } from "./node-command.ts";
export type { Question } from "./question.ts";
export {
  afterReview,
  createDenials,
  type Review,
  readReview,
  reviewPrompt,
  reviewSubject,
} from "./review.ts";
export type { SandboxFacts } from "./sandbox-entry.ts";
export {
  type ExecSettings,
  forTurn,
  narrowed,
  type PolicySettings,
  policySettings,
  type TurnFacts,
  toolAllowed,
  withExecRule,
} from "./settings.ts";
export { entryRule, type StandingRule } from "./standing-rule.ts";
export { judgeTool, type ToolStep } from "./tool-policy.ts";
