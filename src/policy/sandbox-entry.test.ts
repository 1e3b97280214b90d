import assert from "node:assert/strict";
import { test } from "node:test";
import { admitted, schema } from "../kernel/mod.ts";
import { readCommandLine } from "../shell/mod.ts";
import { type Decision, decide, type Effect, type PolicyContext, type SandboxFacts, settle } from "./mod.ts";
import type { ExecSettings } from "./settings.ts";

const facts = (change: { granted?: boolean } = {}): SandboxFacts => ({
  usable: true,
  id: "session-1",
  entry: "bubblewrap:session:none",
  description: "a sandbox",
  granted: false,
  ...change,
});

const command = (more: Partial<Extract<Effect, { kind: "command" }>> = {}): Effect => ({
  kind: "command",
  command: "for x in 1; do rm -rf $x; done",
  workdir: "sub",
  env: {},
  background: false,
  ...more,
});
const typing: Effect = { kind: "process", action: "write", processId: "1", input: "ls\n" };

function judge(
  effect: Effect,
  sandbox: SandboxFacts | undefined,
  exec: Partial<ExecSettings> = {},
): Decision {
  const context: PolicyContext = {
    settings: {
      layers: [],
      exec: { mode: "ask", safeBins: [], approvalLifetimeMs: 1, ...exec },
      workspaceRoot: "/w",
    },
    tool: { spec: { name: "exec", description: "", parameters: schema.object({}) }, plan: () => [effect] },
    commands: {
      read: readCommandLine,
      identify: () => undefined,
      isAllowed: () => true,
      allowsProgram: () => true,
      isSystem: () => true,
      resolve: (name) => `/usr/bin/${name}`,
      environmentProblem: (env) => (env.LD_PRELOAD === undefined ? undefined : "LD_PRELOAD may not be set"),
    },
    ssrf: {
      dangerouslyAllowPrivateNetwork: false,
      allowedHostnames: [],
      blockedHostnames: [],
      allowRfc2544BenchmarkRange: false,
      allowIpv6UniqueLocalRange: false,
    },
    ...(sandbox === undefined ? {} : { sandbox }),
  };
  const request = { id: "c", tool: "exec", arguments: {}, agentId: "a", sessionKey: "agent:a:x", runId: "r" };
  return decide(request, context);
}

const outcome = (decision: Decision) =>
  decision.ok === "ask" ? "ask" : admitted(decision) ? decision.value.effects : decision.reason;

const inside = { ...command(), run: { kind: "sandbox", sandboxId: "session-1" } };

test("policy (6): who was granted the entry runs anything in the sandbox, and it is named in the permit", () => {
  assert.deepEqual(outcome(judge(command(), facts({ granted: true }))), [inside]);
  assert.deepEqual(outcome(judge(command(), facts({ granted: true }), { mode: "allowlist" })), [inside]);
  assert.deepEqual(outcome(judge(command(), facts(), { mode: "full" })), [inside]);
  assert.deepEqual(outcome(judge(command({ host: "sandbox" }), facts({ granted: true }))), [
    { ...inside, host: "sandbox" },
  ]);
  assert.deepEqual(outcome(judge(typing, facts({ granted: true }))), [typing]);
});

test('policy (9): ask "always" asks at each command, granted or not, and offers no lasting yes', () => {
  const decision = judge(command(), facts({ granted: true }), { asksAlways: true });
  assert.ok(decision.ok === "ask");
  const { allowedDecisions, standing, warningText } = decision.question.approval;
  assert.deepEqual(allowedDecisions, ["allow-once", "deny"]);
  assert.equal(standing, undefined);
  assert.match(warningText, /Each command asks here/);
  assert.equal(outcome(judge(command(), facts(), { mode: "full", asksAlways: true })), "ask");
  assert.equal(outcome(judge(typing, facts({ granted: true }), { asksAlways: true })), "ask");
});

test("policy (6): the first entry asks, says what a lasting yes opens, and a yes is for this sandbox", () => {
  const decision = judge(command(), facts());
  assert.ok(decision.ok === "ask");
  const { approval } = decision.question;
  assert.match(approval.warningText, /runs in a sandbox.*any command there without asking/);
  assert.deepEqual(
    [approval.cwd, approval.sandboxEntry, approval.allowedDecisions],
    ["/workspace/sub", "bubblewrap:session:none", ["allow-once", "allow-always", "deny"]],
  );
  const verdict = settle(decision.question, "allow-once");
  assert.ok(admitted(verdict));
  assert.deepEqual(verdict.value.effects, [inside]);
  const other = judge(command(), { ...facts(), usable: true, id: "session-2" } as SandboxFacts);
  assert.ok(other.ok === "ask");
  assert.notEqual(other.question.approval.binding, approval.binding);
  assert.equal(outcome(judge(typing, facts())), "ask");
});

test("policy (6): a sandboxed session runs nothing outside of its sandbox, whatever was allowed there", () => {
  for (const mode of ["ask", "allowlist", "full"] as const) {
    assert.equal(
      outcome(judge(command({ host: "gateway" }), facts({ granted: true }), { mode })),
      "policy.sandbox_required",
    );
    const unusable: SandboxFacts = { usable: false, why: "it has a network" };
    const refused = judge(command({ command: "ls" }), unusable, { mode });
    assert.equal(outcome(refused), "policy.sandbox_unavailable");
    assert.match(refused.ok === false ? refused.detail : "", /it has a network/);
    assert.equal(outcome(judge(typing, unusable, { mode })), "policy.sandbox_unavailable");
  }
});

test("policy (1): deny, and variables that change what runs, hold in a sandbox too; a list without the entry refuses", () => {
  assert.equal(outcome(judge(command(), facts({ granted: true }), { mode: "deny" })), "policy.exec_denied");
  assert.equal(outcome(judge(typing, facts({ granted: true }), { mode: "deny" })), "policy.exec_denied");
  assert.equal(
    outcome(judge(command({ env: { LD_PRELOAD: "x" } }), facts({ granted: true }))),
    "policy.arguments_invalid",
  );
  assert.equal(outcome(judge(command(), facts(), { mode: "allowlist" })), "policy.exec_not_allowlisted");
  assert.equal(outcome(judge(typing, facts(), { mode: "allowlist" })), "policy.exec_not_allowlisted");
});

test("policy (6): what asks for a sandbox where there is none does not run on the host", () => {
  for (const mode of ["ask", "full"] as const) {
    assert.equal(
      outcome(judge(command({ command: "ls", host: "sandbox" }), undefined, { mode })),
      "policy.sandbox_unavailable",
    );
    assert.equal(
      outcome(judge(command({ command: "ls" }), undefined, { mode, host: "sandbox" })),
      "policy.sandbox_unavailable",
    );
  }
  assert.notEqual(
    outcome(judge(command({ command: "ls", host: "gateway" }), undefined)),
    "policy.sandbox_required",
  );
});
