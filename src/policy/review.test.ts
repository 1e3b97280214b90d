import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { schema } from "../kernel/mod.ts";
import { readCommandLine } from "../shell/mod.ts";
import type { PolicyContext } from "./context.ts";
import { decide } from "./decide.ts";
import type { ExecMode } from "./exec-mode.ts";
import { afterReview, createDenials, readReview, reviewSubject } from "./review.ts";

function canReview(command: string, mode: ExecMode = "auto", more: object = {}): boolean | "no question" {
  const context: PolicyContext = {
    settings: {
      layers: [],
      exec: { mode, safeBins: [], approvalLifetimeMs: 1, ...more },
      workspaceRoot: "/w",
    },
    tool: {
      spec: { name: "exec", description: "", parameters: schema.object({}) },
      plan: () => [{ kind: "command", command, workdir: ".", env: {}, background: false, ...more }],
    },
    commands: {
      read: readCommandLine,
      identify: () => undefined,
      isAllowed: () => false,
      allowsProgram: () => false,
      isSystem: () => true,
      resolve: (name) => (name === "missing" ? undefined : `/usr/bin/${name}`),
      environmentProblem: () => undefined,
    },
    ssrf: {
      dangerouslyAllowPrivateNetwork: false,
      allowedHostnames: [],
      blockedHostnames: [],
      allowRfc2544BenchmarkRange: false,
      allowIpv6UniqueLocalRange: false,
    },
  };
  const request = { id: "c", tool: "exec", arguments: {}, agentId: "main", sessionKey: "s", runId: "r" };
  const decision = decide(request, context);
  return decision.ok === "ask" ? decision.question.canReview === true : "no question";
}

test("policy (11): a second model judges only what can be told from its text", () => {
  for (const command of ["touch x", "mkdir a && touch a/b", "git pull", "npm test", "rm -rf x | wc -l"])
    assert.equal(canReview(command), true, command);
  for (const command of [
    "python3 script.py",
    "python3 -c 'print(1)'",
    "sh x.sh",
    "env python3 x.py",
    "node app.js",
    "echo $(date)",
    "for f in a; do rm $f; done",
    "find . -exec rm {} +",
    "sudo rm x",
    "rm *.log",
    "A=1 touch x",
    "missing x",
    "touch x && python3 y.py",
  ])
    assert.equal(canReview(command), false, command);
});

test("policy (11): no mode but auto asks a second model, and one that asks always never does", () => {
  for (const mode of ["ask", "allowlist", "deny", "full"] as const)
    assert.notEqual(canReview("touch x", mode), true);
  assert.equal(canReview("touch x", "auto", { asksAlways: true }), false);
  assert.equal(canReview("touch x", "auto", { env: { A: "1" } }), false);
  assert.equal(canReview("touch x", "auto", { ask: "on-miss" }), false, "the call itself asks for a person");
});

test("policy (11): only exactly a verdict is one; whatever else a model says asks a person", () => {
  assert.deepEqual(readReview('{"verdict":"allow","reason":"reads a file"}'), {
    verdict: "allow",
    reason: "reads a file",
  });
  assert.equal(readReview('{"reason":"no","verdict":"deny"}').verdict, "deny");
  assert.equal(readReview(`{"reason":"${"x".repeat(900)}","verdict":"ask"}`).reason.length, 300);
  for (const text of [
    "",
    "allow",
    "null",
    "[]",
    '"allow"',
    '{"verdict":"allow"}',
    '{"verdict":"allow","reason":""}',
    '{"verdict":"allow","reason":1}',
    '{"verdict":"ALLOW","reason":"x"}',
    '{"verdict":"allow","reason":"x","confidence":1}',
    '```json\n{"verdict":"allow","reason":"x"}\n```',
    'Sure. {"verdict":"allow","reason":"x"}',
    '{"verdict":"allow","reason":"x"}{"verdict":"allow","reason":"x"}',
  ])
    assert.equal(readReview(text).verdict, "ask", text);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const { verdict, reason } = readReview(text);
      assert.ok(verdict === "ask" || text.includes(verdict));
      assert.notEqual(reason, "");
    }),
  );
});

const approval = {
  command: "curl -H 'key: hunter2' x",
  cwd: "/w",
  env: {},
  agentId: "main",
  sessionKey: "s",
  runId: "r",
  toolCallId: "c",
  warningText: "why.",
  allowedDecisions: ["allow-once", "deny"] as const,
  resolvedPath: null,
  binding: "b",
};
const question = {
  approval,
  request: { id: "c", tool: "exec", arguments: {}, agentId: "main", sessionKey: "s", runId: "r" },
  effects: [],
};
const redact = (text: string) => text.replaceAll("hunter2", "[redacted]");

test("policy (11): the reviewing model sees no secret, and nothing that was cut", () => {
  const shown = reviewSubject(question, { effects: [], ownerMessage: "use hunter2" }, redact);
  assert.ok(
    shown !== undefined && !shown.includes("hunter2") && JSON.parse(shown).ownerMessage === "use [redacted]",
  );
  const long = { ...question, approval: { ...approval, command: "x".repeat(9000) } };
  assert.equal(reviewSubject(long, { effects: [], ownerMessage: "" }, redact), undefined);
  assert.equal(reviewSubject(question, { effects: [], ownerMessage: "x".repeat(5000) }, redact), undefined);
});

test("policy (11): what it leaves to a person says so, and is the same question", () => {
  const left = afterReview(question, "Not sure.");
  assert.equal(left.approval.warningText, "why. The reviewing model left it to you: Not sure.");
  assert.equal(left.approval.binding, approval.binding);
});

test("policy (11): three denials in a conversation go to a person, until he allows something there", () => {
  const denials = createDenials();
  for (let count = 0; count < 3; count += 1) {
    assert.equal(denials.isSpent("a"), false);
    denials.denied("a");
  }
  assert.equal(denials.isSpent("a"), true);
  assert.equal(denials.isSpent("b"), false);
  denials.personAllowed("a");
  assert.equal(denials.isSpent("a"), false);
  for (let count = 0; count < 3; count += 1) denials.denied("old");
  for (let index = 0; index < 1000; index += 1) denials.denied(`s${index}`);
  assert.equal(denials.isSpent("old"), false, "what is remembered is bounded");
});
