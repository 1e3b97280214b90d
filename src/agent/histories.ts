import type { Entry, SessionRow, SessionStore } from "../session/mod.ts";
import { fitHistory, type GrowingHistory, growHistory, type History } from "./history.ts";

/** What the model sees of each conversation, kept in memory for the recent ones so that a turn reads only what is new. */
export interface Histories {
  /** The history up to the row's last entry; `added` are entries that are not stored yet. It grows with the session. */
  of(session: SessionRow, added: readonly Entry[]): History;
  /** An entry was appended: what is kept of its session grows with it. */
  grew(session: SessionRow, entry: Entry): void;
  /** Cut to `maxChars`; gives the row with its window moved when something had to go. */
  fit(
    session: SessionRow,
    history: History,
    maxChars: number,
  ): { readonly session: SessionRow; readonly history: History };
  forget(sessionId: string): void;
}

const maxKept = 64;
const maxWindowEntries = 5000;

export function createHistories(sessions: SessionStore, fenceKey: string): Histories {
  const kept = new Map<string, { lastEntryId: string | null; readonly history: GrowingHistory }>();

  function keep(sessionId: string, lastEntryId: string | null, history: GrowingHistory): void {
    kept.delete(sessionId);
    kept.set(sessionId, { lastEntryId, history });
    while (kept.size > maxKept) kept.delete(kept.keys().next().value as string);
  }

  return {
    of(session, added) {
      const known = kept.get(session.sessionId);
      // By the entry's id and not its number: a commit that failed leaves a number that another entry gets next.
      if (known?.lastEntryId === session.lastEntryId) return known.history;
      const stored = sessions.entries(session.sessionId, {
        afterSeq: session.windowStartSeq,
        throughSeq: session.lastSeq - added.length,
        limit: maxWindowEntries,
      });
      const history: GrowingHistory = { messages: [], seqs: [], chars: 0 };
      for (const entry of [...stored, ...added]) growHistory(history, entry, fenceKey);
      keep(session.sessionId, session.lastEntryId, history);
      return history;
    },
    grew(session, entry) {
      const known = kept.get(session.sessionId);
      if (known?.lastEntryId !== entry.parentId) return;
      growHistory(known.history, entry, fenceKey);
      known.lastEntryId = entry.id;
    },
    fit(session, history, maxChars) {
      const fitting = fitHistory(history, maxChars);
      const firstSeq = fitting.seqs[0];
      if (fitting === history || firstSeq === undefined) return { session, history: fitting };
      keep(session.sessionId, session.lastEntryId, {
        messages: [...fitting.messages],
        seqs: [...fitting.seqs],
        chars: fitting.chars,
      });
      return { session: { ...session, windowStartSeq: firstSeq - 1 }, history: fitting };
    },
    forget: (sessionId) => void kept.delete(sessionId),
  };
}
