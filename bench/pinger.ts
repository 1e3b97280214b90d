// A process of its own that pings one socket while others load the gateway: the longest wait for a pong is
// the longest time that the gateway's event loop answered nobody (plus what the machine adds).
//
// Says "pinging" when it has begun; on SIGTERM prints a PingReport as its last line and ends.

import { setTimeout as wait } from "node:timers/promises";
import { Client } from "./client.ts";

export interface PingReport {
  readonly pings: number;
  readonly longestMs: number;
  /** What the gateway itself reports in `health`; null where it reports nothing. */
  readonly reportedMs: number | null;
}

interface Health {
  readonly eventLoop?: { readonly delayMaxMs?: number };
}

const client = await Client.open(Number(process.env.BENCH_PORT), process.env.BENCH_TOKEN ?? "");
let pings = 0;
let longestMs = 0;
let reportedMs: number | null = null;

process.on("SIGTERM", () => {
  const report: PingReport = { pings, longestMs, reportedMs };
  process.stdout.write(`\n${JSON.stringify(report)}\n`, () => process.exit(0));
});

// The first answer covers the time before the load and is not kept.
await client.call("health");
await client.ping();
process.stdout.write("pinging\n");

async function ping(): Promise<never> {
  for (;;) {
    longestMs = Math.max(longestMs, await client.ping());
    pings += 1;
    await wait(5);
  }
}

async function ask(): Promise<never> {
  for (;;) {
    await wait(250);
    const health = (await client.call("health")) as Health;
    const seen = health.eventLoop?.delayMaxMs;
    if (seen !== undefined) reportedMs = Math.max(reportedMs ?? 0, seen);
  }
}

await Promise.all([ping(), ask()]);
