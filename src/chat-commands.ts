/** Answers the commands of a chat (`/new`, `/status` ...) in their lane. `/stop` and `/approve` have acted before. */
import type { InboxRow } from "./delivery/mod.ts";
import { uuid, type Write } from "./kernel/mod.ts";
import { appendEntry, type ChatCommand, chatHelp, type SessionRow } from "./session/mod.ts";
import type { createCompaction } from "./turn-compaction.ts";
import type { TurnLog } from "./turn-log.ts";
import type { TurnParts } from "./turn-parts.ts";

/** Code points. */
const maxFocus = 800;

export function createChatCommands(
  parts: TurnParts,
  { sessionOf }: TurnLog,
  compact: ReturnType<typeof createCompaction>,
): (row: InboxRow, command: ChatCommand, signal: AbortSignal) => Promise<string> {
  const { clock, commit, sessions, histories, runs } = parts;

  async function runCommand(row: InboxRow, command: ChatCommand, signal: AbortSignal): Promise<string> {
    let session = sessions.get(row.sessionKey) ?? sessionOf(row);
    const writes: Write[] = [];
    let text = chatHelp;
    const resets = command.name === "new" || command.name === "reset";
    if (resets) {
      const appended = appendEntry(session, {
        id: uuid(parts.random),
        now: clock.now(),
        runId: row.runId,
        body: { type: "reset" },
      });
      session = appended.row;
      writes.push(sessions.append(session.sessionId, appended.entry), sessions.put(session));
      text = "A fresh conversation. What was said before is out of the model's sight.";
    } else if (command.name === "stop") text = "Stopped.";
    else if (command.name === "whoami")
      text = `You are ${row.source.author} (proved by ${row.source.proof}; trust: ${row.source.trust}).`;
    else if (command.name === "approve")
      text = "Answer approvals on the page, or with: openclaw approvals resolve <id> <decision>";
    else if (command.name === "compact") text = await condense(row, session, command.rest, signal);
    else if (command.name === "status") text = statusText(session);
    else if (command.name === "activation") text = activation(row, command, writes);
    if (writes.length > 0) await commit(writes);
    if (resets) {
      histories.forget(session.sessionId);
      parts.sessionChanged(session, "reset", row.runId);
    }
    return text;
  }

  /** Only owners come here with it: the access rules say so. */
  function activation(row: InboxRow, { args }: ChatCommand, writes: Write[]): string {
    const [chosen] = args;
    if (!row.reply || row.reply.conversation.kind === "direct")
      return "This is for groups: here every message is answered.";
    if (chosen !== "mention" && chosen !== "always") return "Usage: /activation mention|always";
    writes.push(parts.chooseActivation(row, chosen));
    return chosen === "always"
      ? "From now on every message of those who may talk here is answered, until /activation mention."
      : "From now on only messages that call the agent are answered here.";
  }

  async function condense(
    row: InboxRow,
    current: SessionRow,
    focus: string,
    signal: AbortSignal,
  ): Promise<string> {
    const { choice } = await parts.modelFor(row.agentId, current.model);
    const task = { row, session: { current }, choice, signal };
    const about = [...focus].slice(0, maxFocus).join("");
    const done = await compact(about === "" ? task : { ...task, focus: about }, 0);
    if (!done) return "There is nothing to condense yet, or the model gave no summary.";
    parts.sessionChanged(task.session.current, "compact", row.runId);
    return "Condensed. The model now sees a summary of what was said before; the log keeps it all.";
  }

  function statusText(session: SessionRow): string {
    const model = session.model ?? parts.agentSettings(session.agentId).model ?? "not configured";
    return [
      `Session ${session.key}`,
      `Model ${model}`,
      `Tokens ${session.inputTokens} in, ${session.outputTokens} out; cost $${session.costUsd.toFixed(4)}`,
      `${parts.lanes.depth(session.key)} message(s) in this lane, ${runs.size} run(s) active`,
    ].join("\n");
  }

  return runCommand;
}
