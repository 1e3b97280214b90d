// The rows of the table, in order, with their budgets (design, section 8). A budget is for ours alone;
// the bare limit and the peer are there to say what the figure means on this machine today.

import type { RowKey } from "./figures.ts";

export interface Row {
  readonly key: RowKey;
  /** The part of the run that measures it; `--only` takes this name or the row's key. */
  readonly part: Part;
  readonly what: string;
  readonly unit: "ms" | "MB" | "/s" | "x";
  readonly better: "less" | "more";
  /** In `unit`; absent where the design sets none. */
  readonly budget?: number;
}

export type Part =
  | "start"
  | "turn"
  | "rpc"
  | "connections"
  | "cli"
  | "permission"
  | "sandbox"
  | "growth"
  | "flood";

export const parts: readonly Part[] = [
  "start",
  "turn",
  "rpc",
  "connections",
  "cli",
  "permission",
  "sandbox",
  "growth",
  "flood",
];

export const rows: readonly Row[] = [
  { key: "start", part: "start", what: "start to ready", unit: "ms", better: "less", budget: 250 },
  // Health may answer long before anybody can come in; this row cannot.
  {
    key: "start.hello",
    part: "start",
    what: "start to first accepted connection",
    unit: "ms",
    better: "less",
  },
  {
    key: "start.plugins",
    part: "start",
    what: "start to ready, 50 plugins installed",
    unit: "ms",
    better: "less",
    budget: 250,
  },
  { key: "memory.idle", part: "turn", what: "resident memory, idle", unit: "MB", better: "less", budget: 90 },
  {
    key: "memory.turns",
    part: "turn",
    what: "resident memory after 130 turns",
    unit: "MB",
    better: "less",
    budget: 110,
  },
  { key: "rpc.p50", part: "rpc", what: "RPC, one connection, p50", unit: "ms", better: "less", budget: 0.1 },
  { key: "rpc.p99", part: "rpc", what: "RPC, one connection, p99", unit: "ms", better: "less" },
  {
    key: "rpc.inflight",
    part: "rpc",
    what: "RPC, sixteen in flight",
    unit: "/s",
    better: "more",
    budget: 25_000,
  },
  {
    key: "turn.p50",
    part: "turn",
    what: "a turn, model answers at once, p50",
    unit: "ms",
    better: "less",
    budget: 3,
  },
  { key: "turn.p95", part: "turn", what: "a turn, model answers at once, p95", unit: "ms", better: "less" },
  {
    key: "throughput",
    part: "turn",
    what: "turns per second, ten sessions at once",
    unit: "/s",
    better: "more",
    budget: 500,
  },
  { key: "cpu", part: "turn", what: "CPU per turn", unit: "ms", better: "less", budget: 2 },
  {
    key: "connections",
    part: "connections",
    what: "connections per second",
    unit: "/s",
    better: "more",
    budget: 3_000,
  },
  {
    key: "held",
    part: "connections",
    what: "resident memory, 10,000 idle connections",
    unit: "MB",
    better: "less",
    budget: 400,
  },
  {
    key: "cli.health",
    part: "cli",
    what: "command line: health --json",
    unit: "ms",
    better: "less",
    budget: 120,
  },
  {
    key: "cli.sessions",
    part: "cli",
    what: "command line: sessions --json",
    unit: "ms",
    better: "less",
    budget: 120,
  },
  {
    key: "permission.plain",
    part: "permission",
    what: "permission of a command, p50",
    unit: "ms",
    better: "less",
    budget: 0.1,
  },
  {
    key: "permission.line",
    part: "permission",
    what: "permission of a line of five commands, p50",
    unit: "ms",
    better: "less",
    budget: 0.1,
  },
  {
    key: "sandbox.call",
    part: "sandbox",
    what: "command in a proven bubblewrap sandbox, p50",
    unit: "ms",
    better: "less",
    budget: 50,
  },
  {
    key: "sandbox.proof",
    part: "sandbox",
    what: "proof of a bubblewrap sandbox, once for each",
    unit: "ms",
    better: "less",
  },
  {
    key: "sandbox.container.call",
    part: "sandbox",
    what: "command in a running container, 250 ms after the last, p50",
    unit: "ms",
    better: "less",
    budget: 50,
  },
  {
    key: "sandbox.container.burst",
    part: "sandbox",
    what: "the same without a pause, p50",
    unit: "ms",
    better: "less",
  },
  {
    key: "sandbox.container.proof",
    part: "sandbox",
    what: "making and proving a container, once for each",
    unit: "ms",
    better: "less",
  },
  // "The same" cannot be measured exactly; a quarter more is what noise on two shared cores can reach.
  {
    key: "growth.sessions",
    part: "growth",
    what: "turn p50 at 100,000 sessions / at 10",
    unit: "x",
    better: "less",
    budget: 1.25,
  },
  {
    key: "growth.messages",
    part: "growth",
    what: "turn p50 at 10,000 past messages / at 10",
    unit: "x",
    better: "less",
    budget: 1.25,
  },
  {
    key: "growth.allowlist",
    part: "growth",
    what: "who may talk, 10,000 allowlist entries / 10",
    unit: "x",
    better: "less",
    budget: 1.25,
  },
  {
    key: "flood.p99",
    part: "flood",
    what: "RPC p99 among 10,000 strangers and 1,000 guesses a second / alone",
    unit: "x",
    better: "less",
    budget: 2,
  },
  {
    key: "flood.memory",
    part: "flood",
    what: "resident memory that these strangers cost",
    unit: "MB",
    better: "less",
  },
  { key: "slice.gap", part: "turn", what: "longest wait for a ping under load", unit: "ms", better: "less" },
  {
    key: "slice.reported",
    part: "turn",
    what: "longest event loop slice it reports",
    unit: "ms",
    better: "less",
    budget: 50,
  },
];
