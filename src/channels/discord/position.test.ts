import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Position } from "./position.ts";

test("discord (1): whatever is stored in whatever order, and however often the connection is lost, nothing is passed over and nothing is handed in twice", () => {
  const steps = fc.array(fc.oneof(fc.nat(30), fc.constant("lost" as const)), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 30 }), (all, count) => {
      const position = new Position(0);
      const stored = new Set<number>();
      let open: number[] = [];
      const deliver = () => {
        open = [];
        for (let seq = position.seq + 1; seq <= count; seq++) {
          const isNew = position.receive(seq);
          assert.equal(isNew, !stored.has(seq));
          if (isNew) open.push(seq);
        }
      };
      deliver();
      for (const step of all) {
        if (step === "lost") {
          position.lost();
          deliver();
        } else if (open.length > 0) {
          const [seq] = open.splice(step % open.length, 1);
          stored.add(seq as number);
          position.done(seq as number);
        }
        for (let seq = 1; seq <= position.seq; seq++) assert.ok(stored.has(seq), `passed over ${seq}`);
      }
      for (const seq of open) position.done(seq);
      assert.equal(position.seq, count);
      assert.equal(position.isSettled, true);
    }),
  );
});

test("numbers that Discord leaves out hold nothing up", () => {
  const position = new Position(3);
  position.receive(7);
  position.receive(9);
  position.done(9);
  assert.equal(position.seq, 6);
  position.done(7);
  assert.equal(position.seq, 9);
});
