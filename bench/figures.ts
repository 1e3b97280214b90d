// What a row holds: a figure with its unit, or the reason why there is none. Nothing is ever left blank.

export type RowKey =
  | "start"
  | "start.hello"
  | "start.plugins"
  | "memory.idle"
  | "memory.turns"
  | "rpc.p50"
  | "rpc.p99"
  | "rpc.inflight"
  | "turn.p50"
  | "turn.p95"
  | "throughput"
  | "cpu"
  | "connections"
  | "held"
  | "cli.health"
  | "cli.sessions"
  | "permission.plain"
  | "permission.line"
  | "sandbox.call"
  | "sandbox.proof"
  | "sandbox.container.call"
  | "sandbox.container.burst"
  | "sandbox.container.proof"
  | "growth.sessions"
  | "growth.messages"
  | "growth.allowlist"
  | "flood.p99"
  | "flood.memory"
  | "slice.gap"
  | "slice.reported";

export interface Figure {
  readonly value: number;
  /** What the reader must know to judge the value: a smaller count, a second figure. */
  readonly note?: string;
  /** Taken at a much smaller size than the row names: good for reading, not for a verdict or a ratio. */
  readonly isShort?: true;
}

export interface Missing {
  readonly missing: string;
}

export type Measured = Figure | Missing;
export type Results = Map<RowKey, Measured>;

export function isFigure(measured: Measured | undefined): measured is Figure {
  return measured !== undefined && "value" in measured;
}

/** A figure, with its note only where there is one. */
export function figure(value: number, note?: string): Figure {
  return note === undefined ? { value } : { value, note };
}

/** The value below which `share` (0..1) of the samples lie; NaN for no samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

export function reasonOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return (text.split("\n")[0] ?? "").slice(0, 200);
}
