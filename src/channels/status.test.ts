import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { ChannelStatus } from "../delivery/channel.ts";
import { channelLog, StatusReports } from "./status.ts";

function bench() {
  const clock = new ManualClock();
  const told: ChannelStatus[] = [];
  let identity: string | undefined;
  const status = new StatusReports(clock, () => identity);
  return {
    clock,
    told,
    status,
    begin: () => status.begin({ report: (item) => told.push(item) }),
    isCalled(name: string) {
      identity = name;
    },
  };
}

test("a connection that stands is told once, again when what is said of it changes, and now and then", () => {
  const { clock, told, status, begin, isCalled } = bench();
  begin();
  isCalled("@bot");
  status.confirm();
  status.confirm();
  assert.deepEqual(told, [
    { state: "starting" },
    { state: "connected", lastConfirmedAtMs: clock.now(), identity: "@bot" },
  ]);
  status.confirm("somebody else is connected too");
  status.confirm("somebody else is connected too");
  assert.equal(told.length, 3);
  assert.equal(told[2]?.detail, "somebody else is connected too");
  clock.advance(29_999);
  status.confirm("somebody else is connected too");
  assert.equal(told.length, 3);
  clock.advance(1);
  status.confirm("somebody else is connected too");
  assert.equal(told[3]?.lastConfirmedAtMs, clock.now());
  status.report("reconnecting", "the platform is away");
  assert.deepEqual(told[4], { state: "reconnecting", detail: "the platform is away", identity: "@bot" });
  status.confirm();
  assert.equal(told[5]?.state, "connected");
});

test("the end is told once, and not of what never began", () => {
  const { told, status, begin } = bench();
  status.end();
  begin();
  status.end();
  status.end();
  assert.deepEqual(
    told.map(({ state }) => state),
    ["starting", "stopped"],
  );
  assert.equal(status.state, "stopped");
});

test("channels (9): of an error only its class is logged: its message may hold a token or what a person wrote", () => {
  const lines: unknown[] = [];
  const log = channelLog((...line) => void lines.push(line), "chat default");
  log("an error of our own", new TypeError("https://api.example/botTOKEN/getMe"));
  log("what is no error", "TOKEN", { channel: "C1" });
  log("something was let go");
  assert.deepEqual(lines, [
    ["error", "chat default: an error of our own", { error: "TypeError" }],
    ["error", "chat default: what is no error", { channel: "C1", error: "string" }],
    ["warn", "chat default: something was let go", {}],
  ]);
});
