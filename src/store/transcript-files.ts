import { mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock, Log } from "../kernel/mod.ts";
import type { Entry, SessionRow, SessionStore } from "../session/mod.ts";

/** The readable copies of the conversations: agents/<id>/sessions/<sessionId>.jsonl and sessions.json. */
export interface TranscriptFiles {
  /** Notes that a session has entries that its file may lack. Cheap; the writing happens later and in order. */
  touch(row: SessionRow): void;
  /** Writes all that was touched. */
  flush(): Promise<void>;
  /** Removes the file; what the database still holds of the conversation is written anew. */
  erase(row: SessionRow): Promise<void>;
  path(row: SessionRow): string;
}

const batchEntries = 500;
const batchChars = 200_000;
// Entries of a quarter of a second are written together: opening a file for each would cost more than the turn.
const gatherMs = 250;

/**
 * The database is the truth; these files are for people and their tools. Each append starts by reading how far
 * the file got, so a crash in between costs nothing: a torn last line is cut off and written again.
 */
export function openTranscriptFiles(options: {
  readonly stateFolder: string;
  readonly sessions: SessionStore;
  readonly workspaceOf: (agentId: string) => string;
  /** False: conversations are not kept, and nothing is written. */
  readonly keeps: () => boolean;
  /** An entry as people may read it. */
  readonly shown: (entry: Entry) => Entry;
  readonly clock: Clock;
  readonly log: Log;
}): TranscriptFiles {
  const touched = new Map<string, SessionRow>();
  // Where each recently written file ends; bounded, because a file that is not here is read again.
  const written = new Map<string, number>();
  let running: Promise<void> | undefined;
  let cancelTimer: (() => void) | undefined;

  function start(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    // With nothing to do it would be over before it stood here, and whoever waits for it would wait for ever.
    if (touched.size > 0) running ??= drain();
  }

  const path = (row: SessionRow) =>
    join(options.stateFolder, "agents", row.agentId, "sessions", `${row.sessionId}.jsonl`);

  async function write(row: SessionRow): Promise<void> {
    const file = path(row);
    const handle = await open(file, "a+", 0o600).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      return open(file, "a+", 0o600);
    });
    try {
      let seq = written.get(row.sessionId);
      if (seq === undefined) {
        const end = await lastSeqIn(handle);
        seq = end.seq;
        await handle.truncate(end.bytes);
        if (end.bytes === 0)
          await handle.appendFile(`${JSON.stringify(headerOf(row, options.workspaceOf(row.agentId)))}\n`);
      }
      // Numbers may be missing: entries that were erased.
      for (let from = seq; from < row.lastSeq; from += batchEntries) {
        const entries = options.sessions.entries(row.sessionId, {
          afterSeq: from,
          throughSeq: from + batchEntries,
          limit: batchEntries,
        });
        // Written in between: to go through much text at once would hold everybody else up.
        let text = "";
        for (const entry of entries) {
          text += `${JSON.stringify(lineOf(options.shown(entry)))}\n`;
          if (text.length < batchChars) continue;
          await handle.appendFile(text);
          text = "";
        }
        if (text !== "") await handle.appendFile(text);
        seq = entries.at(-1)?.seq ?? seq;
      }
      if (written.size > 1000) written.clear();
      written.set(row.sessionId, seq);
    } finally {
      await handle.close();
    }
  }

  async function drain(): Promise<void> {
    while (touched.size > 0) {
      const [id, row] = touched.entries().next().value as [string, SessionRow];
      touched.delete(id);
      try {
        await write(row);
      } catch (error) {
        written.delete(id);
        options.log("warn", "transcript file could not be written; the database still holds it", {
          session: row.key,
          error: (error as Error).message,
        });
      }
    }
    running = undefined;
  }

  async function flush(): Promise<void> {
    if (touched.size > 0) start();
    while (running) await running;
  }

  return {
    path,
    touch(row) {
      if (!options.keeps()) return;
      touched.set(row.sessionId, row);
      if (!running && !cancelTimer) cancelTimer = options.clock.after(gatherMs, start);
    },
    flush,
    async erase(row) {
      touched.delete(row.sessionId);
      await flush();
      written.delete(row.sessionId);
      await rm(path(row), { force: true });
      const left = options.sessions.get(row.key);
      if (left?.sessionId === row.sessionId && options.keeps()) touched.set(row.sessionId, left);
      await flush();
    },
  };
}

function headerOf(row: SessionRow, cwd: string) {
  return {
    type: "session",
    id: row.sessionId,
    key: row.key,
    cwd,
    timestamp: new Date(row.createdAt).toISOString(),
  };
}

function lineOf(entry: Entry) {
  const { body, ...place } = entry;
  return { ...place, ...body };
}

/** The last whole line's seq, and the length of the file up to and including it. */
async function lastSeqIn(handle: Awaited<ReturnType<typeof open>>): Promise<{ seq: number; bytes: number }> {
  const { size } = await handle.stat();
  let windowBytes = 64 * 1024;
  for (;;) {
    const start = Math.max(0, size - windowBytes);
    const buffer = Buffer.alloc(size - start);
    await handle.read(buffer, 0, buffer.length, start);
    const end = buffer.lastIndexOf(0x0a);
    const before = end < 0 ? -1 : buffer.lastIndexOf(0x0a, end - 1);
    if (end >= 0 && (before >= 0 || start === 0)) {
      try {
        const line = JSON.parse(buffer.subarray(before + 1, end).toString("utf8")) as { seq?: number };
        return { seq: line.seq ?? 0, bytes: start + end + 1 };
      } catch {
        return { seq: 0, bytes: 0 };
      }
    }
    if (start === 0) return { seq: 0, bytes: 0 };
    windowBytes *= 4;
  }
}
