/** What becomes of helpers whose gateway is killed: in a process of its own, which the test kills. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock, systemRandom } from "../kernel/mod.ts";
import { createCommands } from "./commands.ts";

const here = import.meta.dirname;

/** A process that starts `script` as a helper of a gateway; gives both numbers. */
async function gatewayWithHelper(t: TestContext, script: string) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "helper-end-")));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "helper"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  writeFileSync(
    join(folder, "gateway.ts"),
    `import { createHelperPrograms } from ${JSON.stringify(join(here, "helper-program.ts"))};
const programs = createHelperPrograms({ path: ${JSON.stringify(`${folder}:/usr/bin:/bin`)}, after: () => () => {}, gateway: ${JSON.stringify({ stateDir: folder, instance: "gone" })} });
await programs.talk("helper", [], (text) => process.stdout.write(text));`,
  );
  const gateway = spawn(process.execPath, [join(folder, "gateway.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => gateway.kill("SIGKILL"));
  const [said] = await once(gateway.stdout, "data");
  const pid = Number(/pid=(\d+)/.exec(`${said}`)?.[1]);
  t.after(() => lives(pid) && process.kill(pid, "SIGKILL"));
  assert.equal(lives(pid), true);
  gateway.kill("SIGKILL");
  await once(gateway, "exit");
  return { folder, pid };
}

function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test("sandbox (6): a helper that never looks at its input ends with its gateway, however that ended", async (t) => {
  const { pid } = await gatewayWithHelper(t, "echo pid=$$; exec sleep 600");
  while (lives(pid)) await pause(10);
});

test("sandbox (6): a helper that does not end when asked is ended by the next gateway", async (t) => {
  const { folder, pid } = await gatewayWithHelper(
    t,
    "trap '' TERM HUP PIPE; echo pid=$$; while :; do sleep 1; done",
  );
  assert.equal(lives(pid), true);
  const host = createCommands({
    clock: systemClock,
    random: systemRandom,
    sendSignal: process.kill.bind(process),
    baseEnv: { PATH: "/usr/bin:/bin" },
    stateDir: folder,
    instance: "next",
    maxOutputChars: 1000,
    spawnLimits: { maxRunning: 1, maxRunningPerSession: 1, maxKeptPerSession: 1, killGraceMs: 100 },
  });
  t.after(() => host.closeAll());
  assert.ok((await host.reapOrphans()) >= 1);
  while (lives(pid)) await pause(10);
});
