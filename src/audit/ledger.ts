import { hash } from "node:crypto";
import { canonicalJson, type Json, type Write } from "../kernel/mod.ts";

/** What happened, in words that never hold a message's text, a file's content or a secret. */
export type LedgerEvent = {
  /** Which arrow of the map: "network", "auth", "access", "session", "agent", "policy", "sandbox", "delivery", "operator". */
  readonly stage: string;
  /** What: "verdict" for a decision, "effect.start" and "effect.end" around everything that leaves a mark outside. */
  readonly kind: "verdict" | "effect.start" | "effect.end" | "admin";
  /** The decision or effect in one word: "admit", "refuse", "model.call", "tool.exec", "send", "config.patch". */
  readonly action: string;
  /** A Reason for refusals, an outcome for ends; absent otherwise. */
  readonly outcome?: string;
  /** Whose message, which run: the thread that `openclaw why` follows. */
  readonly messageId?: string;
  readonly runId?: string;
  readonly sessionKey?: string;
  /** Who caused it: a principal or a sender id. */
  readonly actor?: string;
  /** Further facts, already redacted. */
  readonly facts?: Json;
};

export interface LedgerRow extends LedgerEvent {
  /** 1 for the first; no gaps. */
  readonly seq: number;
  /** Unix ms. */
  readonly at: number;
  /** Hash of the row before; 64 zeros for the first. */
  readonly previous: string;
  readonly hash: string;
}

export interface LedgerFilter {
  readonly messageId?: string;
  readonly runId?: string;
  readonly sessionKey?: string;
  readonly stage?: string;
  readonly kind?: string;
  readonly beforeSeq?: number;
  readonly afterSeq?: number;
  /** At most this many, newest first. */
  readonly limit: number;
}

/** Storage of the ledger. `append` takes its place in the chain when it is committed, not when it is made. */
export interface LedgerStore {
  append(event: LedgerEvent): Write;
  list(filter: LedgerFilter): LedgerRow[];
  /** Rows from `fromSeq` on, oldest first, at most `limit`. */
  scan(fromSeq: number, limit: number): LedgerRow[];
  head(): { readonly seq: number; readonly hash: string };
}

export const genesis = "0".repeat(64);

/** SHA-256, in hex, over the previous hash and the canonical JSON of the event with its place and time. */
export function chainHash(previous: string, seq: number, at: number, event: LedgerEvent): string {
  return hash("sha256", `${previous}\n${canonicalJson({ seq, at, event })}`);
}

/** The event inside a row: what was hashed. */
export function eventOf(row: LedgerRow): LedgerEvent {
  const { seq: _seq, at: _at, previous: _previous, hash: _hash, ...event } = row;
  return event;
}

export type Verification =
  | { readonly intact: true; readonly rows: number; readonly head: string }
  | { readonly intact: false; readonly rows: number; readonly brokenAtSeq: number; readonly why: string };

/**
 * Walks the whole chain. A changed, removed, inserted or reordered row is found at its place; a cut tail is found
 * only against a head that was kept elsewhere (`expectedHead`: the log file carries the head at each start).
 */
export async function verifyLedger(
  store: LedgerStore,
  breathe: () => Promise<void>,
  expectedHead?: string,
): Promise<Verification> {
  let previous = genesis;
  let seq = 0;
  let seenExpected = expectedHead === undefined || expectedHead === genesis;
  for (;;) {
    const rows = store.scan(seq + 1, 500);
    for (const row of rows) {
      if (row.seq !== seq + 1) return broken(seq, seq + 1, `row ${seq + 1} is missing`);
      if (row.previous !== previous) return broken(seq, row.seq, `row ${row.seq} does not follow row ${seq}`);
      if (chainHash(previous, row.seq, row.at, eventOf(row)) !== row.hash) {
        return broken(seq, row.seq, `row ${row.seq} was changed after it was written`);
      }
      seq = row.seq;
      previous = row.hash;
      if (row.hash === expectedHead) seenExpected = true;
    }
    if (rows.length === 0) break;
    await breathe();
  }
  if (!seenExpected)
    return broken(seq, seq + 1, "the expected head is not in the ledger: its end was cut off");
  return { intact: true, rows: seq, head: previous };
}

function broken(rows: number, brokenAtSeq: number, why: string): Verification {
  return { intact: false, rows, brokenAtSeq, why };
}
