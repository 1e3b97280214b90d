import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createLanes } from "./lanes.ts";

const limits = { perSession: 1000, total: 1000, concurrent: 3, onError: () => {} };
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("one session's work runs one at a time and in order; no more sessions at once than allowed", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ session: fc.integer({ min: 0, max: 5 }), turns: fc.integer({ min: 0, max: 3 }) }),
        {
          maxLength: 60,
        },
      ),
      fc.integer({ min: 1, max: 4 }),
      async (works, concurrent) => {
        const lanes = createLanes({ ...limits, concurrent });
        const began: [number, number][] = [];
        const inSession = new Map<number, number>();
        let most = 0;
        works.forEach(({ session, turns }, n) => {
          lanes.add(`s${session}`, async () => {
            began.push([session, n]);
            inSession.set(session, (inSession.get(session) ?? 0) + 1);
            assert.equal(inSession.get(session), 1);
            most = Math.max(most, lanes.running);
            for (let turn = 0; turn < turns; turn++) await null;
            inSession.set(session, 0);
          });
        });
        await lanes.idle();
        await settled();
        assert.equal(began.length, works.length);
        assert.ok(most <= concurrent);
        for (let session = 0; session <= 5; session++) {
          const order = began.filter(([of]) => of === session).map(([, n]) => n);
          assert.deepEqual(
            order,
            [...order].sort((a, b) => a - b),
          );
        }
        assert.equal(lanes.total, 0);
        assert.equal(lanes.running, 0);
      },
    ),
    { numRuns: 100 },
  );
});

test("room is counted per session and in all", async () => {
  const lanes = createLanes({ ...limits, perSession: 2, total: 3 });
  const held = Promise.withResolvers<void>();
  const work = () => held.promise;
  lanes.add("a", work);
  assert.equal(lanes.hasRoom("a"), true);
  lanes.add("a", work);
  assert.equal(lanes.hasRoom("a"), false);
  assert.equal(lanes.hasRoom("b"), true);
  lanes.add("b", work);
  assert.equal(lanes.hasRoom("c"), false);
  assert.deepEqual([lanes.depth("a"), lanes.depth("b"), lanes.depth("c"), lanes.total], [2, 1, 0, 3]);
  held.resolve();
  await lanes.idle();
});

test("a busy session does not starve the others", async () => {
  const lanes = createLanes({ ...limits, concurrent: 1 });
  const order: string[] = [];
  for (let n = 0; n < 3; n++) lanes.add("busy", async () => void order.push(`busy ${n}`));
  lanes.add("other", async () => void order.push("other"));
  await settled();
  assert.deepEqual(order, ["busy 0", "other", "busy 1", "busy 2"]);
});

test("work that throws is told of, and its session goes on", async () => {
  const errors: string[] = [];
  const lanes = createLanes({
    ...limits,
    onError: (session, error) => void errors.push(`${session}: ${(error as Error).message}`),
  });
  let ran = false;
  lanes.add("a", async () => {
    throw new Error("oops");
  });
  lanes.add("a", async () => {
    ran = true;
  });
  await settled();
  assert.deepEqual(errors, ["a: oops"]);
  assert.equal(ran, true);
});

test("paused lanes finish what runs and begin nothing, until they are resumed", async () => {
  const lanes = createLanes({ ...limits, concurrent: 1 });
  const held = Promise.withResolvers<void>();
  const ran: string[] = [];
  lanes.add("a", () => held.promise);
  lanes.pause();
  lanes.add("a", async () => void ran.push("a"));
  lanes.add("b", async () => void ran.push("b"));
  const idle = lanes.idle();
  held.resolve();
  await idle;
  await settled();
  assert.deepEqual(ran, []);
  assert.equal(lanes.total, 2);
  lanes.resume();
  await settled();
  assert.deepEqual(ran.sort(), ["a", "b"]);
});
