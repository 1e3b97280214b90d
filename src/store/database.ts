import { closeSync, fdatasync, fstatSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Commit, Write } from "../kernel/mod.ts";
import { migrate } from "./migrations.ts";
import { rewriteAside } from "./rewrite-aside.ts";

/** A change as the store knows it: what to do inside the transaction. Stages see only the opaque Write. */
export type Change = (database: Database) => void;

export function change(action: Change): Write {
  return action;
}

type Value = string | number | null;

interface Waiting {
  readonly writes: readonly Write[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface Database {
  run(sql: string, ...values: Value[]): number;
  get(sql: string, ...values: Value[]): Record<string, Value> | undefined;
  all(sql: string, ...values: Value[]): Record<string, Value>[];
  /** Durable when resolved: every write is applied and the log is on the disk. Rejects with nothing applied. */
  readonly commit: Commit;
  /** Called after each rollback, so that what is kept in memory beside the tables can be read again. */
  onRollback(action: () => void): void;
  /** Moves the write-ahead log into the database file. Blocks; call it at start and stop, or from a worker. */
  checkpoint(): void;
  checkpointed(): void;
  /**
   * Writes the whole file anew and empties the log, so that nothing of what was deleted is left in either: SQLite
   * leaves copies of rows that it moved, even with `secure_delete`. Commits wait meanwhile (25 ms for each MB on a busy
   * machine); reads and all else go on. Rejects when another connection is in its way.
   */
  rewrite(): Promise<void>;
  /** Bytes of write-ahead log since the last checkpoint, roughly: commits since then. */
  readonly commitsSinceCheckpoint: number;
  close(): void;
}

/** SQLite's own. */
const pageBytes = 4096;
/** The log's file is cut to this when it begins anew after a checkpoint. */
const maxLogBytesKept = 16 * 1024 * 1024;

/**
 * Opens (or makes) the database in WAL mode.
 *
 * Durability is that of `synchronous=FULL`, but the wait for the disk happens outside the event loop: SQLite
 * commits with `synchronous=NORMAL` (it writes the log, and does not wait), then the log file's fdatasync runs in
 * the thread pool, and only then does {@link Database.commit} resolve. One sync serves every commit that came in
 * the meantime (group commit). docs/decisions/0002 says why this is the same promise.
 */
export function openDatabase(file: string): Database {
  // SQLite would make it readable for others; its log and its index take over the file's mode.
  closeSync(openSync(file, "a", 0o600));
  const sqlite = new DatabaseSync(file);
  sqlite.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = ${maxLogBytesKept};
    PRAGMA busy_timeout = 5000;
    PRAGMA foreign_keys = ON;
    PRAGMA cache_size = -4096;
    PRAGMA temp_store = MEMORY;
    PRAGMA secure_delete = ON;
  `);
  migrate(sqlite);
  // A write makes sure that the log file exists before we open it for syncing; its name must be on disk too.
  sqlite.exec("BEGIN IMMEDIATE; UPDATE meta SET value = value WHERE key = ''; COMMIT");
  const log = openSync(`${file}-wal`, "r+");
  const folder = openSync(dirname(file), "r");
  fsyncSync(folder);
  closeSync(folder);

  const statements = new Map<string, StatementSync>();
  const rollbackActions: (() => void)[] = [];
  let waiting: Waiting[] = [];
  let flushing = false;
  // What a process before this one left there, when it was killed, is counted by pages: else short lives would never end it.
  let commits = Math.floor(fstatSync(log).size / pageBytes);
  let broken: Error | undefined;
  /** While another thread writes the file anew: a write of ours would hold the event loop until it is done. */
  let rewriting: Promise<void> | undefined;

  function statement(sql: string): StatementSync {
    let prepared = statements.get(sql);
    if (!prepared) {
      prepared = sqlite.prepare(sql);
      statements.set(sql, prepared);
    }
    return prepared;
  }

  function apply(batches: readonly Waiting[]): void {
    statement("BEGIN IMMEDIATE").run();
    try {
      for (const batch of batches) for (const write of batch.writes) (write as Change)(database);
      statement("COMMIT").run();
      commits += 1;
    } catch (error) {
      rollback();
      throw error;
    }
  }

  function rollback(): void {
    try {
      sqlite.exec("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself (disk full); there is nothing left to undo.
    }
    for (const action of rollbackActions) action();
  }

  /** Applies all that waits in one transaction; when that fails, one by one, so that one bad batch fails alone. */
  function applyGroup(batches: readonly Waiting[]): Waiting[] {
    try {
      apply(batches);
      return [...batches];
    } catch (error) {
      if (batches.length === 1) {
        batches[0]?.reject(error);
        return [];
      }
      return batches.flatMap((batch) => applyGroup([batch]));
    }
  }

  function sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(log, (error) => (error ? reject(error) : resolve()));
    });
  }

  async function flush(): Promise<void> {
    flushing = true;
    // One turn of the microtask queue lets commits of the same moment join the group.
    await null;
    while (waiting.length > 0) {
      if (rewriting) {
        await rewriting;
        continue;
      }
      const batches = waiting;
      waiting = [];
      const applied = applyGroup(batches);
      if (applied.length === 0) continue;
      try {
        await sync();
      } catch (error) {
        // After a failed sync the kernel may have dropped the pages: what is on disk is unknown, so nothing more
        // is promised until a restart has read it again.
        broken = new Error(`the disk refused to sync the database log: ${(error as Error).message}`);
        for (const batch of [...applied, ...waiting]) batch.reject(broken);
        waiting = [];
        break;
      }
      for (const batch of applied) batch.resolve();
    }
    flushing = false;
  }

  const database: Database = {
    run: (sql, ...values) => Number(statement(sql).run(...values).changes),
    get: (sql, ...values) => statement(sql).get(...values) as Record<string, Value> | undefined,
    all: (sql, ...values) => statement(sql).all(...values) as Record<string, Value>[],
    commit(writes) {
      if (broken) return Promise.reject(broken);
      return new Promise<void>((resolve, reject) => {
        waiting.push({ writes, resolve, reject });
        if (!flushing) void flush();
      });
    },
    onRollback: (action) => void rollbackActions.push(action),
    checkpoint() {
      sqlite.exec("PRAGMA wal_checkpoint(PASSIVE)");
      commits = 0;
    },
    checkpointed() {
      commits = 0;
    },
    async rewrite() {
      while (rewriting) await rewriting;
      const work = rewriteAside(file);
      rewriting = work.catch(() => {});
      try {
        await work;
        commits = 0;
      } finally {
        rewriting = undefined;
      }
    },
    get commitsSinceCheckpoint() {
      return commits;
    },
    close() {
      closeSync(log);
      sqlite.close();
    },
  };
  return database;
}
