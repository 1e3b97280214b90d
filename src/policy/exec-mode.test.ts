import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OpenClawConfig } from "../config/mod.ts";
import { type ExecRule, type ExecWords, execRule, execWords, houseRule, stricter } from "./exec-mode.ts";
import { policySettings, withExecRule } from "./settings.ts";

const modes = ["deny", "allowlist", "ask", "auto", "full"] as const;
const rules = fc.record({ mode: fc.constantFrom(...modes), asksAlways: fc.boolean() });
const words: fc.Arbitrary<ExecWords> = fc.record({
  security: fc.constantFrom(undefined, "deny", "allowlist", "full", "whatever"),
  ask: fc.constantFrom(undefined, "off", "on-miss", "always", "whatever"),
});

const rank = (rule: ExecRule) => modes.indexOf(rule.mode);

test("policy (9): of the config and the host's document the stricter counts, part by part", () => {
  fc.assert(
    fc.property(rules, rules, (a, b) => {
      const both = stricter(a, b);
      assert.equal(rank(both), Math.min(rank(a), rank(b)));
      assert.equal(both.asksAlways, a.asksAlways || b.asksAlways);
      assert.deepEqual(both, stricter(b, a));
    }),
  );
});

const text = ({ mode, asksAlways }: ExecRule) => (asksAlways ? `${mode}, always` : mode);

/** The config's words, the document's, and what holds. */
const table: readonly (readonly [config: ExecWords, host: ExecWords, holds: string])[] = [
  [{}, {}, "ask"],
  [{ mode: "full" }, {}, "full"],
  [{ mode: "full" }, { security: "allowlist" }, "allowlist"],
  [{ mode: "full" }, { security: "allowlist", ask: "on-miss" }, "ask"],
  [{ mode: "full" }, { security: "deny" }, "deny"],
  [{ mode: "full" }, { ask: "always" }, "ask, always"],
  [{ mode: "full" }, { ask: "on-miss" }, "ask"],
  [{ mode: "full" }, { ask: "off" }, "full"],
  [{ mode: "auto" }, { security: "full", ask: "off" }, "auto"],
  [{ mode: "auto" }, { security: "allowlist", ask: "on-miss" }, "ask"],
  [{ mode: "ask" }, { security: "full", ask: "off" }, "ask"],
  [{ mode: "ask" }, { security: "allowlist", ask: "off" }, "allowlist"],
  [{ mode: "allowlist" }, { ask: "on-miss" }, "allowlist"],
  [{ mode: "allowlist" }, { ask: "always" }, "allowlist, always"],
  [{ mode: "deny" }, { security: "full", ask: "off" }, "deny"],
  [{ mode: "deny" }, { ask: "always" }, "deny, always"],
  [{ mode: "deny" }, { ask: "on-miss" }, "deny"],
  [{ security: "full", ask: "off" }, { security: "whatever", ask: "off" }, "allowlist"],
  [{ security: "full", ask: "off" }, { security: "full", ask: "whatever" }, "ask"],
];

for (const [config, host, holds] of table)
  test(`policy (9): config ${JSON.stringify(config)} and document ${JSON.stringify(host)} come to ${holds}`, () => {
    const own = execRule(config, houseRule);
    assert.equal(text(stricter(own, execRule(host, own))), holds);
  });

test("policy (9): whatever the document says, nothing runs that the config would not have let run", () => {
  fc.assert(
    fc.property(rules, words, (own, host) => {
      const both = stricter(own, execRule(host, own));
      assert.ok(rank(both) <= rank(own));
      assert.ok(both.asksAlways === true || !own.asksAlways);
    }),
  );
});

test("the older pair of keys says the same as a mode, there and back", () => {
  for (const mode of ["deny", "allowlist", "ask", "full"] as const)
    assert.equal(execRule(execWords({ mode }), houseRule).mode, mode);
  assert.deepEqual(execWords({ mode: "auto" }), { security: "allowlist", ask: "on-miss" });
  assert.deepEqual(execWords({ mode: "full", asksAlways: true }), { security: "full", ask: "always" });
});

test("policy (9): an agent's own words are not outvoted by the general mode, nor the other way round", () => {
  const rule = (general: object, own: object) => {
    const config = { tools: { exec: general }, agents: { list: [{ id: "a", tools: { exec: own } }] } };
    return text(policySettings(config as OpenClawConfig, "a", "/w").exec);
  };
  assert.equal(rule({ mode: "full" }, { security: "deny" }), "deny");
  assert.equal(rule({ mode: "full" }, { ask: "always" }), "ask, always");
  assert.equal(rule({ security: "deny" }, { mode: "ask" }), "ask");
  assert.equal(rule({ mode: "full" }, { safeBins: [] }), "full");
});

test("a rule that is there already makes no new settings", () => {
  const settings = policySettings({}, "main", "/w");
  const { mode, asksAlways } = settings.exec;
  assert.equal(withExecRule(settings, asksAlways === undefined ? { mode } : { mode, asksAlways }), settings);
  assert.equal(withExecRule(settings, { mode: "deny" }).exec.mode, "deny");
  assert.equal(withExecRule(settings, { mode, asksAlways: true }).exec.asksAlways, true);
});
