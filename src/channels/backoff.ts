import type { Random } from "../kernel/mod.ts";

const firstMs = 1_000;
const longestMs = 60_000;

/**
 * How long to wait before try number `attempt` (1 is the first repeat): doubling from 1 s to 60 s, each taken
 * between half and all of it, so that many accounts do not come back in step after one outage.
 */
export function backoffMs(attempt: number, random: Random): number {
  const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(attempt, 10));
  const fraction = random.bytes(4).readUInt32BE(0) / 2 ** 32;
  return Math.max(firstMs, Math.round(ceiling * (0.5 + fraction / 2)));
}
