import { type ControlParts, type Hub, sessionInfo, wireMessage } from "../control/mod.ts";
import type { SessionRow } from "../session/mod.ts";
import type { TurnParts } from "../turn-parts.ts";

/** Tells clients and the mirrors on disk what happened in a session. */
export function createSessionEvents(deps: {
  readonly hub: Hub;
  readonly clock: { now(): number };
  /** Read late: the parts of the control plane are made after the turns that tell of sessions. */
  readonly parts: () => ControlParts;
  /** `sessions.json` of this agent is out of date. */
  readonly touchSnapshot: (agentId: string) => void;
  /** The session's JSONL file is out of date. */
  readonly touchTranscript: (row: SessionRow) => void;
}): Pick<TurnParts, "sessionChanged" | "entryAdded"> {
  const { hub, clock } = deps;
  return {
    sessionChanged(row, reason, runId) {
      deps.touchSnapshot(row.agentId);
      const followers = { kind: "listFollowers" } as const;
      if (!hub.wanted(followers)) return;
      const info = sessionInfo(deps.parts(), row);
      hub.send("sessions.changed", followers, {
        ...info,
        sessionKey: row.key,
        reason,
        ...(runId === undefined ? {} : { runId }),
        ts: clock.now(),
        session: info,
      });
    },
    entryAdded(row, entry) {
      deps.touchTranscript(row);
      const followers = { kind: "followers", sessionKey: row.key } as const;
      if (!hub.wanted(followers)) return;
      const [message] = wireMessage(deps.parts().shown.entry(entry), row.key);
      if (!message || message.role === "toolResult") return;
      hub.send("session.message", followers, {
        sessionKey: row.key,
        agentId: row.agentId,
        message,
        messageId: entry.id,
        messageSeq: entry.seq,
      });
    },
  };
}
