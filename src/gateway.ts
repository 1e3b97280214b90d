/**
 * The message path, in order. This file, gateway-submit.ts and turn.ts are its map: they call the stages and record
 * what they say.
 *
 *   bytes -> Arrival -> Principal -> Admitted -> Turn -> ToolRequest -> Permit -> Outcome -> reply
 *
 * Here: `receive` (a platform's message), up to the lane that its turn waits in; gateway-submit.ts does the same for a
 * control client's. Nothing here decides: each refusal and each permission comes from the stage that is named beside it.
 */
import { canonical, decide, mayBeOverheard } from "./access/mod.ts";
import { type InboundMessage, type InboxRow, sameConversation } from "./delivery/mod.ts";
import { createApprove } from "./gateway-approve.ts";
import type { GatewayParts } from "./gateway-parts.ts";
import { createRefusal } from "./gateway-refusal.ts";
import { createGatewayRows } from "./gateway-rows.ts";
import { createSubmit, type Submission, type Submitted } from "./gateway-submit.ts";
import { admit, admitted, reasonText, type Verdict, type Write } from "./kernel/mod.ts";
import {
  leaveOut,
  parseChatCommand,
  type QueueRule,
  queueRule,
  type RunOutcome,
  route,
} from "./session/mod.ts";

export interface Gateway {
  receive(message: InboundMessage): Promise<Verdict<{ readonly messageId: string }>>;
  submit(submission: Submission): Promise<Verdict<Submitted>>;
  /** Stops one run, or all of a session (what waits there too). Gives the ids of what it stopped. */
  abort(sessionKey: string, runId?: string): readonly string[];
  wait(runId: string, timeoutMs: number): Promise<RunOutcome | undefined>;
  /**
   * Puts what a stopped gateway left open into its lanes, which stand still until {@link begin}. Call it before
   * anything new can come in: a message that was in both would run twice, or before an older one.
   */
  takeUp(): void;
  /** Lets the turns run. */
  begin(): void;
  /** Lets the replies out; call it once the channels had their first attempt to connect. */
  deliver(): void;
  /** Refuses new messages, waits up to `graceMs` for running turns, then leaves them to be taken up at the next start. */
  drain(graceMs: number): Promise<void>;
}

export function createGateway(parts: GatewayParts): Gateway {
  const { clock, commit, inbox, lanes, runs } = parts;
  let draining = false;
  const rows = createGatewayRows(parts);
  const { rowOf, readable, filesOf, record } = rows;
  const turnAway = createRefusal(parts, rows);
  const answerApproval = createApprove(parts, rows);
  const submit = createSubmit(parts, rows, { isDraining: () => draining, enqueue, abort });

  // --- a platform's message: Arrival -> Admitted -> Turn -------------------------------------------------------

  async function receive(inbound: InboundMessage): Promise<Verdict<{ readonly messageId: string }>> {
    if (draining) throw new Error(reasonText("delivery.draining"));
    const { channel, account, eventId } = inbound;
    const known = inbox.find(channel, account, eventId);
    if (known) return admit({ messageId: known.messageId });

    const rules = await parts.accessSettings(channel, account);
    const paired = await parts.pairings.allowed(channel, account);
    const message = canonical(inbound, rules);
    // Which agent it would go to is one of the facts (its name may be called); nothing goes there yet.
    const routed = route(message, parts.sessionSettings());
    const agentId = admitted(routed) ? routed.value.agentId : undefined;
    // Nothing is waited for between what the meters say and what they count.
    const use = parts.meters.read(message, rules);
    const command = parseChatCommand(message.text, parts.sessionSettings().resetTriggers);
    const activation = parts.activationOf(message);
    const facts = { message, paired, agentId, command: command?.name, use, activation };
    const access = decide(facts, rules);
    if (!admitted(access)) {
      const verdict = await turnAway(message, "access", access.reason, access.detail);
      // Who may talk and did not mean the agent: its next turn there may be shown it.
      const isAside = access.reason === "access.not_mentioned" && mayBeOverheard(facts, rules);
      if (isAside && admitted(routed)) parts.overheard.note(message, routed.value);
      return verdict;
    }
    const counted = parts.meters.count(message, rules);

    const { isOwner } = access.value;
    if (isOwner) parts.missed.ownerWrote(message);
    else if (parts.missed.isTooOld(message)) {
      const verdict = await turnAway(message, "delivery", "delivery.too_old", sentAt(message));
      parts.missed.noted();
      return verdict;
    }
    if (!admitted(routed)) return turnAway(message, "session", routed.reason, routed.detail);
    if (message.text.length > parts.maxMessageChars) {
      return turnAway(message, "session", "session.message_too_large", `${message.text.length} characters`);
    }

    const { source } = access.value;
    const settings = parts.sessionSettings();
    if (command?.name === "approve") return answerApproval(message, access.value, command, routed.value);
    // Rejecting (rather than refusing) makes the platform offer the message again when there is room.
    const { sessionKey } = routed.value;
    if (!lanes.hasRoom(sessionKey)) throw new Error(reasonText("session.queue_full"));
    const rule = queueRule(settings.queue, message.channel);
    const gone = command ? undefined : givesWay(sessionKey, rule);
    if (gone && rule.drop === "new") {
      return turnAway(message, "session", "session.queue_capped", `${rule.cap} messages wait`);
    }
    const row = withNotes(
      {
        ...rowOf(message, "accepted", routed.value, source, readable(message, access.value)),
        ...filesOf(message, access.value),
      },
      gone,
      rule,
    );
    await commit([
      inbox.insert(row),
      ...(gone ? lettingGo(gone, row) : []),
      record("access", "admit", row, { trust: source.trust }),
      record("session", "route", row, { agentId: row.agentId }),
      ...counted,
    ]);
    if (gone) runs.absorb(gone.runId);
    if (command?.name === "stop") abort(row.sessionKey, undefined, row.runId);
    else if (rule.mode === "interrupt") interrupt(row);
    parts.acknowledge(message, row);
    enqueue(row);
    return admit({ messageId: row.messageId });
  }

  function sentAt({ sentAtMs }: InboundMessage): string {
    return sentAtMs === undefined ? "" : `written ${new Date(sentAtMs).toISOString()}`;
  }

  /** The oldest message that waits, once as many wait as may. */
  function givesWay(sessionKey: string, rule: QueueRule): InboxRow | undefined {
    if (lanes.depth(sessionKey) <= rule.cap) return undefined;
    const waiting = inbox.waiting(sessionKey);
    return waiting.length < rule.cap
      ? undefined
      : waiting.find((row) => parseChatCommand(row.text) === undefined);
  }

  function withNotes(row: InboxRow, gone: InboxRow | undefined, rule: QueueRule): InboxRow {
    // Another person's words stay out of this one's turn.
    if (!gone || rule.drop !== "summarize" || gone.source.author !== row.source.author) return row;
    return { ...row, text: leaveOut(gone.text, row.text) };
  }

  function lettingGo(gone: InboxRow, next: InboxRow): Write[] {
    return [
      inbox.move(gone.messageId, "refused", "session.queue_dropped", clock.now()),
      record("session", "refuse", gone, { gaveWayTo: next.messageId }, "session.queue_dropped"),
    ];
  }

  /** The running turn of the same conversation stops for what was just said. */
  function interrupt(row: InboxRow): void {
    const active = runs.ofSession(row.sessionKey);
    const other = active && inbox.byRunId(active.runId);
    if (active && other && sameConversation(row, other)) abort(row.sessionKey, active.runId);
  }

  function enqueue(row: InboxRow): void {
    lanes.add(row.sessionKey, () => parts.turn(row));
  }

  /** `besides` is the run of the message that asks for it: it waits in the same lane, and answers. */
  function abort(sessionKey: string, runId?: string, besides?: string): readonly string[] {
    const stopped: string[] = [];
    const wanted = (item: { readonly sessionKey: string; readonly runId: string }) =>
      item.sessionKey === sessionKey && (runId === undefined || item.runId === runId);
    for (const item of runs.all()) {
      if (!wanted(item)) continue;
      item.abort.abort();
      stopped.push(item.runId);
    }
    if (lanes.depth(sessionKey) > stopped.length) {
      for (const item of inbox.open()) {
        if (!wanted(item) || item.runId === besides || runs.get(item.runId)) continue;
        runs.skip(item.runId);
        stopped.push(item.runId);
      }
    }
    return stopped;
  }

  return {
    receive,
    submit,
    abort: (sessionKey, runId) => abort(sessionKey, runId),
    wait: runs.wait,
    takeUp() {
      parts.lanes.pause();
      for (const row of inbox.open()) enqueue(row);
    },
    begin: () => parts.lanes.resume(),
    deliver: () => parts.sender.resume(),
    async drain(graceMs) {
      draining = true;
      lanes.pause();
      await new Promise<void>((resolve) => {
        const cancel = clock.after(graceMs, resolve);
        void lanes.idle().then(() => {
          cancel();
          resolve();
        });
      });
      parts.letGo();
      for (const item of runs.all()) item.abort.abort();
      await lanes.idle();
      await parts.sender.stop();
    },
  };
}
