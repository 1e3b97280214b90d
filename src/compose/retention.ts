import type { Clock, Log, Write } from "../kernel/mod.ts";
import type { SessionRow } from "../session/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Media } from "./media.ts";
import { rewriteDueKey } from "./person-erasure.ts";

/** How long after a message's end its texts are taken off the disk. */
const sweepAfterMs = 500;
/** Rewriting the database takes at most a hundredth of the time. */
const restsPerRewrite = 100;
/** A message whose commit has not come by then was never stored. */
const storedWithinMs = 60_000;
const sinceKey = "retention:noneSince";

/**
 * `session.retention: "none"`. While a message is worked on it must be on disk, or a crash would lose it; once it has
 * ended and its answers were delivered, or given up, it is erased. What was kept before that setting stays.
 */
export interface Retention {
  /** The store, seen to: which messages come in and go out. */
  watching(store: Store): Store;
  /** Takes up what a gateway that was stopped left; call it once at start, and when the configuration has changed. */
  apply(): Promise<void>;
  /** Erases what has ended by now. */
  close(): Promise<void>;
}

export function createRetention(parts: {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly keeps: () => boolean;
  readonly media: () => Pick<Media, "filesOf">;
}): Retention {
  const { store, clock, log } = parts;
  const { personal } = store;
  // Messages that have ended, or will, and since when that is known: erased once nothing of them is under way.
  const noted = new Map<string, number>();
  let cancel: (() => void) | undefined;
  let sweeping: Promise<void> = Promise.resolve();
  let nextRewriteMs = 0;
  let isDirty = store.meta.get(rewriteDueKey) !== undefined;

  function note(messageId: string): void {
    if (parts.keeps()) return;
    noted.set(messageId, clock.monotonic());
    later();
  }

  function later(): void {
    cancel ??= clock.after(sweepAfterMs, () => {
      cancel = undefined;
      void sweep();
    });
  }

  function sweep(isLast = false): Promise<void> {
    sweeping = sweeping
      .then(() => eraseEnded())
      .then(() => rewrite(isLast))
      .catch((error: Error) =>
        log("error", "what is not to be kept could not be erased yet; it is tried again", {
          error: error.message,
        }),
      )
      .then(() => {
        if (!isLast && (noted.size > 0 || isDirty)) later();
      });
    return sweeping;
  }

  async function eraseEnded(): Promise<void> {
    const ids = [...noted.keys()].filter(isOver);
    if (ids.length === 0) return;
    const rows = ids.flatMap((id) => store.inbox.byMessageId(id) ?? []);
    const deliveries = ids.flatMap((id) => store.outbox.byMessageId(id));
    const runIds = [...rows.map((row) => row.runId), ...deliveries.map((row) => row.runId)];
    const keys = [...new Set(rows.map((row) => row.sessionKey))];
    const sessions = keys.flatMap((key) => store.sessions.get(key) ?? []);
    await store.commit([
      personal.eraseMessages(ids),
      personal.eraseDeliveries(deliveries.map((row) => row.id)),
      personal.eraseApprovals(personal.approvalsOf(runIds, []).map((row) => row.id)),
      ...sessions.map((row: SessionRow): Write => personal.eraseRuns(row, runIds)),
      store.meta.put(rewriteDueKey, "yes"),
      store.ledger.erase(personal.recordOf(runIds, ids), (ranges) => ({
        stage: "operator",
        kind: "admin",
        action: "privacy.retention",
        facts: { rows: ranges.map((range) => [...range]) },
      })),
    ]);
    isDirty = true;
    for (const file of await parts.media().filesOf(new Set(ids))) await file.remove();
    for (const id of ids) noted.delete(id);
  }

  function isOver(messageId: string): boolean {
    const state = store.inbox.byMessageId(messageId)?.state;
    if (state === "accepted" || state === "running") return false;
    const deliveries = store.outbox.byMessageId(messageId);
    if (state === undefined && deliveries.length === 0)
      return clock.monotonic() - (noted.get(messageId) ?? 0) > storedWithinMs;
    return deliveries.every((row) => row.state !== "pending" && row.state !== "sending");
  }

  async function rewrite(now: boolean): Promise<void> {
    const begun = clock.monotonic();
    if (!isDirty || (!now && begun < nextRewriteMs)) return;
    await store.rewrite();
    nextRewriteMs = clock.monotonic() + (clock.monotonic() - begun) * restsPerRewrite;
    await store.commit([personal.eraseMeta(rewriteDueKey)]);
    isDirty = false;
  }

  return {
    watching: (watched) => ({
      ...watched,
      inbox: {
        ...watched.inbox,
        insert(row) {
          note(row.messageId);
          return watched.inbox.insert(row);
        },
      },
      outbox: {
        ...watched.outbox,
        insert(row) {
          note(row.messageId);
          return watched.outbox.insert(row);
        },
      },
    }),
    async apply() {
      const since = store.meta.get(sinceKey);
      if (parts.keeps()) {
        noted.clear();
        if (since !== undefined) await store.commit([personal.eraseMeta(sinceKey)]);
      } else if (since === undefined) await store.commit([store.meta.put(sinceKey, String(clock.now()))]);
      else {
        const open = [...store.inbox.open(), ...store.outbox.open()].map((row) => row.messageId);
        for (const id of [...personal.endedSince(Number(since)), ...open]) note(id);
      }
      if (noted.size > 0 || isDirty) await sweep();
    },
    async close() {
      cancel?.();
      if (noted.size > 0 || isDirty) await sweep(true);
    },
  };
}
