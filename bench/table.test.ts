// A table that calls a budget met when it is not, or a figure measured when it is missing, is worse than none.

import assert from "node:assert/strict";
import test from "node:test";
import { figure, percentile, type Results } from "./figures.ts";
import { type Row, rows } from "./rows.ts";
import { ratio, renderTable, verdict } from "./table.ts";

const less: Row = { key: "turn.p50", part: "turn", what: "a turn", unit: "ms", better: "less", budget: 3 };
const more: Row = { key: "throughput", part: "turn", what: "turns", unit: "/s", better: "more", budget: 500 };

test("table: a budget is met at the budget itself and on its better side only", () => {
  assert.equal(verdict(less, figure(3)), "within");
  assert.equal(verdict(less, figure(3.01)), "over");
  assert.equal(verdict(more, figure(500)), "within");
  assert.equal(verdict(more, figure(499)), "over");
});

test("table: what was not measured meets no budget and has no ratio", () => {
  assert.equal(verdict(less, { missing: "out of time" }), "");
  assert.equal(verdict(less, undefined), "");
  assert.equal(ratio(less, figure(1), { missing: "out of time" }), undefined);
});

test("table: a figure taken at a smaller size can fail a budget, never meet it, and has no ratio", () => {
  assert.equal(verdict(less, { value: 1, isShort: true }), "");
  assert.equal(verdict(less, { value: 9, isShort: true }), "over");
  assert.equal(ratio(less, figure(1), { value: 100, isShort: true }), undefined);
});

test("table: the ratio says how many times better ours is, whichever way is better", () => {
  assert.equal(ratio(less, figure(2), figure(200)), 100);
  assert.equal(ratio(more, figure(500), figure(5)), 100);
  assert.equal(ratio(less, figure(200), figure(2)), 0.01);
});

test("table: a missing figure is shown as missing, with its reason", () => {
  const ours: Results = new Map([["turn.p50", { missing: "openclaw.mjs is not there yet" }]]);
  const text = renderTable([less], new Map([["ours", ours]]), false);
  assert.match(text, /n\/a \[1\]/);
  assert.match(text, /\[1\] a turn, ours: openclaw\.mjs is not there yet/);
});

test("table: every row has its own key, and a budget where the design sets one", () => {
  assert.equal(new Set(rows.map(({ key }) => key)).size, rows.length);
  assert.equal(rows.filter(({ budget }) => budget !== undefined).length, 22);
});

test("figures: percentiles of known samples", () => {
  const samples = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.equal(percentile(samples, 0.5), 51);
  assert.equal(percentile(samples, 0.95), 96);
  assert.equal(percentile(samples, 1), 100);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});
