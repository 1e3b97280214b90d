import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../test/support/telegram/manual-clock.ts";
import type { BotApi } from "./bot-api.ts";
import { TypingNotes } from "./typing.ts";

const direct = (id: string) => ({ kind: "direct", id }) as const;

function notes() {
  const clock = new ManualClock();
  let calls = 0;
  const api: BotApi = {
    call: () => {
      calls += 1;
      return Promise.reject(new Error("typing never fails aloud"));
    },
    download: () => assert.fail("nothing is fetched"),
  };
  return { clock, typing: new TypingNotes(api, clock), calls: () => calls };
}

test("typing is shown at most once in four seconds for a conversation", () => {
  const { clock, typing, calls } = notes();
  typing.show(direct("1"));
  typing.show(direct("1"));
  typing.show(direct("2"));
  typing.show({ kind: "group", id: "1", threadId: "8" });
  assert.equal(calls(), 3);
  clock.advance(3_999);
  typing.show(direct("1"));
  assert.equal(calls(), 3);
  clock.advance(1);
  typing.show(direct("1"));
  assert.equal(calls(), 4);
});

test("a flood of conversations is not remembered, and the recent ones still are", () => {
  const { typing, calls } = notes();
  for (let id = 1; id <= 1_001; id += 1) typing.show(direct(String(id)));
  typing.show(direct("1001"));
  assert.equal(calls(), 1_001);
  typing.show(direct("1"));
  assert.equal(calls(), 1_002);
});
