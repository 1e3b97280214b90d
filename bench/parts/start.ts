// Start to ready: from spawn to the first 200 on /healthz, each run in a fresh state folder.

import { type Bench, cutShort, inTurn } from "../bench.ts";
import { figure, median } from "../figures.ts";
import { openSite } from "../site.ts";

const runs = 7;

export async function measureStart(bench: Bench): Promise<void> {
  const { results } = bench;
  const plain = await inTurn({ count: runs, ms: 75_000 }, () => start(bench, 0));
  const note = cutShort(plain.length, runs, "runs");
  results.set("start", figure(median(plain.map(({ readyMs }) => readyMs)), note));
  results.set("start.hello", figure(median(plain.map(({ helloMs }) => helloMs)), note));
  if (bench.subject.name === "bare") {
    results.set("start.plugins", { missing: "no plugins" });
    return;
  }
  const loaded = await inTurn({ count: runs, ms: 35_000 }, () => start(bench, 50));
  const ready = loaded.map(({ readyMs }) => readyMs);
  results.set("start.plugins", figure(median(ready), cutShort(loaded.length, runs, "runs")));
}

interface Start {
  readonly readyMs: number;
  readonly helloMs: number;
}

async function start(bench: Bench, plugins: number): Promise<Start> {
  const site = await openSite(bench.workshop, bench.subject, bench.model.port, { plugins });
  const client = await site.connect();
  const helloMs = performance.now() - site.running.startedAt;
  bench.say(`ready after ${site.readyMs.toFixed(0)} ms, first hello after ${helloMs.toFixed(0)} ms`);
  await client.close();
  await site.close();
  return { readyMs: site.readyMs, helloMs };
}
