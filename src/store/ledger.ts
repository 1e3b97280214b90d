import type { Chain, LedgerEvent, LedgerFilter, LedgerRow, LedgerStore, SealedRow } from "../audit/mod.ts";
import type { Clock, Random } from "../kernel/mod.ts";
import { change, type Database } from "./database.ts";

const saltBytes = 16;

/** A row takes its number and its hash inside the transaction that writes it, so a rolled-back row leaves no gap. */
export function ledgerStore(database: Database, chain: Chain, clock: Clock, random: Random): LedgerStore {
  let head = readHead(database, chain);
  database.onRollback(() => {
    head = readHead(database, chain);
  });

  function add(db: Database, event: LedgerEvent): void {
    const seq = head.seq + 1;
    const at = clock.now();
    const { stage, kind, action } = event;
    const salt = random.bytes(saltBytes).toString("hex");
    const eventHash = chain.eventHash(salt, event);
    const hash = chain.rowHash(head.hash, { seq, at, stage, kind, action, eventHash });
    db.run(
      "INSERT INTO ledger (seq, at, message_id, run_id, session_key, stage, kind, event, salt, event_hash, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      seq,
      at,
      event.messageId ?? null,
      event.runId ?? null,
      event.sessionKey ?? null,
      stage,
      kind,
      JSON.stringify(event),
      salt,
      eventHash,
      head.hash,
      hash,
    );
    head = { seq, hash };
  }

  return {
    append: (event) => change((db) => add(db, event)),
    erase: (seqs, record) =>
      change((db) => {
        const gone = seqs.filter((seq) => empty(db, seq));
        add(db, record(chain.ranges(gone)));
      }),
    list: (filter) => list(database, filter),
    scan: (fromSeq, limit) =>
      database
        .all("SELECT * FROM ledger WHERE seq >= ? ORDER BY seq LIMIT ?", fromSeq, limit)
        .map(sealedRowOf),
    head: () => head,
  };
}

/** False for a row that is empty, or that must not be. */
function empty(db: Database, seq: number): boolean {
  return (
    db.run(
      `UPDATE ledger SET message_id = NULL, run_id = NULL, session_key = NULL, salt = NULL,
       event = json_object('stage', stage, 'kind', kind, 'action', json_extract(event, '$.action'))
       WHERE seq = ? AND salt IS NOT NULL AND NOT (kind = 'admin' AND json_extract(event, '$.action') IN ('privacy.erase', 'privacy.retention'))`,
      seq,
    ) === 1
  );
}

function readHead(database: Database, chain: Chain): { seq: number; hash: string } {
  const row = database.get("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1");
  return row ? { seq: Number(row.seq), hash: String(row.hash) } : { seq: 0, hash: chain.genesis };
}

function list(database: Database, filter: LedgerFilter): LedgerRow[] {
  const where: string[] = [];
  const values: (string | number)[] = [];
  const add = (column: string, value: string | number | undefined) => {
    if (value === undefined) return;
    where.push(column);
    values.push(value);
  };
  add("message_id = ?", filter.messageId);
  add("run_id = ?", filter.runId);
  add("session_key = ?", filter.sessionKey);
  add("stage = ?", filter.stage);
  add("kind = ?", filter.kind);
  add("seq < ?", filter.beforeSeq);
  add("seq > ?", filter.afterSeq);
  const clause = where.length > 0 ? `WHERE ${where.join(" AND ")}` : "";
  return database
    .all(`SELECT * FROM ledger ${clause} ORDER BY seq DESC LIMIT ?`, ...values, filter.limit)
    .map(rowOf);
}

function rowOf(row: Record<string, string | number | null>): LedgerRow {
  const event = JSON.parse(String(row.event)) as LedgerEvent;
  return {
    ...event,
    seq: Number(row.seq),
    at: Number(row.at),
    previous: String(row.previous),
    hash: String(row.hash),
    ...(row.salt === null ? { erased: true } : {}),
  };
}

function sealedRowOf(row: Record<string, string | number | null>): SealedRow {
  return {
    ...rowOf(row),
    eventHash: String(row.event_hash),
    ...(row.salt === null ? {} : { salt: String(row.salt) }),
  };
}
