// `health` over one connection: one call after another, and sixteen in flight.

import { atOnce, type Bench, cutShort, inTurn } from "../bench.ts";
import { figure, percentile } from "../figures.ts";
import { openSite } from "../site.ts";

const calls = 5_000;
const callsInFlight = 50_000;

export async function measureRpc(bench: Bench): Promise<void> {
  const { results } = bench;
  const site = await openSite(bench.workshop, bench.subject, bench.model.port);
  const client = await site.connect();
  await inTurn({ count: 500, ms: 5_000 }, () => client.call("health"));
  bench.say("one call after another");
  const times = await awake(() =>
    inTurn({ count: calls, ms: 20_000 }, async () => {
      const startedAt = performance.now();
      await client.call("health");
      return performance.now() - startedAt;
    }),
  );
  const note = cutShort(times.length, calls, "calls");
  results.set("rpc.p50", figure(percentile(times, 0.5), note));
  results.set("rpc.p99", figure(percentile(times, 0.99), note));
  bench.say("sixteen in flight");
  const rate = await atOnce(16, { count: callsInFlight, ms: 25_000 }, () => client.call("health"));
  results.set("rpc.inflight", figure(rate.perSecond, cutShort(rate.count, callsInFlight, "calls")));
  await client.close();
}

/**
 * Keeps this process from sleeping while it waits: waking a sleeping client takes longer here than a good
 * answer does, and would be read as the gateway's time. The gateway itself sleeps and wakes as always.
 */
async function awake<T>(work: () => Promise<T>): Promise<T> {
  let isOver = false;
  const spin = (): void => {
    if (!isOver) setImmediate(spin);
  };
  spin();
  try {
    return await work();
  } finally {
    isOver = true;
  }
}
