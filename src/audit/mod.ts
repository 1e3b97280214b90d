/**
 * The record: append-only, hash-chained, written before the effect it tells of.
 *
 * In: LedgerEvents from the maps. Out: rows that verify.
 * 1. Each row's hash covers the row before it, its place and its time.
 * 2. A changed, removed, inserted or reordered row is found, with its number.
 * 3. A cut tail is found when the head is known from elsewhere.
 * 4. No row holds a message's text, a file's content or a secret.
 * 5. A row can be emptied of what it tells of somebody, for good, and the chain still proves what is left of it; one
 *    that was emptied without a later row that says so is found.
 */
export * from "./ledger.ts";
