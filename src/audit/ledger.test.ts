import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { systemRandom } from "../kernel/mod.ts";
import { openStore, type Store } from "../store/mod.ts";
import {
  genesis,
  type LedgerEvent,
  type LedgerStore,
  ledgerChain,
  type SealedRow,
  verifyLedger,
} from "./mod.ts";

const breathe = async () => {};
const chain = ledgerChain;

function sealed(seq: number, previous: string, event: LedgerEvent): SealedRow {
  const salt = `salt of ${seq}`;
  const eventHash = chain.eventHash(salt, event);
  const at = 1000 + seq;
  const hash = chain.rowHash(previous, { ...event, seq, at, eventHash });
  return { ...event, seq, at, previous, hash, eventHash, salt };
}

/** Rows that follow each other, as a store would give them. */
function chained(events: readonly LedgerEvent[]): SealedRow[] {
  const rows: SealedRow[] = [];
  for (const event of events) rows.push(sealed(rows.length + 1, rows.at(-1)?.hash ?? genesis, event));
  return rows;
}

const verdicts = (count: number): LedgerEvent[] =>
  Array.from({ length: count }, (_, n) => ({
    stage: "access",
    kind: "verdict",
    action: "admit",
    messageId: `m${n + 1}`,
  }));

const erasure = (rows: unknown): LedgerEvent => ({
  stage: "operator",
  kind: "admin",
  action: "privacy.erase",
  facts: { rows: rows as never },
});

/** As the store leaves a row that was erased. */
function emptied({ seq, at, previous, hash, stage, kind, action, eventHash }: SealedRow): SealedRow {
  return { seq, at, previous, hash, stage, kind, action, eventHash, erased: true };
}

function storeOf(rows: readonly SealedRow[]): LedgerStore {
  return {
    append: () => assert.fail("not here"),
    erase: () => assert.fail("not here"),
    list: () => [],
    scan: (from, limit) => rows.filter((row) => row.seq >= from).slice(0, limit),
    head: () => ({ seq: rows.length, hash: rows.at(-1)?.hash ?? genesis }),
  };
}

/** What somebody with the file could do to it. */
const tampering: readonly (readonly [
  name: string,
  change: (rows: SealedRow[]) => SealedRow[],
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

function without(row: SealedRow): SealedRow {
  const { messageId: _messageId, ...rest } = row;
  return rest;
}

function rehashed(row: SealedRow): SealedRow {
  const { messageId: _messageId, ...rest } = row;
  const changed = { ...rest, actor: "x" };
  const eventHash = chain.eventHash("new", { stage: "access", kind: "verdict", action: "admit", actor: "x" });
  return { ...changed, eventHash, salt: "new", hash: chain.rowHash(row.previous, { ...changed, eventHash }) };
}

test("audit (1)(2): what was changed, removed, inserted or moved is found at its place", async () => {
  for (const [name, change, brokenAtSeq, why] of tampering) {
    const verified = await verifyLedger(storeOf(change(chained(verdicts(6)))), breathe);
    assert.ok(!verified.intact, name);
    assert.equal(verified.brokenAtSeq, brokenAtSeq, name);
    assert.match(verified.why, why, name);
  }
});

test("audit (3): a cut tail is found only against a head that was kept elsewhere", async () => {
  const rows = chained(verdicts(6));
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
  assert.deepEqual(await verifyLedger(storeOf(rows), breathe, head), {
    intact: true,
    rows: 6,
    erased: 0,
    head,
  });
});

test("the order of a row's members does not matter, their values do, and so does the salt", () => {
  const hash = (salt: string, facts: LedgerEvent["facts"]) =>
    chain.eventHash(salt, { stage: "a", kind: "verdict", action: "b", ...(facts ? { facts } : {}) });
  const turned = chain.eventHash("s", { facts: { y: 2, x: 1 }, action: "b", kind: "verdict", stage: "a" });
  assert.equal(turned, hash("s", { x: 1, y: 2 }));
  assert.notEqual(turned, hash("s", { x: 1, y: "2" }));
  assert.notEqual(turned, hash("t", { x: 1, y: 2 }));
});

test("audit (5): emptied rows are accepted only where a later row names them, and counted", async () => {
  const rows = chained([
    ...verdicts(6),
    erasure([
      [2, 3],
      [5, 5],
    ]),
  ]);
  const erase = (...seqs: number[]) => rows.map((row) => (seqs.includes(row.seq) ? emptied(row) : row));
  const head = rows[6]?.hash;
  assert.deepEqual(await verifyLedger(storeOf(erase(2, 3, 5)), breathe, head), {
    intact: true,
    rows: 7,
    erased: 3,
    head,
  });
  const unnamed = await verifyLedger(storeOf(erase(2, 3, 4, 5)), breathe);
  assert.ok(!unnamed.intact);
  assert.equal(unnamed.brokenAtSeq, 4);
  assert.match(unnamed.why, /row 4 was emptied, and no later row says by whose order/);
  for (const order of [
    { ...erasure([[2, 3]]), kind: "verdict" as const },
    { ...erasure([[2, 3]]), action: "privacy.export" },
    erasure("2-3"),
    erasure([[2, "3"]]),
    { ...erasure([]), facts: undefined },
  ]) {
    const { facts, ...rest } = order;
    const chainOf = chained([...verdicts(3), facts === undefined ? rest : { ...rest, facts }]);
    const found = await verifyLedger(storeOf(chainOf.with(1, emptied(chainOf[1]!))), breathe);
    assert.ok(!found.intact && found.brokenAtSeq === 2, JSON.stringify(order));
  }
});

test("audit (5): a row names only what came before it, and an order that is empty itself names nothing", async () => {
  const before = chained([erasure([[0, 99]]), ...verdicts(2)]);
  const early = await verifyLedger(storeOf(before.with(1, emptied(before[1]!))), breathe);
  assert.ok(!early.intact && early.brokenAtSeq === 2);
  const itself = chained([...verdicts(2), erasure([[1, 3]])]);
  const gone = itself.with(0, emptied(itself[0]!)).with(2, emptied(itself[2]!));
  const found = await verifyLedger(storeOf(gone), breathe);
  assert.ok(!found.intact && found.brokenAtSeq === 1);
});

test("audit (2)(5): whatever is changed of any row, emptied or not, is found at its place", async () => {
  const rows = chained([
    ...verdicts(8),
    erasure([
      [2, 3],
      [6, 6],
    ]),
  ]).map((row) => ([2, 3, 6].includes(row.seq) ? emptied(row) : row));
  const changes: readonly ((row: SealedRow, text: string) => SealedRow)[] = [
    (row, text) => ({ ...row, stage: text }),
    (row, text) => ({ ...row, action: text }),
    (row, text) => ({ ...row, actor: text }),
    (row, text) => ({ ...row, facts: { added: text } }),
    (row, text) => ({ ...row, eventHash: text }),
    (row, text) => ({ ...row, salt: text }),
    (row, text) => ({ ...row, hash: text }),
    (row) => ({ ...row, at: row.at + 1 }),
    (row) => ({ ...row, kind: "effect.end" }),
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.nat(rows.length - 1),
      fc.constantFrom(...changes),
      fc.string({ minLength: 1, maxLength: 20 }),
      async (index, change, text) => {
        const changed = change(rows[index]!, `~${text}`);
        const found = await verifyLedger(storeOf(rows.with(index, changed)), breathe);
        assert.ok(!found.intact);
        assert.equal(found.brokenAtSeq, index + 1);
      },
    ),
  );
});

test("ranges say which rows stand beside each other", () => {
  assert.deepEqual(chain.ranges([5, 1, 2, 3, 9, 8, 2]), [
    [1, 3],
    [5, 5],
    [8, 9],
  ]);
  assert.deepEqual(chain.ranges([]), []);
});

function opened(t: TestContext): { readonly store: Store; readonly file: string } {
  const folder = mkdtempSync(join(tmpdir(), "ledger-test-"));
  const file = join(folder, "gateway.sqlite");
  const store = openStore({ file, chain, clock: new ManualClock(), random: systemRandom });
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
    erased: 0,
    head: store.ledger.head().hash,
  });
});

test("audit (5): the store empties rows for good, never the row that says so, and what is left verifies", async (t) => {
  const { store, file } = opened(t);
  for (let n = 0; n < 6; n++)
    await store.commit([store.ledger.append({ ...event(n), actor: "telegram:planted" })]);
  const { hash: head } = store.ledger.head();
  const erase = (seqs: readonly number[]) =>
    store.commit([store.ledger.erase(seqs, (ranges) => erasure(ranges))]);
  await erase([2, 3, 3, 5]);
  await erase([3, 7, 6, 99]);
  assert.deepEqual(
    store.ledger.list({ limit: 100, kind: "admin" }).map((row) => row.facts),
    [
      { rows: [[6, 6]] },
      {
        rows: [
          [2, 3],
          [5, 5],
        ],
      },
    ],
    "what was empty, or says what is, stays as it is",
  );
  assert.deepEqual(await verifyLedger(store.ledger, breathe, head), {
    intact: true,
    rows: 8,
    erased: 4,
    head: store.ledger.head().hash,
  });
  assert.deepEqual(
    store.ledger.list({ messageId: "m1", limit: 10 }).map((row) => row.seq),
    [],
    "found by nothing that it told",
  );
  const { at, hash, previous, ...rest } = store.ledger.list({ limit: 1, beforeSeq: 3 })[0]!;
  assert.deepEqual(rest, { seq: 2, stage: "policy", kind: "verdict", action: "refuse", erased: true });
  const database = new DatabaseSync(file);
  database.exec(
    'UPDATE ledger SET salt = NULL, event = \'{"stage":"policy","kind":"verdict","action":"refuse"}\' WHERE seq = 4',
  );
  database.close();
  const found = await verifyLedger(store.ledger, breathe);
  assert.ok(!found.intact && found.brokenAtSeq === 4);
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
    () => openStore({ file, chain, clock: new ManualClock(), random: systemRandom }),
    /written by a newer version .*install the newer version again/,
  );
});
