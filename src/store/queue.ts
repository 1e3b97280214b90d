import type {
  Counted,
  InboxRow,
  InboxState,
  InboxStore,
  OutboundMessage,
  OutboxRow,
  OutboxState,
  OutboxStore,
} from "../delivery/mod.ts";
import { change, type Database } from "./database.ts";
import { erasedEventId } from "./erased-event.ts";

/** Behind all that is open: the order of arrival, which times do not tell (they repeat, and the clock may jump). */
function nextPlace(table: string, open: string): string {
  return `(SELECT coalesce(max(place), 0) + 1 FROM ${table} WHERE state IN (${open}))`;
}

type Row = Record<string, string | number | null>;

export function inboxStore(database: Database): InboxStore {
  const one = (row: Row | undefined) => (row ? inboxRow(row) : undefined);
  return {
    find: (channel, account, eventId) =>
      one(
        database.get(
          "SELECT * FROM inbox WHERE channel = ? AND account = ? AND event_id IN (?, ?)",
          channel,
          account,
          eventId,
          // Of a message that was erased only this is left.
          erasedEventId(eventId),
        ),
      ),
    byMessageId: (messageId) => one(database.get("SELECT * FROM inbox WHERE message_id = ?", messageId)),
    byRunId: (runId) => one(database.get("SELECT * FROM inbox WHERE run_id = ?", runId)),
    insert: (row) =>
      change((db) => {
        if (row.counted) noteNewest(db, row, row.counted);
        db.run(
          `INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ${nextPlace("inbox", "'accepted', 'running'")}, ?, ?, ?)`,
          row.messageId,
          row.channel,
          row.account,
          row.eventId,
          row.state,
          row.detail ?? null,
          row.sessionKey,
          row.agentId,
          row.runId,
          row.receivedAt,
          row.updatedAt,
          row.text,
          row.digest,
          JSON.stringify(row.source),
          row.reply ? JSON.stringify(row.reply) : null,
          row.attachments ? JSON.stringify(row.attachments) : null,
          row.aliases ? JSON.stringify(row.aliases) : null,
          row.deliverTo ? JSON.stringify(row.deliverTo) : null,
        );
      }),
    move: (messageId, state, detail, at) =>
      change((db) => {
        const text = isFinal(state) ? ", text = '', attachments = NULL, aliases = NULL" : "";
        db.run(
          `UPDATE inbox SET state = ?, detail = ?, updated_at = ?${text} WHERE message_id = ?`,
          state,
          detail ?? null,
          at,
          messageId,
        );
      }),
    keepAttachments: (messageId, attachments) =>
      change((db) =>
        db.run(
          "UPDATE inbox SET attachments = ? WHERE message_id = ? AND state IN ('accepted', 'running')",
          JSON.stringify(attachments),
          messageId,
        ),
      ),
    missed: (after) =>
      database
        .all(
          "SELECT * FROM inbox INDEXED BY inbox_missed WHERE detail = 'delivery.too_old' AND updated_at > ? ORDER BY updated_at LIMIT 10000",
          after,
        )
        .map(inboxRow),
    waiting: (sessionKey) =>
      database
        .all(
          "SELECT * FROM inbox INDEXED BY inbox_session WHERE session_key = ? AND state = 'accepted' AND state IN ('accepted', 'running') ORDER BY place",
          sessionKey,
        )
        .map(inboxRow),
    open: () =>
      database.all("SELECT * FROM inbox WHERE state IN ('accepted', 'running') ORDER BY place").map(inboxRow),
  };
}

function isFinal(state: InboxState): boolean {
  return state === "done" || state === "failed" || state === "refused";
}

export function inboxRow(row: Row): InboxRow {
  return {
    messageId: String(row.message_id),
    channel: String(row.channel),
    account: String(row.account),
    eventId: String(row.event_id),
    state: String(row.state) as InboxState,
    ...(row.detail === null ? {} : { detail: String(row.detail) }),
    sessionKey: String(row.session_key),
    agentId: String(row.agent_id),
    runId: String(row.run_id),
    receivedAt: Number(row.received_at),
    updatedAt: Number(row.updated_at),
    text: String(row.text),
    digest: String(row.digest),
    source: JSON.parse(String(row.source)),
    ...(row.aliases === null ? {} : { aliases: JSON.parse(String(row.aliases)) }),
    ...(row.reply === null ? {} : { reply: JSON.parse(String(row.reply)) }),
    ...(row.deliver_to === null ? {} : { deliverTo: JSON.parse(String(row.deliver_to)) }),
    ...(row.attachments === null ? {} : { attachments: JSON.parse(String(row.attachments)) }),
  };
}

function noteNewest(
  db: Database,
  { channel, account }: { readonly channel: string; readonly account: string },
  { counter, number }: Counted,
): void {
  db.run(
    `INSERT INTO newest VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET number = excluded.number WHERE excluded.number > number`,
    channel,
    account,
    counter,
    number,
  );
}

export function outboxStore(database: Database): OutboxStore {
  return {
    insert: (row) =>
      change((db) =>
        db.run(
          `INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ${nextPlace("outbox", "'pending', 'sending'")})`,
          row.id,
          row.messageId,
          row.runId,
          row.channel,
          row.account,
          JSON.stringify(row.message),
          row.state,
          row.attempts,
          row.notBefore,
          row.platformId ?? null,
          row.detail ?? null,
          row.createdAt,
          row.updatedAt,
        ),
      ),
    move: (id, next) =>
      change((db) => {
        db.run(
          "UPDATE outbox SET state = ?, attempts = ?, not_before = ?, platform_id = ?, detail = ?, updated_at = ? WHERE id = ?",
          next.state,
          next.attempts,
          next.notBefore,
          next.platformId ?? null,
          next.detail ?? null,
          next.at,
          id,
        );
        if (next.counted) noteNewest(db, next.counted.of, next.counted);
        const place = JSON.stringify({
          // JSON Merge Patch (RFC 7396): null takes a member away.
          sentAfterMessageId: next.sentAfterMessageId ?? null,
          givenUpAfterMessageId: next.givenUpAfterMessageId ?? null,
        });
        if (next.state === "sending" && (next.attempts > 1 || next.sentAfterMessageId !== undefined))
          db.run("UPDATE outbox SET message = json_patch(message, ?) WHERE id = ?", place, id);
        else if (next.givenUpAfterMessageId !== undefined)
          db.run(
            "UPDATE outbox SET message = json_set(message, '$.givenUpAfterMessageId', ?) WHERE id = ?",
            next.givenUpAfterMessageId,
            id,
          );
      }),
    newest: (channel, account) =>
      new Map(
        database
          .all("SELECT counter, number FROM newest WHERE channel = ? AND account = ?", channel, account)
          .map(({ counter, number }) => [String(counter), Number(number)]),
      ),
    open: () =>
      database
        .all("SELECT * FROM outbox WHERE state IN ('pending', 'sending') ORDER BY place")
        .map(outboxRow),
    byId: (id) => {
      const row = database.get("SELECT * FROM outbox WHERE id = ?", id);
      return row ? outboxRow(row) : undefined;
    },
    byMessageId: (messageId) =>
      database
        .all("SELECT * FROM outbox WHERE message_id = ? ORDER BY created_at, id", messageId)
        .map(outboxRow),
    hasPlatformId: ({ channel, account, message }, platformId) =>
      database
        .all(
          "SELECT message FROM outbox WHERE channel = ? AND account = ? AND platform_id = ?",
          channel,
          account,
          platformId,
        )
        .some((row) => JSON.parse(String(row.message)).conversation.id === message.conversation.id),
    hasDoubtBeside: ({ id, channel, account, message }) =>
      database
        .all(
          `SELECT message FROM outbox WHERE channel = ? AND account = ? AND id <> ?
          AND state IN ('sending', 'unknown', 'dismissed') AND platform_id IS NULL`,
          channel,
          account,
          id,
        )
        .map((row) => JSON.parse(String(row.message)) as OutboundMessage)
        .some(
          (other) => other.conversation.id === message.conversation.id && !wasGivenUpBefore(other, message),
        ),
    inDoubt: (state, limit) =>
      database
        .all(
          "SELECT * FROM outbox WHERE state IN ('unknown', 'rejected') AND state = ? ORDER BY created_at DESC LIMIT ?",
          state,
          limit,
        )
        .map(outboxRow),
  };
}

/** A newer message was seen between the end of the one and the start of the other: their numbers do not overlap. */
function wasGivenUpBefore(
  { givenUpAfterMessageId }: OutboundMessage,
  { sentAfterMessageId }: OutboundMessage,
): boolean {
  return Number(givenUpAfterMessageId) < Number(sentAfterMessageId);
}

export function outboxRow(row: Row): OutboxRow {
  return {
    id: String(row.id),
    messageId: String(row.message_id),
    runId: String(row.run_id),
    channel: String(row.channel),
    account: String(row.account),
    message: JSON.parse(String(row.message)),
    state: String(row.state) as OutboxState,
    attempts: Number(row.attempts),
    notBefore: Number(row.not_before),
    ...(row.platform_id === null ? {} : { platformId: String(row.platform_id) }),
    ...(row.detail === null ? {} : { detail: String(row.detail) }),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
  };
}
