import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Approval } from "./approval.ts";
import { proposalFor } from "./proposal.ts";
import { entryRule, ruleForCommands, ruleForEntry, shellText } from "./standing-rule.ts";

function request(words: readonly string[], more: Partial<Approval["request"]> = {}): Approval["request"] {
  const { agentId = "main" } = more;
  return {
    command: words.join(" "),
    cwd: "/w",
    env: {},
    host: "gateway",
    agentId,
    sessionKey: "s",
    runId: "r",
    toolCallId: "c",
    warningText: "",
    allowedDecisions: ["allow-once", "allow-always", "deny"],
    resolvedPath: null,
    binding: "b",
    standing: ruleForCommands(agentId, [words], "."),
    ...more,
  };
}

const answered = (
  words: readonly string[],
  more: Partial<Approval["request"]> = {},
  change = {},
): Approval => ({
  id: "1",
  kind: "exec",
  request: request(words, more),
  createdAtMs: 0,
  expiresAtMs: 1,
  state: "allowed",
  decision: "allow-once",
  ...change,
});

const touched = ["a", "b", "c"].map((name) => answered(["touch", name]));

test("policy (4): after three like answers the rule that is proposed covers those commands and this one, and nothing else", () => {
  const proposal = proposalFor(request(["touch", "d"]), touched);
  assert.deepEqual([...(proposal?.commands ?? [])].map((words) => words.join(" ")).sort(), [
    "touch a",
    "touch b",
    "touch c",
    "touch d",
  ]);
  assert.equal(proposal?.workdir, ".");
  for (const name of ["a", "b", "c", "d"]) assert.ok(proposal?.text.includes(`touch ${name}`), name);
  assert.equal(proposalFor(request(["touch", "d"]), touched.slice(1)), undefined, "two are not enough");
});

test("policy (4): the same command three times proposes just that command", () => {
  const same = [1, 2, 3].map(() => answered(["touch", "a"]));
  assert.deepEqual(proposalFor(request(["touch", "a"]), same)?.commands, [["touch", "a"]]);
});

const unlike: readonly (readonly [what: string, other: Approval])[] = [
  ["another program", answered(["mkdir", "a"])],
  ["more words", answered(["touch", "a", "b"])],
  ["an option where a name was", answered(["touch", "-c"])],
  [
    "another folder",
    answered(["touch", "a"], { standing: ruleForCommands("main", [["touch", "a"]], "sub") }),
  ],
  ["another agent", answered(["touch", "a"], { agentId: "other" })],
  ["a denial", answered(["touch", "a"], {}, { state: "denied", decision: "deny" })],
  ["one that is kept already", answered(["touch", "a"], {}, { decision: "allow-always" })],
  ["a sandbox", answered(["touch", "a"], { sandboxEntry: "e", standing: ruleForEntry("main", "e") })],
  ["a node", answered(["touch", "a"], { nodeId: "n" })],
];

for (const [what, other] of unlike)
  test(`policy (4): ${what} is not like it`, () => {
    const two = touched.slice(1);
    assert.equal(proposalFor(request(["touch", "d"]), [...two, other]), undefined);
    assert.ok(proposalFor(request(["touch", "d"]), [...two, other, answered(["touch", "x"])]));
  });

test("policy (4): nothing is proposed where no rule may stand: an interpreter, a node, a sandbox", () => {
  const { standing: _, ...bare } = request(["python3", "x.py"]);
  const answers = [1, 2, 3].map((): Approval => {
    const one = answered(["python3", "x.py"]);
    return { ...one, request: bare };
  });
  assert.equal(proposalFor(bare, answers), undefined);
  assert.equal(proposalFor(request(["touch", "d"], { nodeId: "n" }), touched), undefined);
  assert.equal(proposalFor(request(["touch", "d"], { sandboxEntry: "e" }), touched), undefined);
});

test("policy (4): a rule that nobody would read to its end is not proposed", () => {
  const many = Array.from({ length: 12 }, (_, index) => answered(["touch", `f${index}`]));
  assert.equal(proposalFor(request(["touch", "d"]), many), undefined);
  assert.equal(proposalFor(request(["touch", "d"]), many.slice(1))?.commands.length, 12);
});

test("policy (4): no proposal ever covers a command that was neither asked about now nor allowed before", () => {
  const word = fc.constantFrom("a", "b", "-x", "--y", "c d", "");
  const argv = fc
    .tuple(fc.constantFrom("touch", "mkdir"), fc.array(word, { maxLength: 3 }))
    .map(([p, w]) => [p, ...w]);
  fc.assert(
    fc.property(argv, fc.array(argv, { maxLength: 10 }), (now, before) => {
      const proposal = proposalFor(
        request(now),
        before.map((words) => answered(words)),
      );
      const known = new Set([now, ...before].map((words) => JSON.stringify(words)));
      for (const words of proposal?.commands ?? []) assert.ok(known.has(JSON.stringify(words)));
    }),
  );
});

test("a rule's text shows each word as a shell would be given it", () => {
  assert.equal(shellText(["a b", "it's", "x=1"]), `'a b' 'it'\\''s' x=1`);
  assert.match(
    ruleForCommands("main", [["ls", "-l"]], "sub").text,
    /exactly this in sub of its workspace: ls -l/,
  );
  assert.deepEqual(entryRule("e"), { commands: [["sandbox", "e"]], workdir: "/workspace" });
});
