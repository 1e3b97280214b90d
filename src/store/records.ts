import type { BrowserSessionStore } from "../auth/mod.ts";
import type { Source, Write } from "../kernel/mod.ts";
import type { Approval, ApprovalStore } from "../policy/mod.ts";
import { change, type Database } from "./database.ts";

export function approvalStore(database: Database): ApprovalStore {
  return {
    get: (id) => {
      const row = database.get("SELECT body FROM approvals WHERE id = ?", id);
      return row ? (JSON.parse(String(row.body)) as Approval) : undefined;
    },
    pending: () =>
      database
        .all("SELECT body FROM approvals WHERE state = 'pending' ORDER BY created_at")
        .map((row) => JSON.parse(String(row.body)) as Approval),
    allowed: (agentId, limit) =>
      database
        .all(
          `SELECT body FROM approvals
           WHERE state = 'allowed' AND json_extract(body, '$.request.agentId') = ?
           ORDER BY created_at DESC LIMIT ?`,
          agentId,
          limit,
        )
        .map((row) => JSON.parse(String(row.body)) as Approval),
    put: (approval) =>
      change((db) =>
        db.run(
          "INSERT OR REPLACE INTO approvals VALUES (?, ?, ?, ?)",
          approval.id,
          approval.state,
          approval.createdAtMs,
          JSON.stringify(approval),
        ),
      ),
  };
}

/** Labels of files that an agent wrote, so that what flows through a file keeps its source. */
export interface FileSourceStore {
  get(agentId: string, path: string): Source | undefined;
  put(agentId: string, path: string, source: Source): Write;
}

export function fileSourceStore(database: Database): FileSourceStore {
  return {
    get: (agentId, path) => {
      const row = database.get(
        "SELECT source FROM file_sources WHERE agent_id = ? AND path = ?",
        agentId,
        path,
      );
      return row ? (JSON.parse(String(row.source)) as Source) : undefined;
    },
    put: (agentId, path, source) =>
      change((db) =>
        db.run("INSERT OR REPLACE INTO file_sources VALUES (?, ?, ?)", agentId, path, JSON.stringify(source)),
      ),
  };
}

export interface UsageAmount {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly costUsd: number;
}

export interface UsageStore {
  add(day: string, agentId: string, provider: string, model: string, amount: UsageAmount): Write;
  /** Days from `fromDay` (YYYY-MM-DD) on, oldest first. */
  byDay(fromDay: string): (UsageAmount & { readonly day: string; readonly turns: number })[];
}

export function usageStore(database: Database): UsageStore {
  return {
    add: (day, agentId, provider, model, amount) =>
      change((db) =>
        db.run(
          `INSERT INTO usage VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET turns = turns + 1, input = input + excluded.input, output = output + excluded.output,
           cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write,
           cost_usd = cost_usd + excluded.cost_usd`,
          day,
          agentId,
          provider,
          model,
          amount.input,
          amount.output,
          amount.cacheRead,
          amount.cacheWrite,
          amount.costUsd,
        ),
      ),
    byDay: (fromDay) =>
      database
        .all(
          `SELECT day, sum(turns) AS turns, sum(input) AS input, sum(output) AS output, sum(cache_read) AS cache_read,
           sum(cache_write) AS cache_write, sum(cost_usd) AS cost_usd FROM usage WHERE day >= ? GROUP BY day ORDER BY day`,
          fromDay,
        )
        .map((row) => ({
          day: String(row.day),
          turns: Number(row.turns),
          input: Number(row.input),
          output: Number(row.output),
          cacheRead: Number(row.cache_read),
          cacheWrite: Number(row.cache_write),
          costUsd: Number(row.cost_usd),
        })),
  };
}

export function browserSessionStore(database: Database): BrowserSessionStore {
  return {
    find: (hash) => {
      const row = database.get("SELECT expires_at FROM browser_sessions WHERE hash = ?", hash);
      return row ? { expiresAtMs: Number(row.expires_at) } : undefined;
    },
    put: (hash, createdAtMs, expiresAtMs) =>
      change((db) => {
        db.run("DELETE FROM browser_sessions WHERE expires_at < ?", createdAtMs);
        db.run("INSERT OR REPLACE INTO browser_sessions VALUES (?, ?, ?)", hash, createdAtMs, expiresAtMs);
      }),
    remove: (hash) => change((db) => db.run("DELETE FROM browser_sessions WHERE hash = ?", hash)),
    removeAll: () => change((db) => db.run("DELETE FROM browser_sessions")),
  };
}

/** Small facts of the installation that must survive a restart. */
export interface MetaStore {
  get(key: string): string | undefined;
  put(key: string, value: string): Write;
  /** Takes out what has this prefix and whose value, a unix time in ms, is over. */
  expire(prefix: string, now: number): Write;
}

export function metaStore(database: Database): MetaStore {
  return {
    get: (key) => {
      const row = database.get("SELECT value FROM meta WHERE key = ?", key);
      return row ? String(row.value) : undefined;
    },
    put: (key, value) => change((db) => db.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)),
    expire: (prefix, now) =>
      change((db) =>
        db.run(
          "DELETE FROM meta WHERE key >= ?1 AND key < ?1 || char(0x10ffff) AND CAST(value AS INTEGER) <= ?2",
          prefix,
          now,
        ),
      ),
  };
}
