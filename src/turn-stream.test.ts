import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../test/support/telegram/manual-clock.ts";
import type { OutboxRow } from "./delivery/mod.ts";
import { silentLog } from "./kernel/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import type { Turn, TurnParts } from "./turn-parts.ts";
import { blockEnd, createReplyStreams, endOfStatus, overDraft } from "./turn-stream.ts";

const soon = () => new Promise((resolve) => setImmediate(resolve));
const long = (text: string) => `${text} `.repeat(10);

test("streaming (2): the end of a reply waits for the edit that is on its way, and none leaves after it", async () => {
  let draft: OutboxRow | undefined;
  const edits: string[] = [];
  let answer = () => {};
  const parts = {
    clock: new ManualClock(),
    log: silentLog,
    commit: async () => {},
    outbox: {
      insert: (row: OutboxRow) => {
        draft = { ...row, state: "sent", platformId: "p1" };
      },
      byId: () => draft,
    },
    sender: { offer: () => {} },
    media: { settings: () => ({ responsePrefix: undefined }) },
    agentSettings: () => ({ identityName: undefined }),
    channelTextLimit: () => 1000,
    live: {
      manner: () => ({ mode: "partial" }),
      turn: async () => {},
      edit: (_row: unknown, platformId: string, text: string) => {
        edits.push(text);
        return new Promise((resolve) => {
          answer = () => resolve({ outcome: "sent", platformId });
        });
      },
    },
  } as unknown as TurnParts;
  const task = {
    row: { messageId: "m", channel: "c", account: "", reply: { conversation: { kind: "direct", id: "1" } } },
    choice: { provider: "p", model: "m" },
    session: { current: {} },
  } as unknown as Turn;
  const log = { recordEffect: (kind: string) => kind } as unknown as TurnLog;
  const stream = createReplyStreams(parts, log).begin(task);
  assert.ok(stream);
  stream.show(long("one"));
  await soon();
  assert.equal(draft?.message.text, long("one").trimEnd());
  stream.show(long("one two"));
  await soon();
  stream.show(long("one two three"));
  let isSettled = false;
  const settling = stream.settle().then((writes) => {
    isSettled = true;
    return writes;
  });
  await soon();
  assert.equal(isSettled, false);
  answer();
  assert.deepEqual(await settling, ["effect.end"]);
  stream.show(long("one two three four"));
  await soon();
  assert.deepEqual(edits, [long("one two").trimEnd()]);
});

const steps = { mode: "block", minChars: 20, maxChars: 40, label: "", showsTools: false } as const;

test("streaming (4): a step ends behind a paragraph, a line, a sentence or a word, the largest of them that there is", () => {
  const of = (text: string, from = 0) => text.slice(from, blockEnd(text, from, steps));
  assert.equal(of("a".repeat(19)), "", "too little");
  assert.equal(of("a".repeat(39)), "", "no end yet");
  assert.equal(of("a".repeat(50)), "a".repeat(40), "cut, where it never ends");
  const words = "one two three four five six seven eight nine";
  assert.equal(of(words), "one two three four five six seven eight ");
  assert.equal(of(`one two three four five. six seven eight`), "one two three four five.");
  assert.equal(of(`one two three four five.\nsix. seven eight`), "one two three four five.\n");
  assert.equal(of(`one two three four five\n\nsix\nseven. eight`), "one two three four five\n\n");
  assert.equal(
    of(`${words} and ten and eleven and twelve and more`, 40),
    "nine and ten and eleven and twelve and ",
  );
});

test("streaming (4): steps never go back, never leave the text and have their size, whatever the text is", () => {
  const text = fc.string({ unit: fc.constantFrom("a", " ", ".", "\n", "é"), maxLength: 300 });
  fc.assert(
    fc.property(text, fc.nat(300), (whole, start) => {
      const from = Math.min(start, whole.length);
      const end = blockEnd(whole, from, steps);
      assert.ok(end === from || (end - from >= steps.minChars && end - from <= steps.maxChars));
      assert.ok(end <= whole.length);
      if (whole.length - from >= steps.maxChars) assert.ok(end > from);
    }),
    { numRuns: 300 },
  );
});

const outboxRow = (id: string, message: object): OutboxRow =>
  ({ id, state: "sent", platformId: "p1", attempts: 1, message: { id, text: "", ...message } }) as OutboxRow;

test("streaming (5): the end edits the first message; a sign of work never stays, also where the end has no text", () => {
  const draft = outboxRow("m:000", { text: "Working", isStatus: true });
  const ids = (rows: readonly OutboxRow[]) =>
    rows.map(({ id, message }) => [id, message.id, message.text, message.edits ?? ""].join(" "));
  const text = outboxRow("m:000", { text: "whole" });
  const file = outboxRow("m:000", { file: { path: "/x" } });
  const next = outboxRow("m:001", { file: { path: "/y" } });
  assert.deepEqual(ids(overDraft([text, next], draft)), ["m:000e m:000e whole m:000", "m:001 m:001  "]);
  assert.deepEqual(ids(overDraft([text], undefined)), ["m:000 m:000 whole "]);
  assert.deepEqual(ids(overDraft([file, next], draft)), [
    "m:000e m:000e ✓ m:000",
    "m:000f m:000f  ",
    "m:001 m:001  ",
  ]);
  const piece = outboxRow("m:000", { text: "The first" });
  assert.deepEqual(ids(overDraft([file], piece)), ["m:000f m:000f  "]);
  assert.deepEqual(overDraft([], piece), []);
  const [end] = endOfStatus(draft, "Stopped.");
  assert.deepEqual([end?.state, end?.platformId, end?.message.isStatus], ["pending", undefined, undefined]);
  assert.deepEqual([endOfStatus(piece, "x"), endOfStatus(undefined, "x")], [[], []]);
});
