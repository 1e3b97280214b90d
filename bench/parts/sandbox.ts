// What a command costs in a real sandbox, from its start to the end of its output, and what it costs to prove one.

import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandom } from "../../src/kernel/mod.ts";
import { createBubblewrap, createCommands, openWorkspace } from "../../src/sandbox/mod.ts";
import type { Bench } from "../bench.ts";
import { figure, percentile } from "../figures.ts";

const calls = 40;
const waitMs = 10_000;

export async function measureSandbox({ subject, results }: Bench): Promise<void> {
  const missing = (why: string) => {
    for (const key of ["sandbox.call", "sandbox.proof"] as const) results.set(key, { missing: why });
  };
  if (subject.name !== "ours") return missing("not to be had from outside");
  if (!existsSync("/usr/bin/bwrap")) return missing("bubblewrap is not installed");
  const stateDir = realpathSync(mkdtempSync(join(tmpdir(), "bench-sandbox-")));
  const folder = join(stateDir, "workspace");
  mkdirSync(folder);
  const host = createBubblewrap({
    clock: systemClock,
    random: systemRandom,
    stateDir,
    homes: [],
    findProgram: (name) => (existsSync(`/usr/bin/${name}`) ? `/usr/bin/${name}` : undefined),
    architecture: process.arch,
  });
  const proof = await host.prove({
    id: "bench",
    workspace: folder,
    maxProcesses: 256,
    maxMemoryBytes: 1024 ** 3,
  });
  if (!proof.ok) return missing(proof.why);
  const commands = createCommands({
    clock: systemClock,
    random: systemRandom,
    sendSignal: process.kill.bind(process),
    baseEnv: { PATH: "/usr/bin:/bin" },
    stateDir,
    maxOutputChars: 1000,
    spawnLimits: { maxRunning: 2, maxRunningPerSession: 2, maxKeptPerSession: 2, killGraceMs: 1000 },
  });
  const workspace = await openWorkspace(folder, { random: systemRandom });
  const session = commands.forSession("bench", workspace, {
    id: "bench",
    proven: () => Promise.resolve(proof.sandbox),
  });
  const times: number[] = [];
  for (let call = 0; call < calls; call += 1) {
    const startedAt = performance.now();
    const command = await session.start({
      command: "echo done",
      workdir: ".",
      env: {},
      timeoutMs: waitMs,
      run: { kind: "sandbox", sandboxId: "bench" },
    });
    await command.wait(waitMs, new AbortController().signal);
    if (command.output().text !== "done\n") throw new Error("the command did not run");
    times.push(performance.now() - startedAt);
  }
  results.set("sandbox.call", figure(percentile(times, 0.5), `p95 ${percentile(times, 0.95).toFixed(0)} ms`));
  results.set("sandbox.proof", figure(proof.tookMs, `${proof.held.length} promises`));
  await commands.closeAll();
  await workspace.close();
  host.sweep();
  rmSync(stateDir, { recursive: true, force: true });
}
