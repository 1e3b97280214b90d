// What a command costs in real sandboxes, from its start to the end of its output, and what it costs to prove one.

import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock, systemRandom } from "../../src/kernel/mod.ts";
import {
  connectEngine,
  containerSettings,
  createBubblewrap,
  createCommands,
  createContainerHost,
  findSocket,
  openWorkspace,
  type SandboxHost,
  type SandboxSpec,
} from "../../src/sandbox/mod.ts";
import { missingFor, startEngine, testImage } from "../../test/support/engines.ts";
import type { Bench } from "../bench.ts";
import { figure, percentile } from "../figures.ts";

const calls = 40;
const waitMs = 10_000;
/** A model's next call never comes sooner. */
const betweenMs = 250;
const memoryBytes = 1024 ** 3;

export async function measureSandbox(bench: Bench): Promise<void> {
  const { subject, results } = bench;
  if (subject.name !== "ours") {
    for (const key of keys) results.set(key, { missing: "not to be had from outside" });
    return;
  }
  await measureBubblewrap(bench);
  await measureContainer(bench);
}

const keys = [
  "sandbox.call",
  "sandbox.proof",
  "sandbox.container.call",
  "sandbox.container.burst",
  "sandbox.container.proof",
] as const;

async function measureBubblewrap({ results }: Bench): Promise<void> {
  if (!existsSync("/usr/bin/bwrap")) {
    for (const key of keys.slice(0, 2)) results.set(key, { missing: "bubblewrap is not installed" });
    return;
  }
  const at = place();
  const host = createBubblewrap({
    ...at.base,
    homes: [],
    findProgram: (name) => (existsSync(`/usr/bin/${name}`) ? `/usr/bin/${name}` : undefined),
  });
  const measured = await measure(host, at.spec, at.stateDir, 0);
  if (typeof measured === "string")
    for (const key of keys.slice(0, 2)) results.set(key, { missing: measured });
  else {
    results.set("sandbox.call", times(measured.calls));
    results.set("sandbox.proof", figure(measured.proofMs, `${measured.held} promises`));
  }
  at.remove();
}

/** In the engine that is there and has our test's image; else in one of its own. */
async function measureContainer({ results }: Bench): Promise<void> {
  const missing = missingFor("docker");
  if (missing !== undefined) {
    for (const key of keys.slice(2)) results.set(key, { missing });
    return;
  }
  const own = await startEngine("docker");
  const places = { env: { DOCKER_HOST: `unix://${own.socketPath}` }, uid: 0, home: homedir() };
  const found = findSocket("docker", places);
  if (typeof found === "string") throw new Error(found);
  const at = place();
  const engine = connectEngine({ clock: systemClock, socketPath: found.socketPath });
  const host = createContainerHost({ ...at.base, engine, kind: "docker", homes: [], uid: 0 });
  const container = containerSettings({ image: testImage }, memoryBytes, "/");
  if (typeof container === "string") throw new Error(container);
  const spec = { ...at.spec, container, ownsWorkspace: true };
  const spaced = await measure(host, spec, at.stateDir, betweenMs);
  const burst = await measure(host, spec, at.stateDir, 0);
  if (typeof spaced === "string" || typeof burst === "string")
    for (const key of keys.slice(2)) results.set(key, { missing: String(spaced) });
  else {
    results.set("sandbox.container.call", times(spaced.calls));
    results.set("sandbox.container.burst", times(burst.calls));
    results.set("sandbox.container.proof", figure(spaced.proofMs, `${spaced.held} promises`));
  }
  await host.remove();
  engine.close();
  await own.stop();
  at.remove();
}

function times(all: readonly number[]) {
  return figure(percentile(all, 0.5), `p95 ${percentile(all, 0.95).toFixed(0)} ms`);
}

function place() {
  const stateDir = realpathSync(mkdtempSync(join(tmpdir(), "bench-sandbox-")));
  const workspace = join(stateDir, "workspace");
  mkdirSync(workspace);
  const spec: SandboxSpec = { id: "bench", workspace, maxProcesses: 256, maxMemoryBytes: memoryBytes };
  const base = { clock: systemClock, random: systemRandom, stateDir, architecture: process.arch };
  return { stateDir, spec, base, remove: () => rmSync(stateDir, { recursive: true, force: true }) };
}

/** The proof, and calls one after another with a pause between them; or why there is no sandbox. */
async function measure(host: SandboxHost, spec: SandboxSpec, stateDir: string, pauseMs: number) {
  const proof = await host.prove(spec);
  if (!proof.ok) return proof.why;
  const commands = createCommands({
    clock: systemClock,
    random: systemRandom,
    sendSignal: process.kill.bind(process),
    baseEnv: { PATH: "/usr/bin:/bin" },
    stateDir,
    maxOutputChars: 1000,
    spawnLimits: { maxRunning: 2, maxRunningPerSession: 2, maxKeptPerSession: 2, killGraceMs: 1000 },
  });
  const workspace = await openWorkspace(spec.workspace, { random: systemRandom });
  const { sandbox } = proof;
  const session = commands.forSession("bench", workspace, { id: spec.id, proven: async () => sandbox });
  const taken: number[] = [];
  for (let call = 0; call < calls; call += 1) {
    await pause(pauseMs);
    const startedAt = performance.now();
    const command = await session.start({
      command: "echo done",
      workdir: ".",
      env: {},
      timeoutMs: waitMs,
      run: { kind: "sandbox", sandboxId: sandbox.id },
    });
    await command.wait(waitMs, new AbortController().signal);
    if (command.output().text !== "done\n") throw new Error("the command did not run");
    taken.push(performance.now() - startedAt);
  }
  await commands.closeAll();
  await workspace.close();
  await host.sweep();
  return { calls: taken, proofMs: proof.tookMs, held: proof.held.length };
}
