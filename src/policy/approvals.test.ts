import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { Write } from "../kernel/mod.ts";
import type { Approval } from "./approval.ts";
import { createApprovals } from "./approvals.ts";
import type { Question } from "./question.ts";
import { ruleForCommands } from "./standing-rule.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));
const running = new AbortController().signal;

function question(command: string, more: Partial<Question["approval"]> = {}): Question {
  return {
    approval: {
      command,
      cwd: "/w",
      env: {},
      agentId: "main",
      sessionKey: "agent:main:main",
      runId: "r",
      toolCallId: "c",
      warningText: "why",
      allowedDecisions: ["allow-once", "allow-always", "deny"],
      resolvedPath: null,
      binding: "b",
      ...more,
    },
    request: {
      id: "c",
      tool: "exec",
      arguments: {},
      agentId: "main",
      sessionKey: "agent:main:main",
      runId: "r",
    },
    effects: [],
  };
}

function bench(stored = new Map<string, Approval>()) {
  const clock = new ManualClock();
  const remembered: string[] = [];
  const changes: string[] = [];
  let gate: Promise<void> | undefined;
  let fails = false;
  const approvals = createApprovals({
    store: {
      get: (id) => stored.get(id),
      pending: () => [...stored.values()].filter((item) => item.state === "pending"),
      allowed: (agentId, limit) =>
        [...stored.values()]
          .filter((item) => item.state === "allowed" && item.request.agentId === agentId)
          .reverse()
          .slice(0, limit),
      put: (approval) => (() => void stored.set(approval.id, approval)) as unknown as Write,
    },
    commit: async (writes) => {
      await gate;
      if (fails) throw new Error("disk full");
      for (const write of writes) (write as unknown as () => void)();
    },
    clock,
    lifetimeMs: 1000,
    changed: (approval) => void changes.push(approval.state),
    holdsSecret: (command) => command.includes("hunter2"),
    record: () => (() => {}) as unknown as Write,
    remember: async (approval) => void remembered.push(approval.request.command),
  });
  return {
    clock,
    approvals,
    stored,
    remembered,
    changes,
    hold: () => {
      const held = Promise.withResolvers<void>();
      gate = held.promise;
      return held.resolve;
    },
    fail: (on: boolean) => {
      fails = on;
    },
  };
}

for (const { decision, state, remembered } of [
  { decision: "allow-once", state: "allowed", remembered: [] },
  { decision: "allow-always", state: "allowed", remembered: ["ls"] },
  { decision: "deny", state: "denied", remembered: [] },
]) {
  test(`${decision} ends the question as ${state}`, async () => {
    const at = bench();
    const asked = at.approvals.ask("1", question("ls"), running);
    await settled();
    assert.equal(at.approvals.pending().length, 1);
    await at.approvals.resolve("1", decision, "operator");
    const approval = await asked;
    assert.equal(approval.state, state);
    assert.equal(approval.decision, decision);
    assert.equal(approval.resolvedBy, "operator");
    assert.deepEqual(at.remembered, remembered);
    assert.deepEqual(at.changes, ["pending", state]);
    assert.equal(at.approvals.pending().length, 0);
  });
}

test("a question says where the command would run", async () => {
  const at = bench();
  void at.approvals.ask("1", question("ls"), running);
  void at.approvals.ask("2", question("ls", { nodeId: "n1" }), running);
  await settled();
  assert.deepEqual(
    at.approvals.pending().map(({ request }) => [request.host, request.nodeId]),
    [
      ["gateway", undefined],
      ["node", "n1"],
    ],
  );
});

test("policy (3): a question that nobody answers expires, and can no longer be answered", async () => {
  const at = bench();
  const asked = at.approvals.ask("1", question("ls"), running);
  await settled();
  at.clock.advance(1000);
  const approval = await asked;
  assert.equal(approval.state, "expired");
  assert.equal(approval.decision, undefined);
  await assert.rejects(at.approvals.resolve("1", "allow-once", "operator"), /already resolved/);
});

test("a clock that jumps forward over the expiry: the answer comes too late, though the timer has not fired", async () => {
  const at = bench();
  const asked = at.approvals.ask("1", question("ls"), running);
  await settled();
  const now = at.clock.now();
  at.clock.now = () => now + 5000;
  assert.equal(at.approvals.pending().length, 0);
  await assert.rejects(at.approvals.resolve("1", "allow-once", "operator"), /unknown or expired/);
  at.clock.advance(1000);
  assert.equal((await asked).state, "expired");
});

test("the end of its run cancels a question, also one that ended before it was asked", async () => {
  const at = bench();
  const run = new AbortController();
  const asked = at.approvals.ask("1", question("ls"), run.signal);
  await settled();
  run.abort();
  assert.equal((await asked).state, "cancelled");
  assert.equal((await at.approvals.ask("2", question("ls"), run.signal)).state, "cancelled");
});

test("the first of two answers wins, even while it is being written", async () => {
  const at = bench();
  const asked = at.approvals.ask("1", question("ls"), running);
  await settled();
  const release = at.hold();
  const first = at.approvals.resolve("1", "deny", "ada");
  await assert.rejects(at.approvals.resolve("1", "allow-once", "ben"), /already resolved/);
  const same = await at.approvals.resolve("1", "deny", "ben");
  assert.equal(same.resolvedBy, "ada");
  release();
  await first;
  assert.equal((await asked).decision, "deny");
  assert.equal(at.stored.get("1")?.resolvedBy, "ada");
});

test("a yes that could not be written is none: the question goes on waiting", async () => {
  const at = bench();
  const asked = at.approvals.ask("1", question("ls"), running);
  await settled();
  at.fail(true);
  await assert.rejects(at.approvals.resolve("1", "allow-once", "operator"), /disk full/);
  assert.equal(at.stored.get("1")?.state, "pending");
  at.fail(false);
  await at.approvals.resolve("1", "allow-once", "operator");
  assert.equal((await asked).state, "allowed");
});

test("an expiry that could not be written still ends the wait, as a no", async () => {
  const at = bench();
  const asked = at.approvals.ask("1", question("ls"), running);
  await settled();
  at.fail(true);
  at.clock.advance(1000);
  assert.equal((await asked).state, "expired");
});

test("asked again after a restart: the same question waits on, an answer that was given counts", async () => {
  const before = bench();
  void before.approvals.ask("1", question("ls"), running);
  await settled();
  const after = bench(before.stored);
  const asked = after.approvals.ask("1", question("ls"), running);
  await settled();
  await after.approvals.resolve("1", "allow-once", "operator");
  assert.equal((await asked).state, "allowed");
  const later = bench(after.stored);
  assert.equal((await later.approvals.ask("1", question("ls"), running)).decision, "allow-once");
});

test("policy (7), A-121: after a restart an answer does not pass to files that are others than when it was asked", async () => {
  const stored = new Map<string, Approval>();
  const before = bench(stored);
  void before.approvals.ask("1", question("./run.sh"), running);
  await settled();
  await before.approvals.resolve("1", "allow-once", "operator");
  const after = bench(stored);
  const same = await after.approvals.ask("1", question("./run.sh"), running);
  assert.equal(same.decision, "allow-once");
  const changed = await after.approvals.ask("1", question("./run.sh", { binding: "other" }), running);
  assert.equal(changed.state, "expired");
  assert.equal(changed.decision, undefined);
});

test("a question that nobody asks for any more can be answered after a restart", async () => {
  const before = bench();
  void before.approvals.ask("1", question("ls"), running);
  await settled();
  const after = bench(before.stored);
  assert.equal((await after.approvals.resolve("1", "deny", "operator")).state, "denied");
  assert.equal(after.approvals.get("1")?.state, "denied");
});

test("policy (2): an id never carries an answer to another command, folder or environment", async () => {
  const at = bench();
  const asked = at.approvals.ask("1", question("ls"), running);
  await settled();
  await at.approvals.resolve("1", "allow-once", "operator");
  await asked;
  for (const other of [
    question("rm -rf /"),
    question("ls", { cwd: "/etc" }),
    question("ls", { env: { PATH: "/x" } }),
  ])
    await assert.rejects(at.approvals.ask("1", other, running), /asked for another call/);
});

test("decisions that are unknown or not offered are refused", async () => {
  const at = bench();
  void at.approvals.ask("1", question("ls | sh", { allowedDecisions: ["allow-once", "deny"] }), running);
  await settled();
  await assert.rejects(at.approvals.resolve("1", "yes", "operator"), /invalid decision/);
  await assert.rejects(at.approvals.resolve("1", "allow-always", "operator"), /offers allow-once, deny/);
  await assert.rejects(at.approvals.resolve("none", "deny", "operator"), /unknown or expired/);
});

test("policy (7): a question says where its command would run, and an answer for one place is none for another", async () => {
  const { approvals } = bench();
  const asked = [{}, { nodeId: "n" }, { sandboxEntry: "bubblewrap:session:none" }];
  for (const [index, place] of asked.entries())
    void approvals.ask(`q${index}`, question("ls", place), running);
  await settled();
  assert.deepEqual(
    approvals.pending().map(({ request }) => request.host),
    ["gateway", "node", "sandbox"],
  );
  await assert.rejects(approvals.ask("q2", question("ls"), running), /another call/);
});

test("an answer that comes second is told which was first, and by whom", async () => {
  const at = bench();
  const asked = at.approvals.ask("1", question("ls"), running);
  await settled();
  await at.approvals.resolve("1", "deny", "ada");
  await asked;
  await assert.rejects(at.approvals.resolve("1", "allow-once", "ben"), /already resolved: ada answered deny/);
  const other = at.approvals.ask("2", question("ls"), running);
  await settled();
  at.clock.advance(1000);
  assert.equal((await other).state, "expired");
  await assert.rejects(at.approvals.resolve("2", "allow-once", "ben"), /already resolved: it is expired/);
});

const touch = (name: string) =>
  question(`touch ${name}`, { standing: ruleForCommands("main", [["touch", name]], ".") });

test("policy (4): of a command with a secret in it no lasting yes is offered: what is kept is written down as it is", async () => {
  const at = bench();
  const standing = ruleForCommands("main", [["login", "hunter2"]], ".");
  void at.approvals.ask("q", question("login hunter2", { standing }), running);
  await settled();
  const { request } = at.approvals.get("q") as Approval;
  assert.equal(request.command, "login hunter2");
  assert.deepEqual(request.allowedDecisions, ["allow-once", "deny"]);
  assert.equal(request.standing, undefined);
  await assert.rejects(at.approvals.resolve("q", "allow-always", "operator"), /this approval offers/);
  // What is kept for a sandbox is its entry, and not the command.
  const entry = { standing, sandboxEntry: "sandbox" };
  void at.approvals.ask("s", question("login hunter2", entry), running);
  await settled();
  assert.deepEqual(at.approvals.get("s")?.request.standing, standing);
});

test("policy (4): allow-always keeps exactly the rule that was shown, and the proposal only when that is asked for", async () => {
  const at = bench();
  for (const name of ["a", "b", "c"]) {
    const asked = at.approvals.ask(name, touch(name), running);
    await settled();
    assert.equal(at.approvals.get(name)?.request.proposal, undefined);
    await assert.rejects(
      at.approvals.resolve(name, "allow-always", "operator", "proposal"),
      /no rule is proposed/,
    );
    at.clock.advance(1);
    await at.approvals.resolve(name, "allow-once", "operator");
    assert.equal((await asked).keeps, undefined);
  }
  const commandsOf = (id: string) =>
    at.approvals
      .get(id)
      ?.keeps?.commands.map((words) => words.join(" "))
      .sort();
  void at.approvals.ask("d", touch("d"), running);
  void at.approvals.ask("e", touch("e"), running);
  await settled();
  assert.equal(at.approvals.get("d")?.request.proposal?.commands.length, 4);
  await assert.rejects(at.approvals.resolve("d", "allow-once", "operator", "proposal"), /invalid decision/);
  await at.approvals.resolve("d", "allow-always", "operator", "proposal");
  assert.deepEqual(commandsOf("d"), ["touch a", "touch b", "touch c", "touch d"]);
  await at.approvals.resolve("e", "allow-always", "operator");
  assert.deepEqual(commandsOf("e"), ["touch e"]);
});

/** Of everything that a yes is for, one thing that is another by the time of the run. */
const changes: readonly (readonly [what: string, change: Partial<Question["approval"]>])[] = [
  ["the command", { command: "touch b" }],
  ["the folder", { cwd: "/w/sub" }],
  ["the environment", { env: { A: "1" } }],
  ["the node", { nodeId: "n" }],
  ["the sandbox", { sandboxEntry: "e" }],
  ["what is bound by its digest", { binding: "other" }],
];

for (const [what, change] of changes)
  test(`policy (7): a yes does not carry over when ${what} changed between the answer and the run`, async () => {
    const at = bench();
    const asked = at.approvals.ask("1", question("touch a"), running);
    await settled();
    await at.approvals.resolve("1", "allow-once", "operator");
    assert.equal((await asked).state, "allowed");
    const again = at.approvals.ask("1", question("touch a", change), running);
    const state = await again.then(
      (approval) => `${approval.state} ${approval.decision}`,
      (error: Error) => error.message,
    );
    assert.match(state, /^expired undefined$|was asked for another call/);
  });

test("policy (7): a yes that nothing came of before it expired is none afterwards", async () => {
  const at = bench();
  const asked = at.approvals.ask("1", question("touch a"), running);
  await settled();
  await at.approvals.resolve("1", "allow-once", "operator");
  await asked;
  at.clock.advance(999);
  assert.equal((await at.approvals.ask("1", question("touch a"), running)).decision, "allow-once");
  at.clock.advance(1);
  const late = await at.approvals.ask("1", question("touch a"), running);
  assert.deepEqual([late.state, late.decision], ["expired", undefined]);
});

test("policy (7): a question about what is no longer there is taken back, before or after a restart", async () => {
  const before = bench();
  const first = before.approvals.ask("1", question("./run.sh"), running);
  await settled();
  const changed = await before.approvals.ask("1", question("./run.sh", { binding: "other" }), running);
  assert.equal(changed.state, "expired");
  assert.equal((await first).state, "expired");
  await assert.rejects(before.approvals.resolve("1", "allow-once", "operator"), /it is expired/);
  const waiting = bench();
  void waiting.approvals.ask("1", question("./run.sh"), running);
  await settled();
  const after = bench(waiting.stored);
  await after.approvals.ask("1", question("./run.sh", { binding: "other" }), running);
  await settled();
  assert.deepEqual(after.approvals.pending(), []);
});
