import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ledgerChain } from "../audit/mod.ts";
import type { OutboxRow } from "../delivery/mod.ts";
import { systemClock, systemRandom } from "../kernel/mod.ts";
import { openStore, type Store } from "../store/mod.ts";
import { createOutgoing } from "./outgoing.ts";

const rejected: OutboxRow = {
  id: "m:000",
  messageId: "m",
  runId: "m",
  channel: "telegram",
  account: "default",
  message: { id: "m:000", conversation: { kind: "direct", id: "42" }, text: "hello" },
  state: "rejected",
  attempts: 1,
  notBefore: 0,
  detail: "Forbidden",
  createdAt: 1,
  updatedAt: 1,
};

test("delivery (3): two words about one delivery at once: it leaves once", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outgoing-"));
  const store = openStore({
    file: join(folder, "gateway.sqlite"),
    chain: ledgerChain,
    clock: systemClock,
    random: systemRandom,
  });
  t.after(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });
  await store.commit([store.outbox.insert(rejected)]);
  const disk = Promise.withResolvers<void>();
  const offered: string[] = [];
  const outgoing = createOutgoing({
    // The disk is slow: until it has answered, a read still shows what was there before.
    store: { ...store, commit: (writes) => disk.promise.then(() => store.commit(writes)) },
    sender: {
      offer: (rows) => void offered.push(...rows.map((row) => `${row.id} ${row.state} ${row.attempts}`)),
    },
    clock: systemClock,
    random: systemRandom,
    channels: () => [],
    textLimit: () => 4000,
    sendPolicy: () => ({ otherwise: "allow", rules: [] }),
    files: async () => ({ files: [], writes: [] }),
  });
  const both = Promise.allSettled([outgoing.resubmit("m:000", false), outgoing.resubmit("m:000", false)]);
  disk.resolve();
  assert.deepEqual(
    (await both).map(({ status }) => status),
    ["fulfilled", "rejected"],
  );
  assert.deepEqual(offered, ["m:000 pending 0"]);
  const row = store.outbox.byId("m:000");
  assert.deepEqual([row?.state, row?.attempts, row?.detail], ["pending", 0, "Forbidden"]);
});

test("send: what a platform cannot say is not left out: an answer to a message is refused there", async () => {
  const outgoing = createOutgoing({
    store: {} as Store,
    sender: { offer: () => assert.fail("sent") },
    clock: systemClock,
    random: systemRandom,
    channels: () => [{ id: "irc", account: "default", label: "IRC", status: { state: "connected" } }],
    textLimit: () => 400,
    sendPolicy: () => ({ otherwise: "allow", rules: [] }),
    files: async () => ({ files: [], writes: [] }),
  });
  const order = { channel: "irc", to: "#house", text: "hi", idempotencyKey: "k", replyToId: "1" };
  const source = { author: "cli", proof: "secret", trust: "owner", sensitivity: "private" } as const;
  await assert.rejects(outgoing.send({ ...order, source, actor: "cli" }), /irc cannot answer another one/);
});
