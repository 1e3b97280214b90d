/**
 * The model loop. Takes a Turn's context, gives reply events and ToolRequests; the model is assumed to be hijacked.
 *
 * 1. Tools are called one at a time, in the model's order, and only through what the map answers.
 * 2. Untrusted text reaches the model inside a fence that it cannot forge or close.
 * 3. A refused or malformed call never reaches a tool; the model is told why.
 * 4. An aborted run makes no further call of any kind.
 * 5. A fault is retried only while nothing final was said, within bounds, honouring the provider's own delay.
 * 6. The history fits the model's window; a tool call and its result are never parted.
 * 7. A summary stands for what it was made from, bears the label of all of it, and takes nothing out of the log.
 * 8. Pictures that tools show stay with their run alone, within bounds, and never make a model that reads none fail.
 */
export {
  type CompactionPlan,
  compactionRequest,
  planCompaction,
} from "./compaction.ts";
export * from "./fence.ts";
export * from "./histories.ts";
export * from "./history.ts";
export type * from "./model.ts";
export * from "./prompt.ts";
export * from "./run.ts";
export { type AgentSettings, agentSettings, costOf, type ModelChoice, modelChoice } from "./settings.ts";
