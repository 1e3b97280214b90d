/**
 * The message path, in order. This file and turn.ts are its map: they call the stages and record what they say.
 *
 *   bytes -> Arrival -> Principal -> Admitted -> Turn -> ToolRequest -> Permit -> Outcome -> reply
 *
 * Here: `receive` (a platform's message) and `submit` (a control client's), up to the lane that its turn waits in.
 * Nothing here decides: each refusal and each permission comes from the stage that is named beside it.
 */
import { hash } from "node:crypto";
import {
  type AccessSettings,
  type Activation,
  type Admitted,
  canonical,
  decide,
  type Meters,
  mayBeOverheard,
  mayBeTold,
  type Pairings,
} from "./access/mod.ts";
import { fence, withoutTokens } from "./agent/mod.ts";
import type { LedgerStore } from "./audit/mod.ts";
import {
  type Attachment,
  digestOf,
  type InboundMessage,
  type InboxRow,
  type InboxState,
  type InboxStore,
  inboxRowOf,
  type OutboxRow,
  type OutboxSender,
  type OutboxStore,
  replyRows,
  sameConversation,
  type Target,
} from "./delivery/mod.ts";
import {
  admit,
  admitted,
  type Clock,
  type Commit,
  type Json,
  type Log,
  type Random,
  type Reason,
  reasonText,
  refuse,
  type Source,
  uuid,
  type Verdict,
  type Write,
} from "./kernel/mod.ts";
import type { Approvals } from "./policy/mod.ts";
import {
  type ChatCommand,
  type Lanes,
  leaveOut,
  type Overheard,
  parseChatCommand,
  type QueueRule,
  queueRule,
  type RunOutcome,
  type Runs,
  route,
  type SessionSettings,
} from "./session/mod.ts";

export interface GatewayParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly commit: Commit;
  readonly inbox: InboxStore;
  readonly outbox: OutboxStore;
  readonly ledger: LedgerStore;
  readonly lanes: Lanes;
  readonly runs: Runs;
  readonly sender: OutboxSender;
  readonly approvals: Approvals;
  readonly pairings: Pairings;
  readonly accessSettings: (channel: string, account: string) => Promise<AccessSettings>;
  readonly meters: Meters;
  readonly activationOf: (message: InboundMessage) => Activation | undefined;
  readonly sessionSettings: () => SessionSettings;
  readonly overheard: Pick<Overheard, "note">;
  /** Takes one accepted message to its reply (turn.ts). */
  readonly turn: (row: InboxRow) => Promise<void>;
  readonly missed: {
    isTooOld(message: InboundMessage): boolean;
    ownerWrote(message: InboundMessage): void;
    noted(): void;
  };
  readonly pairingChanged: () => void;
  readonly channelTextLimit: (channel: string, account: string) => number;
  readonly fenceKey: string;
  readonly maxMessageChars: number;
  /** Whoever is kept to some agents sends to no other one. */
  readonly mayUseAgent: (author: string, agentId: string) => Verdict<undefined>;
  /** Keeps a control client's file until its message's turn; gives the reference to fetch it by. */
  readonly holdUpload: (messageId: string, index: number, bytes: Buffer) => Promise<string>;
  /** An accepted message: its sender may be shown at once that it was seen. */
  readonly acknowledge: (message: InboundMessage, row: InboxRow) => void;
  /** Told once: from now on turns that are cut off stay open on disk. */
  readonly letGo: () => void;
}

/** A message from a control client (the page, the terminal, an API). */
export interface Submission {
  readonly sessionKey: string;
  readonly agentId: string;
  readonly text: string;
  /** Becomes the run's id; the same key is never run twice. */
  readonly idempotencyKey: string;
  readonly source: Source;
  readonly actor: string;
  /** Files of the client's, at most 16; what it says of them is a claim. */
  readonly files?: readonly Upload[];
}

export interface Upload extends Pick<Attachment, "claimedType" | "claimedName"> {
  readonly bytes: Buffer;
}

export interface Submitted {
  readonly runId: string;
  readonly status: "started" | "in_flight" | "ok";
}

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

const maxAttachments = 16;
const maxReferenceBytes = 4096;
const maxClaimChars = 255;

export function createGateway(parts: GatewayParts): Gateway {
  const { clock, commit, inbox, lanes, runs } = parts;
  let draining = false;

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

  /** A message that no agent will see: recorded with its reason; an unknown sender gets a pairing code, once. */
  async function turnAway(
    message: InboundMessage,
    stage: string,
    reason: Reason,
    detail: string,
  ): Promise<Verdict<never>> {
    const { channel, sender } = message;
    const source: Source = {
      author: `${channel}:${sender.id}`,
      proof: sender.proof,
      trust: "untrusted",
      sensitivity: "private",
    };
    const row = { ...rowOf(message, "refused", { agentId: "", sessionKey: "" }, source, ""), detail: reason };
    const replies = await refusalReply(message, row, reason);
    await commit([
      inbox.insert(row),
      record(stage, "refuse", row, { detail }, reason),
      ...replies.map(parts.outbox.insert),
    ]);
    parts.sender.offer(replies);
    return refuse(reason, detail);
  }

  /** Strangers get a code to pair with, and otherwise silence; who may talk is told, now and then, what was refused. */
  async function refusalReply(message: InboundMessage, row: InboxRow, reason: Reason): Promise<OutboxRow[]> {
    if (reason === "access.sender_unpaired") return pairingReply(message, row);
    return mayBeTold(reason) && parts.meters.takeNotice(message) ? repliesTo(row, reasonText(reason)) : [];
  }

  async function pairingReply(message: InboundMessage, row: InboxRow): Promise<OutboxRow[]> {
    const { channel, account, sender } = message;
    const asked = await parts.pairings.request(channel, account, sender, message.eventId);
    if (asked.state !== "created") return [];
    parts.pairingChanged();
    const lines = [
      "This assistant answers only people its owner has approved.",
      `Your id here: ${sender.id}`,
      `Pairing code: ${asked.request.code}`,
      `The owner can approve you with: openclaw pairing approve ${channel} ${asked.request.code}`,
      "The code is good for 60 minutes.",
    ];
    return repliesTo(row, lines.join("\n"));
  }

  /** `/approve` answers at once: the lane that it would wait in may be the one that waits for the answer. */
  async function answerApproval(
    message: InboundMessage,
    who: Admitted,
    command: ChatCommand,
    target: Target,
  ): Promise<Verdict<{ readonly messageId: string }>> {
    const row = rowOf(message, "done", target, who.source, "");
    const replies = repliesTo(
      row,
      who.isOwner
        ? await approvalAnswer(command, who)
        : "Only the owner may answer approvals (commands.ownerAllowFrom).",
    );
    await commit([
      inbox.insert(row),
      record("access", "command", row, { command: command.name, owner: who.isOwner }),
      ...replies.map(parts.outbox.insert),
    ]);
    parts.sender.offer(replies);
    return admit({ messageId: row.messageId });
  }

  async function approvalAnswer(command: ChatCommand, who: Admitted): Promise<string> {
    const [id = "", decision = "", which] = command.args;
    try {
      const keep = which === "these" ? "proposal" : "standing";
      const { request, keeps } = await parts.approvals.resolve(id, decision, who.source.author, keep);
      return `${decision}: ${request.command}${keeps ? `\n${keeps.text}` : ""}`;
    } catch (error) {
      return `${(error as Error).message}. Usage: /approve <id> allow-once|allow-always|deny`;
    }
  }

  // --- a control client's message: Principal -> Turn -------------------------------------------------------------

  async function submit(submission: Submission): Promise<Verdict<Submitted>> {
    const { idempotencyKey, sessionKey, agentId, text, source, files = [] } = submission;
    const digest = digestOf(sessionKey, [text, ...files.map(({ bytes }) => sha256(bytes))].join("\n"));
    const allowed = parts.mayUseAgent(source.author, agentId);
    if (!admitted(allowed)) return allowed;
    const known = repeated(idempotencyKey, digest);
    if (known) return known;
    if (draining) return refuse("delivery.draining");
    if (text.length > parts.maxMessageChars) {
      return refuse(
        "session.message_too_large",
        `${text.length} characters, at most ${parts.maxMessageChars}`,
      );
    }
    if (!lanes.hasRoom(sessionKey)) return refuse("session.queue_full", sessionKey);
    const now = clock.now();
    const messageId = uuid(parts.random);
    const attachments = await held(messageId, files);
    const row: InboxRow = {
      messageId,
      channel: "control",
      account: "",
      eventId: idempotencyKey,
      state: "accepted",
      sessionKey,
      agentId,
      runId: idempotencyKey,
      receivedAt: now,
      updatedAt: now,
      text,
      digest,
      source,
      ...(attachments.length === 0 ? {} : { attachments }),
    };
    try {
      await commit([inbox.insert(row), record("auth", "admit", row, { principal: submission.actor })]);
    } catch (error) {
      // Two frames with one key at once: the second finds the first's row.
      const twin = repeated(idempotencyKey, digest);
      if (twin) return twin;
      parts.log("error", "a message could not be stored", { error: (error as Error).message });
      return refuse("delivery.store_unavailable", (error as Error).message);
    }
    if (parseChatCommand(text)?.name === "stop") abort(sessionKey, undefined, row.runId);
    enqueue(row);
    return admit({ runId: row.runId, status: "started" });
  }

  async function held(messageId: string, files: readonly Upload[]): Promise<Attachment[]> {
    const kept: Attachment[] = [];
    for (const [index, { bytes, ...claims }] of files.entries()) {
      const reference = await parts.holdUpload(messageId, index, bytes);
      kept.push({ ...claims, kind: "file", claimedBytes: bytes.length, reference });
    }
    return kept;
  }

  /** The answer to a key that was used before; undefined for a new one. */
  function repeated(idempotencyKey: string, digest: string): Verdict<Submitted> | undefined {
    const known = inbox.find("control", "", idempotencyKey);
    if (!known) return undefined;
    // Of what is not kept, nothing can be compared.
    if (known.digest !== "" && known.digest !== digest) return refuse("delivery.conflict", idempotencyKey);
    const isOpen = known.state === "accepted" || known.state === "running";
    return admit({ runId: known.runId, status: isOpen ? "in_flight" : "ok" });
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

  // --- rows ---------------------------------------------------------------------------------------------------------

  function rowOf(
    message: InboundMessage,
    state: InboxState,
    target: Target,
    source: Source,
    text: string,
  ): InboxRow {
    return inboxRowOf(message, {
      messageId: uuid(parts.random),
      runId: uuid(parts.random),
      now: clock.now(),
      state,
      target,
      source,
      text,
    });
  }

  /** What the agent reads: the text (a guest's without tokens of models), and what it quotes of others behind a fence. */
  function readable(message: InboundMessage, who: Admitted): string {
    const text = who.isOwner ? message.text : withoutTokens(message.text);
    if (!message.quoted) return text;
    if (!who.showsQuote) return `${text}\n\n[quoted words of somebody who may not speak here are left out]`;
    return `${text}\n\n${fence(message.quoted.text, message.quoted.author, message.eventId, parts.fenceKey)}`;
  }

  /** Its files, to be fetched by its turn; those of somebody who may not speak here are left out, as the words are. */
  function filesOf(message: InboundMessage, who: Admitted): Pick<InboxRow, "attachments"> {
    const kept = (message.attachments ?? [])
      .filter((file) => !file.isForwarded || who.showsQuote)
      .filter((file) => Buffer.byteLength(file.reference) <= maxReferenceBytes)
      .slice(0, maxAttachments)
      .map((file) => ({
        ...file,
        ...(file.claimedName === undefined ? {} : { claimedName: file.claimedName.slice(0, maxClaimChars) }),
        ...(file.claimedType === undefined ? {} : { claimedType: file.claimedType.slice(0, maxClaimChars) }),
      }));
    return kept.length === 0 ? {} : { attachments: kept };
  }

  function repliesTo(row: InboxRow, text: string): OutboxRow[] {
    return row.reply
      ? replyRows(row, text, row.reply, parts.channelTextLimit(row.channel, row.account), clock.now())
      : [];
  }

  function record(stage: string, action: string, row: InboxRow, facts: Json, outcome?: Reason): Write {
    const thread = row.sessionKey === "" ? {} : { runId: row.runId, sessionKey: row.sessionKey };
    return parts.ledger.append({
      stage,
      kind: "verdict",
      action,
      messageId: row.messageId,
      ...thread,
      actor: row.source.author,
      facts,
      ...(outcome === undefined ? {} : { outcome }),
    });
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

function sha256(bytes: Buffer): string {
  return hash("sha256", bytes);
}
