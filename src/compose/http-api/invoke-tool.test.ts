import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenClawConfig } from "../../config/mod.ts";
import { admitted, schema, systemRandom } from "../../kernel/mod.ts";
import { type PolicyContext, policySettings } from "../../policy/mod.ts";
import type { Outcome } from "../../sandbox/mod.ts";
import { createToolInvoker } from "./invoke-tool.ts";

const unasked = () => assert.fail("no command is looked at");
const context: PolicyContext = {
  settings: policySettings({} as OpenClawConfig, "main", "/w"),
  tool: { spec: { name: "read", description: "", parameters: schema.object({}) }, plan: () => [] },
  commands: {
    read: unasked,
    identify: unasked,
    allowsProgram: unasked,
    isAllowed: unasked,
    resolve: unasked,
    isSystem: unasked,
    environmentProblem: unasked,
  },
  ssrf: {
    dangerouslyAllowPrivateNetwork: false,
    allowedHostnames: [],
    blockedHostnames: [],
    allowRfc2544BenchmarkRange: false,
    allowIpv6UniqueLocalRange: false,
  },
};

test("auth (9): a tool call stops when who made it may not come in any more, and nobody else's does", async () => {
  const invoker = createToolInvoker({
    random: systemRandom,
    commit: async () => {},
    ledger: { append: () => ({}) as never },
    policyFor: async () => context,
    execute: (_permit, signal) =>
      new Promise<Outcome>((resolve) => {
        signal.addEventListener("abort", () => resolve({ text: "stopped", isError: true } as Outcome));
      }),
    redact: (text) => text,
  });
  const ended: string[] = [];
  const call = (actor: string, signal = new AbortController().signal) =>
    invoker
      .invoke({ agentId: "main", sessionKey: "agent:main:main", tool: "read", args: {}, actor }, signal)
      .then((verdict) => {
        assert.ok(admitted(verdict), JSON.stringify(verdict));
        ended.push(`${actor} ${verdict.value.text}`);
      });
  const gone = new AbortController();
  const [bot, other] = [call("token:bot"), call("operator", gone.signal)];
  await new Promise((resolve) => setImmediate(resolve));
  invoker.cancelOf((actor) => actor === "token:bot");
  await bot;
  assert.deepEqual(ended, ["token:bot stopped"]);
  gone.abort();
  await other;
  assert.deepEqual(ended, ["token:bot stopped", "operator stopped"]);
});
