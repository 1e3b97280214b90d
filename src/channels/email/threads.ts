import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What an answer needs to stand in its thread. */
export interface Thread {
  /** Whom it is with. */
  readonly address: string;
  readonly subject: string;
  /** Message-IDs from the first to the newest. */
  readonly references: readonly string[];
}

/** Where the mailbox stood when we first saw it: what lies before is not ours to answer. */
export interface Start {
  readonly uidValidity: string;
  readonly firstUid: number;
}

const maxThreads = 1_000;

/** What an account keeps over restarts. Losing it loses subjects and the place in threads, and no message. */
export class EmailState {
  readonly #folder: string;
  readonly #threads: Map<string, Thread>;
  #start: Start | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    const saved = read(join(folder, "state.json"));
    this.#threads = new Map(saved.threads);
    this.#start = saved.start;
  }

  get start(): Start | undefined {
    return this.#start;
  }

  began(start: Start): void {
    this.#start = start;
    this.#save();
  }

  thread(conversationId: string, threadId: string): Thread | undefined {
    return this.#threads.get(`${threadId} ${conversationId}`);
  }

  keep(conversationId: string, threadId: string, thread: Thread): void {
    const key = `${threadId} ${conversationId}`;
    const old = this.#threads.get(key);
    if (old && JSON.stringify(old) === JSON.stringify(thread)) return;
    this.#threads.delete(key);
    // The subject of the beginning stays, whatever a later message writes there.
    this.#threads.set(key, old && old.subject !== "" ? { ...thread, subject: old.subject } : thread);
    for (const oldest of this.#threads.keys()) {
      if (this.#threads.size <= maxThreads) break;
      this.#threads.delete(oldest);
    }
    this.#save();
  }

  #save(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const file = join(this.#folder, "state.json");
    const text = JSON.stringify({ start: this.#start, threads: [...this.#threads] });
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}

function read(file: string): {
  readonly start?: Start;
  readonly threads: readonly (readonly [string, Thread])[];
} {
  try {
    const value = JSON.parse(readFileSync(file, "utf8")) as {
      start?: Start;
      threads?: [string, Thread][];
    } | null;
    const { start } = value ?? {};
    const fits = typeof start?.uidValidity === "string" && Number.isSafeInteger(start.firstUid);
    return { ...(fits ? { start } : {}), threads: (value?.threads ?? []).filter(isEntry) };
  } catch {
    return { threads: [] };
  }
}

function isEntry(entry: unknown): boolean {
  if (!Array.isArray(entry) || typeof entry[0] !== "string") return false;
  const thread = entry[1] as Partial<Thread> | null;
  return (
    typeof thread?.address === "string" &&
    typeof thread.subject === "string" &&
    Array.isArray(thread.references) &&
    thread.references.every((item) => typeof item === "string")
  );
}
