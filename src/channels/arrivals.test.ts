import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { InboundMessage } from "../delivery/channel.ts";
import { admit, type Json } from "../kernel/mod.ts";
import { Arrivals } from "./arrivals.ts";

const clock = { now: () => 0, monotonic: () => 0, after: () => () => {} };
const random = { bytes: (length: number) => Buffer.alloc(length, 1) };

/** An event is [conversation, id]. */
function read(event: Json): InboundMessage | undefined {
  const [chat, id] = event as [string, string];
  if (chat === "broken") throw new Error("cannot be read");
  return {
    ...{ channel: "x", account: "default", eventId: id, messageId: id, text: id },
    conversation: { kind: "direct", id: chat },
    sender: { id: chat, proof: "platform" },
    ...{ mentionsBot: false, repliesToBot: false, isBot: false },
  };
}

function stage(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "arrivals-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const logged: string[] = [];
  let looking = () => {};
  const open = (accept: (message: InboundMessage) => Promise<void>, signal = new AbortController().signal) =>
    new Arrivals({
      ...{ name: "x", folder, clock, random, signal, behind: () => {} },
      read(event) {
        looking();
        return read(event);
      },
      log: (_level, text) => logged.push(text),
      host: {
        report: () => {},
        newestNumbers: () => new Map(),
        async accept(message) {
          await accept(message);
          return admit({ messageId: message.eventId });
        },
      },
    });
  const file = join(folder, "arrivals.jsonl");
  const look = (action: () => void) => {
    looking = action;
  };
  return { open, logged, file, look };
}

test("arrivals: what is on its way is not handed in twice, and one that cannot be read stops nobody", async (t) => {
  const { open, logged } = stage(t);
  const seen: string[] = [];
  const stored = Promise.withResolvers<void>();
  const arrivals = open(async ({ eventId }) => {
    seen.push(eventId);
    await stored.promise;
  });
  for (const event of [
    ["a", "1"],
    ["a", "1"],
    ["broken", "2"],
    ["b", "3"],
  ])
    arrivals.take(event);
  stored.resolve();
  await arrivals.idle();
  assert.deepEqual(seen, ["1", "3"]);
  assert.equal(logged.length, 1);
  arrivals.take(["a", "1"]);
  await arrivals.idle();
  assert.deepEqual(seen, ["1", "3", "1"], "a repeat after that is the gateway's to recognise");
});

test("arrivals: the file is 600, goes on from its mark, and outlives torn lines and a stop", async (t) => {
  const { open, file } = stage(t);
  const stopping = new AbortController();
  const first = open(async () => {
    stopping.abort();
    throw new Error("disk full");
  }, stopping.signal);
  first.take(["a", "1"], "m1");
  first.take(["a", "2"], "m2");
  await first.idle();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  writeFileSync(file, `${readFileSync(file, "utf8")}{"id":"3","ev`);
  const seen: string[] = [];
  const next = open(async ({ eventId }) => {
    seen.push(eventId);
  });
  assert.equal(next.mark, "m2");
  next.takeLeft();
  await next.idle();
  assert.deepEqual(seen, ["1", "2"]);
  assert.equal(readFileSync(file, "utf8"), '{"done":"2","mark":"m2"}\n');
});

test("arrivals: more than a thousand at once wait, and are let in as others are stored", async (t) => {
  const { open } = stage(t);
  const stored = Promise.withResolvers<void>();
  const arrivals = open(() => stored.promise);
  for (let id = 0; id < 1_000; id += 1) arrivals.take(["a", String(id)]);
  let isIn = false;
  const room = arrivals.room().then(() => {
    isIn = true;
  });
  await new Promise(setImmediate);
  assert.equal(isIn, false);
  stored.resolve();
  await room;
  await arrivals.idle();
});

test("arrivals: what was left is in the file at every moment until it is stored", async (t) => {
  const { open, file, look } = stage(t);
  const stopping = new AbortController();
  const first = open(async () => {
    stopping.abort();
    throw new Error("disk full");
  }, stopping.signal);
  for (const id of ["1", "2", "3"]) first.take(["a", id]);
  await first.idle();
  const holds = () =>
    ["1", "2", "3"].filter((id) =>
      readFileSync(file, "utf8").includes(JSON.stringify({ id, event: ["a", id] })),
    );
  const stored = Promise.withResolvers<void>();
  const next = open(() => stored.promise);
  let looks = 0;
  look(() => {
    looks += 1;
    assert.deepEqual(holds(), ["1", "2", "3"]);
  });
  next.takeLeft();
  assert.deepEqual([looks, holds()], [3, ["1", "2", "3"]]);
  stored.resolve();
  await next.idle();
  assert.deepEqual(holds(), []);
});
