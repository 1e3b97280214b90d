// The table of a run, as Markdown: what, the bare limit, ours, the peer, the ratio, the budget, the verdict.

import { isFigure, type Measured, type Results } from "./figures.ts";
import type { Machine } from "./machine.ts";
import type { Row } from "./rows.ts";
import type { SubjectName } from "./subject.ts";

export type AllResults = ReadonlyMap<SubjectName, Results>;

export function renderTable(rows: readonly Row[], all: AllResults, hasPeer: boolean): string {
  const heads = ["what", "bare limit here", "ours", ...(hasPeer ? ["peer", "ratio"] : []), "budget", ""];
  const notes: string[] = [];
  const body = rows.map((row) => {
    const of = (name: SubjectName): Measured | undefined => all.get(name)?.get(row.key);
    const cell = (name: SubjectName): string => renderCell(row, name, of(name), notes);
    const peer = hasPeer ? [cell("peer"), renderRatio(row, of("ours"), of("peer"))] : [];
    return [row.what, cell("bare"), cell("ours"), ...peer, renderBudget(row), verdict(row, of("ours"))];
  });
  const table = renderMarkdown([heads, ...body]);
  return notes.length === 0 ? table : `${table}\n\n${notes.join("\n")}`;
}

export function renderMachine(machine: Machine, loadAfter: number): string {
  const { processor, cores, memoryGb, kernel, node, fsyncP50Ms, fsyncP99Ms, loadBefore } = machine;
  return [
    `Machine: ${processor}, ${cores} cores, ${memoryGb.toFixed(0)} GB, Linux ${kernel}, Node ${node};`,
    `fsync of 4 KiB p50 ${show(fsyncP50Ms)} ms, p99 ${show(fsyncP99Ms)} ms; load ${show(loadBefore)} before the run, ${show(loadAfter)} after.`,
  ].join("\n");
}

/** Whether ours meets its budget; empty where there is none or nothing was measured. */
export function verdict(row: Row, ours: Measured | undefined): "within" | "over" | "" {
  if (row.budget === undefined || !isFigure(ours)) return "";
  // What is over at a tenth of the size is over; what is within there proves nothing.
  const isWithin = row.better === "less" ? ours.value <= row.budget : ours.value >= row.budget;
  if (isWithin && ours.isShort) return "";
  return isWithin ? "within" : "over";
}

/** How many times better ours is than the peer; undefined where either is missing. */
export function ratio(row: Row, ours: Measured | undefined, peer: Measured | undefined): number | undefined {
  if (!isFigure(ours) || !isFigure(peer) || ours.isShort || peer.isShort) return undefined;
  return row.better === "less" ? peer.value / ours.value : ours.value / peer.value;
}

function renderCell(row: Row, name: SubjectName, measured: Measured | undefined, notes: string[]): string {
  if (measured === undefined) return "-";
  const text = isFigure(measured) ? `${show(measured.value)} ${row.unit}` : "n/a";
  const remark = isFigure(measured) ? measured.note : measured.missing;
  if (remark === undefined) return text;
  notes.push(`[${notes.length + 1}] ${row.what}, ${name}: ${remark}`);
  return `${text} [${notes.length}]`;
}

function renderRatio(row: Row, ours: Measured | undefined, peer: Measured | undefined): string {
  const times = ratio(row, ours, peer);
  return times === undefined ? "-" : `${show(times)}x`;
}

function renderBudget(row: Row): string {
  if (row.budget === undefined) return "";
  return `${row.better === "less" ? "<=" : ">="} ${row.budget.toLocaleString("en")} ${row.unit}`;
}

/** Three figures that matter, and no more. */
function show(value: number): string {
  if (!Number.isFinite(value)) return "n/a";
  if (value >= 1_000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(value >= 1 ? 2 : 3);
}

function renderMarkdown(lines: readonly (readonly string[])[]): string {
  const [heads = [], ...body] = lines;
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0), 3));
  const render = (line: readonly string[]): string =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [render(heads), rule, ...body.map(render)].join("\n");
}
