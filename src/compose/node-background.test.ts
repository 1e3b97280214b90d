import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { InputError, systemRandom } from "../kernel/mod.ts";
import type { NodeRun } from "../sandbox/node.ts";
import { createNodeBackground } from "./node-background.ts";

const over: NodeRun = { ran: true, exitCode: 0, timedOut: false, stdout: "out", stderr: "err" };

function scene() {
  const logged: string[] = [];
  const background = createNodeBackground({
    clock: new ManualClock(),
    random: systemRandom,
    log: (_level, message) => void logged.push(message),
  });
  const started = (session = "s") => {
    const end = Promise.withResolvers<NodeRun>();
    let say = (_text: string) => {};
    const command = background.start(session, "make", (signal, output) => {
      say = output;
      signal.addEventListener("abort", () => end.resolve({ ran: false, message: "CANCELLED" }));
      return end.promise;
    });
    return { command, say: (text: string) => say(text), ...end };
  };
  return { background, started, logged };
}

test("nodes: so many commands of a conversation run on nodes at once; what ended long ago makes room", async () => {
  const { background, started } = scene();
  const running = Array.from({ length: 16 }, () => started());
  assert.throws(() => started(), /16 commands run on nodes already/);
  started("another");
  for (const item of running) {
    item.resolve(over);
    await item.command.ended;
  }
  for (let index = 0; index < 20; index++) {
    const item = started();
    item.resolve(over);
    await item.command.ended;
  }
  const list = background.of("s").list();
  assert.equal(list.length, 32);
  assert.equal(list.includes(running[0]?.command as never), false, "the oldest is forgotten");
  for (const item of list) item.remove();
  assert.deepEqual(background.of("s").list(), []);
  assert.equal(background.of("another").list().length, 1);
  await background.close();
  assert.equal(background.of("another").list()[0]?.exit?.code, null);
});

test("nodes: what a command printed is kept up to a length, and polled once", async () => {
  const { started } = scene();
  const { command, say, resolve } = started();
  say("a".repeat(150_000));
  assert.equal(command.poll().length, 150_000);
  say("b".repeat(100_000));
  assert.deepEqual([command.output().text.length, command.output().droppedChars], [200_000, 50_000]);
  assert.equal(command.poll(), "b".repeat(100_000));
  assert.equal(command.poll(), "");
  say("c".repeat(300_000));
  assert.equal(command.poll(), "c".repeat(200_000), "what was dropped before it was polled is gone");
  resolve(over);
  await command.ended;
  assert.equal(command.poll(), "", "the result repeats what was streamed");
  assert.deepEqual(await command.lines(undefined, 5), { first: 1, lines: ["c".repeat(200_000)], total: 1 });
  const silent = started();
  assert.deepEqual(await silent.command.lines(undefined, 5), { first: 1, lines: [], total: 0 });
  silent.resolve(over);
  await silent.command.ended;
  assert.equal(silent.command.poll(), "outerr");
});

test("nodes: a command that could not be sent has ended, and says so without what only the log may know", async () => {
  const { started, logged } = scene();
  const refused = started();
  refused.reject(new InputError("no node"));
  assert.deepEqual(await refused.command.ended, { ran: false, message: "no node" });
  const failed = started();
  failed.reject(new Error("/secret/path"));
  await failed.command.ended;
  assert.doesNotMatch(failed.command.output().text, /secret/);
  assert.deepEqual(logged, ["a command on a node failed"]);
  for (const type of [
    () => failed.command.write("x"),
    () => failed.command.paste("x"),
    () => failed.command.closeInput(),
  ])
    assert.throws(type, /takes no input/);
});
