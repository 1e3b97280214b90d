import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Approval } from "./approval.ts";
import { approvalNotice } from "./approval-text.ts";
import { ruleForCommands } from "./standing-rule.ts";

const asked = (more: Partial<Approval["request"]> = {}): Approval => ({
  id: "3f9a",
  kind: "exec",
  state: "pending",
  createdAtMs: 0,
  expiresAtMs: 30 * 60_000,
  request: {
    command: "touch x",
    cwd: "/w",
    env: {},
    host: "gateway",
    agentId: "main",
    sessionKey: "s",
    runId: "r",
    toolCallId: "c",
    warningText: "touch is not on this agent's allowlist.",
    allowedDecisions: ["allow-once", "deny"],
    resolvedPath: null,
    binding: "b",
    ...more,
  },
});
const notice = (more: Partial<Approval["request"]> = {}, redact = (text: string) => text) =>
  approvalNotice(asked(more), 0, redact);

test("policy (3): a chat is told what will happen, then what made it ask, then how to answer", () => {
  const { text, choices } = notice();
  assert.deepEqual(text.split("\n"), [
    "Agent main asks to run this on the gateway's machine, in /w:",
    "```",
    "$ touch x",
    "```",
    "Why it asks: touch is not on this agent's allowlist.",
    "It waits 30 min (3f9a).",
  ]);
  assert.deepEqual(
    choices.map(({ command }) => command),
    ["/approve 3f9a allow-once", "/approve 3f9a deny"],
  );
});

test("policy (4): what a lasting yes would keep is shown before it can be given", () => {
  const standing = ruleForCommands("main", [["touch", "x"]], ".");
  const proposal = ruleForCommands(
    "main",
    [
      ["touch", "x"],
      ["touch", "y"],
    ],
    ".",
  );
  const { text, choices } = notice({
    standing,
    proposal,
    host: "node",
    env: { CC: "x" },
    allowedDecisions: ["allow-once", "allow-always", "deny"],
  });
  assert.ok(text.includes(standing.text) && text.includes(proposal.text));
  assert.match(text, /on a node/);
  assert.match(text, /\$ with CC=x\n\$ touch x/);
  assert.ok(choices.some(({ command }) => command === "/approve 3f9a allow-always these"));
});

test("policy (3): nothing in a command is out of sight, breaks its line or ends its block (A-119)", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string()), (command) => {
      const { text } = notice({ command: `a${command}b` });
      const lines = text.split("\n");
      assert.equal(lines.indexOf("```", 2), 3);
      assert.match(lines[2] ?? "", /^\$ a.*b$/u);
      assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{C}\p{Zl}\p{Zp}\u3164\u200b-\u200f]/u);
    }),
  );
  const { text } = notice({ command: "ls \u202e\u200b/bin/l\u0455\nrm x" });
  assert.match(text, /\$ ls \\u\{202e\}\\u\{200b\}\/bin\/l\u0455\\nrm x/);
  assert.match(text, /letters outside plain ASCII \(U\+202E, U\+200B, U\+0455\)/);
  assert.match(notice({ command: "``` @here" }).text, /\n\$ ``` @here\n```\n/);
});

test("policy (3): secrets are masked, and what is too long to be read there cannot be answered there", () => {
  const masked = notice({ command: "curl -u hunter2" }, (text) => text.replaceAll("hunter2", "[redacted]"));
  assert.doesNotMatch(masked.text, /hunter2/);
  const long = notice({ command: `${" ".repeat(5000)}touch x`, host: "sandbox" });
  assert.deepEqual(long.choices, []);
  assert.match(long.text, /too long to be judged in a chat/);
  assert.doesNotMatch(long.text, /3f9a/);
});
