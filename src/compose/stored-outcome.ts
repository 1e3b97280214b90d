import type { InboxStore } from "../delivery/mod.ts";
import { type Entry, type RunOutcome, replyText, type SessionStore } from "../session/mod.ts";

const maxEntries = 1000;

/** How a run ended, as the disk knows it: for those who ask after a restart. Undefined while it is open or unknown. */
export function storedOutcome(
  inbox: InboxStore,
  sessions: SessionStore,
): (runId: string) => RunOutcome | undefined {
  return (runId) => {
    const row = inbox.byRunId(runId);
    if (!row || (row.state !== "done" && row.state !== "failed")) return undefined;
    const session = sessions.get(row.sessionKey);
    const recent = session
      ? sessions.entries(session.sessionId, { afterSeq: session.lastSeq - maxEntries, limit: maxEntries })
      : [];
    const last = recent.findLast(
      ({ runId: of, body }) => of === runId && body.type === "message" && body.message.role === "assistant",
    );
    const said = last?.body.type === "message" && last.body.message.role === "assistant" && last.body.message;
    return {
      runId,
      sessionKey: row.sessionKey,
      agentId: row.agentId,
      status: row.state === "failed" ? "error" : row.detail === "aborted" ? "aborted" : "ok",
      text: said ? replyText(said) : "",
      ...sentWith(last),
      ...(row.state === "failed" ? { errorMessage: row.detail ?? "the run failed" } : {}),
      ...(said ? { provider: said.provider, model: said.model } : {}),
      startedAt: row.receivedAt,
      endedAt: row.updatedAt,
    };
  };
}

function sentWith(entry: Entry | undefined): Pick<RunOutcome, "sent"> {
  if (entry?.body.type !== "message" || entry.body.message.role !== "assistant") return {};
  const { delivered } = entry.body.message;
  return delivered ? { sent: { seq: entry.seq, files: delivered.files } } : {};
}
