// A process of many connections: either opened and closed as fast as they go, or opened and held until
// SIGTERM. Sixteen are under way at a time, below the limit on sockets that have not yet said who they are.
// Prints one CrowdReport line when all are done.

import { atOnce } from "./bench.ts";
import { Client } from "./client.ts";
import { reasonOf } from "./figures.ts";

export interface CrowdReport {
  readonly opened: number;
  readonly perSecond: number;
  /** Why it stopped before the count; null when it did not. */
  readonly failure: string | null;
}

const port = Number(process.env.BENCH_PORT);
const token = process.env.BENCH_TOKEN ?? "";
const count = Number(process.env.BENCH_COUNT);
const isHolding = process.env.BENCH_MODE === "hold";

let opened = 0;
let failure: string | null = null;

async function one(): Promise<void> {
  if (failure !== null) return;
  try {
    const client = await Client.open(port, token);
    opened += 1;
    if (!isHolding) await client.close();
  } catch (error) {
    failure = reasonOf(error);
  }
}

process.on("SIGTERM", () => process.exit(0));
// Unmeasured, so that neither side is still being compiled while the clock runs.
if (!isHolding) await atOnce(16, { count: 1_000, ms: 5_000 }, one);
opened = 0;
const startedAt = performance.now();
await atOnce(16, { count, ms: 25_000 }, one);
const perSecond = (opened / (performance.now() - startedAt)) * 1_000;
const report: CrowdReport = { opened, perSecond, failure };
process.stdout.write(`${JSON.stringify(report)}\n`);
if (isHolding) setInterval(() => {}, 60_000);
