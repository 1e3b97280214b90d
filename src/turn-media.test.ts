import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../test/support/telegram/manual-clock.ts";
import type { InboxRow, KeptAttachment } from "./delivery/mod.ts";
import { silentLog } from "./kernel/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import { createTurnMedia } from "./turn-media.ts";
import type { TurnParts } from "./turn-parts.ts";

/** A turn's files with a platform that answers nothing until it is told to give up. */
function scene() {
  const clock = new ManualClock();
  const kept: (readonly KeptAttachment[])[] = [];
  const asked: string[] = [];
  const parts = {
    clock,
    log: silentLog,
    redact: (text: string) => text,
    commit: async () => {},
    inbox: { keepAttachments: (_id: string, files: readonly KeptAttachment[]) => void kept.push(files) },
    media: {
      settings: () => ({ fileBytes: 1000 }),
      fetch: (_row: InboxRow, reference: string, _maxBytes: number, signal: AbortSignal) => {
        asked.push(reference);
        return new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new Error("cut"))),
        );
      },
    },
  } as unknown as TurnParts;
  const log = { recordEffect: () => ({}), recordVerdict: () => ({}) } as unknown as TurnLog;
  const attachments: readonly KeptAttachment[] = ["a", "b"].map((reference) => ({ kind: "file", reference }));
  const row = { messageId: "m", channel: "c", account: "", text: "hi", attachments } as InboxRow;
  return { clock, kept, asked, row, media: createTurnMedia(parts, log) };
}

test("media: a fetch that a stop cuts off is not noted as failed, so that the next start makes it again", async () => {
  const { kept, asked, row, media } = scene();
  const stop = new AbortController();
  const taken = media.takeIn(row, stop.signal);
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  assert.deepEqual((await taken).attachments, row.attachments);
  assert.deepEqual(asked, ["a"]);
  assert.deepEqual(kept, []);
});

test("media: all files of a message share one minute; what did not arrive is said", async () => {
  const { clock, kept, row, media } = scene();
  const taken = media.takeIn(row, new AbortController().signal);
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(60_000);
  await new Promise((resolve) => setImmediate(resolve));
  const { text } = await taken;
  assert.equal(text.match(/not received: it did not arrive in time/g)?.length, 2);
  assert.equal(kept.length, 2);
});
