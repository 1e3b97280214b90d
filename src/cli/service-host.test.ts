import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "../kernel/mod.ts";
import { launchdHost } from "./service-host.ts";
import { launchdPlist, type ServicePlan, systemdUnit } from "./service-text.ts";

const plan = (more: Partial<ServicePlan> = {}): ServicePlan => ({
  description: "OpenClaw gateway",
  command: ["/usr/bin/node", "/opt/open claw/openclaw.mjs", "gateway", "run"],
  environment: [["PATH", "/usr/bin"]],
  secretsFile: "/home/ana/.openclaw/.env",
  ...more,
});

test("a unit takes every word literally: spaces, quotes, backslashes, specifiers, variables", () => {
  const unit = systemdUnit(
    plan({
      command: ["/opt/a b/node", 'say "hi"', "back\\slash", "%h", "$HOME", "a$b"],
      environment: [["X", 'a "b" %h $HOME']],
    }),
  );
  assert.ok(
    unit.includes(`ExecStart="/opt/a b/node" "say \\"hi\\"" "back\\\\slash" "%%h" "$$HOME" "a$$b"\n`),
    unit,
  );
  assert.ok(unit.includes(`Environment="X=a \\"b\\" %%h $HOME"\n`), unit);
  assert.ok(unit.includes("EnvironmentFile=-/home/ana/.openclaw/.env\n"));
});

test("what cannot stand in a unit is refused, and a secrets file that reads as a pattern is left out", () => {
  for (const command of [["node"], ["/opt/$x/node"], ["/usr/bin/node", "a\nExecStartPre=/bin/sh"]])
    assert.throws(() => systemdUnit(plan({ command })), /a service cannot/);
  for (const secretsFile of ["/home/a*/.env", "/home/%h/.env", "/home/a\n/.env"])
    assert.doesNotMatch(systemdUnit(plan({ secretsFile })), /EnvironmentFile/);
  assert.throws(() => systemdUnit(plan({ environment: [["X", "a\nb"]] })), /control characters/);
  assert.throws(() => launchdPlist("l", plan({ environment: [["X", "a\nb"]] })), /control characters/);
});

test("a plist holds its words escaped, restarts what failed and waits for a stop", () => {
  const text = launchdPlist("ai.openclaw.gateway", plan({ environment: [["X", `<a> & "b"`]] }));
  assert.ok(text.includes("<string>&lt;a&gt; &amp; &quot;b&quot;</string>"));
  assert.match(
    text,
    /<string>\/usr\/bin\/node<\/string>\n {4}<string>\/opt\/open claw\/openclaw\.mjs<\/string>/,
  );
  assert.match(text, /<key>SuccessfulExit<\/key>\n {4}<false\/>/);
  assert.match(text, /<key>ExitTimeOut<\/key>\n {2}<integer>330<\/integer>/);
});

/** A launchctl that writes down what it is asked; `loaded` says whether it knows the agent. */
function mac(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "launchd-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, "launchctl");
  writeFileSync(
    program,
    `#!/bin/sh
echo "$*" >> "$HOME/asked"
case "$1" in
  print) [ -e "$HOME/loaded" ] || exit 113; printf '\\tstate = running\\n\\tpid = 77\\n\\tlast exit code = 0\\n' ;;
  bootstrap) touch "$HOME/loaded" ;;
  bootout) rm "$HOME/loaded" ;;
esac
`,
  );
  chmodSync(program, 0o755);
  const env = { HOME: folder, PATH: `${folder}:/usr/bin:/bin`, TOKEN: "secret" };
  const host = launchdHost({ env, clock: systemClock }, "ai.openclaw.gateway");
  const asked = () => {
    const lines = readFileSync(join(folder, "asked"), "utf8").trimEnd().split("\n");
    writeFileSync(join(folder, "asked"), "");
    return lines.filter((line) => !line.startsWith("print"));
  };
  return { folder, host, asked };
}

test("launchd: an agent is loaded, kicked, unloaded, in the domain of its user", async (t) => {
  const { folder, host, asked } = mac(t);
  const domain = `gui/${userInfo().uid}`;
  const target = `${domain}/ai.openclaw.gateway`;
  assert.equal(host.file, join(folder, "Library", "LaunchAgents", "ai.openclaw.gateway.plist"));
  const load = [`bootstrap ${domain} ${host.file}`];
  assert.deepEqual(await host.state(), { state: "inactive", isEnabled: false });
  await host.activate();
  assert.deepEqual(asked(), [`enable ${target}`, ...load]);
  assert.deepEqual(await host.state(), { state: "running", isEnabled: true, pid: 77, lastExitCode: 0 });
  await host.activate();
  assert.deepEqual(asked(), [`bootout ${target}`, `enable ${target}`, ...load]);
  await host.restart();
  await host.start();
  assert.deepEqual(asked(), [`kickstart -k ${target}`, `kickstart ${target}`]);
  await host.stop();
  await host.stop();
  assert.deepEqual(asked(), [`bootout ${target}`]);
  await host.start();
  assert.deepEqual(asked(), load);
});
