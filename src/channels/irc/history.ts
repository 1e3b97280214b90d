import type { IrcConnection } from "./connection.ts";
import type { Session } from "./session.ts";
import type { IrcLine } from "./wire.ts";

const deadlineMs = 30_000;
const perQuery = 100;
/** What is older is asked for in further pages, up to this many per conversation. */
const maxPages = 20;

export function hasHistory(session: Session): boolean {
  return ["draft/chathistory", "batch", "server-time", "message-tags"].every((cap) => session.caps.has(cap));
}

/** What was written in any of our conversations after that time, each conversation in its order. */
export async function missedSince(
  connection: IrcConnection,
  sinceMs: number,
  nowMs: number,
): Promise<readonly IrcLine[]> {
  // Both ends are exclusive; a message of our very moment comes live.
  const range = `timestamp=${iso(sinceMs)} timestamp=${iso(nowMs + 60_000)}`;
  const query = `CHATHISTORY TARGETS ${range} ${perQuery}`;
  const targets = (await batch(connection, query, "draft/chathistory-targets")) ?? [];
  const found: IrcLine[] = [];
  for (const line of targets) {
    const target = line.params[1];
    if (line.command !== "CHATHISTORY" || target === undefined || target === "") continue;
    found.push(...((await after(connection, target, sinceMs))?.lines ?? []));
  }
  return found;
}

/**
 * What was written in one conversation after that time, oldest first; `isWhole` when nothing is left out. Undefined
 * when the server does not tell.
 */
export async function after(
  connection: IrcConnection,
  target: string,
  sinceMs: number,
): Promise<{ readonly lines: readonly IrcLine[]; readonly isWhole: boolean } | undefined> {
  const found = new Map<string, IrcLine>();
  let fromMs = sinceMs;
  let isWhole = true;
  for (let page = 0; page < maxPages; page += 1) {
    const query = `CHATHISTORY AFTER ${target} timestamp=${iso(fromMs)} ${perQuery}`;
    const lines = await batch(connection, query, "chathistory");
    if (lines === undefined) return page === 0 ? undefined : { lines: messagesIn(found), isWhole: false };
    for (const line of lines) found.set(line.tags.get("msgid") ?? `${found.size}`, line);
    const lastMs = Date.parse(lines.at(-1)?.tags.get("time") ?? "");
    if (lines.length < perQuery) return { lines: messagesIn(found), isWhole };
    // More may have been written in the very millisecond that this page ends in; one of which it holds nothing else
    // cannot be asked for again.
    isWhole &&= lastMs - 1 > fromMs;
    fromMs = Math.max(lastMs - 1, fromMs + 1);
    if (!Number.isFinite(fromMs)) break;
  }
  return { lines: messagesIn(found), isWhole: false };
}

function messagesIn(lines: ReadonlyMap<string, IrcLine>): readonly IrcLine[] {
  return [...lines.values()].filter((line) => line.command === "PRIVMSG");
}

/** The lines of the batch that answers; undefined when the server fails the command. */
async function batch(
  connection: IrcConnection,
  query: string,
  type: string,
): Promise<readonly IrcLine[] | undefined> {
  let reference: string | undefined;
  const lines: IrcLine[] = [];
  const answer = await connection.ask<readonly IrcLine[] | "failed">(
    [query],
    (line) => {
      const name = line.params[0] ?? "";
      if (line.command === "FAIL" && name === "CHATHISTORY") return "failed";
      if (
        line.command === "BATCH" &&
        reference === undefined &&
        name.startsWith("+") &&
        line.params[1] === type
      ) {
        reference = name.slice(1);
        connection.ownBatches.add(reference);
      } else if (line.command === "BATCH" && reference !== undefined && name === `-${reference}`)
        return lines;
      else if (reference !== undefined && line.tags.get("batch") === reference) lines.push(line);
      return undefined;
    },
    deadlineMs,
  );
  if (reference !== undefined) connection.ownBatches.delete(reference);
  return answer === "failed" ? undefined : answer;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
