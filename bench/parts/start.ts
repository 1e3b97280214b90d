// Start to ready: from spawn to the first 200 on /healthz, each run in a fresh state folder.

import { type Bench, cutShort, inTurn } from "../bench.ts";
import { figure, median } from "../figures.ts";
import { openSite } from "../site.ts";

const runs = 7;

export async function measureStart(bench: Bench): Promise<void> {
  const { results } = bench;
  const plain = await inTurn({ count: runs, ms: 70_000 }, () => start(bench, 0));
  results.set("start", figure(median(plain), cutShort(plain.length, runs, "runs")));
  if (bench.subject.name === "bare") {
    results.set("start.plugins", { missing: "no plugins" });
    return;
  }
  const loaded = await inTurn({ count: runs, ms: 35_000 }, () => start(bench, 50));
  results.set("start.plugins", figure(median(loaded), cutShort(loaded.length, runs, "runs")));
}

async function start(bench: Bench, plugins: number): Promise<number> {
  const site = await openSite(bench.workshop, bench.subject, bench.model.port, { plugins });
  bench.say(`ready after ${site.readyMs.toFixed(0)} ms`);
  await site.close();
  return site.readyMs;
}
