import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineRpc, type RpcFault } from "./line-rpc.ts";

function peer(maxLineChars = 1_000) {
  const written: { id: string; method: string }[] = [];
  const heard: unknown[] = [];
  const late: (() => void)[] = [];
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    after(_: number, action: () => void) {
      late.push(action);
      return () => {};
    },
  };
  const write = (line: string) => written.push(JSON.parse(line)) > 0;
  const rpc = new LineRpc(clock, write, maxLineChars);
  rpc.onNotification = (method, params) => heard.push([method, params]);
  return { rpc, written, heard, late };
}

const fault = (call: Promise<unknown>) =>
  call.then(
    () => assert.fail("it was answered"),
    (error: unknown) => error as RpcFault,
  );

test("line rpc: answers find their calls in whatever pieces they come, between notes of all kinds", async () => {
  const text = [
    "starting up",
    "",
    "null",
    "[1]",
    '{"id":"99","result":1}',
    '{"jsonrpc":"2.0","method":"receive","params":{"a":"é"}}',
    '{"jsonrpc":"2.0","id":"2","result":"second"}',
    '{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"no","data":7}}\n',
  ].join("\n");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 }), async (cuts) => {
      const { rpc, heard } = peer();
      const first = fault(rpc.call("one", {}, 10));
      const second = rpc.call("two", {}, 10);
      let from = 0;
      for (const cut of [...cuts, text.length]) {
        rpc.feed(text.slice(from, from + cut));
        from += cut;
      }
      assert.equal(await second, "second");
      const { reached, refusal } = await first;
      assert.deepEqual([reached, refusal], [true, { code: -5, message: "no", data: 7 }]);
      assert.deepEqual(heard, [["receive", { a: "é" }]]);
    }),
    { numRuns: 50 },
  );
});

test("line rpc: a line without end is let go by, and the next one is read", () => {
  const { rpc, heard } = peer(50);
  rpc.feed('{"method":"long","params":"');
  for (let piece = 0; piece < 10; piece += 1) rpc.feed("x".repeat(20));
  // Its end alone would be an event that nobody sent.
  rpc.feed('{"method":"forged"}\n{"method":"next"}\n');
  assert.deepEqual(heard, [["next", undefined]]);
});

test("line rpc: a call that got no answer says whether it left", async () => {
  const { rpc, late } = peer();
  const slow = fault(rpc.call("slow", {}, 10));
  for (const action of late) action();
  assert.deepEqual([(await slow).reached, (await slow).message], [true, "no answer in time"]);
  const lost = fault(rpc.call("lost", {}, 10));
  rpc.end();
  assert.equal((await lost).reached, true);
  assert.equal((await fault(rpc.call("after", {}, 10))).reached, false);
  const deaf = new LineRpc({ now: () => 0, monotonic: () => 0, after: () => () => {} }, () => false, 10);
  assert.equal((await fault(deaf.call("x", {}, 10))).reached, false);
});
