import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError, schema } from "../../kernel/mod.ts";
import type { CommandRequest, Powers, RunningCommand } from "../../sandbox/tool.ts";
import { openProcess } from "../process/tool.ts";
import { defaultToolSettings } from "../settings.ts";
import { openExec } from "./tool.ts";

const exec = openExec(defaultToolSettings);
const processes = openProcess();

/** A command that ends when it is told to. */
function fakeCommand(
  id: string,
  output = "",
  more: { readonly hasTerminal?: boolean; readonly droppedChars?: number } = {},
) {
  const written: string[] = [];
  const acts: string[] = [];
  let text = output;
  let polled = 0;
  const state: { exit: RunningCommand["exit"] } = { exit: undefined };
  const command: RunningCommand = {
    id,
    command: `cmd ${id}`,
    startedAtMs: 0,
    get exit() {
      return state.exit;
    },
    hasTerminal: more.hasTerminal ?? false,
    output: () => ({ text, droppedChars: more.droppedChars ?? 0 }),
    lines: async (offset, limit) => {
      const lines = text.split("\n").slice(0, -1);
      const first = offset ?? lines.length - limit + 1;
      return { first, lines: lines.slice(first - 1, first - 1 + limit), total: lines.length };
    },
    poll: () => {
      const fresh = text.slice(polled);
      polled = text.length;
      return fresh;
    },
    write: (data) => void written.push(data),
    paste: (data) => void written.push(`<${data}>`),
    closeInput: () => void acts.push("closeInput"),
    kill: async () => {
      acts.push("kill");
      state.exit ??= { code: null, signal: "SIGTERM", timedOut: false };
    },
    wait: async (ms) => void acts.push(`wait ${ms}`),
    remove: () => void acts.push("remove"),
  };
  return { command, state, written, acts, print: (more: string) => (text += more) };
}

function powers(commands: readonly RunningCommand[], signal = new AbortController().signal) {
  const started: CommandRequest[] = [];
  const shown: string[] = [];
  const value: Powers = {
    workspace: {} as Powers["workspace"],
    web: {} as Powers["web"],
    commands: {
      start: async (request) => {
        started.push(request);
        assert.ok(commands[0]);
        return commands[0];
      },
      list: () => commands,
      get: (id) => commands.find((command) => command.id === id),
    },
    signal,
    progress: (text) => void shown.push(text),
  };
  return { value, started, shown };
}

test("tools (1): exec plans exactly the command that it starts", async () => {
  const args = { command: "make test", workdir: "a", env: { CI: "1" }, timeoutSeconds: 5 };
  assert.deepEqual(schema.check(exec.spec.parameters, args), []);
  assert.deepEqual(exec.plan(args), [
    { kind: "command", command: "make test", workdir: "a", env: { CI: "1" }, background: false },
  ]);
  assert.deepEqual(exec.plan({ command: "ls" }), [
    { kind: "command", command: "ls", workdir: ".", env: {}, background: false },
  ]);
  const fake = fakeCommand("1");
  fake.state.exit = { code: 0, signal: null, timedOut: false };
  const { value, started } = powers([fake.command]);
  await exec.run(args, value);
  assert.deepEqual(started, [{ command: "make test", workdir: "a", env: { CI: "1" }, timeoutMs: 5000 }]);
});

for (const args of [{ host: "node" }, { node: "mac" }]) {
  test(`exec refuses ${JSON.stringify(args)}, which does not exist yet`, () => {
    assert.throws(
      () => exec.plan({ command: "ls", ...args }),
      (error) => error instanceof InputError && /not available yet/.test(error.message),
    );
  });
}

test("exec says when it would leave the sandbox, and when it is to be asked about: policy decides, and only tightens", async () => {
  const [effect] = exec.plan({ command: "ls", elevated: true, ask: "always" });
  assert.ok(effect?.kind === "command");
  assert.deepEqual([effect.elevated, effect.ask], [true, "always"]);
  const [looser] = exec.plan({ command: "ls", ask: "off", elevated: false });
  assert.ok(looser?.kind === "command");
  assert.deepEqual([looser.elevated, looser.ask], [undefined, undefined]);
  const fake = fakeCommand("9", "x");
  fake.state.exit = { code: 0, signal: null, timedOut: false };
  await exec.run({ command: "x", elevated: true, yieldMs: 0 }, powers([fake.command]).value);
  assert.deepEqual(fake.acts, [], "it had ended");
});

test("exec refuses what no program can be given, and says so", () => {
  assert.throws(
    () => exec.plan({ command: "echo a\0b" }),
    (error) => error instanceof InputError && /NUL/.test(error.message),
  );
  assert.notDeepEqual(schema.check(exec.spec.parameters, { command: `echo ${"x".repeat(1_000_000)}` }), []);
});

test("exec does not know fields by which a model would permit its own command", () => {
  for (const extra of [
    { security: "full" },
    { approved: true },
    { approvalId: "x" },
    { sandbox: false },
    { timeoutSeconds: 1e9 },
  ])
    assert.notDeepEqual(schema.check(exec.spec.parameters, { command: "ls", ...extra }), []);
  for (const host of ["auto", "gateway", "sandbox"])
    assert.equal(exec.plan({ command: "ls", host }).length, 1);
});

test("exec gives the output, and how the command ended when that was no success", async () => {
  const ends: readonly (readonly [NonNullable<RunningCommand["exit"]>, string, boolean])[] = [
    [{ code: 0, signal: null, timedOut: false }, "out", false],
    [{ code: 2, signal: null, timedOut: false }, "out\n[exit code 2]", true],
    [{ code: null, signal: "SIGKILL", timedOut: false }, "out\n[ended by SIGKILL]", true],
    [{ code: null, signal: "SIGTERM", timedOut: true }, "out\n[ended: it took too long]", true],
  ];
  for (const [exit, text, isError] of ends) {
    const fake = fakeCommand("1", "out");
    fake.state.exit = exit;
    const output = await exec.run({ command: "x" }, powers([fake.command]).value);
    assert.deepEqual([output.text, output.isError], [text, isError]);
  }
});

test("exec leaves a long command in the background, at once when asked, and shows its progress before", async () => {
  const fake = fakeCommand("7", "so far");
  const slow = powers([fake.command]);
  const output = await exec.run({ command: "x", yieldMs: 2500 }, slow.value);
  assert.deepEqual(fake.acts, ["wait 1000", "wait 1000", "wait 500"]);
  assert.deepEqual(slow.shown, ["so far", "so far", "so far"]);
  assert.match(output.text, /still running as sessionId 7[^\n]*\nso far$/);
  assert.equal(output.isError, false);
  const other = fakeCommand("8");
  await exec.run({ command: "x", background: true }, powers([other.command]).value);
  assert.deepEqual(other.acts, []);
});

test("a cancelled turn ends the command that it waits for, and no other", async () => {
  const fake = fakeCommand("1", "half");
  const output = await exec.run({ command: "x" }, powers([fake.command], AbortSignal.abort()).value);
  assert.deepEqual(fake.acts, ["kill"]);
  assert.match(output.text, /cancelled[^\n]*\nhalf/);
  const background = fakeCommand("2");
  await exec.run({ command: "x", background: true }, powers([background.command], AbortSignal.abort()).value);
  assert.deepEqual(background.acts, []);
});

test("process looks after commands", async () => {
  const fake = fakeCommand("1", "a\nb\nc\n");
  const other = fakeCommand("2");
  other.state.exit = { code: 3, signal: null, timedOut: false };
  const { value } = powers([fake.command, other.command]);
  const run = async (args: object) => {
    assert.deepEqual(schema.check(processes.spec.parameters, args), []);
    return (await processes.run(args, value)).text;
  };
  assert.equal(await run({ action: "list" }), "1  running  cmd 1\n2  exit code 3  cmd 2");
  assert.equal(await run({ action: "poll", sessionId: "1", timeout: 50 }), "[running]\na\nb\nc\n");
  assert.equal(await run({ action: "poll", sessionId: "1" }), "[running]\n(no new output)");
  assert.equal(
    await run({ action: "log", sessionId: "1", offset: 2, limit: 1 }),
    "[running]\nb\n[lines 2-2 of 3; go on with offset 3]",
  );
  assert.equal(await run({ action: "log", sessionId: "1", limit: 2 }), "[running]\nb\nc\n[lines 2-3 of 3]");
  await run({ action: "write", sessionId: "1", data: "x", eof: true });
  await run({ action: "paste", sessionId: "1", data: "y" });
  await run({ action: "submit", sessionId: "1", data: "z" });
  await run({ action: "send-keys", sessionId: "1", keys: ["q", "Enter", "C-c", "Up"] });
  assert.deepEqual(fake.written, ["x", "<y>", "z\n", "q\n\u0003\u001b[A"]);
  assert.match(await run({ action: "kill", sessionId: "1" }), /ended by SIGTERM/);
  await run({ action: "remove", sessionId: "1" });
  assert.match(await run({ action: "clear" }), /Forgot 2/);
  assert.deepEqual(fake.acts, ["wait 50", "closeInput", "kill", "kill", "remove", "remove"]);
  assert.deepEqual(other.acts, ["remove"]);
});

test("exec asks for a terminal as it planned it, and in one Enter is the key that a person presses", async () => {
  const args = { command: "top", pty: true };
  assert.deepEqual(exec.plan(args), [
    { kind: "command", command: "top", workdir: ".", env: {}, background: false, pty: true },
  ]);
  const fake = fakeCommand("1", "", { hasTerminal: true });
  const { value, started } = powers([fake.command]);
  await exec.run({ ...args, background: true }, value);
  assert.equal(started[0]?.pty, true);
  await processes.run({ action: "submit", sessionId: "1", data: "x" }, value);
  await processes.run({ action: "send-keys", sessionId: "1", keys: ["Enter", "M-x", "F5", "BTab"] }, value);
  assert.deepEqual(fake.written, ["x\r", "\r\u001bx\u001b[15~\u001b[Z"]);
});

test("exec tells how to read what came before the output that it gives", async () => {
  const fake = fakeCommand("c0ffee", "end\n", { droppedChars: 7 });
  fake.state.exit = { code: 0, signal: null, timedOut: false };
  const { text } = await exec.run({ command: "x" }, powers([fake.command]).value);
  assert.equal(
    text,
    "[7 characters came before this; to read them: process, action log, sessionId c0ffee, offset 1]\nend\n",
  );
});

test("process says of a command that ended with its gateway that it did", async () => {
  const fake = fakeCommand("1");
  fake.state.exit = { code: null, signal: null, timedOut: false, lost: true };
  const { text } = await processes.run({ action: "list" }, powers([fake.command]).value);
  assert.equal(text, "1  ended with the gateway that ran it  cmd 1");
});

test("tools (1): process plans name the command that they are about; a call without one is refused", async () => {
  assert.deepEqual(processes.plan({ action: "list" }), [{ kind: "process", action: "list" }]);
  assert.deepEqual(processes.plan({ action: "write", sessionId: "1", data: "x" }), [
    { kind: "process", action: "write", processId: "1", input: "x" },
  ]);
  assert.throws(() => processes.plan({ action: "poll" }), InputError);
  const { value } = powers([fakeCommand("1").command]);
  for (const args of [
    { action: "poll", sessionId: "2" },
    { action: "write", sessionId: "1" },
    { action: "send-keys", sessionId: "1" },
    { action: "send-keys", sessionId: "1", keys: ["C-foo"] },
  ])
    await assert.rejects(processes.run(args, value), InputError, JSON.stringify(args));
});
