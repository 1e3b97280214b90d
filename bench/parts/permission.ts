// What it costs to permit a command that nobody has to be asked about: read, judged, its programs looked up on the
// disk, as the gateway does it for every call. In this process, with nothing around it.

import { tmpdir } from "node:os";
import { join } from "node:path";
import { openApprovalsFile } from "../../src/compose/approvals-file.ts";
import { noEgress } from "../../src/compose/egress.ts";
import { createTools } from "../../src/compose/tools.ts";
import { silentLog, systemClock, systemRandom } from "../../src/kernel/mod.ts";
import { decide } from "../../src/policy/mod.ts";
import type { Bench } from "../bench.ts";
import { figure, percentile } from "../figures.ts";

const calls = 20_000;
const warmUp = 2_000;
const lines = {
  "permission.plain": "ls -la",
  "permission.line": "cd sub && ls -la | grep -v 'x y' | sort -u | head -n 5 > out.txt 2>&1",
} as const;

export async function measurePermission({ subject, results }: Bench): Promise<void> {
  const keys = Object.keys(lines) as (keyof typeof lines)[];
  if (subject.name !== "ours") {
    for (const key of keys) results.set(key, { missing: "not to be had from outside" });
    return;
  }
  const folder = join(tmpdir(), "no-such-gateway");
  const tools = createTools({
    config: () => ({ tools: { exec: { safeBins: ["ls", "grep", "sort", "head"] } } }),
    defaultWorkspace: join(folder, "workspace"),
    stateFolder: folder,
    approvals: openApprovalsFile({
      path: join(folder, "exec-approvals.json"),
      clock: systemClock,
      random: systemRandom,
    }),
    ruleUsed: () => {},
    modelOf: () => undefined,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    timeZone: undefined,
    sendSignal: process.kill.bind(process),
    agentWorkspace: () => undefined,
    egress: noEgress,
    recordProof: async () => {},
    toolLimitsOf: async () => [],
  });
  for (const key of keys) {
    const request = {
      id: "call",
      tool: "exec",
      arguments: { command: lines[key] },
      agentId: "main",
      sessionKey: "agent:main:main",
      runId: "run",
    };
    const times: number[] = [];
    for (let call = 0; call < warmUp + calls; call += 1) {
      const startedAt = performance.now();
      const decision = decide(request, await tools.policyFor("main", "exec", { ownerWrote: true }));
      const ms = performance.now() - startedAt;
      if (decision.ok !== true) throw new Error(`${lines[key]} was not permitted`);
      if (call >= warmUp) times.push(ms);
    }
    results.set(key, figure(percentile(times, 0.5), `p99 ${percentile(times, 0.99).toFixed(3)} ms`));
  }
}
