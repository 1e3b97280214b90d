import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { ledgerChain } from "../audit/mod.ts";
import { systemRandom } from "../kernel/mod.ts";
import { openStore } from "../store/mod.ts";
import { keepCheckpointing } from "./checkpoint.ts";

test("store: the log that killed processes left is moved into the database at the next start, however short they lived", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "checkpoint-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = new ManualClock();
  const file = (name: string) => join(folder, name);
  const open = (name: string) =>
    openStore({ file: file(name), chain: ledgerChain, clock, random: systemRandom });
  const killed = open("killed.sqlite");
  for (let count = 0; count < 60; count += 1)
    await killed.commit([killed.meta.put(`key ${count}`, "x".repeat(100_000))]);
  assert.ok(killed.commitsSinceCheckpoint() < 1000);
  for (const end of ["", "-wal"]) copyFileSync(file(`killed.sqlite${end}`), file(`left.sqlite${end}`));
  killed.close();
  const store = open("left.sqlite");
  t.after(() => store.close());
  const before = statSync(file("left.sqlite")).size;
  const cancel = keepCheckpointing(clock, file("left.sqlite"), store);
  t.after(cancel);
  while (statSync(file("left.sqlite")).size < before + 5_000_000) await pause(5);
  assert.ok(store.commitsSinceCheckpoint() < 1000, "and not again");
});
