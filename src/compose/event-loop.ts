import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { ControlParts } from "../control/mod.ts";

const resolutionMs = 20;

/** How long this gateway keeps what is due waiting. */
export function watchEventLoop(): {
  readonly figures: ControlParts["eventLoop"];
  readonly close: () => void;
} {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  return {
    figures: () => ({
      intervalMs: resolutionMs,
      delayP99Ms: round(delay.percentile(99) / 1e6 - resolutionMs),
      delayMaxMs: round(delay.max / 1e6 - resolutionMs),
      utilization: round(performance.eventLoopUtilization().utilization),
    }),
    close: () => void delay.disable(),
  };
}

/** Long work lets what else is due go first. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function round(value: number): number {
  return Math.max(0, Math.round(value * 1000) / 1000);
}
