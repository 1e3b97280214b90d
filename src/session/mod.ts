/**
 * Which conversation is it? Takes an Admitted message, gives the session it belongs to, keeps one lane per
 * session and the log of each.
 *
 * 1. A message without a binding reaches no agent, unless exactly one agent exists.
 * 2. Two senders share a session only when dmScope says so.
 * 3. Turns of one session run one at a time, in the order in which they were accepted.
 * 4. A lane that is full refuses; what gives way there says so, and ends as refused.
 * 5. A session key routes; it never authorises.
 * 6. Only who is named in one person's identityLinks, and in no other's, shares that person's session.
 * 7. A message becomes a part of another turn only of the same person in the same conversation, and never
 *    across a command.
 * 8. What was said in a group without addressing the agent is on no disk, reaches one turn of that group and agent, and
 *    no other.
 */
export * from "./append.ts";
export * from "./commands.ts";
export { directTurns, historyLimit } from "./history-limit.ts";
export * from "./key.ts";
export * from "./lanes.ts";
export { createOverheard, type Overheard } from "./overheard.ts";
export { collectedText, leaveOut, type QueueRule, queueRule } from "./queue-mode.ts";
export { isStale, lastDaily, type ResetPlace, resetRule } from "./reset.ts";
export * from "./route.ts";
export * from "./runs.ts";
export { maySend, type SendPolicy } from "./send-policy.ts";
export { type SessionSettings, sessionSettings } from "./settings.ts";
export * from "./title.ts";
export type * from "./transcript.ts";
