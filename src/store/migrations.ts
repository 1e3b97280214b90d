import type { DatabaseSync } from "node:sqlite";

/**
 * The schema, one step after another; a step never changes once it was released. `user_version` holds how many
 * steps a file has seen. A file from a newer version is refused: an older program would misread it.
 */
const steps: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE inbox (
    message_id TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    event_id TEXT NOT NULL,
    state TEXT NOT NULL,
    detail TEXT,
    session_key TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    text TEXT NOT NULL,
    digest TEXT NOT NULL,
    source TEXT NOT NULL,
    reply TEXT,
    UNIQUE (channel, account, event_id)
  ) WITHOUT ROWID;
  CREATE INDEX inbox_open ON inbox (received_at) WHERE state IN ('accepted', 'running');
  CREATE INDEX inbox_run ON inbox (run_id);

  CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    message TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    platform_id TEXT,
    detail TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX outbox_open ON outbox (created_at, id) WHERE state IN ('pending', 'sending');
  CREATE INDEX outbox_message ON outbox (message_id);
  CREATE INDEX outbox_doubt ON outbox (state, created_at) WHERE state IN ('unknown', 'rejected');

  CREATE TABLE sessions (
    key TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    label TEXT,
    title TEXT,
    last_message TEXT,
    archived INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    model TEXT,
    thinking_level TEXT,
    verbose_level TEXT,
    last_seq INTEGER NOT NULL,
    last_entry_id TEXT,
    window_start_seq INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    route TEXT
  ) WITHOUT ROWID;
  CREATE INDEX sessions_recent ON sessions (updated_at DESC);

  CREATE TABLE entries (
    session_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    parent_id TEXT,
    timestamp TEXT NOT NULL,
    run_id TEXT,
    idempotency_key TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (session_id, seq)
  ) WITHOUT ROWID;
  CREATE INDEX entries_key ON entries (session_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

  CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    message_id TEXT,
    run_id TEXT,
    session_key TEXT,
    stage TEXT NOT NULL,
    kind TEXT NOT NULL,
    event TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
  );
  CREATE INDEX ledger_message ON ledger (message_id) WHERE message_id IS NOT NULL;
  CREATE INDEX ledger_run ON ledger (run_id) WHERE run_id IS NOT NULL;

  CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    body TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX approvals_pending ON approvals (created_at) WHERE state = 'pending';

  CREATE TABLE file_sources (
    agent_id TEXT NOT NULL,
    path TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (agent_id, path)
  ) WITHOUT ROWID;

  CREATE TABLE usage (
    day TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    turns INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    PRIMARY KEY (day, agent_id, provider, model)
  ) WITHOUT ROWID;

  CREATE TABLE browser_sessions (
    hash TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  `,
  `
  ALTER TABLE inbox ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE outbox ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
  DROP INDEX inbox_open;
  DROP INDEX outbox_open;
  CREATE INDEX inbox_open ON inbox (place) WHERE state IN ('accepted', 'running');
  CREATE INDEX outbox_open ON outbox (place) WHERE state IN ('pending', 'sending');
  CREATE INDEX outbox_platform ON outbox (channel, account, platform_id) WHERE platform_id IS NOT NULL;
  `,
  `
  ALTER TABLE sessions ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN last_interaction_at INTEGER NOT NULL DEFAULT 0;
  UPDATE sessions SET started_at = created_at, last_interaction_at = updated_at;
  CREATE INDEX inbox_missed ON inbox (updated_at) WHERE detail = 'delivery.too_old';
  CREATE INDEX inbox_session ON inbox (session_key, place) WHERE state IN ('accepted', 'running');
  `,
  // Rows of the record before this step hashed what they tell together with the chain: none of them could be emptied.
  `
  DROP TABLE ledger;
  CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    message_id TEXT,
    run_id TEXT,
    session_key TEXT,
    stage TEXT NOT NULL,
    kind TEXT NOT NULL,
    event TEXT NOT NULL,
    salt TEXT,
    event_hash TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
  );
  CREATE INDEX ledger_message ON ledger (message_id) WHERE message_id IS NOT NULL;
  CREATE INDEX ledger_run ON ledger (run_id) WHERE run_id IS NOT NULL;
  `,
  `
  ALTER TABLE inbox ADD COLUMN attachments TEXT;
  `,
  `
  CREATE INDEX approvals_allowed ON approvals (json_extract(body, '$.request.agentId'), created_at)
    WHERE state = 'allowed';
  `,
  `
  ALTER TABLE inbox ADD COLUMN aliases TEXT;
  `,
  `
  ALTER TABLE inbox ADD COLUMN deliver_to TEXT;
  `,
  `
  CREATE TABLE newest (
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    counter TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (channel, account, counter)
  ) WITHOUT ROWID;
  `,
];

export const schemaVersion = steps.length;

export function migrate(sqlite: DatabaseSync): void {
  const row = sqlite.prepare("PRAGMA user_version").get() as { user_version: number };
  if (row.user_version > schemaVersion) {
    throw new Error(
      `the database was written by a newer version (its schema is ${row.user_version}, this program knows ${schemaVersion}); install the newer version again, or use another state folder`,
    );
  }
  for (let version = row.user_version; version < steps.length; version++) {
    sqlite.exec(`BEGIN IMMEDIATE; ${steps[version]}; PRAGMA user_version = ${version + 1}; COMMIT`);
  }
}
