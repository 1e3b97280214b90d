import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { factsOf, message, outcomeOf, settingsOf } from "../../test/support/access.ts";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { Write } from "../kernel/mod.ts";
import { createMeters, type KeptBudgets, mayBeTold } from "./mod.ts";

function bench(telegram: object, maxKeys?: number) {
  const clock = new ManualClock();
  const meters = createMeters(clock, maxKeys);
  const settings = settingsOf({
    channels: {
      telegram: {
        dmPolicy: "open",
        allowFrom: ["*"],
        groupPolicy: "open",
        requireMention: false,
        ...telegram,
      },
    },
    commands: { ownerAllowFrom: ["telegram:1"] },
  });
  /** Hands a message in as the gateway does: read, decide, count when it was let in. */
  const send = (more: Parameters<typeof message>[0] = {}): string => {
    const { message: one } = factsOf(more);
    const outcome = outcomeOf(factsOf(more, { use: meters.read(one, settings) }), settings);
    if (outcome === "admit") meters.count(one, settings);
    return outcome;
  };
  const admittedOf = (count: number, more: Parameters<typeof message>[0] = {}) =>
    Array.from({ length: count }, () => send(more)).filter((outcome) => outcome === "admit").length;
  return { clock, meters, send, admittedOf };
}

const from = (id: string) =>
  ({ sender: { id, proof: "platform" }, conversation: { kind: "direct", id } }) as const;
const inGroup = (id: string, chat = "-1") =>
  ({ sender: { id, proof: "platform" }, conversation: { kind: "group", id: chat } }) as const;

test("a sender may write in bursts, and at a steady pace; others are not slowed down by it", () => {
  const { clock, send, admittedOf } = bench({
    messageLimits: { perSender: { messages: 6, seconds: 60, burst: 3 } },
  });
  assert.equal(admittedOf(10), 3);
  assert.equal(send(), "access.sender_too_fast");
  assert.equal(send(from("7")), "admit");
  clock.advance(9_999);
  assert.equal(send(), "access.sender_too_fast");
  clock.advance(1);
  assert.equal(admittedOf(5), 1);
  clock.advance(60_000);
  assert.equal(admittedOf(10), 3, "credit is not saved beyond the burst");
});

test("a chat has a limit of its own, and each account counts for itself", () => {
  const limits = { messageLimits: { perSender: false, perChat: { messages: 2 } } };
  const { send, admittedOf } = bench(limits);
  assert.equal(send(inGroup("7")), "admit");
  assert.equal(send(inGroup("8")), "admit");
  assert.equal(send(inGroup("9")), "access.chat_too_fast");
  assert.equal(send(inGroup("9", "-2")), "admit");
  assert.equal(send({ ...inGroup("9"), account: "other" }), "admit");
  assert.equal(admittedOf(100, from("7")), 2);
});

test("a day has a budget for each sender", () => {
  const { clock, send, admittedOf } = bench({
    messageLimits: { perSender: false, perChat: false, perSenderPerDay: 5 },
  });
  assert.equal(admittedOf(20), 5);
  assert.equal(send(), "access.budget_spent");
  clock.advance(24 * 60 * 60 * 1000);
  assert.equal(admittedOf(20), 5);
});

test("without a word in the config a person is never slowed down, and a script is; the owner never is", () => {
  const { clock, admittedOf } = bench({});
  for (let second = 0; second < 600; second++) {
    assert.equal(admittedOf(1), 1);
    clock.advance(1000);
  }
  assert.equal(admittedOf(1000, from("7")), 120);
  assert.equal(admittedOf(1000, from("1")), 1000);
});

test("a refused message costs nothing: a sender who waits as told gets through", () => {
  const { clock, send, admittedOf } = bench({ messageLimits: { perSender: { messages: 1, seconds: 10 } } });
  assert.equal(admittedOf(1), 1);
  for (let second = 0; second < 9; second++) {
    clock.advance(1000);
    assert.equal(send(), "access.sender_too_fast");
  }
  clock.advance(1000);
  assert.equal(send(), "admit");
});

test("the rate never exceeds what the limit says, over any window", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 60 }),
      (messages, burst, pauses) => {
        const { clock, send } = bench({
          messageLimits: { perSender: { messages, seconds: 1, burst }, perChat: false },
        });
        const times: number[] = [];
        for (const pause of pauses) {
          clock.advance(pause);
          if (send() === "admit") times.push(clock.monotonic());
        }
        for (const [first, start] of times.entries()) {
          for (const [offset, end] of times.slice(first).entries()) {
            // One more than the burst would need a whole interval of credit.
            assert.ok(offset + 1 <= burst + ((end - start) * messages) / 1000 + 1e-6);
          }
        }
      },
    ),
  );
});

test("access (8): a flood of senders takes bounded memory, and resets nobody's counter (attack A-244)", () => {
  const limits = { messageLimits: { perSender: { messages: 1, seconds: 60, burst: 2 }, perChat: false } };
  const { clock, meters, send, admittedOf } = bench(limits, 100);
  assert.equal(admittedOf(5, from("42")), 2);
  let admitted = 0;
  for (let n = 0; n < 5000; n++) if (send(from(String(1000 + n))) === "admit") admitted += 1;
  assert.ok(meters.size <= 101, `${meters.size} counters`);
  assert.equal(send(from("42")), "access.sender_too_fast");
  // Those that found no place share one: the flood as a whole is held to a sender's pace.
  assert.equal(admitted, 99 + 2);
  clock.advance(120_000);
  for (let n = 0; n < 50; n++)
    assert.equal(admittedOf(3, from(String(9000 + n))), 2, "counters that have run out make room");
  assert.ok(meters.size <= 101);
});

test("a bot and an agent that answer each other are stopped, and go on after the pause", () => {
  const { clock, send, admittedOf } = bench({
    allowBots: true,
    botLoopProtection: { maxEventsPerWindow: 6, windowSeconds: 10, cooldownSeconds: 30 },
  });
  const bot = { ...inGroup("5"), isBot: true };
  assert.equal(admittedOf(10, bot), 4, "three rounds, and the one that shows the loop");
  assert.equal(send(bot), "access.bot_loop");
  assert.equal(send({ ...inGroup("6"), isBot: true }), "admit", "another bot");
  assert.equal(send(inGroup("5")), "admit", "a person is not a loop");
  clock.advance(30_000);
  assert.equal(admittedOf(10, bot), 4);
  clock.advance(30_000);
  for (let round = 0; round < 20; round++) {
    assert.equal(send(bot), "admit", "slow enough to be no loop");
    clock.advance(6000);
  }
});

test("loop protection can be turned off, and limits too", () => {
  const off = {
    allowBots: true,
    botLoopProtection: { enabled: false },
    messageLimits: { perSender: false, perChat: false },
  };
  assert.equal(bench(off).admittedOf(500, { ...inGroup("5"), isBot: true }), 500);
});

test("refusals are told to people who may talk, now and then; never to a bot", () => {
  const { clock, meters } = bench({});
  const times = () => Array.from({ length: 10 }, () => meters.takeNotice(message())).filter(Boolean).length;
  assert.equal(times(), 3);
  clock.advance(60_000);
  assert.equal(times(), 1);
  assert.equal(meters.takeNotice(message({ ...from("7"), isBot: true })), false);
  assert.equal(mayBeTold("access.sender_too_fast"), true);
  for (const reason of [
    "access.sender_not_listed",
    "access.not_mentioned",
    "access.group_not_listed",
    "access.bot_loop",
  ] as const)
    assert.equal(mayBeTold(reason), false);
});

test("a day's budget outlives a restart, and one of a clock that was set back is bounded", () => {
  const kept = new Map<string, number>();
  const budgets: KeptBudgets = {
    get: (key) => kept.get(key),
    put: (key, at) => (() => void kept.set(key, at)) as unknown as Write,
  };
  const clock = new ManualClock();
  const settings = settingsOf({
    channels: { telegram: { dmPolicy: "open", allowFrom: ["*"], messageLimits: { perSenderPerDay: 2 } } },
  });
  const { message: one } = factsOf();
  const other = factsOf({ sender: { id: "7", proof: "platform" } }).message;
  const life = () => {
    const meters = createMeters(clock, undefined, budgets);
    const send = (message: typeof one) => {
      const use = meters.read(message, settings);
      const outcome = outcomeOf({ ...factsOf(), message, use }, settings);
      if (outcome === "admit")
        for (const write of meters.count(message, settings)) (write as unknown as () => void)();
      return outcome;
    };
    return send;
  };
  const first = life();
  assert.deepEqual([first(one), first(one), first(one)], ["admit", "admit", "access.budget_spent"]);
  const second = life();
  assert.deepEqual([second(one), second(other)], ["access.budget_spent", "admit"]);
  clock.advance(12 * 3_600_000);
  assert.deepEqual([second(one), second(one)], ["admit", "access.budget_spent"]);
  // Written by a clock that was years ahead: nobody is locked out for longer than a day.
  for (const key of kept.keys()) kept.set(key, clock.now() + 1e12);
  const third = life();
  assert.equal(third(one), "access.budget_spent");
  clock.advance(12 * 3_600_000);
  assert.equal(third(one), "admit");
  const without = settingsOf({ channels: { telegram: { dmPolicy: "open", allowFrom: ["*"] } } });
  assert.deepEqual(createMeters(clock, undefined, budgets).count(one, without), []);
});
