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
  /** What it told of somebody was erased: only its stage, kind and action are left. */
  readonly erased?: true;
}

/** A row with what its hash was made from. */
export interface SealedRow extends LedgerRow {
  /** Of the whole event with its salt; stays when the event goes. */
  readonly eventHash: string;
  /** 32 hex digits, so that nobody finds out an erased event by hashing guesses. Absent once the row is erased. */
  readonly salt?: string;
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
  /**
   * Empties these rows, and appends the row that says so: `record` is given their ranges, and must put them into its
   * facts as `rows`. Rows that tell of an erasure are never emptied.
   */
  erase(seqs: readonly number[], record: (ranges: readonly SeqRange[]) => LedgerEvent): Write;
  list(filter: LedgerFilter): LedgerRow[];
  /** Rows from `fromSeq` on, oldest first, at most `limit`. */
  scan(fromSeq: number, limit: number): SealedRow[];
  head(): { readonly seq: number; readonly hash: string };
}

export const genesis = "0".repeat(64);

/** First and last of rows that stand beside each other. */
export type SeqRange = readonly [first: number, last: number];

/** What a row's hash covers beside the row before it. */
export type Link = Pick<SealedRow, "seq" | "at" | "stage" | "kind" | "action" | "eventHash">;

/** How rows are sealed, for the store that keeps them. */
export interface Chain {
  readonly genesis: string;
  eventHash(salt: string, event: LedgerEvent): string;
  rowHash(previous: string, link: Link): string;
  ranges(seqs: readonly number[]): SeqRange[];
}

export const ledgerChain: Chain = {
  genesis,
  /** SHA-256, in hex, over the salt and the canonical JSON of the event. */
  eventHash: (salt, event) => hash("sha256", `${salt}\n${canonicalJson(event)}`),
  /**
   * SHA-256, in hex, over the previous hash, the row's place and time, and all that an erasure leaves of its event:
   * an erased row can be neither changed nor moved.
   */
  rowHash: (previous, { seq, at, stage, kind, action, eventHash }) =>
    hash("sha256", `${previous}\n${JSON.stringify([seq, at, stage, kind, action, eventHash])}`),
  ranges(seqs) {
    const ranges: [number, number][] = [];
    for (const seq of [...seqs].sort((a, b) => a - b)) {
      const last = ranges.at(-1);
      if (last && seq <= last[1] + 1) last[1] = seq;
      else ranges.push([seq, seq]);
    }
    return ranges;
  },
};

/** What a row of this action says is gone, is gone by order. */
const erasures: ReadonlySet<string> = new Set(["privacy.erase", "privacy.retention"]);

/** The event inside a row: what was hashed. */
function eventOf(row: SealedRow): LedgerEvent {
  const { seq: _, at: _at, previous: _previous, hash: _hash, eventHash: _own, salt: _salt, ...event } = row;
  return event;
}

export type Verification =
  | {
      readonly intact: true;
      readonly rows: number;
      /** How many of them are empty, by order of a later row. */
      readonly erased: number;
      readonly head: string;
    }
  | { readonly intact: false; readonly rows: number; readonly brokenAtSeq: number; readonly why: string };

/**
 * Walks the whole chain. A changed, removed, inserted or reordered row is found at its place, and so is one that was
 * emptied without a later row that says so; a cut tail is found only against a head that was kept elsewhere
 * (`expectedHead`: the log file carries the head at each start).
 */
export async function verifyLedger(
  store: LedgerStore,
  breathe: () => Promise<void>,
  expectedHead?: string,
): Promise<Verification> {
  let previous = genesis;
  let seq = 0;
  let erased = 0;
  // Empty rows that no row has answered for yet.
  const unexplained = new Set<number>();
  let seenExpected = expectedHead === undefined || expectedHead === genesis;
  for (;;) {
    const rows = store.scan(seq + 1, 500);
    for (const row of rows) {
      const why = wrongWith(row, seq, previous);
      if (why !== undefined) return broken(seq, row.seq === seq + 1 ? row.seq : seq + 1, why);
      seq = row.seq;
      previous = row.hash;
      if (row.salt === undefined) {
        erased += 1;
        unexplained.add(seq);
      }
      for (const [first, last] of erasedBy(row))
        for (let gone = first; gone <= last; gone++) unexplained.delete(gone);
      if (row.hash === expectedHead) seenExpected = true;
    }
    if (rows.length === 0) break;
    await breathe();
  }
  const [first] = unexplained;
  if (first !== undefined)
    return broken(first - 1, first, `row ${first} was emptied, and no later row says by whose order`);
  if (!seenExpected)
    return broken(seq, seq + 1, "the expected head is not in the ledger: its end was cut off");
  return { intact: true, rows: seq, erased, head: previous };
}

function wrongWith(row: SealedRow, seq: number, previous: string): string | undefined {
  if (row.seq !== seq + 1) return `row ${seq + 1} is missing`;
  if (row.previous !== previous) return `row ${row.seq} does not follow row ${seq}`;
  const { rowHash, eventHash } = ledgerChain;
  const event = eventOf(row);
  const isTrue = row.salt === undefined ? isEmpty(event) : eventHash(row.salt, event) === row.eventHash;
  return isTrue && rowHash(previous, row) === row.hash
    ? undefined
    : `row ${row.seq} was changed after it was written`;
}

/** Nothing may stand in an erased row that its hash does not cover. */
function isEmpty({ stage: _stage, kind: _kind, action: _action, ...rest }: LedgerEvent): boolean {
  return Object.keys(rest).every((name) => name === "erased");
}

/** The ranges, all before itself, that this row tells the erasure of. */
function erasedBy({ kind, action, facts, seq }: SealedRow): SeqRange[] {
  if (kind !== "admin" || !erasures.has(action)) return [];
  const named = (facts as { readonly rows?: unknown } | undefined)?.rows;
  if (!Array.isArray(named)) return [];
  return named.flatMap(([first, last]: readonly unknown[]) =>
    Number.isSafeInteger(first) && Number.isSafeInteger(last)
      ? [[Math.max(first as number, 1), Math.min(last as number, seq - 1)] as const]
      : [],
  );
}

function broken(rows: number, brokenAtSeq: number, why: string): Verification {
  return { intact: false, rows, brokenAtSeq, why };
}
