import type { Entry, SessionRow, SessionStore } from "../session/mod.ts";
import { emptyHistory, extendHistory, fitHistory, type History } from "./history.ts";

/** What the model sees of each conversation, kept in memory for the recent ones so that a turn reads only what is new. */
export interface Histories {
  /** The history up to the row's last entry; `added` are entries that are not stored yet. */
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
  const kept = new Map<string, { readonly lastSeq: number; readonly history: History }>();

  function keep(sessionId: string, lastSeq: number, history: History): void {
    kept.delete(sessionId);
    kept.set(sessionId, { lastSeq, history });
    while (kept.size > maxKept) kept.delete(kept.keys().next().value as string);
  }

  return {
    of(session, added) {
      const known = kept.get(session.sessionId);
      if (known?.lastSeq === session.lastSeq) return known.history;
      const stored = sessions.entries(session.sessionId, {
        afterSeq: session.windowStartSeq,
        throughSeq: session.lastSeq - added.length,
        limit: maxWindowEntries,
      });
      const history = extendHistory(extendHistory(emptyHistory, stored, fenceKey), added, fenceKey);
      keep(session.sessionId, session.lastSeq, history);
      return history;
    },
    grew(session, entry) {
      const known = kept.get(session.sessionId);
      if (known?.lastSeq !== entry.seq - 1) return;
      keep(session.sessionId, entry.seq, extendHistory(known.history, [entry], fenceKey));
    },
    fit(session, history, maxChars) {
      const fitting = fitHistory(history, maxChars);
      const firstSeq = fitting.seqs[0];
      if (fitting === history || firstSeq === undefined) return { session, history: fitting };
      keep(session.sessionId, session.lastSeq, fitting);
      return { session: { ...session, windowStartSeq: firstSeq - 1 }, history: fitting };
    },
    forget: (sessionId) => void kept.delete(sessionId),
  };
}
