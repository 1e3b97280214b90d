import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { openStore, type Store } from "../store/mod.ts";
import {
  chainHash,
  eventOf,
  genesis,
  type LedgerEvent,
  type LedgerRow,
  type LedgerStore,
  verifyLedger,
} from "./mod.ts";

const breathe = async () => {};

/** Rows that follow each other, as a store would give them. */
function chain(count: number): LedgerRow[] {
  const rows: LedgerRow[] = [];
  for (let seq = 1; seq <= count; seq++) {
    const event: LedgerEvent = { stage: "access", kind: "verdict", action: "admit", messageId: `m${seq}` };
    const previous = rows.at(-1)?.hash ?? genesis;
    rows.push({ ...event, seq, at: 1000 + seq, previous, hash: chainHash(previous, seq, 1000 + seq, event) });
  }
  return rows;
}

function storeOf(rows: readonly LedgerRow[]): LedgerStore {
  return {
    append: () => assert.fail("not here"),
    list: () => [],
    scan: (from, limit) => rows.filter((row) => row.seq >= from).slice(0, limit),
    head: () => ({ seq: rows.length, hash: rows.at(-1)?.hash ?? genesis }),
  };
}

/** What somebody with the file could do to it. */
const tampering: readonly (readonly [
  name: string,
  change: (rows: LedgerRow[]) => LedgerRow[],
  brokenAtSeq: number,
  why: RegExp,
])[] = [
  [
    "a changed event",
    (rows) => rows.with(2, { ...rows[2]!, actor: "somebody else" }),
    3,
    /row 3 was changed/,
  ],
  ["a changed time", (rows) => rows.with(2, { ...rows[2]!, at: 1 }), 3, /row 3 was changed/],
  ["a removed member", (rows) => rows.with(2, without(rows[2]!)), 3, /row 3 was changed/],
  ["a removed first row", (rows) => rows.slice(1), 1, /row 1 is missing/],
  ["a removed row", (rows) => rows.toSpliced(3, 1), 4, /row 4 is missing/],
  [
    "a removed row, the rest counted anew",
    (rows) => rows.toSpliced(3, 1).map((row, n) => ({ ...row, seq: n + 1 })),
    4,
    /row 4 does not follow row 3/,
  ],
  [
    "an inserted row",
    (rows) => rows.toSpliced(3, 0, rows[0]!).map((row, n) => ({ ...row, seq: n + 1 })),
    4,
    /does not follow/,
  ],
  [
    "two rows in each other's place",
    (rows) => rows.with(3, { ...rows[4]!, seq: 4 }).with(4, { ...rows[3]!, seq: 5 }),
    4,
    /does not follow/,
  ],
  [
    "a changed row with a new hash of its own",
    (rows) => rows.with(2, rehashed(rows[2]!)),
    4,
    /row 4 does not follow row 3/,
  ],
];

function without(row: LedgerRow): LedgerRow {
  const { messageId: _messageId, ...rest } = row;
  return rest;
}

function rehashed(row: LedgerRow): LedgerRow {
  const changed = { ...row, actor: "somebody else" };
  return { ...changed, hash: chainHash(row.previous, row.seq, row.at, eventOf(changed)) };
}

test("audit (1)(2): what was changed, removed, inserted or moved is found at its place", async () => {
  for (const [name, change, brokenAtSeq, why] of tampering) {
    const verified = await verifyLedger(storeOf(change(chain(6))), breathe);
    assert.ok(!verified.intact, name);
    assert.equal(verified.brokenAtSeq, brokenAtSeq, name);
    assert.match(verified.why, why, name);
  }
});

test("audit (3): a cut tail is found only against a head that was kept elsewhere", async () => {
  const rows = chain(6);
  const head = rows[5]?.hash;
  assert.equal((await verifyLedger(storeOf(rows.slice(0, 4)), breathe)).intact, true);
  const cut = await verifyLedger(storeOf(rows.slice(0, 4)), breathe, head);
  assert.ok(!cut.intact);
  assert.equal(cut.brokenAtSeq, 5);
  assert.equal(
    (await verifyLedger(storeOf(rows), breathe, rows[2]?.hash)).intact,
    true,
    "an older head is in it",
  );
  assert.equal((await verifyLedger(storeOf([]), breathe, genesis)).intact, true);
  assert.deepEqual(await verifyLedger(storeOf(rows), breathe, head), { intact: true, rows: 6, head });
});

test("the order of a row's members does not matter, their values do", () => {
  const one = chainHash(genesis, 1, 2, { stage: "a", kind: "verdict", action: "b", facts: { x: 1, y: 2 } });
  assert.equal(
    chainHash(genesis, 1, 2, { facts: { y: 2, x: 1 }, action: "b", kind: "verdict", stage: "a" }),
    one,
  );
  assert.notEqual(
    chainHash(genesis, 1, 2, { stage: "a", kind: "verdict", action: "b", facts: { x: 1, y: "2" } }),
    one,
  );
});

function opened(t: TestContext): { readonly store: Store; readonly file: string } {
  const folder = mkdtempSync(join(tmpdir(), "ledger-test-"));
  const file = join(folder, "gateway.sqlite");
  const store = openStore({ file, chain: { genesis, hash: chainHash }, clock: new ManualClock() });
  t.after(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });
  return { store, file };
}

const event = (n: number): LedgerEvent => ({
  stage: "policy",
  kind: "verdict",
  action: "refuse",
  messageId: `m${n % 3}`,
  facts: { n, text: "Größe \ud800 \u0000 😀", nothing: undefined },
});

test("what the store keeps verifies, through groups of commits and one that fails", async (t) => {
  const { store } = opened(t);
  const clash = { ...event(0), facts: { bad: Number.NaN } };
  const commits = Array.from({ length: 1200 }, (_, n) =>
    store.commit([store.ledger.append(event(n)), store.ledger.append(event(n + 1))]),
  );
  const failing = assert.rejects(
    store.commit([store.ledger.append(event(1)), store.ledger.append(clash)]),
    /not finite/,
  );
  const after = store.commit([store.ledger.append(event(2))]);
  await Promise.all([...commits, after]);
  await failing;
  assert.equal(store.ledger.head().seq, 2401);
  assert.deepEqual(await verifyLedger(store.ledger, breathe, store.ledger.head().hash), {
    intact: true,
    rows: 2401,
    head: store.ledger.head().hash,
  });
});

test("rows are listed newest first, by what they belong to", async (t) => {
  const { store } = opened(t);
  for (let n = 0; n < 6; n++)
    await store.commit([store.ledger.append({ ...event(n), runId: `r${n}`, sessionKey: "s" })]);
  const numbers = (filter: object) => store.ledger.list({ limit: 100, ...filter }).map((row) => row.seq);
  assert.deepEqual(numbers({}), [6, 5, 4, 3, 2, 1]);
  assert.deepEqual(numbers({ limit: 2 }), [6, 5]);
  assert.deepEqual(numbers({ messageId: "m1" }), [5, 2]);
  assert.deepEqual(numbers({ runId: "r3" }), [4]);
  assert.deepEqual(
    numbers({ sessionKey: "s", stage: "policy", kind: "verdict", beforeSeq: 4, afterSeq: 1 }),
    [3, 2],
  );
  assert.deepEqual(numbers({ kind: "admin" }), []);
});

test("a store of a newer version is refused, not misread", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ledger-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "gateway.sqlite");
  const database = new DatabaseSync(file);
  database.exec("PRAGMA user_version = 1000");
  database.close();
  assert.throws(
    () => openStore({ file, chain: { genesis, hash: chainHash }, clock: new ManualClock() }),
    /written by a newer version .*install the newer version again/,
  );
});
