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
  for (const streaming of ["partial", { mode: "partial" }])
    assert.equal(scene(able, streaming).live.isOn(row()), true);
  for (const streaming of [undefined, "off", true, { mode: "block" }, {}])
    assert.equal(scene(able, streaming).live.isOn(row()), false, JSON.stringify(streaming));
  assert.equal(scene({ ...able, limits: { textChars: 100 } }, "partial").live.isOn(row()), false);
  assert.equal(scene({ limits: able.limits }, "partial").live.isOn(row()), false);
  assert.equal(scene(undefined, "partial").live.isOn(row()), false);
});

test("streaming (2): a channel that fails over an edit is told of, not thrown", async () => {
  const reply = { conversation: { kind: "direct", id: "1" } } as const;
  const { live } = scene({ ...able, edit: () => Promise.reject(new Error("gone")) });
  assert.deepEqual(await live.edit({ ...row(), reply }, "1", "x"), { outcome: "unknown", detail: "gone" });
  assert.equal((await scene(undefined).live.edit({ ...row(), reply }, "1", "x")).outcome, "rejected");
});
