import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../test/support/telegram/manual-clock.ts";
import type { OutboxRow } from "./delivery/mod.ts";
import { silentLog } from "./kernel/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import type { Turn, TurnParts } from "./turn-parts.ts";
import { createReplyStreams } from "./turn-stream.ts";

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
      isOn: () => true,
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
