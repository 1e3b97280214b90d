// Turns: their time, their rate, their processor time, the memory that they leave behind, and how long the
// event loop is held meanwhile.

import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { atOnce, type Bench, cutShort, inTurn } from "../bench.ts";
import type { Client } from "../client.ts";
import { figure, percentile, reasonOf } from "../figures.ts";
import { callModel } from "../model-call.ts";
import type { PingReport } from "../pinger.ts";
import type { Running } from "../processes.ts";
import { openSite, poll, type Site } from "../site.ts";

const warmUp = 5;
const sequential = 200;
const parallel = 1_000;
const sessions = 10;
const memoryAfter = 130;

export async function measureTurns(bench: Bench): Promise<void> {
  const site = await openSite(bench.workshop, bench.subject, bench.model.port);
  await wait(5_000);
  bench.results.set("memory.idle", figure(site.running.residentMb(), "5 s after ready"));
  if (bench.subject.name === "bare") {
    await measureModelAlone(bench, site);
    return;
  }
  const client = await site.connect();
  const servedBefore = await bench.model.completions();
  for (let index = 0; index < warmUp; index += 1)
    await client.turn("agent:main:bench-one", `warm up ${index}`);
  bench.say("one session, one turn after another");
  const cpuBefore = site.running.cpuMs();
  const turns = await oneAfterAnother(bench, site, client);
  bench.say("ten sessions at once");
  const more = await tenAtOnce(bench, site, client);
  const cpu = site.running.cpuMs() - cpuBefore;
  bench.results.set("cpu", figure(cpu / (turns + more), `over ${turns + more} turns`));
  await checkModelWasCalled(bench, servedBefore, warmUp + turns + more);
}

async function oneAfterAnother(bench: Bench, site: Site, client: Client): Promise<number> {
  const { results } = bench;
  const times = await inTurn({ count: sequential, ms: 70_000 }, async (index) => {
    const ms = await client.turn("agent:main:bench-one", `message ${index}`);
    if (index + 1 + warmUp === memoryAfter) results.set("memory.turns", figure(site.running.residentMb()));
    return ms;
  });
  if (!results.has("memory.turns")) {
    results.set("memory.turns", figure(site.running.residentMb(), `after ${times.length + warmUp} turns`));
  }
  const note = cutShort(times.length, sequential, "turns");
  results.set("turn.p50", figure(percentile(times, 0.5), note));
  results.set("turn.p95", figure(percentile(times, 0.95), note));
  return times.length;
}

async function tenAtOnce(bench: Bench, site: Site, client: Client): Promise<number> {
  const key = (lane: number): string => `agent:main:bench-lane-${lane}`;
  await atOnce(sessions, { count: sessions, ms: 30_000 }, (lane) => client.turn(key(lane), "warm up"));
  const pinger = await startPinger(bench, site);
  const bound = { count: parallel, ms: 60_000 };
  const rate = await atOnce(sessions, bound, (lane, index) => client.turn(key(lane), `message ${index}`));
  bench.results.set("throughput", figure(rate.perSecond, cutShort(rate.count, parallel, "turns")));
  await readPinger(bench, pinger);
  return rate.count + sessions;
}

/** A gateway that answers without its model would look fast; it must not look fast here. */
async function checkModelWasCalled(bench: Bench, before: number, turns: number): Promise<void> {
  const served = (await bench.model.completions()) - before;
  bench.say(`${served} model calls for ${turns} turns`);
  if (served >= turns) return;
  for (const key of ["turn.p50", "turn.p95", "throughput", "cpu"] as const) {
    bench.results.set(key, { missing: `only ${served} model calls for ${turns} turns: not real turns` });
  }
}

async function startPinger(bench: Bench, site: Site): Promise<Running> {
  const file = path.join(import.meta.dirname, "..", "pinger.ts");
  const { folder, port, token } = site.place;
  const env = { BENCH_PORT: String(port), BENCH_TOKEN: token };
  const pinger = bench.workshop.start({ file: process.execPath, args: [file], env, folder });
  await poll(20_000, () => pinger.output().includes("pinging") || undefined);
  return pinger;
}

async function readPinger(bench: Bench, pinger: Running): Promise<void> {
  await pinger.stop();
  const line = pinger.output().trim().split("\n").at(-1) ?? "";
  try {
    const report = JSON.parse(line) as PingReport;
    bench.results.set("slice.gap", figure(report.longestMs, `${report.pings} pings`));
    const { reportedMs } = report;
    bench.results.set(
      "slice.reported",
      reportedMs === null ? { missing: "not reported" } : figure(reportedMs),
    );
  } catch (error) {
    bench.results.set("slice.gap", { missing: reasonOf(error) });
  }
}

/** The bare limit of a turn: the same model calls with no gateway between. */
async function measureModelAlone(bench: Bench, site: Site): Promise<void> {
  const { results, model } = bench;
  results.set("memory.turns", { missing: "takes no turns" });
  await inTurn({ count: 100, ms: 5_000 }, () => callModel(model.port));
  const times = await inTurn({ count: sequential, ms: 10_000 }, () => callModel(model.port));
  const note = "the model call alone";
  results.set("turn.p50", figure(percentile(times, 0.5), note));
  results.set("turn.p95", figure(percentile(times, 0.95)));
  const pinger = await startPinger(bench, site);
  const before = process.cpuUsage();
  const rate = await atOnce(sessions, { count: 5_000, ms: 10_000 }, () => callModel(model.port));
  const used = process.cpuUsage(before);
  results.set("throughput", figure(rate.perSecond, "model calls alone"));
  results.set("cpu", figure((used.user + used.system) / 1_000 / rate.count, "the client's, per model call"));
  await readPinger(bench, pinger);
}
