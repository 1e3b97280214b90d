import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenClawConfig } from "../config/mod.ts";
import { policySettings, toolAllowed } from "./settings.ts";
import { toolList } from "./tool-policy.ts";

function allowed(config: OpenClawConfig, agentId = "main"): string[] {
  const settings = policySettings(config, agentId, "/ws");
  return ["read", "write", "exec", "process", "web_fetch"].filter((name) => toolAllowed(name, settings));
}

function mode(config: OpenClawConfig, agentId = "main") {
  return policySettings(config, agentId, "/ws").exec.mode;
}

test("policy (1): without a rule every tool is there; deny wins over allow; each layer only narrows", () => {
  assert.deepEqual(allowed({}), ["read", "write", "exec", "process", "web_fetch"]);
  assert.deepEqual(allowed({ tools: { allow: ["read", "exec"] } }), ["read", "exec"]);
  assert.deepEqual(allowed({ tools: { allow: ["group:fs", "exec"], deny: ["write"] } }), ["read", "exec"]);
  assert.deepEqual(allowed({ tools: { profile: "minimal", allow: ["exec"] } }), []);
  assert.deepEqual(allowed({ tools: { profile: "coding", deny: ["group:runtime"] } }), [
    "read",
    "write",
    "web_fetch",
  ]);
  assert.deepEqual(allowed({ tools: { allow: [] } }), ["read", "write", "exec", "process", "web_fetch"]);
});

test("policy (1): an agent's own rules narrow the general ones, in both shapes of the config", () => {
  const tools = { allow: ["read", "write", "exec"] };
  const own = { allow: ["re*", "exec", "web_fetch"], deny: ["exec"] };
  assert.deepEqual(allowed({ tools, agents: { entries: { family: { tools: own } } } }, "family"), ["read"]);
  assert.deepEqual(allowed({ tools, agents: { list: [{ id: "family", tools: own }] } }, "family"), ["read"]);
  assert.deepEqual(allowed({ tools, agents: { list: [{ id: "family", tools: own }] } }, "main"), [
    "read",
    "write",
    "exec",
  ]);
});

const nameMatches = (name: string, list: readonly string[]) => toolList(list, []).holds(name);

test("policy (1): names match whole and without case, * stands for anything, and nothing else is special", () => {
  assert.ok(nameMatches("Web_Fetch", ["web_*"]));
  assert.ok(!nameMatches("web_fetch", ["web"]));
  assert.ok(!nameMatches("webxfetch", ["web.fetch"]));
  assert.ok(nameMatches("a.b", ["a.*"]));
  assert.ok(!nameMatches("axb", ["a.*"]));
});

test("policy (1): an exec mode that nobody set asks; the older pair of keys gives the same modes", () => {
  assert.equal(mode({}), "ask");
  assert.equal(mode({ tools: { exec: { mode: "auto" } } }), "auto");
  assert.equal(mode({ tools: { exec: { mode: "full" } } }), "full");
  assert.equal(mode({ tools: { exec: { security: "deny", ask: "off" } } }), "deny");
  assert.equal(mode({ tools: { exec: { security: "full", ask: "off" } } }), "full");
  assert.equal(mode({ tools: { exec: { security: "full", ask: "always" } } }), "ask");
  assert.equal(mode({ tools: { exec: { security: "allowlist", ask: "off" } } }), "allowlist");
  assert.equal(mode({ tools: { exec: { security: "allowlist", ask: "on-miss" } } }), "ask");
  assert.equal(
    mode(
      {
        tools: { exec: { mode: "full" } },
        agents: { list: [{ id: "a", tools: { exec: { mode: "deny" } } }] },
      },
      "a",
    ),
    "deny",
  );
  const onNode = policySettings({ tools: { exec: { host: "node", node: "n1" } } }, "main", "/ws").exec;
  assert.deepEqual([onNode.host, onNode.node], ["node", "n1"]);
  assert.equal(policySettings({}, "main", "/ws").exec.node, undefined);
  assert.deepEqual(policySettings({ tools: { exec: { safeBins: ["ls"] } } }, "main", "/ws").exec.safeBins, [
    "ls",
  ]);
});
