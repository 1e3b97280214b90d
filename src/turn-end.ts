/**
 * The end of a turn: transcript, outbox and inbox in one commit. This file is a map, as turn.ts is.
 */
import type { RunResult } from "./agent/mod.ts";
import type { RunEvents } from "./control/mod.ts";
import { addressed, type InboxRow, type ReplyTo, replyRows, shownSoFar, withPrefix } from "./delivery/mod.ts";
import { InputError, ModelFault } from "./kernel/mod.ts";
import { type ActiveRun, type Entry, maySend, type RunOutcome } from "./session/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import type { createTurnMedia, ReplyContent } from "./turn-media.ts";
import type { Said, Turn, TurnParts } from "./turn-parts.ts";
import { endOfStatus, firstRowId, overDraft } from "./turn-stream.ts";

export function createTurnEnd(
  parts: TurnParts,
  { add, addReply, partial, recordVerdict }: TurnLog,
  media: Pick<ReturnType<typeof createTurnMedia>, "sendOut">,
) {
  const { clock, commit, inbox, sessions, runs } = parts;

  async function close(
    row: InboxRow,
    result: RunResult,
    said: { readonly task: Turn; readonly reply: Said | undefined } | undefined,
    events: RunEvents,
    active: ActiveRun,
  ): Promise<void> {
    // A gateway that is stopping leaves its turns open on disk; the next start takes them up.
    if (result.status === "aborted" && parts.isStopping()) return;
    if (result.status === "aborted" && active.timedOutAfterMs !== undefined) {
      const seconds = Math.round(active.timedOutAfterMs / 1000);
      const message = `the run took longer than ${seconds} s and was stopped (agents.defaults.timeoutSeconds)`;
      await fail(row, events, active, { message, kind: "timeout" }, said?.task, result.text);
      return;
    }
    if (result.status === "failed") {
      await fail(
        row,
        events,
        active,
        { message: result.fault.message, kind: result.fault.kind },
        said?.task,
        result.text,
      );
      return;
    }
    const writes = [...(said?.task.ends.splice(0) ?? []), ...((await said?.task.stream?.settle()) ?? [])];
    const aborted = result.status === "aborted";
    const content = await contentOf(row, result, said?.task);
    let entry: Entry | undefined;
    if (said?.reply) entry = addReply(said.task, writes, said.reply, content.delivered);
    else if (said && result.text !== "")
      entry = add(said.task, writes, partial(said.task, result.text, "aborted"));
    if (said) writes.push(sessions.put(said.task.session.current));
    const out = addressed(row);
    const replies =
      out.reply && !aborted
        ? repliesTo(out, said ? prefixed(content, said.task) : content, out.reply)
        : endOfStatus(parts.outbox.byId(firstRowId(row.messageId)), "Stopped.");
    await commit([
      ...writes,
      ...content.writes,
      ...replies.map((reply) => parts.outbox.insert(reply)),
      inbox.move(row.messageId, "done", aborted ? "aborted" : undefined, clock.now()),
      recordVerdict("delivery", aborted ? "aborted" : "reply", row, {
        parts: replies.length,
        ...(out.reply && !aborted && !maySendTo(out, out.reply) ? { withheld: "session.sendPolicy" } : {}),
      }),
    ]);
    parts.sender.offer(replies);
    if (said && entry) parts.entryAdded(said.task.session.current, entry);
    const { text } = content;
    const { files } = content.delivered ?? {};
    const sent = entry && files ? { sent: { seq: entry.seq, files } } : {};
    events.finish(
      aborted ? { state: "aborted", text } : { state: "final", text, stopReason: result.stopReason, ...sent },
    );
    if (said) parts.sessionChanged(said.task.session.current, "agent.input.settled", row.runId);
    settleRun(row, active, said?.task, { status: aborted ? "aborted" : "ok", text, ...sent });
  }

  /** What people are given of a run's end; its files are copied away by now. */
  async function contentOf(row: InboxRow, result: RunResult, task: Turn | undefined): Promise<ReplyContent> {
    const out = addressed(row);
    const goesOut = result.status !== "aborted" && (out.reply === undefined || maySendTo(out, out.reply));
    if (task && goesOut) return media.sendOut(task, result.text);
    return { text: task ? shownSoFar(result.text) : result.text, files: [], writes: [] };
  }

  /** A turn that ended in an error is visible too: to clients as an error, on a channel as a sentence. */
  async function fail(
    row: InboxRow,
    events: RunEvents,
    active: ActiveRun,
    fault: { readonly message: string; readonly kind: string },
    task?: Turn,
    text = "",
  ): Promise<void> {
    const message = parts.redact(fault.message);
    const writes = [...(task?.ends.splice(0) ?? []), ...((await task?.stream?.settle()) ?? [])];
    if (task) {
      add(task, writes, partial(task, text, "error", message));
      writes.push(sessions.put(task.session.current));
    }
    const out = addressed(row);
    const replies = out.reply ? repliesTo(out, { text: `I could not answer: ${message}` }, out.reply) : [];
    await commit([
      ...writes,
      ...replies.map((reply) => parts.outbox.insert(reply)),
      inbox.move(row.messageId, "failed", message.slice(0, 500), clock.now()),
      recordVerdict("delivery", "failed", row, { kind: fault.kind }),
    ]);
    parts.sender.offer(replies);
    events.finish({ state: "error", errorMessage: message, errorKind: fault.kind });
    if (task) parts.sessionChanged(task.session.current, "agent.input.settled", row.runId);
    settleRun(row, active, task, { status: "error", text, errorMessage: message });
  }

  function repliesTo(row: InboxRow, { text, files }: Partial<ReplyContent>, reply: ReplyTo) {
    if (!maySendTo(row, reply)) return [];
    const limitChars = parts.channelTextLimit(row.channel, row.account);
    const rows = replyRows(row, text ?? "", reply, limitChars, clock.now(), files);
    return overDraft(rows, parts.outbox.byId(firstRowId(row.messageId)));
  }

  function prefixed(content: ReplyContent, { row, session, choice }: Turn): ReplyContent {
    const { channel, account } = addressed(row);
    const { responsePrefix } = parts.media.settings(channel, account);
    const facts = {
      provider: choice.provider,
      model: choice.model,
      thinkingLevel: session.current.thinkingLevel,
      identityName: parts.agentSettings(row.agentId).identityName,
    };
    return { ...content, text: withPrefix(content.text, responsePrefix, facts) };
  }

  function maySendTo({ channel, sessionKey }: InboxRow, reply: ReplyTo): boolean {
    const { sendPolicy } = parts.sessionSettings();
    return maySend(sendPolicy, { channel, sessionKey, kind: reply.conversation.kind });
  }

  function settleRun(
    row: InboxRow,
    active: ActiveRun,
    task: Turn | undefined,
    end: Pick<RunOutcome, "status" | "text" | "sent" | "errorMessage">,
  ): void {
    const { runId, sessionKey, agentId } = row;
    parts.media.ended(row);
    parts.overheard.ended(runId);
    const model = task ? { provider: task.choice.provider, model: task.choice.model } : {};
    runs.settle({
      runId,
      sessionKey,
      agentId,
      startedAt: active.startedAt,
      endedAt: clock.now(),
      ...model,
      ...end,
    });
  }

  return { close, fail, maySendTo };
}

/** What people are told. Only errors that were written for them are shown; others may name what is none of theirs. */
export function failureOf(
  error: unknown,
  runId: string,
): { readonly message: string; readonly kind: string } {
  if (error instanceof ModelFault) return { message: error.message, kind: error.kind };
  if (error instanceof InputError) return { message: error.message, kind: "input" };
  return { message: `the gateway failed inside; its log tells why (run ${runId})`, kind: "internal" };
}
