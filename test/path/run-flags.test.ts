/** What the command line says of one run goes before the config file, also after a reload. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { GatewayClient } from "../support/gateway-client.ts";

const other = "another-token-0123456789abcdef";

test("a token of the command line replaces the config's, and a reload does not bring that back", async (t) => {
  const gateway = await GatewayProcess.start(t, { args: ["--token", other] });
  const refused = async () => {
    const attempt = GatewayClient.connect(gateway.port, { token: gatewayToken });
    await assert.rejects(attempt, /token|unauthorized/i);
  };
  await refused();
  const client = await GatewayClient.connect(gateway.port, { token: other });
  await gateway.writeConfig({ agents: { defaults: { timeoutSeconds: 77 } } });
  await client.rpc("secrets.reload", {});
  await refused();
  const again = await GatewayClient.connect(gateway.port, { token: other });
  const { config } = await again.rpc("config.get", {});
  assert.equal(config.agents.defaults.timeoutSeconds, 77);
  assert.ok(!JSON.stringify(config).includes(other), "it is not written into the config");
});

test("a password file says that a password is asked for; one that others can read is refused", async (t) => {
  const gateway = await GatewayProcess.prepare(t, {});
  const file = join(gateway.folder, "password");
  await writeFile(file, "correct horse battery staple\n", { mode: 0o600 });
  const open = await GatewayProcess.start(t, { args: ["--password-file", file] });
  await assert.rejects(GatewayClient.connect(open.port, { token: gatewayToken }), /./);
  const client = await GatewayClient.connect(open.port, { password: "correct horse battery staple" });
  assert.equal(client.hello.auth.method, "password");
  const loose = join(gateway.folder, "loose");
  await writeFile(loose, "correct horse battery staple\n", { mode: 0o644 });
  const failed = await (await GatewayProcess.prepare(t, { args: ["--password-file", loose] })).startFails();
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /can be read by others/);
});

test("what would open the gateway to strangers is refused at start, whoever says it", async (t) => {
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [["--bind", "lan", "--auth", "none"], 1, /no authentication is configured/],
    [["--tailscale", "funnel"], 1, /password/],
    [["--auth", "nobody"], 2, /must be one of token, password, trusted-proxy, none/],
    [["--token", " "], 2, /--token is empty/],
  ];
  for (const [args, code, words] of cases) {
    const failed = await (await GatewayProcess.prepare(t, { args })).startFails();
    assert.equal(failed.code, code, args.join(" "));
    assert.match(failed.stderr, words);
  }
});
