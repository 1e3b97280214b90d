import assert from "node:assert/strict";
import { test } from "node:test";
import { type CommandRules, classifyCommand, isInterpreter } from "./command-rules.ts";
import type { ExecSettings } from "./settings.ts";

const settings: ExecSettings = {
  mode: "ask",
  safeBins: ["date", "echo", "ls", "pwd", "uname", "true", "custom"],
  approvalLifetimeMs: 1000,
};
const rules: CommandRules = {
  isAllowed: (agentId, argv, workdir) =>
    agentId === "main" && argv.join(" ") === "npm test" && workdir === ".",
  resolve: (program) =>
    program === "nowhere" || program === "" || program.includes("/") ? undefined : `/usr/bin/${program}`,
  environmentProblem: () => undefined,
};

function judge(
  command: string,
  more: { workdir?: string; env?: Record<string, string>; background?: boolean } = {},
) {
  return classifyCommand(
    { kind: "command", command, workdir: ".", env: {}, background: false, ...more },
    "main",
    settings,
    rules,
  );
}

test("policy (4): a safe program runs without asking only with arguments that its table allows", () => {
  const listed = ["date", "date -u", "date +%F", "echo hello", "ls", "ls -la", "pwd -P", "uname -a", "true"];
  const asks = [
    "date -s 2020-01-01",
    "date +/etc/passwd",
    "echo ~/x",
    "echo /etc/passwd",
    "ls /root",
    "ls ..",
    "ls sub",
    "pwd /",
    "true x",
    "custom x",
  ];
  for (const command of listed) assert.equal(judge(command).listed, true, command);
  for (const command of asks) assert.equal(judge(command).listed, false, command);
});

test("policy (4): a safe program asks in the background, with variables, or when it is not in a trusted folder", () => {
  assert.equal(judge("date", { background: true }).listed, false);
  assert.equal(judge("date", { env: { TZ: "UTC" } }).listed, false);
  assert.equal(judge("./date").listed, false);
});

test("policy (4): what a shell would interpret asks, and is never remembered", () => {
  for (const command of ["ls | wc", "echo $HOME", "a; b", "cat < x", "x && y", "`id`", "echo *"]) {
    const judged = judge(command);
    assert.equal(judged.listed, false, command);
    assert.equal(judged.canRemember, false, command);
    assert.match(judged.why, /not a plain command/);
  }
});

test("policy (4): a standing rule covers its exact command, folder and agent", () => {
  assert.equal(judge("npm test").listed, true);
  assert.equal(judge("npm test", { workdir: "sub" }).listed, false);
  assert.equal(judge("npm test -- --watch").listed, false);
  const other = classifyCommand(
    { kind: "command", command: "npm test", workdir: ".", env: {}, background: false },
    "other",
    settings,
    rules,
  );
  assert.equal(other.listed, false);
});

test("policy (4): an interpreter, a wrapper and a program that was not found are never remembered", () => {
  for (const command of [
    "python3 x.py",
    "bash x",
    "env ls",
    "xargs rm",
    "npx thing",
    "git status",
    "nowhere x",
    "./run",
  ]) {
    assert.equal(judge(command).canRemember, false, command);
  }
  assert.equal(judge("gcc x.c").canRemember, true);
  assert.match(judge("nowhere").why, /was not found/);
  assert.ok(isInterpreter("/usr/bin/python3.11"));
  assert.ok(!isInterpreter("gcc"));
});
