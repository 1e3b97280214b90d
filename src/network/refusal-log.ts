import type { Clock, Log, Refusal } from "../kernel/mod.ts";

const quietMs = 60_000;

/**
 * Logs refusals so that a flood of them does not become a flood of lines: the first of each reason at once, the rest
 * as a number with the first one after a minute.
 */
export function createRefusalLog(clock: Clock, log: Log): (refusal: Refusal, peer: string) => void {
  const seen = new Map<string, { at: number; unsaid: number }>();
  return ({ reason, detail }, peer) => {
    const now = clock.monotonic();
    const last = seen.get(reason);
    if (last && now - last.at < quietMs) {
      last.unsaid += 1;
      return;
    }
    seen.set(reason, { at: now, unsaid: 0 });
    log("warn", "a request was refused", {
      reason,
      detail,
      peer,
      ...(last && last.unsaid > 0 ? { more: last.unsaid } : {}),
    });
  };
}
