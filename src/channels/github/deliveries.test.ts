import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../test/support/telegram/manual-clock.ts";
import { MissedDeliveries } from "./deliveries.ts";
import { ApiFault, type Rest, type RestCall } from "./rest.ts";

const path = "/app/hook/deliveries";
const log = { path, token: "token" };
const { signal } = new AbortController();

/** A log of `count` deliveries, newest first, one a second; those of `failed` (0 is the newest) did not arrive. */
function github(clock: ManualClock, count: number, failed: ReadonlySet<number>) {
  const asked: number[] = [];
  const state = { forgetsPlaces: false };
  const row = (index: number) => ({
    id: index + 1,
    guid: `guid-${index}`,
    event: "issue_comment",
    status_code: failed.has(index) && !asked.includes(index) ? 502 : 200,
    delivered_at: new Date(clock.now() - index * 1000).toISOString(),
  });
  const rest: Rest = {
    async call({ method, path: at }: RestCall) {
      if (method === "POST") {
        asked.push(Number(at.split("/").at(-2)) - 1);
        return { status: 202, value: {}, next: undefined };
      }
      const from = Number(/cursor=(\d+)/.exec(at)?.[1] ?? 0);
      if (from > 0 && state.forgetsPlaces) throw new ApiFault({ kind: "answer", status: 422 } as never);
      const value = Array.from({ length: Math.min(100, count - from) }, (_, index) => row(from + index));
      const next = from + 100 < count ? `${path}?per_page=100&cursor=${from + 100}` : undefined;
      return { status: 200, value, next };
    },
    query: () => assert.fail("nothing is asked of GraphQL"),
  };
  return { rest, asked, state };
}

test("github: what did not arrive is found however much was delivered after it, round after round", async () => {
  const clock = new ManualClock();
  const { rest, asked } = github(clock, 5000, new Set([10, 2400, 4321, 4999]));
  const missed = new MissedDeliveries(rest, clock);
  const rounds: number[][] = [];
  for (let round = 0; round < 4; round += 1) {
    const before = asked.length;
    await missed.makeUp([log], signal);
    rounds.push(asked.slice(before));
    clock.advance(1000);
  }
  assert.deepEqual(rounds, [[10], [2400], [4999, 4321], []]);
});

test("github: a place in the log that is known no more is no end: the log is read from the newest again", async () => {
  const clock = new ManualClock();
  const { rest, asked, state } = github(clock, 3000, new Set([2500]));
  const missed = new MissedDeliveries(rest, clock);
  await missed.makeUp([log], signal);
  state.forgetsPlaces = true;
  await assert.rejects(missed.makeUp([log], signal), ApiFault);
  state.forgetsPlaces = false;
  await missed.makeUp([log], signal);
  await missed.makeUp([log], signal);
  assert.deepEqual(asked, [2500]);
});
