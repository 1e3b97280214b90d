import type { InboxRow, OutboxRow } from "../delivery/mod.ts";
import { type Source, unknownSource, type Write } from "../kernel/mod.ts";
import type { Approval } from "../policy/mod.ts";
import type { Entry } from "../session/mod.ts";
import { change, type Database } from "./database.ts";
import { erasedEventId } from "./erased-event.ts";
import { inboxRow, outboxRow } from "./queue.ts";
import { entryOf } from "./sessions.ts";

/**
 * What the tables hold of somebody, and the changes that take it out for good. Reads walk whole tables: nobody asks
 * often. An erased message keeps its channel, its account and a digest of its event's id, so that the platform's
 * delivering it again is still recognised.
 */
export interface PersonalData {
  /** Messages of these authors ("telegram:42"), and all that came into these conversations, in any state. */
  messagesOf(authors: readonly string[], sessionKeys: readonly string[]): InboxRow[];
  /** Those of these conversations in which somebody else has written. */
  sharedWithOthers(sessionKeys: readonly string[], authors: readonly string[]): ReadonlySet<string>;
  /** Keys of conversations whose key contains this. */
  sessionKeysWith(part: string): string[];
  hasSession(sessionId: string): boolean;
  /** Entries that these runs wrote. */
  entriesOf(sessionId: string, runIds: readonly string[]): Entry[];
  /** Replies to these messages, and whatever has one of these words in it. */
  deliveriesOf(messageIds: readonly string[], words: readonly string[]): OutboxRow[];
  approvalsOf(runIds: readonly string[], sessionKeys: readonly string[]): Approval[];
  filesWrittenFor(authors: readonly string[]): {
    readonly agentId: string;
    readonly path: string;
    readonly source: Source;
  }[];
  /** Rows of the record that belong to these, for conversations that are not kept. */
  recordOf(runIds: readonly string[], messageIds: readonly string[]): number[];
  /** Messages that ended, and deliveries of none, since then, that are not erased yet. Ids of messages. */
  endedSince(atMs: number): string[];
  eraseMessages(messageIds: readonly string[]): Write;
  /** Others' messages whose reply was ordered to the chat of one of these accounts ("telegram:42"): not that it was. */
  eraseTargets(accounts: readonly string[]): Write;
  eraseDeliveries(ids: readonly string[]): Write;
  /** With the summaries that were made from what these runs said, and the conversation's title. */
  eraseRuns(session: { readonly key: string; readonly sessionId: string }, runIds: readonly string[]): Write;
  eraseApprovals(ids: readonly string[]): Write;
  eraseFileSource(agentId: string, path: string): Write;
  eraseRoute(sessionKey: string): Write;
  eraseMeta(key: string): Write;
}

const anyOf = "(SELECT value FROM json_each(?))";
const author = "json_extract(source, '$.author')";

export function personalData(database: Database): PersonalData {
  const strings = (rows: Record<string, string | number | null>[], column: string) =>
    rows.map((row) => String(row[column]));
  return {
    messagesOf: (authors, sessionKeys) =>
      database
        .all(
          `SELECT * FROM inbox WHERE ${author} IN ${anyOf} OR session_key IN ${anyOf} ORDER BY received_at`,
          JSON.stringify(authors),
          JSON.stringify(sessionKeys),
        )
        .map(inboxRow),
    sharedWithOthers: (keys, authors) =>
      new Set(
        strings(
          database.all(
            `SELECT DISTINCT session_key FROM inbox WHERE session_key IN ${anyOf} AND ${author} NOT IN ${anyOf}`,
            JSON.stringify(keys),
            JSON.stringify(authors),
          ),
          "session_key",
        ),
      ),
    sessionKeysWith: (part) =>
      strings(database.all("SELECT key FROM sessions WHERE instr(key, ?) > 0", part), "key"),
    hasSession: (id) => database.get("SELECT 1 AS one FROM sessions WHERE session_id = ?", id) !== undefined,
    entriesOf: (sessionId, runIds) =>
      database
        .all(
          `SELECT * FROM entries WHERE session_id = ? AND run_id IN ${anyOf} ORDER BY seq`,
          sessionId,
          JSON.stringify(runIds),
        )
        .map(entryOf),
    deliveriesOf: (messageIds, words) =>
      database
        .all(
          `SELECT * FROM outbox WHERE message_id IN ${anyOf}
           OR EXISTS (SELECT 1 FROM json_each(?) AS word WHERE instr(outbox.message, word.value) > 0)`,
          JSON.stringify(messageIds),
          JSON.stringify(words),
        )
        .map(outboxRow),
    approvalsOf: (runIds, sessionKeys) =>
      database
        .all(
          `SELECT body FROM approvals WHERE json_extract(body, '$.request.runId') IN ${anyOf}
           OR json_extract(body, '$.request.sessionKey') IN ${anyOf}`,
          JSON.stringify(runIds),
          JSON.stringify(sessionKeys),
        )
        .map((row) => JSON.parse(String(row.body)) as Approval),
    filesWrittenFor: (authors) =>
      database
        .all("SELECT * FROM file_sources")
        .map((row) => ({
          agentId: String(row.agent_id),
          path: String(row.path),
          source: JSON.parse(String(row.source)) as Source,
        }))
        .filter(({ source }) => source.author.split(",").some((item) => authors.includes(item))),
    recordOf: (runIds, messageIds) => [
      ...new Set(
        ["run_id", "message_id"].flatMap((column, n) =>
          database
            .all(
              `SELECT seq FROM ledger WHERE ${column} IN ${anyOf} AND salt IS NOT NULL`,
              JSON.stringify(n === 0 ? runIds : messageIds),
            )
            .map((row) => Number(row.seq)),
        ),
      ),
    ],
    endedSince: (atMs) =>
      strings(
        database.all(
          `SELECT message_id FROM inbox WHERE state IN ('done', 'failed', 'refused') AND digest <> '' AND received_at >= ?1
           UNION SELECT message_id FROM outbox WHERE created_at >= ?1`,
          atMs,
        ),
        "message_id",
      ),
    eraseMessages: (messageIds) =>
      change((db) => {
        for (const id of messageIds) {
          const row = db.get("SELECT event_id FROM inbox WHERE message_id = ? AND digest <> ''", id);
          if (!row) continue;
          db.run(
            "UPDATE inbox SET event_id = ?, detail = NULL, session_key = '', agent_id = '', text = '', attachments = NULL, aliases = NULL, digest = '', source = ?, reply = NULL, deliver_to = NULL WHERE message_id = ?",
            erasedEventId(String(row.event_id)),
            JSON.stringify(unknownSource),
            id,
          );
        }
      }),
    eraseTargets: (accounts) =>
      change((db) =>
        db.run(
          `UPDATE inbox SET deliver_to = NULL WHERE deliver_to IS NOT NULL AND
           json_extract(deliver_to, '$.channel') || ':' || json_extract(deliver_to, '$.conversation.id') IN ${anyOf}`,
          JSON.stringify(accounts),
        ),
      ),
    eraseDeliveries: (ids) =>
      change((db) => db.run(`DELETE FROM outbox WHERE id IN ${anyOf}`, JSON.stringify(ids))),
    eraseRuns: ({ key, sessionId }, runIds) =>
      change((db) => {
        const runs = JSON.stringify(runIds);
        const first = db.get(
          `SELECT min(seq) AS seq FROM entries WHERE session_id = ? AND run_id IN ${anyOf}`,
          sessionId,
          runs,
        )?.seq;
        db.run(`DELETE FROM entries WHERE session_id = ? AND run_id IN ${anyOf}`, sessionId, runs);
        if (typeof first === "number")
          db.run(
            "DELETE FROM entries WHERE session_id = ? AND seq > ? AND json_extract(body, '$.type') = 'compaction' AND json_extract(body, '$.firstKeptSeq') > ?",
            sessionId,
            first,
            first,
          );
        db.run("UPDATE sessions SET title = NULL, last_message = NULL WHERE key = ?", key);
      }),
    eraseApprovals: (ids) =>
      change((db) => db.run(`DELETE FROM approvals WHERE id IN ${anyOf}`, JSON.stringify(ids))),
    eraseFileSource: (agentId, path) =>
      change((db) => db.run("DELETE FROM file_sources WHERE agent_id = ? AND path = ?", agentId, path)),
    eraseRoute: (sessionKey) =>
      change((db) => db.run("UPDATE sessions SET route = NULL WHERE key = ?", sessionKey)),
    eraseMeta: (key) => change((db) => db.run("DELETE FROM meta WHERE key = ?", key)),
  };
}
