import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../kernel/mod.ts";
import { composeVoicewake } from "./voicewake.ts";

/** A list of words that is written when the test says so. */
function slowFile() {
  const writes: { readonly value: unknown; readonly end: (error?: Error) => void }[] = [];
  const told: unknown[] = [];
  const voicewake = composeVoicewake({
    file: {
      path: "voicewake.json",
      read: async () => undefined,
      write: (value) =>
        new Promise((resolve, reject) => {
          writes.push({ value, end: (error) => (error ? reject(error) : resolve()) });
        }),
    },
    hub: { send: (_event, _audience, payload) => void told.push(payload), all: () => [] },
    clock: systemClock,
    log: () => {},
  });
  const words = () => writes.map(({ value }) => (value as { triggers: unknown }).triggers);
  return { writes, told, voicewake, words };
}

const turn = () => new Promise(setImmediate);

test("voicewake: one list is written at a time, so the last that was set is the file's and the last that is told", async () => {
  const { writes, told, voicewake, words } = slowFile();
  const both = Promise.all([voicewake.set(["a"]), voicewake.set(["b"])]);
  await turn();
  assert.deepEqual(words(), [["a"]], "the second waits");
  assert.deepEqual(told, [], "nobody is told before it is kept");
  writes[0]?.end();
  await turn();
  assert.deepEqual(words(), [["a"], ["b"]]);
  writes[1]?.end();
  assert.deepEqual(await both, [["a"], ["b"]]);
  assert.deepEqual(told, [{ triggers: ["a"] }, { triggers: ["b"] }]);
  assert.deepEqual(await voicewake.get(), ["b"]);
});

test("voicewake: a list that could not be written is nobody's, and the next one is taken", async () => {
  const { writes, told, voicewake } = slowFile();
  const first = assert.rejects(voicewake.set(["a"]), /disk full/);
  const second = voicewake.set(["b"]);
  await turn();
  writes[0]?.end(new Error("disk full"));
  await first;
  await turn();
  writes[1]?.end();
  assert.deepEqual(await second, ["b"]);
  assert.deepEqual(told, [{ triggers: ["b"] }]);
});
