// Speed and memory: the figures of the design's budgets, ours beside the bare limit and, on request, beside
// the peer, in one run on one machine. docs/benchmarks.md says how to read them.
//
//   node bench/main.ts [--peer] [--only PART_OR_ROW,...] [--without-ours] [--no-build] [--json]

import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import type { Bench } from "./bench.ts";
import { isFigure, type Results, reasonOf } from "./figures.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { measureCommandLine } from "./parts/cli.ts";
import { measureConnections } from "./parts/connections.ts";
import { measureFlood } from "./parts/flood.ts";
import { measureGrowth } from "./parts/growth.ts";
import { measurePermission } from "./parts/permission.ts";
import { measureRpc } from "./parts/rpc.ts";
import { measureSandbox } from "./parts/sandbox.ts";
import { measureStart } from "./parts/start.ts";
import { measureTurns } from "./parts/turn.ts";
import { Workshop } from "./processes.ts";
import { type Part, parts, type Row, rows } from "./rows.ts";
import { type Model, startModel } from "./site.ts";
import { bareSubject, ourSubject, peerSubject, type Subject, type SubjectName } from "./subject.ts";
import { ratio, renderMachine, renderTable, verdict } from "./table.ts";

const measures: Readonly<Record<Part, (bench: Bench) => Promise<void>>> = {
  start: measureStart,
  turn: measureTurns,
  rpc: measureRpc,
  connections: measureConnections,
  cli: measureCommandLine,
  permission: measurePermission,
  sandbox: measureSandbox,
  growth: measureGrowth,
  flood: measureFlood,
};

/** One part of one subject ends here, whatever hangs; it keeps the figures that it has by then. */
const partDeadlineMs = 240_000;

const { values: flags } = parseArgs({
  options: {
    peer: { type: "boolean", default: false },
    only: { type: "string" },
    "without-ours": { type: "boolean", default: false },
    "no-build": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

const open = new Set<Workshop>();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    void Promise.allSettled([...open].map((workshop) => workshop.close())).then(() => process.exit(130));
  });
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Processes that wanted a core during the last minute; the run's own are among them. */
function loadNow(): number {
  return loadavg()[0] ?? Number.NaN;
}

function chooseRows(only: string | undefined): Row[] {
  if (only === undefined) return [...rows];
  const names = only.split(",").map((name) => name.trim());
  for (const name of names) {
    if (!rows.some((row) => row.part === name || row.key === name)) {
      throw new Error(`--only: there is no part or row "${name}"; parts are ${parts.join(", ")}`);
    }
  }
  return rows.filter((row) => names.includes(row.part) || names.includes(row.key));
}

interface Contender {
  readonly name: SubjectName;
  readonly subject: Subject | undefined;
  readonly whyNot: string;
  readonly results: Results;
}

async function prepare(name: SubjectName, make: () => Subject | Promise<Subject>): Promise<Contender> {
  const results: Results = new Map();
  try {
    return { name, subject: await make(), whyNot: "", results };
  } catch (error) {
    say(`${name}: ${reasonOf(error)}`);
    return { name, subject: undefined, whyNot: reasonOf(error), results };
  }
}

async function measure(part: Part, contender: Contender, model: Model): Promise<void> {
  const { name, subject, results } = contender;
  if (subject === undefined) return fill(part, results, contender.whyNot);
  const workshop = new Workshop();
  open.add(workshop);
  const bench: Bench = { subject, model, workshop, results, say: (text) => say(`${part} ${name}: ${text}`) };
  const deadline = Promise.withResolvers<never>();
  const timer = setTimeout(() => deadline.reject(new Error("out of time")), partDeadlineMs);
  try {
    say(`${part} ${name}`);
    await Promise.race([measures[part](bench), deadline.promise]);
  } catch (error) {
    say(`${part} ${name}: ${reasonOf(error)}`);
    fill(part, results, reasonOf(error));
  } finally {
    clearTimeout(timer);
    await workshop.close();
    open.delete(workshop);
  }
}

/** Every row of the part that has no figure says why. */
function fill(part: Part, results: Results, missing: string): void {
  for (const row of rows) if (row.part === part && !results.has(row.key)) results.set(row.key, { missing });
}

function toJson(chosen: readonly Row[], contenders: readonly Contender[], machine: Machine): string {
  const of = (name: SubjectName, row: Row) =>
    contenders.find((each) => each.name === name)?.results.get(row.key);
  const table = chosen.map((row) => ({
    ...row,
    ...Object.fromEntries(contenders.map(({ name, results }) => [name, results.get(row.key) ?? null])),
    ratio: ratio(row, of("ours", row), of("peer", row)) ?? null,
    verdict: verdict(row, of("ours", row)),
  }));
  const versions = Object.fromEntries(
    contenders.map(({ name, subject }) => [name, subject?.version ?? null]),
  );
  return JSON.stringify(
    { at: new Date().toISOString(), machine, loadAfter: loadNow(), versions, rows: table },
    null,
    2,
  );
}

const chosen = chooseRows(flags.only);
const startedAt = performance.now();
const base = new Workshop();
open.add(base);
try {
  const machine = await describeMachine(base);
  const contenders = [await prepare("bare", bareSubject)];
  if (!flags["without-ours"]) contenders.push(await prepare("ours", () => ourSubject(!flags["no-build"])));
  if (flags.peer) contenders.push(await prepare("peer", peerSubject));
  const model = await startModel(base);
  for (const part of parts) {
    if (!chosen.some((row) => row.part === part)) continue;
    for (const contender of contenders) await measure(part, contender, model);
  }
  if (flags.json) {
    process.stdout.write(`${toJson(chosen, contenders, machine)}\n`);
  } else {
    const all = new Map(contenders.map(({ name, results }) => [name, results] as const));
    const versions = contenders.flatMap(({ name, subject }) =>
      subject ? [`${name} ${subject.version}`] : [],
    );
    process.stdout.write(`${renderTable(chosen, all, flags.peer)}\n\n${renderMachine(machine, loadNow())}\n`);
    process.stdout.write(`Versions: ${versions.join(", ")}. ${new Date().toISOString()}\n`);
  }
  say(`${((performance.now() - startedAt) / 1_000).toFixed(0)} s; load now ${loadNow().toFixed(2)}`);
  // A budget that is passed over fails the run, so that it can stand in a pipeline.
  const ours = contenders.find((each) => each.name === "ours")?.results;
  const isOver = chosen.some((row) => verdict(row, ours?.get(row.key)) === "over");
  const hasFigure = contenders.some(({ results }) => [...results.values()].some(isFigure));
  process.exitCode = hasFigure && !isOver ? 0 : 1;
} finally {
  await base.close();
}
