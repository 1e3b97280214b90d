/** The command line about commands: what holds, presets, the whole document, and many writers at once. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runCommand } from "../support/command-line.ts";
import { GatewayProcess } from "../support/gateway.ts";

test("exec-policy: presets set both sides, and show tells the stricter with the line that says so", async (t) => {
  const gateway = await GatewayProcess.prepare(t, {
    configText: `{
  // kept
  tools: { exec: { security: "full", ask: "off" } },
  agents: { list: [{ id: "main" }, { id: "b", tools: { exec: { mode: "deny" } } }] },
}`,
  });
  const { stateFolder, configFile } = gateway;
  const run = (...args: string[]) => runCommand(["exec-policy", ...args], { stateFolder });
  const rows = async (...args: string[]) => JSON.parse((await run(...args, "--json")).out).agents;
  const first = await rows("show");
  assert.deepEqual(
    first.map((row: { holds: string }) => row.holds),
    ["full (full, off)", "deny (deny, off)"],
  );
  assert.equal(first[0].at, "openclaw.json:3 tools.exec.security");
  assert.equal(first[1].at, "openclaw.json:4 agents.list[1].tools.exec.mode");
  writeFileSync(join(stateFolder, "exec-approvals.json"), '{"version":1,"agents":{"main":{"ask":"always"}}}');
  assert.equal((await rows("show"))[0].holds, "ask, asks always");
  const cautious = await rows("preset", "cautious");
  assert.equal(cautious[0].config, "ask (allowlist, on-miss)");
  assert.match(readFileSync(configFile, "utf8"), /\/\/ kept/);
  const denied = await rows("preset", "deny-all");
  assert.deepEqual(
    denied.map((row: { holds: string }) => row.holds),
    ["deny (deny, off)", "deny (deny, off)"],
  );
  const set = await rows("set", "--security", "allowlist", "--ask", "off");
  assert.equal(set[0].config, "allowlist (allowlist, off)");
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["preset", "reckless"], /there are: deny-all, cautious, yolo/],
    [["set", "--security", "full"], /--security and --ask are needed/],
    [["set", "--security", "some", "--ask", "off"], /--security may be deny, allowlist, full/],
    [["set", "--security", "full", "--ask", "off", "--ask-fallback", "full"], /--ask-fallback may be deny/],
  ];
  for (const [args, message] of wrong) {
    const { code, err } = await run(...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
  }
});

test("approvals (1): commands and a gateway that write at the same time undo none of each other's changes", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const command = { stateFolder: gateway.stateFolder, port: gateway.port };
  const run = (...args: string[]) => runCommand(["approvals", ...args], command);
  const client = await gateway.connect({ scopes: ["operator.admin"] });
  const setOne = async (name: string): Promise<void> => {
    for (;;) {
      const { file, hash } = await client.rpc("exec.approvals.get");
      const allowlist = [
        ...(file.agents.gateway?.allowlist ?? []),
        { command: ["touch", name], workdir: ".", addedAt: "" },
      ];
      const agents = { ...file.agents, gateway: { allowlist } };
      const baseHash = hash === "absent" ? {} : { baseHash: hash };
      const set = await client.ask("exec.approvals.set", { file: { version: 1, agents }, ...baseHash });
      if (set.ok) return;
      assert.match(set.error.message, /changed since last load|base hash required/);
    }
  };
  const names = ["a", "b", "c"];
  const added = Promise.all(names.map((name) => run("allowlist", "add", `touch ${name}`)));
  for (const name of names) await setOne(name);
  assert.deepEqual(
    (await added).map(({ code }) => code),
    [0, 0, 0],
  );
  const { agents } = JSON.parse(readFileSync(join(gateway.stateFolder, "exec-approvals.json"), "utf8"));
  for (const agent of ["main", "gateway"]) {
    const kept = agents[agent].allowlist.map((rule: { command: string[] }) => rule.command[1]).sort();
    assert.deepEqual(kept, names, agent);
  }

  const shown = await run("get");
  assert.match(shown.out, /"touch"/);
  const replaced = await runCommand(["approvals", "set", "--stdin"], {
    ...command,
    input: "{version: 1, /* JSON5 */ agents: {main: {ask: 'always', allowlist: []}}}",
  });
  assert.equal(replaced.code, 0, replaced.err);
  assert.match((await run("grants")).out, /Nothing is granted/);
  const refused = await runCommand(["approvals", "set", "--stdin"], {
    ...command,
    input: "{version: 1, defaults: {askFallback: 'full'}}",
  });
  assert.equal(refused.code, 1);
  assert.match(refused.err, /askFallback: "full" is not available/);
  assert.equal((await run("set")).code, 2);
  assert.equal((await run("set", "--file", "/nowhere")).code, 1);
});
