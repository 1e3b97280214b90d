// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the config's own ${NAME} is what is tested
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPath } from "./config-path.ts";
import { crossCheck } from "./cross-check.ts";
import type { OpenClawConfig } from "./schema/mod.ts";
import { schemaFindings } from "./validate.ts";

const token = "a-token-that-nobody-guesses";

/** Config, and the path that must be complained about ("" = none). */
const table: [OpenClawConfig, string][] = [
  [{}, ""],
  [{ channels: { telegram: { dmPolicy: "open" } } }, "channels.telegram.dmPolicy"],
  [{ channels: { telegram: { dmPolicy: "open", allowFrom: ["*"] } } }, ""],
  [{ channels: { telegram: { dm: { policy: "open", allowFrom: ["1"] } } } }, "channels.telegram.dm"],
  [{ channels: { telegram: { dmPolicy: "allowlist", dm: { allowFrom: ["123456"] } } } }, ""],
  [{ channels: { telegram: { dmPolicy: "allowlist", allowFrom: [] } } }, "channels.telegram.dmPolicy"],
  [{ channels: { defaults: { dmPolicy: "open" }, slack: {} } }, "channels.slack.dmPolicy"],
  [{ channels: { slack: { dmPolicy: "pairing", dm: { policy: "open" } } } }, "channels.slack.dmPolicy"],
  [
    { channels: { discord: { allowFrom: ["1"], accounts: { b: { dmPolicy: "open" } } } } },
    "channels.discord.accounts.b.dmPolicy",
  ],
  [{ channels: { discord: { allowFrom: ["*"], accounts: { b: { dmPolicy: "open" } } } } }, ""],
  [{ tools: { allow: ["read"], alsoAllow: ["exec"] } }, "tools.alsoAllow"],
  [{ tools: { allow: ["read"], alsoAllow: ["exec"] } }, "tools.allow"],
  [{ tools: { allow: ["read"], deny: ["exec"] } }, ""],
  [
    { agents: { list: [{ id: "a", tools: { sandbox: { tools: { allow: ["x"], alsoAllow: ["y"] } } } }] } },
    "agents.list[0].tools.sandbox.tools.alsoAllow",
  ],
  [{ tools: { exec: { mode: "ask", security: "full" } } }, "tools.exec.mode"],
  [{ tools: { exec: { security: "full", ask: "off" } } }, ""],
  [
    { agents: { entries: { a: { tools: { exec: { mode: "ask", ask: "off" } } } } } },
    "agents.entries.a.tools.exec.mode",
  ],
  [{ gateway: { auth: { token: { source: "env", id: "TOKEN" } } } }, "gateway.auth.token"],
  [{ gateway: { auth: { token, password: "another-good-one" } } }, "gateway.auth"],
  [{ gateway: { auth: { token, password: "another-good-one", mode: "token" } } }, ""],
  [{ gateway: { auth: { mode: "trusted-proxy", token } } }, "gateway.auth.token"],
  [{ gateway: { bind: "lan" } }, "gateway.bind"],
  [{ gateway: { bind: "lan", auth: { mode: "none", token } } }, "gateway.bind"],
  [{ gateway: { bind: "tailnet", auth: { mode: "password", token } } }, "gateway.bind"],
  [{ gateway: { bind: "lan", auth: { token } } }, ""],
  [{ gateway: { bind: "custom", auth: { token } } }, "gateway.bind"],
  [{ gateway: { bind: "lan", tailscale: { mode: "serve" }, auth: { token } } }, "gateway.bind"],
  [{ gateway: { tailscale: { mode: "funnel" }, auth: { mode: "token", token } } }, "gateway.tailscale.mode"],
  [{ gateway: { tailscale: { mode: "funnel" }, auth: { mode: "password" } } }, "gateway.tailscale.mode"],
  [{ hooks: { enabled: true } }, "hooks.enabled"],
  [{ hooks: { enabled: true, token }, gateway: { auth: { token } } }, "hooks.token"],
  [{ agents: { list: [{ id: "a" }, { id: "A" }] } }, "agents.list[1].id"],
  [{ agents: { list: [{ id: "a" }], entries: { b: {} } } }, "agents.list"],
  [{ agents: { list: [{ id: "a" }] }, bindings: [{ agentId: "b" }] }, "bindings[0].agentId"],
  [{ gateway: { roles: { default: "x", definitions: {} } } }, "gateway.roles.default"],
];

for (const [config, path] of table) {
  test(`config (1): ${JSON.stringify(config)} ${path === "" ? "is consistent" : `complains about ${path}`}`, () => {
    assert.deepEqual(schemaFindings(config), []);
    const found = crossCheck(config, { env: {} }).map((finding) => formatPath(finding.path));
    if (path === "") assert.deepEqual(found, []);
    else assert.ok(found.includes(path), `found only: ${found.join()}`);
  });
}

for (const value of [
  "",
  " ",
  "undefined",
  "null",
  "[object Object]",
  "changeme",
  "CHANGEME",
  "...",
  "${UNSET}",
]) {
  test(`config (3): ${JSON.stringify(value)} is no gateway token, password or hook token`, () => {
    for (const config of [
      { gateway: { auth: { token: value } } },
      { gateway: { auth: { password: value } } },
      { hooks: { token: value } },
    ]) {
      assert.equal(crossCheck(config, { env: {} }).length, 1);
    }
  });
}

test("config (3): the gateway's token may come from the environment, and then hooks must differ from it too", () => {
  const env = { OPENCLAW_GATEWAY_TOKEN: token };
  assert.deepEqual(crossCheck({ gateway: { bind: "lan" } }, { env }), []);
  assert.equal(crossCheck({ hooks: { token } }, { env }).length, 1);
});
