import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { silentLog, type Write } from "../kernel/mod.ts";
import type { Channel, OutboundMessage, SendResult, WasSent } from "./channel.ts";
import { createOutboxSender } from "./outbox.ts";
import type { OutboxRow, OutboxState, OutboxStore } from "./queue.ts";

/** A write is an action here; a commit runs it, unless the disk is full. */
type Action = () => void;

function row(n: number, more: Partial<OutboxRow> = {}): OutboxRow {
  const id = `row-${n}`;
  return {
    id,
    messageId: `message-${n}`,
    runId: `run-${n}`,
    channel: "chat",
    account: "default",
    message: { id, conversation: { kind: "direct", id: "ada" }, text: `text ${n}` },
    state: "pending",
    attempts: 0,
    notBefore: 0,
    createdAt: 0,
    updatedAt: 0,
    ...more,
  };
}

function bench(input: {
  readonly left?: readonly OutboxRow[];
  readonly send?: (text: string, n: number) => SendResult | Promise<SendResult>;
  readonly wasSent?: (n: number, message: OutboundMessage) => WasSent;
  readonly newest?: () => string | undefined;
  readonly hasDoubtBeside?: boolean;
  readonly edit?: (platformId: string, text: string, n: number) => SendResult;
  readonly configured?: boolean;
  readonly isConnected?: () => boolean;
}) {
  const clock = new ManualClock();
  const rows = new Map((input.left ?? []).map((item) => [item.id, item]));
  const steps: string[] = [];
  const said: string[] = [];
  const places: (string | undefined)[] = [];
  let diskFull = false;
  let sends = 0;
  let asks = 0;
  const store: OutboxStore = {
    insert: (item) => (() => void rows.set(item.id, item)) as unknown as Write,
    move: (id, change) =>
      (() => {
        const before = rows.get(id) ?? row(0, { id });
        const { at, sentAfterMessageId, givenUpAfterMessageId, counted, ...rest } = change;
        if (counted) places.push(`${counted.of.account} ${counted.counter} ${counted.number}`);
        if (rest.state === "sending") places.push(sentAfterMessageId);
        if (rest.state === "unknown") places.push(`given up after ${givenUpAfterMessageId}`);
        rows.set(id, { ...before, ...rest, updatedAt: at });
      }) as unknown as Write,
    open: () => [...rows.values()].filter((item) => item.state === "pending" || item.state === "sending"),
    byId: (id) => rows.get(id),
    byMessageId: () => [],
    newest: () => new Map(),
    hasPlatformId: () => false,
    hasDoubtBeside: () => input.hasDoubtBeside === true,
    inDoubt: () => [],
  };
  const { send, wasSent, edit, newest } = input;
  let edits = 0;
  const channel: Channel = {
    id: "chat",
    account: "default",
    limits: { textChars: 100 },
    start: async () => {},
    stop: async () => {},
    typing: () => {},
    async send(message) {
      said.push(message.text);
      return (await send?.(message.text, ++sends)) ?? { outcome: "sent", platformId: `p${said.length}` };
    },
    ...(wasSent ? { wasSent: async (message: OutboundMessage) => wasSent(++asks, message) } : {}),
    ...(newest ? { newestMessageId: newest, counterOf: ({ id }) => `counter of ${id}` } : {}),
    get isConnected() {
      return input.isConnected?.() ?? true;
    },
    ...(edit ? { edit: async (_conversation, id, text) => edit(id, text, ++edits) } : {}),
  };
  const ended: string[] = [];
  const sender = createOutboxSender({
    store,
    clock,
    log: silentLog,
    commit: async (writes) => {
      if (diskFull) throw new Error("disk full");
      for (const write of writes) (write as unknown as Action)();
    },
    settled: (item, state) => void ended.push(`${item.id} ${state}`),
    channel: () => (input.configured === false ? undefined : channel),
    record: (item, step) => (() => void steps.push(`${item.id} ${step}`)) as unknown as Write,
  });
  return {
    clock,
    sender,
    steps,
    said,
    places,
    ended,
    state: (n: number): OutboxState | undefined => rows.get(`row-${n}`)?.state,
    stateOf: (id: string): OutboxState | undefined => rows.get(id)?.state,
    detail: (n: number) => rows.get(`row-${n}`)?.detail,
    platformId: (n: number) => rows.get(`row-${n}`)?.platformId,
    fill: (full: boolean) => {
      diskFull = full;
    },
    offer: (...items: OutboxRow[]) => {
      for (const item of items) rows.set(item.id, item);
      sender.offer(items);
    },
    get asks() {
      return asks;
    },
  };
}

/** Lets everything run that waits for nothing but other promises. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("delivery (3): `sending` is recorded before a message leaves, and its end after it", async () => {
  const order: string[] = [];
  const at = bench({
    send: () => {
      order.push(at.state(1) ?? "", ...at.steps);
      return { outcome: "sent", platformId: "42" };
    },
  });
  at.sender.resume();
  at.offer(row(1));
  await settled();
  assert.deepEqual(order, ["sending", "row-1 start"]);
  assert.deepEqual(at.steps, ["row-1 start", "row-1 sent"]);
  assert.deepEqual(at.ended, ["row-1 sent"]);
  assert.equal(at.platformId(1), "42");
});

test("delivery (4): one conversation's messages leave in order, whatever each takes; another is not held up", async () => {
  const held = Promise.withResolvers<SendResult>();
  const at = bench({
    send: (text) => (text === "text 1" ? held.promise : { outcome: "sent", platformId: "x" }),
  });
  at.sender.resume();
  at.offer(row(1), row(2), row(3));
  at.offer(row(4, { message: { id: "row-4", conversation: { kind: "direct", id: "ben" }, text: "text 4" } }));
  await settled();
  assert.deepEqual(at.said, ["text 1", "text 4"]);
  held.resolve({ outcome: "sent", platformId: "1" });
  await settled();
  assert.deepEqual(at.said, ["text 1", "text 4", "text 2", "text 3"]);
});

test("what is offered before the start waits behind what was left, and nothing is sent twice", async () => {
  const at = bench({ left: [row(1), row(2)] });
  at.offer(row(3));
  await settled();
  assert.deepEqual(at.said, []);
  at.sender.resume();
  await settled();
  assert.deepEqual(at.said, ["text 1", "text 2", "text 3"]);
});

test("a retry waits as long as the platform asks, grows by itself, and gives up visibly", async () => {
  const at = bench({ send: () => ({ outcome: "retry", retryAfterMs: 7000, detail: "slow down" }) });
  at.sender.resume();
  at.offer(row(1));
  await settled();
  assert.equal(at.state(1), "pending");
  assert.deepEqual(at.clock.waiting, [7000]);
  for (let n = 0; n < 11; n++) {
    at.clock.advance(300_000);
    await settled();
  }
  assert.equal(at.said.length, 12);
  assert.equal(at.state(1), "rejected");
  assert.equal(at.detail(1), "slow down");
});

test("rejected and unknown are final and visible; a channel that throws in mid-send is unknown", async () => {
  const at = bench({
    send: (text) => {
      if (text === "text 1") return { outcome: "rejected", detail: "blocked" };
      if (text === "text 2") return { outcome: "unknown", detail: "no answer" };
      throw new Error("oops");
    },
  });
  at.sender.resume();
  at.offer(row(1), row(2), row(3));
  await settled();
  assert.deepEqual([at.state(1), at.state(2), at.state(3)], ["rejected", "unknown", "unknown"]);
  assert.equal(at.said.length, 3);
});

test("a store that refuses: nothing leaves before its step is on disk", async () => {
  const at = bench({});
  at.sender.resume();
  at.fill(true);
  at.offer(row(1));
  await settled();
  assert.deepEqual(at.said, []);
  at.fill(false);
  at.clock.advance(5000);
  await settled();
  assert.deepEqual(at.said, ["text 1"]);
});

test("a store that refuses to note what was sent: it is noted later, and never sent again", async () => {
  const at = bench({
    send: () => {
      at.fill(true);
      return { outcome: "sent", platformId: "42" };
    },
  });
  at.sender.resume();
  at.offer(row(1));
  await settled();
  assert.equal(at.state(1), "sending");
  at.clock.advance(5000);
  await settled();
  at.fill(false);
  at.clock.advance(5000);
  await settled();
  assert.equal(at.state(1), "sent");
  assert.equal(at.said.length, 1);
});

const startMs = new ManualClock().now();
const lost = { outcome: "unknown", detail: "no answer" } as const;

const doubts = [
  { platform: "sent", state: "sent", said: 0 },
  { platform: "absent", state: "sent", said: 1 },
  { platform: "unknown", state: "unknown", said: 0 },
] as const;

for (const { platform, state, said } of doubts) {
  test(`delivery (3): what a crash left in mid-send and the platform calls ${platform} ends ${state}`, async () => {
    const at = bench({ left: [row(1, { state: "sending", attempts: 1 })], wasSent: () => platform });
    at.clock.advance(3000);
    at.sender.resume();
    await settled();
    assert.equal(at.state(1), state);
    assert.equal(at.said.length, said);
  });

  test(`delivery (3): what was sent, whose answer was lost, and the platform calls ${platform} ends ${state}`, async () => {
    const at = bench({
      send: (_text, n) => (n === 1 ? lost : { outcome: "sent", platformId: "42" }),
      wasSent: (n) => {
        if (n === 1) throw new Error("not reached");
        return platform;
      },
    });
    at.sender.resume();
    at.offer(row(1), row(2));
    await settled();
    assert.deepEqual([at.state(1), at.state(2), at.said], ["sending", "pending", ["text 1"]]);
    for (let n = 0; n < 3; n += 1) {
      at.clock.advance(1000);
      await settled();
    }
    assert.deepEqual([at.state(1), at.state(2)], [state, "sent"]);
    assert.deepEqual(at.said, said === 1 ? ["text 1", "text 1", "text 2"] : ["text 1", "text 2"]);
    if (state === "unknown") assert.equal(at.detail(1), "no answer; it may have been seen");
  });
}

test("delivery (3): what the platform lacks is believed only when no request can be on its way any more", async () => {
  for (const left of [true, false]) {
    let arrived = false;
    const at = bench({
      ...(left ? { left: [row(1, { state: "sending", attempts: 1, updatedAt: startMs })] } : {}),
      send: () => lost,
      wasSent: () => (arrived ? { platformId: "42" } : "absent"),
    });
    at.sender.resume();
    if (!left) at.offer(row(1));
    await settled();
    at.clock.advance(2999);
    await settled();
    assert.equal(at.state(1), "sending");
    arrived = true;
    at.clock.advance(1);
    await settled();
    assert.deepEqual([at.state(1), at.platformId(1), at.said.length], ["sent", "42", left ? 0 : 1]);
  }
});

test("delivery (3): what is lost again and again, and never there, is given up visibly", async () => {
  const at = bench({ send: () => lost, wasSent: () => "absent" });
  at.sender.resume();
  at.offer(row(1));
  for (let n = 0; n < 15; n += 1) {
    await settled();
    at.clock.advance(3000);
  }
  await settled();
  assert.deepEqual([at.state(1), at.said.length], ["rejected", 12]);
});

test("delivery (3): where the numbers stand is on disk before a message leaves, each time anew, and asked with", async () => {
  const newest = ["7", undefined, "9"];
  const asked: unknown[] = [];
  const at = bench({
    newest: () => newest.shift(),
    send: (_text, n) => (n < 3 ? { outcome: "retry", retryAfterMs: 0, detail: "slow down" } : lost),
    wasSent: (_n, { sentAfterMessageId }) => {
      asked.push(sentAfterMessageId);
      return "sent";
    },
  });
  at.sender.resume();
  at.offer(row(1));
  for (let n = 0; n < 3; n += 1) {
    await settled();
    at.clock.advance(10_000);
  }
  await settled();
  assert.deepEqual([at.places, asked, at.state(1)], [["7", undefined, "9"], ["9"], "sent"]);
});

test("delivery (3): the number that the platform gave a reply is stored with it, however it was learned", async () => {
  const platformIds = ["41", "no number"];
  const at = bench({
    newest: () => undefined,
    left: [row(1, { state: "sending", attempts: 1 })],
    wasSent: () => ({ platformId: "40" }),
    send: () => ({ outcome: "sent", platformId: platformIds.shift() ?? "" }),
  });
  at.sender.resume();
  at.offer(row(2));
  at.offer(row(3));
  await settled();
  const { id } = row(1).message.conversation;
  const stored = at.places.filter((place) => place?.startsWith("default"));
  assert.deepEqual(stored, [`default counter of ${id} 40`, `default counter of ${id} 41`]);
});

const completing = (more: Partial<OutboxRow> = {}) =>
  row(2, { message: { ...row(2).message, edits: "row-1" }, ...more });

test("delivery (8): what a platform names after a crash is the message that its end edits", async () => {
  const edited: string[] = [];
  const at = bench({
    left: [row(1, { state: "sending" }), completing()],
    wasSent: () => ({ platformId: "p7" }),
    edit: (platformId, text) => {
      edited.push(`${platformId} ${text}`);
      return { outcome: "sent", platformId };
    },
  });
  at.sender.resume();
  await settled();
  assert.deepEqual(edited, ["p7 text 2"]);
  assert.deepEqual([at.state(1), at.platformId(1), at.state(2)], ["sent", "p7", "sent"]);
  assert.deepEqual(at.said, []);
});

test("delivery (8): an edit of unknown fate is made again, after a crash as well, and nobody is asked about it", async () => {
  let made = 0;
  const at = bench({
    left: [row(1, { state: "sent", platformId: "p7" }), completing({ state: "sending", attempts: 1 })],
    wasSent: () => "unknown",
    edit: (platformId, _text, n) => {
      made = n;
      return n === 1 ? { outcome: "unknown", detail: "no answer" } : { outcome: "sent", platformId };
    },
  });
  at.sender.resume();
  await settled();
  assert.equal(at.state(2), "pending");
  at.clock.advance(60_000);
  await settled();
  assert.deepEqual([at.state(2), made, at.asks], ["sent", 2, 0]);
  assert.deepEqual(at.said, []);
});

const fates: readonly (readonly [Partial<OutboxRow>, OutboxState])[] = [
  [{ state: "unknown", detail: "no answer" }, "unknown"],
  [{ state: "rejected", detail: "blocked" }, "rejected"],
  [{ state: "dismissed" }, "unknown"],
  [{ state: "sent" }, "unknown"],
];

for (const [first, expected] of fates) {
  test(`delivery (8): the end of a message that is ${first.state} without an id is ${expected}, and never a message beside it`, async () => {
    const at = bench({ left: [row(1, first), completing()], edit: () => assert.fail("nothing to edit") });
    at.sender.resume();
    await settled();
    assert.equal(at.state(2), expected);
    assert.deepEqual(at.said, []);
  });
}

test("delivery (8): an edit that is surely refused becomes a message of its own, once, in the same commit", async () => {
  const at = bench({
    left: [row(1, { state: "sent", platformId: "p7" }), completing()],
    edit: () => ({ outcome: "rejected", detail: "message to edit not found" }),
  });
  at.sender.resume();
  await settled();
  assert.deepEqual([at.state(2), at.detail(2)], ["dismissed", "message to edit not found"]);
  assert.equal(at.stateOf("row-2n"), "sent");
  assert.deepEqual(at.said, ["text 2"]);
});

for (const state of ["unknown", "rejected"] as const) {
  test(`delivery (8): where a sign of work is ${state}, the reply is a message of its own, and asked about as one`, async () => {
    const status = row(1, { state, message: { ...row(1).message, isStatus: true } });
    const edit = () => assert.fail("nothing to edit");
    const at = bench({ left: [status, completing()], edit });
    at.sender.resume();
    await settled();
    assert.deepEqual([at.state(2), at.said], ["sent", ["text 2"]]);
    const killed = bench({
      left: [status, completing({ state: "sending", attempts: 1 })],
      edit,
      wasSent: () => ({ platformId: "p9", isExact: true }),
      hasDoubtBeside: true,
    });
    killed.sender.resume();
    await settled();
    assert.deepEqual([killed.state(2), killed.platformId(2), killed.said], ["sent", "p9", []]);
  });
}

test("delivery (3): what is found as no other that is known is unknown beside another message in doubt", async () => {
  for (const hasDoubtBeside of [false, true]) {
    const wasSent = () => ({ platformId: "77" });
    const at = bench({ left: [row(1, { state: "sending", attempts: 1 })], wasSent, hasDoubtBeside });
    at.sender.resume();
    await settled();
    assert.equal(at.state(1), hasDoubtBeside ? "unknown" : "sent");
    assert.equal(at.platformId(1), hasDoubtBeside ? undefined : "77");
    assert.equal(at.said.length, 0);
  }
});

test("delivery (3): where nobody can tell, a message in doubt is unknown, and what comes behind it is sent", async () => {
  for (const configured of [true, false]) {
    const at = bench({ left: [row(1, { state: "sending" })], configured });
    at.sender.resume();
    await settled();
    assert.equal(at.state(1), "unknown");
    assert.equal(at.said.length, 0);
  }
});

test("a platform that cannot be asked now is asked again, and in the end the doubt is shown", async () => {
  const at = bench({
    left: [row(1, { state: "sending" })],
    wasSent: (n) => {
      if (n < 3) throw new Error("not reached");
      return "sent";
    },
  });
  at.sender.resume();
  for (let n = 0; n < 3; n++) {
    await settled();
    at.clock.advance(60_000);
  }
  await settled();
  assert.equal(at.state(1), "sent");
  assert.equal(at.asks, 3);
  const never = bench({
    left: [row(1, { state: "sending" })],
    wasSent: () => {
      throw new Error("not reached");
    },
  });
  never.sender.resume();
  for (let n = 0; n < 9; n++) {
    await settled();
    never.clock.advance(300_000);
  }
  await settled();
  assert.equal(never.state(1), "unknown");
});

test("a channel that is not running holds its messages back, without counting attempts", async () => {
  const at = bench({ configured: false });
  at.sender.resume();
  at.offer(row(1));
  for (let n = 0; n < 20; n++) {
    await settled();
    at.clock.advance(30_000);
  }
  assert.equal(at.state(1), "pending");
});

test("stop ends waits, keeps what waits on disk, and resolves when nothing is in flight", async () => {
  const held = Promise.withResolvers<SendResult>();
  const at = bench({ send: () => held.promise });
  at.sender.resume();
  at.offer(row(1), row(2));
  await settled();
  let stopped = false;
  const stop = at.sender.stop().then(() => {
    stopped = true;
  });
  await settled();
  assert.equal(stopped, false);
  held.resolve({ outcome: "sent", platformId: "1" });
  await stop;
  assert.deepEqual([at.state(1), at.state(2)], ["sent", "pending"]);
  assert.deepEqual(at.said, ["text 1"]);
});

test("delivery (3): where numbers are all there is, what cannot be told is asked again, and given up behind the newest", async () => {
  let number = 7;
  const at = bench({ newest: () => String(number), send: () => lost, wasSent: () => "unknown" });
  at.sender.resume();
  at.offer(row(1));
  await settled();
  number = 9;
  at.clock.advance(2999);
  await settled();
  assert.equal(at.state(1), "sending");
  at.clock.advance(1);
  await settled();
  assert.deepEqual([at.state(1), at.places, at.asks], ["unknown", ["7", "given up after 9"], 2]);
});

test("delivery (3): an outage is no attempt: what waits is sent, and what is in doubt is asked about, once it is over", async () => {
  let isUp = false;
  const at = bench({
    left: [row(1, { state: "sending", attempts: 1 })],
    isConnected: () => isUp,
    wasSent: () => "sent",
  });
  at.sender.resume();
  at.offer(row(2, { message: { id: "row-2", conversation: { kind: "direct", id: "ben" }, text: "text 2" } }));
  for (let n = 0; n < 100; n += 1) {
    await settled();
    at.clock.advance(500);
  }
  assert.deepEqual([at.state(1), at.state(2), at.asks, at.said], ["sending", "pending", 0, []]);
  assert.deepEqual(at.steps, [], "nothing is written meanwhile");
  isUp = true;
  at.clock.advance(500);
  await settled();
  assert.deepEqual([at.state(1), at.state(2), at.said], ["sent", "sent", ["text 2"]]);
});

test("delivery (3): a connection that goes just before a send is an outage too, twenty times over", async () => {
  let isUp = true;
  const at = bench({
    isConnected: () => isUp,
    send: (_text, n) => {
      isUp = n > 20;
      return isUp
        ? { outcome: "sent", platformId: "42" }
        : { outcome: "retry", retryAfterMs: 5000, detail: "not connected" };
    },
  });
  at.sender.resume();
  at.offer(row(1));
  for (let n = 0; n < 21; n += 1) {
    await settled();
    isUp = true;
    at.clock.advance(500);
  }
  assert.deepEqual([at.state(1), at.said.length], ["sent", 21]);
});

test("stop ends the wait for a connection", async () => {
  const at = bench({ isConnected: () => false });
  at.sender.resume();
  at.offer(row(1));
  await settled();
  await at.sender.stop();
  assert.equal(at.state(1), "pending");
});
