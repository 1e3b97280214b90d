import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

export interface InstanceLock {
  release(): void;
}

export interface LockHolder {
  readonly pid: number;
  readonly port: number;
  readonly startedAt: string;
}

/**
 * One gateway per state folder. The lock is SQLite's own lock on a file, held by the operating system for as long
 * as the process lives: a crash frees it, and a process that happens to get the old number does not hold it.
 * Gives the holder's facts instead when another process has it.
 */
export function takeInstanceLock(
  folder: string,
  me: LockHolder,
): InstanceLock | { readonly heldBy: LockHolder | undefined } {
  const facts = `${folder}/gateway.lock.json`;
  closeSync(openSync(`${folder}/gateway.lock`, "a", 0o600));
  const database = new DatabaseSync(`${folder}/gateway.lock`);
  try {
    database.exec("PRAGMA busy_timeout = 250; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
  } catch {
    database.close();
    return { heldBy: readHolder(facts) };
  }
  writeFileSync(facts, `${JSON.stringify(me)}\n`, { mode: 0o600 });
  return {
    release() {
      database.exec("ROLLBACK");
      database.close();
    },
  };
}

export function readHolder(factsFile: string): LockHolder | undefined {
  try {
    return JSON.parse(readFileSync(factsFile, "utf8")) as LockHolder;
  } catch {
    return undefined;
  }
}
