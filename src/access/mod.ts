/**
 * May they reach an agent here? One function for all carriers: facts that the channel proved in, Admitted or a
 * reason out.
 *
 * 1. An empty or unreadable rule admits nobody.
 * 2. A pairing made in a direct chat never admits anyone in a group.
 * 3. Names that senders give themselves never decide.
 * 4. A sender whom the platform did not prove matches no rule, not even "*".
 * 5. A pairing code works once, for 60 minutes; at most three wait per account; each is sent once.
 */
export { type Admitted, decide } from "./decide.ts";
export * from "./pairing.ts";
export * from "./settings.ts";
