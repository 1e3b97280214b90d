/** Commands on nodes: the stricter side decides, and no call chooses the machine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ToolRequest } from "../agent/mod.ts";
import { schema } from "../kernel/mod.ts";
import { decide, settle } from "./decide.ts";
import { commandPlace, judgeNodeCommand, type NodeCommandFacts } from "./node-command.ts";

const facts: NodeCommandFacts = {
  nodeId: "n1",
  nodeName: "workshop",
  program: "/usr/bin/uname",
  fingerprint: "f",
  policy: { security: "allowlist", ask: "on-miss" },
  listed: false,
  canRemember: true,
};
const modes = ["deny", "allowlist", "ask", "auto", "full"] as const;
const securities = ["deny", "allowlist", "full"] as const;
const asks = ["off", "on-miss", "always"] as const;
const strictness = { allow: 0, ask: 1, refused: 2 } as const;

function outcome(
  mode: (typeof modes)[number],
  policy: NodeCommandFacts["policy"],
  listed: boolean,
): keyof typeof strictness {
  const judged = judgeNodeCommand("uname", { mode }, { ...facts, policy, listed });
  return judged === "allow" ? "allow" : "ok" in judged ? "refused" : "ask";
}

test("policy (1): on a node the stricter of the gateway's and the node's word counts: the whole table", () => {
  for (const mode of modes)
    for (const security of securities)
      for (const ask of asks)
        for (const listed of [false, true]) {
          const gateway =
            mode === "deny" || (mode === "allowlist" && !listed)
              ? "refused"
              : (mode === "ask" || mode === "auto") && !listed
                ? "ask"
                : "allow";
          const mustAsk = ask === "always" || (security === "allowlist" && !listed);
          const node =
            security === "deny" || (mustAsk && ask === "off") ? "refused" : mustAsk ? "ask" : "allow";
          const expected = strictness[gateway] > strictness[node] ? gateway : node;
          assert.equal(
            outcome(mode, { security, ask }, listed),
            expected,
            `${mode} ${security} ${ask} ${listed}`,
          );
        }
});

test('policy (9): ask "always" asks for each command of a node too, whatever it lists', () => {
  const open = { ...facts, listed: true, policy: { security: "full", ask: "off" } as const };
  assert.equal(judgeNodeCommand("uname", { mode: "full" }, open), "allow");
  for (const mode of ["ask", "auto", "full", "allowlist"] as const) {
    const judged = judgeNodeCommand("uname", { mode, asksAlways: true }, open);
    assert.ok(judged !== "allow" && "why" in judged, mode);
  }
});

test("policy (1): neither side can loosen what the other says", () => {
  const order = {
    mode: ["full", "auto", "ask", "allowlist", "deny"],
    security: ["full", "allowlist", "deny"],
  } as const;
  fc.assert(
    fc.property(
      fc.nat(3),
      fc.nat(3),
      fc.nat(2),
      fc.nat(2),
      fc.constantFrom(...asks),
      fc.boolean(),
      (a, b, c, d, ask, listed) => {
        const [looser, stricter] = [Math.min(a, b), Math.max(a, b)];
        const [open, closed] = [Math.min(c, d), Math.max(c, d)];
        const before = outcome(
          order.mode[looser] ?? "deny",
          { security: order.security[open] ?? "deny", ask },
          listed,
        );
        const after = outcome(
          order.mode[stricter] ?? "deny",
          { security: order.security[closed] ?? "deny", ask },
          listed,
        );
        assert.ok(strictness[after] >= strictness[before]);
      },
    ),
  );
});

test("policy (4): what the node could not remember is offered once only", () => {
  const decisions = (canRemember: boolean) => {
    const judged = judgeNodeCommand("sh -c x", { mode: "ask" }, { ...facts, canRemember });
    return judged === "allow" || "ok" in judged ? [] : judged.allowedDecisions;
  };
  assert.deepEqual(decisions(true), ["allow-once", "allow-always", "deny"]);
  assert.deepEqual(decisions(false), ["allow-once", "deny"]);
});

test("policy (1): A-117: a call chooses the machine only where the config leaves it open", () => {
  const place = (asked: object, exec: object) => commandPlace(asked, exec);
  assert.deepEqual(place({}, {}), { on: "gateway" });
  assert.deepEqual(place({ host: "auto" }, {}), { on: "gateway" });
  assert.deepEqual(place({ host: "gateway" }, {}), { on: "gateway" });
  assert.deepEqual(place({ host: "node", node: "a" }, {}), { on: "node", node: "a" });
  assert.deepEqual(place({}, { host: "node" }), { on: "node", node: undefined });
  assert.deepEqual(place({}, { host: "node", node: "a" }), { on: "node", node: "a" });
  assert.deepEqual(place({ host: "node", node: "a" }, { host: "node", node: "a" }), {
    on: "node",
    node: "a",
  });
  for (const [asked, exec] of [
    [{ host: "node" }, { host: "gateway" }],
    [{ host: "node" }, { host: "sandbox" }],
    [{ host: "gateway" }, { host: "node" }],
    [{ node: "b" }, { host: "node", node: "a" }],
    [{ host: "node", node: "b" }, { node: "a" }],
  ] as const)
    assert.ok("problem" in place(asked, exec), JSON.stringify([asked, exec]));
});

const request: ToolRequest = {
  id: "c1",
  tool: "exec",
  arguments: {},
  agentId: "main",
  sessionKey: "agent:main:main",
  runId: "r1",
};

function judged(
  more: {
    readonly node?: NodeCommandFacts;
    readonly problem?: string;
    readonly mode?: (typeof modes)[number];
  },
  env: Readonly<Record<string, string>> = {},
) {
  return decide(request, {
    settings: {
      layers: [],
      exec: { mode: more.mode ?? "ask", safeBins: [], approvalLifetimeMs: 1 },
      workspaceRoot: "/w",
    },
    tool: {
      spec: { name: "exec", description: "", parameters: schema.open(schema.object({})) },
      plan: () => [{ kind: "node.command", nodeId: "n1", command: "uname", cwd: "/home", env }],
    },
    commands: {
      read: () => ({ understood: false, why: "never asked" }),
      allowsProgram: () => false,
      isAllowed: () => true,
      resolve: () => undefined,
      isSystem: () => false,
      identify: () => undefined,
      environmentProblem: () => more.problem,
    },
    ssrf: {
      dangerouslyAllowPrivateNetwork: false,
      allowedHostnames: [],
      blockedHostnames: [],
      allowRfc2544BenchmarkRange: false,
      allowIpv6UniqueLocalRange: false,
    },
    ...(more.node ? { node: more.node } : {}),
  });
}

test("policy (2): A-100: without its own node's word on it a command is refused, whatever rule the gateway has", () => {
  for (const node of [undefined, { ...facts, nodeId: "n2" }]) {
    const decision = judged({ mode: "full", ...(node ? { node } : {}) });
    assert.equal(decision.ok === false && decision.reason, "policy.tool_denied");
  }
  const loader = judged({ node: facts, problem: "env.LD_PRELOAD may not be set" });
  assert.equal(loader.ok === false && loader.reason, "policy.arguments_invalid");
  const refused = judged({ node: facts, mode: "deny" });
  assert.equal(refused.ok === false && refused.reason, "policy.exec_denied");
});

test("policy (7): A-121: a question about a node's command is bound to the node and to what it found there", () => {
  const asked = (node: NodeCommandFacts) => {
    const decision = judged({ node });
    assert.ok(decision.ok === "ask");
    return decision.question;
  };
  const question = asked(facts);
  assert.equal(question.approval.nodeId, "n1");
  assert.equal(question.approval.cwd, "/home");
  assert.equal(question.approval.resolvedPath, "/usr/bin/uname");
  assert.equal(asked(facts).approval.binding, question.approval.binding);
  assert.notEqual(asked({ ...facts, fingerprint: "g" }).approval.binding, question.approval.binding);
  assert.equal(settle(question, "allow-once").ok, true);
  assert.equal(settle(question, "deny").ok, false);
  const open = judged({ node: { ...facts, listed: true } });
  assert.equal(open.ok, true, "a standing rule of the node");
});
