import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { Channel, InboxRow } from "../delivery/mod.ts";
import { createLiveReplies } from "./live-replies.ts";

const row = (account = "a") => ({ channel: "telegram", account }) as InboxRow;

function scene(channel: Partial<Channel> | undefined, streaming?: unknown) {
  const clock = new ManualClock();
  const live = createLiveReplies({
    config: () => ({ channels: { telegram: { streaming } } }) as unknown as OpenClawConfig,
    channel: () => channel as Channel | undefined,
    clock,
  });
  return { clock, live };
}

const able = { limits: { textChars: 100, namesFoundMessages: true }, edit: async () => assert.fail() };

test("streaming (3): the edits of one account leave a second apart, those of another do not wait for them", async () => {
  const { clock, live } = scene(able);
  const { signal } = new AbortController();
  const left: string[] = [];
  const ask = (account: string, name: string) => live.turn(row(account), signal).then(() => left.push(name));
  const all = [ask("a", "first"), ask("a", "second"), ask("a", "third"), ask("b", "other")];
  const soon = () => new Promise((resolve) => setImmediate(resolve));
  await soon();
  assert.deepEqual(left, ["first", "other"]);
  clock.advance(999);
  await soon();
  assert.equal(left.length, 2);
  clock.advance(1);
  await soon();
  assert.deepEqual(left, ["first", "other", "second"]);
  clock.advance(1000);
  await Promise.all(all);
  assert.equal(left.at(-1), "third");
});

test("streaming (1): only with the setting, and only where a message is found again after a crash", () => {
  const modeOf = (streaming: unknown, channel: Partial<Channel> | undefined = able) =>
    scene(channel, streaming).live.manner(row())?.mode;
  for (const mode of ["partial", "block", "progress"])
    assert.deepEqual([modeOf(mode), modeOf({ mode })], [mode, mode]);
  for (const streaming of [undefined, "off", true, { mode: "off" }, {}, { mode: "loud" }])
    assert.equal(modeOf(streaming), undefined, JSON.stringify(streaming));
  assert.equal(modeOf("partial", { ...able, limits: { textChars: 100 } }), undefined);
  assert.equal(modeOf("partial", { limits: able.limits }), undefined);
  assert.equal(scene(undefined, "partial").live.manner(row()), undefined);
});

test("streaming (4): steps and lines are what the config says, and the documented ones otherwise", () => {
  const manner = (more: object) => scene(able, { mode: "block", ...more }).live.manner(row());
  const usual = { mode: "block", minChars: 200, maxChars: 800, label: "Working", showsTools: false };
  assert.deepEqual(manner({}), usual);
  assert.deepEqual(manner({ preview: { chunk: { minChars: 10, maxChars: 5 } } }), {
    ...usual,
    minChars: 10,
    maxChars: 10,
  });
  assert.deepEqual(manner({ progress: { label: " On\n it ", toolProgress: true } }), {
    ...usual,
    label: "On it",
    showsTools: true,
  });
  assert.equal(manner({ progress: { label: false } })?.label, "");
  for (const odd of [
    null,
    7,
    "x",
    { chunk: { minChars: -1, maxChars: "9" } },
    { label: 5, toolProgress: "y" },
  ])
    assert.deepEqual(manner({ preview: odd, progress: odd }), usual);
});

test("streaming (3): while a platform asks for a pause, no edit of that account leaves", async () => {
  const reply = { conversation: { kind: "direct", id: "1" } } as const;
  const limited = { outcome: "retry", retryAfterMs: 7_000, detail: "429" } as const;
  const { clock, live } = scene({ ...able, edit: async () => limited });
  const { signal } = new AbortController();
  await live.turn(row(), signal);
  assert.deepEqual(await live.edit({ ...row(), reply }, "1", "x"), limited);
  let isLeft = false;
  const next = live.turn(row(), signal).then(() => {
    isLeft = true;
  });
  await live.turn(row("b"), signal);
  clock.advance(6_999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isLeft, false);
  clock.advance(1);
  await next;
});

test("streaming (2): a channel that fails over an edit is told of, not thrown", async () => {
  const reply = { conversation: { kind: "direct", id: "1" } } as const;
  const { live } = scene({ ...able, edit: () => Promise.reject(new Error("gone")) });
  assert.deepEqual(await live.edit({ ...row(), reply }, "1", "x"), { outcome: "unknown", detail: "gone" });
  assert.equal((await scene(undefined).live.edit({ ...row(), reply }, "1", "x")).outcome, "rejected");
});
