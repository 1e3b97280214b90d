/**
 * The words that every stage shares. Nothing here decides anything.
 *
 * 1. A Verdict that is not literally an Admission is a refusal.
 * 2. A Secret never prints.
 * 3. Canonical JSON has one spelling for each value.
 * 4. Joining two sources never raises trust or proof and never lowers sensitivity.
 * 5. Time and randomness come in as values.
 * 6. A picture is what its own parts say, and none is unpacked to find out.
 */
export * from "./canonical.ts";
export * from "./clock.ts";
export * from "./input-error.ts";
export * from "./log.ts";
export * from "./model-fault.ts";
export * from "./picture.ts";
export * from "./random.ts";
export * from "./reasons.ts";
export type { Problem, Schema, Static } from "./schema.ts";
export * as schema from "./schema.ts";
export * from "./secret.ts";
export * from "./source.ts";
export type { EndReason, Usage } from "./usage.ts";
export * from "./verdict.ts";
export type { Commit, Write } from "./write.ts";
