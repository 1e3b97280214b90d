// The machine under the figures: without it a number of milliseconds says nothing.

import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import path from "node:path";
import { percentile } from "./figures.ts";
import type { Workshop } from "./processes.ts";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  /** Appending 4 KiB and waiting until the disk has it, where the state folders of the run lie. */
  readonly fsyncP50Ms: number;
  readonly fsyncP99Ms: number;
  /** Before the run: other work on the same cores makes every figure worse. */
  readonly loadBefore: number;
}

export async function describeMachine(workshop: Workshop): Promise<Machine> {
  const folder = await workshop.folder("disk");
  const times = timeFsync(path.join(folder, "probe"));
  await workshop.drop(folder);
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGb: totalmem() / 2 ** 30,
    kernel: release(),
    node: process.version,
    fsyncP50Ms: percentile(times, 0.5),
    fsyncP99Ms: percentile(times, 0.99),
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}

function timeFsync(file: string): number[] {
  const block = Buffer.alloc(4_096, 1);
  const descriptor = openSync(file, "wx", 0o600);
  const times: number[] = [];
  for (let count = 0; count < 200; count += 1) {
    const startedAt = performance.now();
    writeSync(descriptor, block);
    fsyncSync(descriptor);
    times.push(performance.now() - startedAt);
  }
  closeSync(descriptor);
  return times;
}
