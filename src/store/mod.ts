/**
 * All SQL, and the files of the seeds' layout that mirror it. Implements the stages' storage ports.
 *
 * 1. A commit is whole or absent, and durable when it resolves.
 * 2. Waiting for the disk never blocks the event loop.
 * 3. A commit that fails (disk full) leaves the tables and what is kept in memory as they were.
 * 4. A file from a newer version is refused, not misread.
 * 5. After a rewrite no byte of what was erased is in the database or its log; a message that was erased is still
 *    recognised when its event comes again.
 */
import type { Chain, LedgerStore } from "../audit/mod.ts";
import type { BrowserSessionStore } from "../auth/mod.ts";
import type { InboxStore, OutboxStore } from "../delivery/mod.ts";
import type { Clock, Commit, Random } from "../kernel/mod.ts";
import type { ApprovalStore } from "../policy/mod.ts";
import type { SessionStore } from "../session/mod.ts";
import { openDatabase } from "./database.ts";
import { ledgerStore } from "./ledger.ts";
import { type PersonalData, personalData } from "./personal.ts";
import { inboxStore, outboxStore } from "./queue.ts";
import {
  approvalStore,
  browserSessionStore,
  type FileSourceStore,
  fileSourceStore,
  type MetaStore,
  metaStore,
  type UsageStore,
  usageStore,
} from "./records.ts";
import { sessionStore } from "./sessions.ts";

export interface Store {
  readonly commit: Commit;
  readonly inbox: InboxStore;
  readonly outbox: OutboxStore;
  readonly sessions: SessionStore;
  readonly ledger: LedgerStore;
  readonly approvals: ApprovalStore;
  readonly fileSources: FileSourceStore;
  readonly usage: UsageStore;
  readonly browserSessions: BrowserSessionStore;
  readonly meta: MetaStore;
  readonly personal: PersonalData;
  readonly commitsSinceCheckpoint: () => number;
  checkpoint(): void;
  /** Somebody else has begun a checkpoint: counts anew. */
  checkpointed(): void;
  /** Leaves nothing of what was deleted in the file or its log. See {@link Database.rewrite}. */
  rewrite(): Promise<void>;
  close(): void;
}

/** `file` and its folder must exist or be makeable; the caller has set the folder's mode. */
export function openStore(options: {
  readonly file: string;
  readonly chain: Chain;
  readonly clock: Clock;
  readonly random: Random;
}): Store {
  const database = openDatabase(options.file);
  return {
    commit: database.commit,
    inbox: inboxStore(database),
    outbox: outboxStore(database),
    sessions: sessionStore(database),
    ledger: ledgerStore(database, options.chain, options.clock, options.random),
    approvals: approvalStore(database),
    fileSources: fileSourceStore(database),
    usage: usageStore(database),
    browserSessions: browserSessionStore(database),
    meta: metaStore(database),
    personal: personalData(database),
    commitsSinceCheckpoint: () => database.commitsSinceCheckpoint,
    checkpoint: () => database.checkpoint(),
    checkpointed: () => database.checkpointed(),
    rewrite: () => database.rewrite(),
    close: () => database.close(),
  };
}

export { type InstanceLock, type LockHolder, takeInstanceLock } from "./instance-lock.ts";
export { ensureFolder, readJsonFile, writeFileAtomic, writeJsonFile } from "./json-file.ts";
export type { FileSourceStore, MetaStore, UsageStore } from "./records.ts";
export { openTranscriptFiles, type TranscriptFiles } from "./transcript-files.ts";
