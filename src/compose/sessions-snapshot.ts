import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Log } from "../kernel/mod.ts";
import type { SessionRow, SessionStore } from "../session/mod.ts";

const pageRows = 200;
const quietMs = 2000;

/**
 * agents/<id>/sessions/sessions.json: a copy for people. Written at most every two seconds, or every hundred times
 * as long as the last one took, in small steps that never hold the event loop.
 */
export function createSessionsSnapshot(ports: {
  readonly sessions: SessionStore;
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly log: Log;
}): { readonly touch: (agentId: string) => void; readonly flush: () => Promise<void> } {
  const dirty = new Set<string>();
  let timer: (() => void) | undefined;
  let writing: Promise<void> = Promise.resolve();
  let pauseMs = quietMs;

  async function writeAll(): Promise<void> {
    timer = undefined;
    const agents = [...dirty];
    dirty.clear();
    const started = ports.clock.monotonic();
    for (const agentId of agents) {
      await write(agentId).catch((error) =>
        ports.log("warn", "sessions.json could not be written", { error: (error as Error).message }),
      );
    }
    pauseMs = Math.max(quietMs, (ports.clock.monotonic() - started) * 100);
  }

  async function write(agentId: string): Promise<void> {
    const folder = join(ports.stateFolder, "agents", agentId, "sessions");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const temporary = join(folder, ".sessions.json.tmp");
    const handle = await open(temporary, "w", 0o600);
    try {
      await handle.write("{");
      let last = "";
      for (;;) {
        const rows = ports.sessions.after(agentId, last, pageRows);
        const end = rows.at(-1);
        if (!end) break;
        const text = rows
          .map((row) => `\n  ${JSON.stringify(row.key)}: ${JSON.stringify(entryOf(row))}`)
          .join(",");
        await handle.write(`${last === "" ? "" : ","}${text}`);
        last = end.key;
      }
      await handle.write("\n}\n");
    } finally {
      await handle.close();
    }
    await rename(temporary, join(folder, "sessions.json"));
  }

  return {
    touch(agentId) {
      dirty.add(agentId);
      timer ??= ports.clock.after(pauseMs, () => {
        writing = writing.then(writeAll);
      });
    },
    async flush() {
      timer?.();
      if (dirty.size > 0) writing = writing.then(writeAll);
      await writing;
    },
  };
}

function entryOf(row: SessionRow) {
  return {
    sessionId: row.sessionId,
    updatedAt: row.updatedAt,
    sessionStartedAt: row.createdAt,
    chatType: row.kind,
    ...(row.label === undefined ? {} : { label: row.label }),
    ...(row.model === undefined ? {} : { modelOverride: row.model }),
    inputTokens: row.inputTokens,
    outputTokens: row.outputTokens,
    totalTokens: row.inputTokens + row.outputTokens,
  };
}
