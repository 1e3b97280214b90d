import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenClawConfig } from "../config/mod.ts";
import { schema } from "../kernel/mod.ts";
import { readCommandLine } from "../shell/mod.ts";
import type { PolicyContext } from "./context.ts";
import { type Decision, decide } from "./decide.ts";
import type { Effect } from "./effect.ts";
import { type ElevatedCaller, type ElevatedWords, judgeElevated } from "./elevated.ts";
import { policySettings } from "./settings.ts";
import type { ToolStep } from "./tool-policy.ts";

const ada: ElevatedCaller = { agentId: "main", channel: "telegram", senders: [["7"]] };

function judged(
  tools: { readonly elevated?: ElevatedWords; readonly exec?: object },
  own: ElevatedWords | undefined,
  more: {
    readonly caller?: ElevatedCaller | undefined;
    readonly effect?: Partial<Extract<Effect, { kind: "command" }>>;
    readonly bare?: boolean;
  } = {},
): Decision {
  const config = {
    tools,
    agents: { list: [{ id: "main", tools: own === undefined ? {} : { elevated: own } }] },
  } as OpenClawConfig;
  const { elevated: _, ...bare } = policySettings(config, "main", "/w");
  const effect: Effect = {
    kind: "command",
    command: "ls",
    workdir: ".",
    env: {},
    background: false,
    elevated: true,
    ...more.effect,
  };
  const caller = "caller" in more ? more.caller : ada;
  const context: PolicyContext = {
    settings: more.bare ? bare : policySettings(config, "main", "/w"),
    ...(caller ? { caller } : {}),
    tool: { spec: { name: "exec", description: "", parameters: schema.object({}) }, plan: () => [effect] },
    commands: {
      read: readCommandLine,
      identify: () => undefined,
      isAllowed: () => true,
      allowsProgram: () => false,
      isSystem: () => true,
      resolve: (name) => `/usr/bin/${name}`,
      environmentProblem: () => undefined,
    },
    ssrf: {
      dangerouslyAllowPrivateNetwork: false,
      allowedHostnames: [],
      blockedHostnames: [],
      allowRfc2544BenchmarkRange: false,
      allowIpv6UniqueLocalRange: false,
    },
    sandbox: { usable: true, id: "s", entry: "e", description: "a sandbox", granted: true },
  };
  const request = { id: "c", tool: "exec", arguments: {}, agentId: "main", sessionKey: "s", runId: "r" };
  return decide(request, context);
}

function outcome(decision: Decision): string {
  if (decision.ok === "ask") return decision.question.approval.allowedDecisions.join(",");
  if (!decision.ok) return decision.reason;
  const [effect] = decision.value.effects;
  return effect?.kind === "command" ? `runs: ${effect.run?.kind}` : "";
}

const asks = "allow-once,deny";
const closed = "policy.elevated_denied";
const table: readonly (readonly [ElevatedWords | undefined, ElevatedWords | undefined, string])[] = [
  [undefined, undefined, closed],
  [{}, undefined, closed],
  [{ allowFrom: [] }, undefined, closed],
  [{ allowFrom: ["main"] }, undefined, asks],
  [{ allowFrom: ["*"] }, undefined, asks],
  [{ allowFrom: ["other"] }, undefined, closed],
  [{ enabled: false, allowFrom: ["main"] }, undefined, closed],
  [{ allowFrom: { telegram: [7] } }, undefined, asks],
  [{ allowFrom: { telegram: ["id:7"] } }, undefined, asks],
  [{ allowFrom: { telegram: ["name:7", "8"] } }, undefined, closed],
  [{ allowFrom: { discord: ["7"] } }, undefined, closed],
  [{ allowFrom: { constructor: ["7"] } }, undefined, closed],
  [{ allowFrom: ["main"] }, { enabled: false }, closed],
  [{ allowFrom: ["main"] }, { allowFrom: { telegram: ["8"] } }, closed],
  [{ allowFrom: ["main"] }, { allowFrom: { telegram: ["7"] } }, asks],
  [{ allowFrom: ["main"] }, {}, asks],
  [undefined, { allowFrom: ["main"] }, closed],
];

test("policy (10): a command leaves its sandbox through both gates only, and is asked about as one of the host", () => {
  for (const [global, own, expected] of table) {
    const decision = judged(global ? { elevated: global } : {}, own);
    assert.equal(outcome(decision), expected, JSON.stringify([global, own]));
    if (decision.ok === "ask") {
      assert.match(decision.question.approval.warningText, /leaves the sandbox and runs on the host/);
      assert.equal(decision.question.canReview, false, "a second model is not asked");
    }
  }
});

test("policy (8): what is told of the gates is the decision: the first that refuses decided", () => {
  const steps: ToolStep[] = [];
  const at = (needsList: boolean) => [needsList ? "tools" : "agents"];
  const gates = [
    { words: { allowFrom: ["main"] }, at: at(true), needsList: true },
    { words: { enabled: false }, at: at(false), needsList: false },
    { words: { allowFrom: ["x"] }, at: at(false), needsList: false },
  ];
  const decided = judgeElevated({ gates }, ada, (step) => steps.push(step));
  assert.deepEqual(
    steps.map(({ outcome, because }) => `${outcome}: ${because}`),
    ["pass: it is open", "refuse: it is turned off", "refuse: agent main is not in allowFrom"],
  );
  assert.equal(decided, steps[1]);
});

test("policy (10): of a text that several wrote each must be listed, and nobody is nobody", () => {
  const gate = { elevated: { allowFrom: { telegram: ["7"] } } };
  const from = (...ids: string[]) => judgedFor(...ids.map((id) => [id]));
  const judgedFor = (...senders: string[][]) =>
    outcome(judged(gate, undefined, { caller: { ...ada, senders } }));
  assert.equal(from("7"), asks);
  assert.equal(judgedFor(["uuid:a", "7"]), asks, "one person under two ids");
  assert.equal(judgedFor(["uuid:a", "7"], ["uuid:b"]), closed);
  assert.equal(judgedFor([]), closed);
  assert.equal(from("7", "8"), closed);
  assert.equal(from(), closed);
  assert.equal(outcome(judged(gate, undefined, { caller: undefined })), closed);
  assert.equal(outcome(judged(gate, undefined, { bare: true })), closed);
});

test("policy (10): a person is asked unless every gate that says anything says no, and commands run unasked anyway", () => {
  const run = (
    exec: object,
    global: ElevatedWords,
    own?: ElevatedWords,
    effect: object = { command: "mkdir x" },
  ) => outcome(judged({ exec, elevated: { allowFrom: ["main"], ...global } }, own, { effect }));
  assert.equal(run({ mode: "full" }, {}), asks);
  assert.equal(run({ mode: "full" }, { requireApproval: true }), asks);
  assert.equal(run({ mode: "full" }, { requireApproval: false }), "runs: tree");
  assert.equal(run({ mode: "full" }, { requireApproval: false }, { requireApproval: true }), asks);
  assert.equal(
    run({ mode: "ask" }, { requireApproval: false }, undefined, { command: "rm x" }),
    "runs: tree",
  );
  assert.equal(run({ mode: "deny" }, { requireApproval: false }), "policy.exec_denied");
  assert.equal(run({ mode: "allowlist" }, {}, undefined, { command: "ls" }), asks);
});

test("policy (10): what would be out of its session's sight, or means the sandbox, does not leave it", () => {
  const gate = { elevated: { allowFrom: ["main"] } };
  for (const effect of [{ background: true }, { host: "sandbox" as const }])
    assert.equal(outcome(judged(gate, undefined, { effect })), "policy.arguments_invalid");
});
