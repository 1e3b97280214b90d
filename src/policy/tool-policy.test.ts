import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OpenClawConfig } from "../config/mod.ts";
import { forTurn, narrowed, policySettings, type TurnFacts, toolAllowed } from "./settings.ts";
import { judgeTool, type ToolLayer, type ToolStep, toolLayer } from "./tool-policy.ts";

const everyTool = [
  "read write edit apply_patch exec process web_fetch web_search memory_get sessions_list session_status",
  "cron gateway nodes browser message tts agents_list docs__search",
]
  .join(" ")
  .split(" ");
const owner: TurnFacts = { ownerWrote: true };

function allowed(
  config: OpenClawConfig,
  more: { readonly agentId?: string; readonly facts?: TurnFacts } = {},
): string {
  const { agentId = "main", facts = owner } = more;
  const settings = forTurn(policySettings(config, agentId, "/w", facts.model), config, facts);
  return everyTool.filter((tool) => toolAllowed(tool, settings)).join(" ");
}

const gpt = { model: { provider: "openai", model: "gpt-x" }, ownerWrote: true };

const cases: readonly (readonly [what: string, got: string, expected: string])[] = [
  [
    "group:fs and an alias",
    allowed({ tools: { allow: ["group:fs", "bash"] } }),
    "read write edit apply_patch exec",
  ],
  ["group:web", allowed({ tools: { allow: ["Group:Web"] } }), "web_fetch web_search"],
  ["group:plugins", allowed({ tools: { allow: ["group:plugins"] } }), "docs__search"],
  [
    "group:openclaw leaves out files, commands and messages",
    allowed({ tools: { deny: ["group:openclaw", "group:plugins"] } }),
    "read write edit apply_patch exec process message",
  ],
  [
    "profile coding",
    allowed({ tools: { profile: "coding" } }),
    "read write edit apply_patch exec process web_fetch web_search memory_get sessions_list session_status cron tts",
  ],
  ["profile messaging", allowed({ tools: { profile: "messaging" } }), "sessions_list session_status message"],
  ["profile minimal", allowed({ tools: { profile: "minimal" } }), "session_status"],
  [
    "alsoAllow adds to the profile",
    allowed({ tools: { profile: "minimal", alsoAllow: ["read"] } }),
    "read session_status",
  ],
  [
    "alsoAllow adds nothing to what is denied",
    allowed({ tools: { profile: "minimal", alsoAllow: ["read"], deny: ["read"] } }),
    "session_status",
  ],
  [
    "an agent's profile stands for the general one; its alsoAllow adds",
    allowed({
      tools: { profile: "coding" },
      agents: { list: [{ id: "main", tools: { profile: "minimal", alsoAllow: ["exec"] } }] },
    }),
    "exec session_status",
  ],
  [
    "whoever may write may patch; denied one, the other stays",
    allowed({ tools: { allow: ["write", "read"], deny: ["write"] } }),
    "read apply_patch",
  ],
  [
    "byProvider: its lists narrow",
    allowed(
      { tools: { allow: ["group:fs", "exec"], byProvider: { OpenAI: { deny: ["exec"] } } } },
      { facts: gpt },
    ),
    "read write edit apply_patch",
  ],
  [
    "byProvider: of another provider they say nothing",
    allowed({ tools: { allow: ["exec"], byProvider: { anthropic: { deny: ["exec"] } } } }, { facts: gpt }),
    "exec",
  ],
  [
    "byProvider: a model's own entry narrows what its provider's left, and never widens it",
    allowed(
      {
        tools: {
          byProvider: {
            openai: { allow: ["read", "exec"] },
            "openai/gpt-x": { allow: ["exec", "write"] },
          },
        },
      },
      { facts: gpt },
    ),
    "exec",
  ],
  [
    "byProvider: a profile, with its alsoAllow",
    allowed(
      { tools: { byProvider: { openai: { profile: "minimal", alsoAllow: ["read"] } } } },
      { facts: gpt },
    ),
    "read session_status",
  ],
  [
    "byProvider of an agent",
    allowed(
      {
        tools: { allow: ["read", "exec"] },
        agents: { entries: { main: { tools: { byProvider: { "openai/gpt-x": { deny: ["exec"] } } } } } },
      },
      { facts: gpt },
    ),
    "read",
  ],
  [
    "byProvider says nothing of a call that no model makes",
    allowed({ tools: { allow: ["exec"], byProvider: { openai: { deny: ["exec"] } } } }),
    "exec",
  ],
  [
    "subagents",
    allowed(
      { tools: { allow: ["read", "exec"], subagents: { tools: { deny: ["exec"] } } } },
      { facts: { ...owner, isSubagent: true } },
    ),
    "read",
  ],
  [
    "no subagent: its lists say nothing",
    allowed({ tools: { allow: ["read", "exec"], subagents: { tools: { deny: ["exec"] } } } }),
    "read exec",
  ],
  [
    "owner-only tools, whatever the lists say",
    allowed({ tools: { allow: ["cron", "gateway", "nodes", "read"] } }, { facts: { ownerWrote: false } }),
    "read",
  ],
  [
    "an agent that inherits its name from objects has no rules of its own",
    allowed({ tools: { allow: ["read"] }, agents: { entries: {} } }, { agentId: "constructor" }),
    "read",
  ],
];

for (const [what, got, expected] of cases)
  test(`policy (1): ${what}`, () => {
    assert.equal(got, expected);
  });

const names = fc.constantFrom(...everyTool, "*", "group:fs", "group:runtime", "*_*", "w*", "GROUP:WEB");
const lists = fc.record({
  allow: fc.option(fc.array(names, { maxLength: 4 }), { nil: undefined }),
  deny: fc.option(fc.array(names, { maxLength: 3 }), { nil: undefined }),
});
const layers = fc
  .array(lists, { maxLength: 5 })
  .map((all) => all.map((one, index) => toolLayer(`l${index}`, one)));

function left(of: readonly ToolLayer[]): ReadonlySet<string> {
  return new Set(everyTool.filter((tool) => judgeTool(tool, of) === undefined));
}

test("policy (1): one more layer, at any place, never lets more through; a denial anywhere wins", () => {
  fc.assert(
    fc.property(layers, lists, fc.nat(), (before, added, at) => {
      const index = at % (before.length + 1);
      const after = [...before.slice(0, index), toolLayer("new", added), ...before.slice(index)];
      const [were, are] = [left(before), left(after)];
      for (const tool of are) assert.ok(were.has(tool), tool);
      for (const tool of everyTool)
        if (after.some((layer) => layer.deny?.holds(tool))) assert.ok(!are.has(tool), tool);
    }),
  );
});

test("policy (8): the steps that are told are the decision: the first that refuses is the one that decided", () => {
  fc.assert(
    fc.property(layers, fc.constantFrom(...everyTool), (all, tool) => {
      const steps: ToolStep[] = [];
      const told = judgeTool(tool, all, (step) => steps.push(step));
      const silent = judgeTool(tool, all);
      assert.deepEqual(told, silent);
      assert.deepEqual(
        told,
        steps.find((step) => step.outcome === "refuse"),
      );
      assert.equal(steps.length, all.length);
    }),
  );
});

test("policy (8): each layer names the lines that it stands in", () => {
  const config: OpenClawConfig = {
    tools: {
      profile: "coding",
      deny: ["browser"],
      byProvider: { openai: { profile: "full", deny: ["tts"] } },
      subagents: { tools: { allow: ["read"] } },
    },
    agents: { list: [{ id: "a" }, { id: "b", tools: { allow: ["read", "exec"] } }] },
  };
  const limit = { allow: ["read"], deny: [], at: ["channels", "telegram", "groups", "-1", "tools"] };
  const settings = forTurn(
    narrowed(policySettings(config, "b", "/w", gpt.model), [limit, { deny: ["exec"] }]),
    config,
    { ...gpt, ownerWrote: false, isSubagent: true },
  );
  const steps: ToolStep[] = [];
  judgeTool("tts", settings.layers, (step) => steps.push(step));
  assert.deepEqual(
    steps.map((step) => [step.layer, step.outcome, step.at.join(".")]),
    [
      ["profile", "pass", "tools.profile"],
      ["tools", "pass", "tools.deny"],
      ["provider openai", "refuse", "tools.byProvider.openai.deny"],
      ["agent", "refuse", "agents.list.1.tools.allow"],
      ["sender or group", "refuse", "channels.telegram.groups.-1.tools.allow"],
      ["caller", "pass", ""],
      ["subagent", "refuse", "tools.subagents.tools.allow"],
      ["owner only", "pass", ""],
    ],
  );
});

test("policy (1): a turn that the owner did not write keeps the agent's instructions as they are", () => {
  const settings = policySettings({}, "main", "/w");
  const instructionFiles = ["AGENTS.md"];
  const of = (ownerWrote: boolean) =>
    forTurn(settings, {}, { ownerWrote, instructionFiles }).instructionFiles;
  assert.deepEqual([of(false), of(true)], [instructionFiles, undefined]);
});

test("policy (1): a turn that the owner did not write runs nothing unasked, in mode full as in auto", () => {
  for (const mode of ["full", "auto"] as const) {
    const config = { tools: { exec: { mode } } };
    const settings = policySettings(config, "main", "/w");
    assert.equal(forTurn(settings, config, owner), settings);
    assert.equal(forTurn(settings, config, { ownerWrote: false }).exec.mode, "ask");
  }
  const config = { tools: { exec: { mode: "deny" as const } } };
  const settings = policySettings(config, "main", "/w");
  assert.equal(forTurn(settings, config, { ownerWrote: false }).exec.mode, "deny");
  assert.equal(narrowed(settings, []), settings);
});
