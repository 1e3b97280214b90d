// Connections: how many can be opened, greeted and closed in a second, and what holding 10,000 costs.

import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Bench, cutShort } from "../bench.ts";
import type { CrowdReport } from "../crowd.ts";
import { figure } from "../figures.ts";
import type { Running } from "../processes.ts";
import { openSite, poll, type Site } from "../site.ts";

const churned = 3_000;
const held = 10_000;
/** Several processes, so that no client needs more open files than a common hard limit allows. */
const crowds = 4;

export async function measureConnections(bench: Bench): Promise<void> {
  const first = await openSite(bench.workshop, bench.subject, bench.model.port);
  await (await first.connect()).close();
  bench.say("opening and closing");
  const report = await untilReport(startCrowd(bench, first, "churn", churned), 60_000);
  bench.results.set("connections", figure(report.perSecond, cutShort(report.opened, churned, "connections")));
  await first.close();

  const site = await openSite(bench.workshop, bench.subject, bench.model.port);
  await (await site.connect()).close();
  bench.say("holding");
  const running: Running[] = [];
  let opened = 0;
  let failure: string | null = null;
  for (let index = 0; index < crowds && failure === null; index += 1) {
    const crowd = startCrowd(bench, site, "hold", held / crowds);
    running.push(crowd);
    const now = await untilReport(crowd, 30_000);
    opened += now.opened;
    failure = now.failure;
  }
  await wait(2_000);
  const note = failure === null ? cutShort(opened, held, "held") : `${opened} held: ${failure}`;
  bench.results.set("held", figure(site.running.residentMb(), note));
  await Promise.all(running.map((crowd) => crowd.stop()));
  await site.close();
}

function startCrowd(bench: Bench, site: Site, mode: "churn" | "hold", count: number): Running {
  const { folder, port, token } = site.place;
  const file = path.join(import.meta.dirname, "..", "crowd.ts");
  const env = { BENCH_PORT: String(port), BENCH_TOKEN: token, BENCH_MODE: mode, BENCH_COUNT: String(count) };
  return bench.workshop.start({ file: process.execPath, args: [file], env, folder });
}

async function untilReport(crowd: Running, timeoutMs: number): Promise<CrowdReport> {
  const line = await poll(timeoutMs, () => {
    const found = /^\{.*\}$/m.exec(crowd.output())?.[0];
    if (found === undefined && crowd.exited()) throw new Error(crowd.output().trim().slice(-200));
    return found;
  });
  return JSON.parse(line) as CrowdReport;
}
