import type { LedgerEvent, LedgerFilter, LedgerRow, LedgerStore } from "../audit/mod.ts";
import type { Clock } from "../kernel/mod.ts";
import { change, type Database } from "./database.ts";

export interface Chain {
  readonly genesis: string;
  hash(previous: string, seq: number, at: number, event: LedgerEvent): string;
}

/** A row takes its number and its hash inside the transaction that writes it, so a rolled-back row leaves no gap. */
export function ledgerStore(database: Database, chain: Chain, clock: Clock): LedgerStore {
  let head = readHead(database, chain);
  database.onRollback(() => {
    head = readHead(database, chain);
  });

  return {
    append: (event) =>
      change((db) => {
        const seq = head.seq + 1;
        const at = clock.now();
        const hash = chain.hash(head.hash, seq, at, event);
        db.run(
          "INSERT INTO ledger (seq, at, message_id, run_id, session_key, stage, kind, event, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          seq,
          at,
          event.messageId ?? null,
          event.runId ?? null,
          event.sessionKey ?? null,
          event.stage,
          event.kind,
          JSON.stringify(event),
          head.hash,
          hash,
        );
        head = { seq, hash };
      }),
    list: (filter) => list(database, filter),
    scan: (fromSeq, limit) =>
      database.all("SELECT * FROM ledger WHERE seq >= ? ORDER BY seq LIMIT ?", fromSeq, limit).map(rowOf),
    head: () => head,
  };
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
  };
}
