import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvents } from "../../control/mod.ts";
import { createRunTap, createSpokenText } from "./run-tap.ts";

type Heard = string | "again" | "tool";

/** What is sent for what is heard; the last is the rest after `final`. */
const streams: readonly (readonly [
  what: string,
  heard: readonly Heard[],
  final: string,
  sent: readonly string[],
])[] = [
  ["an answer that grows", ["a", "ab", "abc"], "abc", ["a", "b", "c", ""]],
  ["an answer that was never heard", [], "abc", ["abc"]],
  ["no answer at all", [], "", [""]],
  ["an end that was not heard", ["a"], "abc", ["a", "bc"]],
  ["an answer after a tool", ["a", "tool", "b"], "b", ["a", "\n\nb", ""]],
  [
    "an answer after a tool that begins like the one before",
    ["I", "tool", "I see"],
    "I see",
    ["I", "\n\nI see", ""],
  ],
  ["a tool before any word", ["tool", "b"], "b", ["b", ""]],
  ["a repeat with the same words", ["ab", "again", "a", "ab", "abc"], "abc", ["ab", "", "", "c", ""]],
  ["a repeat with other words", ["ab", "again", "x", "xy"], "xy", ["ab", "\n\nx", "y", ""]],
];

for (const [what, heard, final, expected] of streams) {
  test(`http-api: what was sent is never taken back: ${what}`, () => {
    const spoken = createSpokenText();
    const sent: string[] = [];
    for (const item of heard) {
      if (item === "again") spoken.again();
      else if (item === "tool") spoken.tool();
      else sent.push(spoken.heard(item));
    }
    assert.deepEqual([...sent, spoken.rest(final)], expected);
  });
}

test("http-api: a follower hears its own run from where it began, and nothing after it left", () => {
  const tap = createRunTap();
  const told: string[] = [];
  const inner = {
    delta: (delta: string) => told.push(delta),
    retrying: () => told.push("retry"),
    toolStart: () => told.push("tool"),
  } as unknown as RunEvents;
  const mine = tap.tee(inner, "mine");
  const other = tap.tee(inner, "other");
  const heard: string[] = [];
  const leave = tap.follow("mine", {
    text: (soFar) => heard.push(soFar),
    again: () => heard.push("again"),
    tool: () => heard.push("tool"),
  });
  mine.delta("a", "a");
  other.delta("x", "x");
  mine.retrying({});
  mine.toolStart({ toolCallId: "1", name: "read", args: {}, title: "read" });
  leave();
  mine.delta("b", "ab");
  assert.deepEqual(heard, ["a", "again", "tool"]);
  assert.deepEqual(told, ["a", "x", "retry", "tool", "b"]);
});
