import type { InboxRow } from "../delivery/mod.ts";
import { type Clock, type Log, type Random, type Source, uuid } from "../kernel/mod.ts";
import { appendEntry } from "../session/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Tools } from "./tools.ts";

const source: Source = { author: "gateway", proof: "self", trust: "system", sensitivity: "private" };

/**
 * Tells each conversation, and the record, which of its commands ended with an earlier gateway. Before any turn begins.
 * A conversation in the middle of a turn hears it from that turn's own calls: nothing may stand between a call and its
 * result.
 */
export async function tellLostCommands(parts: {
  readonly tools: Pick<Tools, "lostCommands">;
  readonly store: Pick<Store, "commit" | "sessions" | "ledger"> & {
    readonly inbox: { readonly open: () => readonly InboxRow[] };
  };
  readonly touchTranscript: (row: NonNullable<ReturnType<Store["sessions"]["get"]>>) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): Promise<void> {
  const { store, clock } = parts;
  const lost = Map.groupBy(await parts.tools.lostCommands(), ({ sessionKey }) => sessionKey);
  // What was accepted and has not begun has nothing in the conversation yet.
  const begun = lost.size === 0 ? [] : store.inbox.open().filter((row) => row.state === "running");
  const inTurn = new Set(begun.map((row) => row.sessionKey));
  for (const [sessionKey, commands] of lost) {
    const ids = commands.map(({ id }) => id);
    const session = store.sessions.get(sessionKey);
    const recorded = store.ledger.append({
      stage: "sandbox",
      kind: "effect.end",
      action: "exec",
      outcome: "error",
      sessionKey,
      facts: { lost: ids },
    });
    if (session && !inTurn.has(sessionKey)) {
      const { row, entry } = appendEntry(session, {
        id: uuid(parts.random),
        now: clock.now(),
        body: {
          type: "message",
          message: { role: "user", content: text(ids), timestamp: clock.now(), source },
        },
      });
      // Nobody from outside has spoken.
      const after = { ...row, lastInteractionAt: session.lastInteractionAt };
      await store.commit([recorded, store.sessions.append(row.sessionId, entry), store.sessions.put(after)]);
      parts.touchTranscript(after);
    } else await store.commit([recorded]);
    for (const command of commands) command.settle();
    parts.log("warn", "commands ended with the gateway that ran them", {
      session: sessionKey,
      commands: ids,
    });
  }
}

/** Identifiers that are ours, and nothing that a model wrote: it is read as our own words. */
function text(ids: readonly string[]): string {
  return `[The gateway was restarted. Commands of this conversation that ran in the background have ended: ${ids.join(", ")}. What they printed: process, action log. Start again what is still needed.]`;
}
