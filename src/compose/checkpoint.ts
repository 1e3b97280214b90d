import { Worker } from "node:worker_threads";
import type { Cancel, Clock } from "../kernel/mod.ts";

const checkEveryMs = 5000;
const commitsBetween = 1000;

/**
 * Moves the write-ahead log into the database now and then, in a thread of its own: its syncs would hold the event
 * loop.
 */
export function keepCheckpointing(
  clock: Clock,
  file: string,
  store: { commitsSinceCheckpoint(): number; checkpointed(): void },
): Cancel {
  const check = () => {
    if (store.commitsSinceCheckpoint() <= commitsBetween) return;
    checkpointAside(file);
    store.checkpointed();
  };
  // What was left by processes that never lived for long.
  check();
  return every(clock, checkEveryMs, check);
}

function checkpointAside(file: string): void {
  const code = `
    const { workerData } = require("node:worker_threads");
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(workerData);
    database.exec("PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(PASSIVE)");
    database.close();
  `;
  const worker = new Worker(code, {
    eval: true,
    workerData: file,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  worker.on("error", () => {});
  worker.unref();
}

/** Repeats an action until it is cancelled. */
export function every(clock: Clock, ms: number, action: () => void): Cancel {
  let cancel = clock.after(ms, function tick() {
    action();
    cancel = clock.after(ms, tick);
  });
  return () => cancel();
}
