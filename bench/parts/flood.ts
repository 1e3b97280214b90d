// Strangers: what 10,000 connections that never sign in and 1,000 wrong passwords a second do to the calls of a
// hundred who did, and to the memory.

import path from "node:path";
import { type Bench, inTurn } from "../bench.ts";
import { figure, percentile } from "../figures.ts";
import type { FloodReport } from "../flooder.ts";
import { openSite, poll } from "../site.ts";

const strangers = 10_000;
const guessesPerSecond = 1_000;
const goodOnes = 100;
const calls = 3_000;
/** Between two calls: the figure is what one caller waits, not how much fits. */
const pauseMs = 1;

export async function measureFlood(bench: Bench): Promise<void> {
  const { results, workshop } = bench;
  const site = await openSite(workshop, bench.subject, bench.model.port);
  const clients = await inTurn({ count: goodOnes, ms: 20_000 }, () => site.connect());
  const waits = () =>
    inTurn({ count: calls, ms: 60_000 }, async (index) => {
      const startedAt = performance.now();
      await clients[index % clients.length]?.call("health");
      const ms = performance.now() - startedAt;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      return ms;
    });
  await waits();
  bench.say("without strangers");
  const idle = percentile(await waits(), 0.99);
  const memory = site.running.residentMb();
  const { folder, port } = site.place;
  const env = {
    BENCH_PORT: String(port),
    BENCH_COUNT: String(strangers),
    BENCH_GUESSES: String(guessesPerSecond),
  };
  const file = path.join(import.meta.dirname, "..", "flooder.ts");
  const flooder = workshop.start({ file: process.execPath, args: [file], env, folder });
  await poll(60_000, () => (flooder.output().includes("flooding") ? true : undefined));
  bench.say("among strangers");
  const flooded = percentile(await waits(), 0.99);
  results.set("flood.memory", figure(site.running.residentMb() - memory));
  await flooder.stop();
  const reached = JSON.parse(/^\{.*\}$/m.exec(flooder.output())?.[0] ?? "{}") as Partial<FloodReport>;
  const note =
    `${idle.toFixed(2)} ms idle, ${flooded.toFixed(2)} ms among strangers: ` +
    `${Math.round(reached.guessesPerSecond ?? 0)} guesses/s, ${Math.round(reached.replacedPerSecond ?? 0)} sockets/s`;
  results.set("flood.p99", figure(flooded / idle, note));
  await Promise.all(clients.map((client) => client.close()));
  await site.close();
}
