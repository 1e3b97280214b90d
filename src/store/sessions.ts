import type { Entry, SessionFilter, SessionRow, SessionStore } from "../session/mod.ts";
import { change, type Database } from "./database.ts";

type Row = Record<string, string | number | null>;

export function sessionStore(database: Database): SessionStore {
  // Counting 100,000 rows costs milliseconds, and health asks for it each second: counted once, then kept.
  let count: number | undefined;
  database.onRollback(() => {
    count = undefined;
  });
  return {
    get: (key) => {
      const row = database.get("SELECT * FROM sessions WHERE key = ?", key);
      return row ? sessionRow(row) : undefined;
    },
    list: (filter) => list(database, filter),
    after: (agentId, afterKey, limit) =>
      database
        .all(
          "SELECT * FROM sessions WHERE key > ? AND agent_id = ? ORDER BY key LIMIT ?",
          afterKey,
          agentId,
          limit,
        )
        .map(sessionRow),
    count: () => {
      count ??= Number(database.get("SELECT count(*) AS n FROM sessions")?.n ?? 0);
      return count;
    },
    put: (row) =>
      change((db) => {
        if (count !== undefined && !db.get("SELECT 1 AS one FROM sessions WHERE key = ?", row.key))
          count += 1;
        db.run(
          "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          row.key,
          row.agentId,
          row.sessionId,
          row.kind,
          row.createdAt,
          row.updatedAt,
          row.label ?? null,
          row.title ?? null,
          row.lastMessage ?? null,
          row.archived ? 1 : 0,
          row.pinned ? 1 : 0,
          row.model ?? null,
          row.thinkingLevel ?? null,
          row.verboseLevel ?? null,
          row.lastSeq,
          row.lastEntryId,
          row.windowStartSeq,
          row.inputTokens,
          row.outputTokens,
          row.costUsd,
          row.route ?? null,
          row.startedAt,
          row.lastInteractionAt,
        );
      }),
    append: (sessionId, entry) =>
      change((db) =>
        db.run(
          "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          sessionId,
          entry.seq,
          entry.id,
          entry.parentId,
          entry.timestamp,
          entry.runId ?? null,
          entry.body.type === "message" ? (entry.body.idempotencyKey ?? null) : null,
          JSON.stringify(entry.body),
        ),
      ),
    entries: (sessionId, range) =>
      database
        .all(
          "SELECT * FROM entries WHERE session_id = ? AND seq > ? AND seq <= ? ORDER BY seq DESC LIMIT ?",
          sessionId,
          range.afterSeq,
          range.throughSeq ?? Number.MAX_SAFE_INTEGER,
          range.limit,
        )
        .reverse()
        .map(entryOf),
    entryByKey: (sessionId, key) => {
      const row = database.get(
        // Named, because the planner would walk the whole session by its primary key instead.
        "SELECT * FROM entries INDEXED BY entries_key WHERE session_id = ? AND idempotency_key = ? AND idempotency_key IS NOT NULL",
        sessionId,
        key,
      );
      return row ? entryOf(row) : undefined;
    },
    delete: (key, sessionId) =>
      change((db) => {
        const removed = db.run("DELETE FROM sessions WHERE key = ?", key);
        if (count !== undefined) count -= removed;
        db.run("DELETE FROM entries WHERE session_id = ?", sessionId);
      }),
  };
}

function list(database: Database, filter: SessionFilter): { rows: SessionRow[]; total: number } {
  const where: string[] = [];
  const values: (string | number)[] = [];
  if (filter.agentId !== undefined) {
    where.push("agent_id = ?");
    values.push(filter.agentId);
  }
  if (filter.archived !== "all") {
    where.push("archived = ?");
    values.push(filter.archived ? 1 : 0);
  }
  if (filter.activeSince !== undefined) {
    where.push("updated_at >= ?");
    values.push(filter.activeSince);
  }
  if (filter.search !== undefined) {
    where.push(
      "(instr(lower(key), ?) OR instr(lower(coalesce(label, '')), ?) OR instr(lower(coalesce(title, '')), ?))",
    );
    const needle = filter.search.toLowerCase();
    values.push(needle, needle, needle);
  }
  const clause = where.length > 0 ? `WHERE ${where.join(" AND ")}` : "";
  const total = Number(database.get(`SELECT count(*) AS n FROM sessions ${clause}`, ...values)?.n ?? 0);
  const rows = database
    .all(
      `SELECT * FROM sessions ${clause} ORDER BY updated_at DESC LIMIT ? OFFSET ?`,
      ...values,
      filter.limit,
      filter.offset,
    )
    .map(sessionRow);
  return { rows, total };
}

function sessionRow(row: Row): SessionRow {
  const text = (name: string, key: string) => (row[name] === null ? {} : { [key]: String(row[name]) });
  return {
    key: String(row.key),
    agentId: String(row.agent_id),
    sessionId: String(row.session_id),
    kind: String(row.kind) as SessionRow["kind"],
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    startedAt: Number(row.started_at),
    lastInteractionAt: Number(row.last_interaction_at),
    ...text("label", "label"),
    ...text("title", "title"),
    ...text("last_message", "lastMessage"),
    archived: row.archived === 1,
    pinned: row.pinned === 1,
    ...text("model", "model"),
    ...text("thinking_level", "thinkingLevel"),
    ...text("verbose_level", "verboseLevel"),
    lastSeq: Number(row.last_seq),
    lastEntryId: row.last_entry_id === null ? null : String(row.last_entry_id),
    windowStartSeq: Number(row.window_start_seq),
    inputTokens: Number(row.input_tokens),
    outputTokens: Number(row.output_tokens),
    costUsd: Number(row.cost_usd),
    ...text("route", "route"),
  };
}

export function entryOf(row: Row): Entry {
  return {
    seq: Number(row.seq),
    id: String(row.id),
    parentId: row.parent_id === null ? null : String(row.parent_id),
    timestamp: String(row.timestamp),
    ...(row.run_id === null ? {} : { runId: String(row.run_id) }),
    body: JSON.parse(String(row.body)),
  };
}
