import type { Clock } from "../kernel/mod.ts";
import type { SentFile } from "./transcript.ts";

/** A turn that is going on. */
export interface ActiveRun {
  readonly runId: string;
  readonly sessionKey: string;
  /** Unix ms. */
  readonly startedAt: number;
  readonly abort: AbortController;
  /** What was said so far. */
  text: string;
  /** Set when the run was stopped because it took longer than this. */
  timedOutAfterMs?: number;
}

/** How a run ended, for those who wait for it. */
export interface RunOutcome {
  readonly runId: string;
  readonly sessionKey: string;
  readonly agentId: string;
  readonly status: "ok" | "error" | "aborted";
  readonly text: string;
  /** Files that went with it, and the number of the entry that tells of them. */
  readonly sent?: { readonly seq: number; readonly files: readonly SentFile[] };
  readonly errorMessage?: string;
  readonly provider?: string;
  readonly model?: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Which turns go on, which are to be skipped, and how the last ones ended. In memory: the inbox is the truth. */
export interface Runs {
  begin(runId: string, sessionKey: string): ActiveRun;
  end(runId: string): void;
  get(runId: string): ActiveRun | undefined;
  ofSession(sessionKey: string): ActiveRun | undefined;
  all(): Iterable<ActiveRun>;
  readonly size: number;
  /** A run that waits shall not begin. */
  skip(runId: string): void;
  /** True once, for a run that was skipped. */
  takeSkipped(runId: string): boolean;
  /** A message that waits became a part of another turn, or gave way: its own turn shall not begin. */
  absorb(runId: string): void;
  /** True once, for a run that was absorbed. */
  takeAbsorbed(runId: string): boolean;
  settle(outcome: RunOutcome): void;
  /** How this run ended is not told any more. */
  forget(runId: string): void;
  /** The outcome once the run has ended; undefined when `timeoutMs` passed first. */
  wait(runId: string, timeoutMs: number): Promise<RunOutcome | undefined>;
}

const maxKeptOutcomes = 1000;

/** `stored` gives the outcome of a run that ended before this process began, or too long ago to be in memory. */
export function createRuns(clock: Clock, stored: (runId: string) => RunOutcome | undefined): Runs {
  const active = new Map<string, ActiveRun>();
  const bySession = new Map<string, ActiveRun>();
  const skipped = new Set<string>();
  const absorbed = new Set<string>();
  const outcomes = new Map<string, RunOutcome>();
  const waiters = new Map<string, Set<(outcome: RunOutcome) => void>>();

  return {
    begin(runId, sessionKey) {
      const run: ActiveRun = {
        runId,
        sessionKey,
        startedAt: clock.now(),
        abort: new AbortController(),
        text: "",
      };
      active.set(runId, run);
      bySession.set(sessionKey, run);
      return run;
    },
    end(runId) {
      const run = active.get(runId);
      active.delete(runId);
      if (run && bySession.get(run.sessionKey) === run) bySession.delete(run.sessionKey);
    },
    get: (runId) => active.get(runId),
    ofSession: (sessionKey) => bySession.get(sessionKey),
    all: () => active.values(),
    get size() {
      return active.size;
    },
    skip: (runId) => void skipped.add(runId),
    takeSkipped: (runId) => skipped.delete(runId),
    absorb: (runId) => void absorbed.add(runId),
    takeAbsorbed: (runId) => absorbed.delete(runId),
    settle(outcome) {
      outcomes.set(outcome.runId, outcome);
      if (outcomes.size > maxKeptOutcomes) outcomes.delete(outcomes.keys().next().value as string);
      for (const tell of waiters.get(outcome.runId) ?? []) tell(outcome);
      waiters.delete(outcome.runId);
    },
    forget: (runId) => void outcomes.delete(runId),
    wait(runId, timeoutMs) {
      const known = outcomes.get(runId) ?? stored(runId);
      if (known) return Promise.resolve(known);
      return new Promise((resolve) => {
        const list = waiters.get(runId) ?? new Set();
        waiters.set(runId, list);
        const tell = (outcome: RunOutcome) => {
          cancel();
          resolve(outcome);
        };
        const cancel = clock.after(timeoutMs, () => {
          list.delete(tell);
          if (list.size === 0) waiters.delete(runId);
          resolve(undefined);
        });
        list.add(tell);
      });
    },
  };
}
