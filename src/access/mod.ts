/**
 * May they reach an agent here? One function for all carriers: facts that the channel proved in, Admitted or a
 * reason out.
 *
 * 1. An empty or unreadable rule admits nobody.
 * 2. A pairing made in a direct chat never admits anyone in a group.
 * 3. Names that senders give themselves never decide.
 * 4. A sender whom the platform did not prove matches no rule, not even "*".
 * 5. A pairing code works once, for 60 minutes; at most three wait per account; each is sent once.
 * 6. The explanation of an answer is the decision itself, told step by step; what it says would help has been tried.
 * 7. An owner is named by channel and id; neither "*" nor a pairing nor a list of another channel makes one.
 * 8. A look-up costs the same in a list of ten and of ten thousand; counters hold a bounded number of senders.
 * 9. No pattern and no text makes the mention gate take long.
 * 10. Being called (a mention, a reply, a name in the text) opens the mention gate and nothing else.
 * 11. Who may talk may not therefore give commands; who gives owners' commands is an owner.
 * 12. A limit of tools for a sender or a group only narrows; a name never gives a tool.
 * 13. An id that the message itself proves is as good as the sender's stable one, in every list. What was given to a
 *     person (a pairing, a linked conversation) does not go on to who has the number next.
 */
export { type Admitted, decide, mayBeOverheard } from "./decide.ts";
export { type Change, type Explanation, explain } from "./explain.ts";
export { accessSettings } from "./from-config.ts";
export { createMeters, type KeptBudgets, type Meters, mayBeTold, unused } from "./meters.ts";
export * from "./pairing.ts";
export { type Reach, reachable } from "./reach.ts";
export type { Activation, Facts, Step } from "./rules.ts";
export { canonical, type IdRule, plainIds, senderId } from "./senders.ts";
export { type AccessSettings, closedAccess } from "./settings.ts";
export { roomsOf, type ToolLimit, toolLimits } from "./tool-limits.ts";
