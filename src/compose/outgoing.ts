import {
  type ChannelRow,
  MethodError,
  type OutgoingOrder,
  type OutgoingPort,
  unavailable,
} from "../control/mod.ts";
import {
  type Destination,
  digestOf,
  type InboxRow,
  type OutboxRow,
  type OutboxSender,
  replyRows,
} from "../delivery/mod.ts";
import { type Clock, InputError, type Random, sleep, uuid } from "../kernel/mod.ts";
import { maySend, type SendPolicy } from "../session/mod.ts";
import type { Store } from "../store/mod.ts";
import type { OutgoingFiles } from "./outgoing-files.ts";
import { destinationOf } from "./outgoing-target.ts";
import { checkPoll, pollRows } from "./poll.ts";

/** Where an outgoing message can say which one it answers. */
const answering: ReadonlySet<string> = new Set(["telegram", "discord", "signal", "whatsapp"]);

/** How long `send` waits for the platform; what takes longer is told as queued and goes on. */
const waitMs = 8_000;
const lookEveryMs = 25;

/** The rows of an operator's own message stand beside those of control clients, under a key of their own. */
const place = { channel: "control", account: "send" };

/** Messages that no agent wrote: through the outbox like a reply, so that they survive a crash and are never sent twice. */
export function createOutgoing(ports: {
  readonly store: Pick<Store, "inbox" | "outbox" | "ledger" | "commit">;
  readonly sender: Pick<OutboxSender, "offer">;
  readonly clock: Clock;
  readonly random: Random;
  readonly channels: () => readonly ChannelRow[];
  readonly textLimit: (channel: string, account: string) => number;
  readonly sendPolicy: () => SendPolicy;
  readonly files: OutgoingFiles;
}): OutgoingPort {
  const { store, clock } = ports;
  const { inbox, outbox, ledger, commit } = store;
  /** Being moved: a second word about the same one comes too late, not in between. */
  const moving = new Set<string>();

  async function send(order: OutgoingOrder) {
    const to = await destinationOf(order, ports.channels());
    const { account, conversation } = to;
    if (!maySend(ports.sendPolicy(), { channel: order.channel, kind: conversation.kind, sessionKey: "" }))
      throw new InputError(
        `session.sendPolicy does not let messages go to ${order.channel} ${conversation.kind} chats; nothing was sent`,
      );
    if (order.poll) await checkPoll(order.channel, order.poll);
    if (order.replyToId !== undefined && !answering.has(order.channel))
      throw new InputError(`a message to ${order.channel} cannot answer another one; nothing was sent`);
    const { id, threadId = "" } = conversation;
    const what = order.poll ? `poll\n${JSON.stringify(order.poll)}` : whatOf(order);
    const digest = digestOf([order.actor, order.channel, account, id, threadId].join("\n"), what);
    const known = inbox.find(place.channel, place.account, order.idempotencyKey);
    const messageId = known ? known.messageId : await put(order, to, digest);
    const stored = inbox.byMessageId(messageId);
    if (stored?.digest !== digest)
      throw new InputError(
        "this idempotency key was already used for different input; use a new key for a new message",
      );
    return outcome(order.channel, account, messageId);
  }

  /** Gives our id of the message; of the twin that came first, where two with one key came at once. */
  async function put(order: OutgoingOrder, to: Destination, digest: string): Promise<string> {
    const { channel, account, conversation } = to;
    const now = clock.now();
    const messageId = uuid(ports.random);
    const row: InboxRow = {
      ...place,
      messageId,
      runId: messageId,
      eventId: order.idempotencyKey,
      state: "done",
      sessionKey: "",
      agentId: "",
      receivedAt: now,
      updatedAt: now,
      text: "",
      digest,
      source: order.source,
    };
    const attached = await ports.files(order, to, messageId);
    const limit = ports.textLimit(channel, account);
    const about = { ...row, channel, account };
    const rows = order.poll
      ? pollRows(about, order.poll, conversation, now)
      : answeringTo(
          order.replyToId,
          replyRows(about, order.text, { conversation }, limit, now, attached.files),
        );
    if (rows.length === 0) throw new InputError("the message is empty; nothing was sent");
    try {
      await commit([
        inbox.insert(row),
        ...attached.writes,
        ...rows.map((item) => outbox.insert(item)),
        ledger.append({
          stage: "operator",
          kind: "verdict",
          action: "admit",
          messageId,
          runId: messageId,
          actor: order.actor,
          facts: { method: order.poll ? "poll" : "send", channel, account },
        }),
      ]);
    } catch (error) {
      const twin = inbox.find(place.channel, place.account, order.idempotencyKey);
      if (twin) return twin.messageId;
      throw error;
    }
    ports.sender.offer(rows);
    return messageId;
  }

  async function outcome(channel: string, accountId: string, messageId: string) {
    const until = clock.monotonic() + waitMs;
    for (;;) {
      const rows = outbox.byMessageId(messageId);
      const bad = rows.find(({ state }) => state !== "sent" && state !== "pending" && state !== "sending");
      if (bad) throw notDelivered(bad, channel, messageId);
      const [first] = rows;
      if (first && rows.every((row) => row.state === "sent")) {
        return {
          messageId: first.platformId ?? "",
          channel,
          accountId,
          deliveryId: messageId,
          parts: rows.length,
        };
      }
      if (clock.monotonic() >= until) throw stillQueued(rows, channel, messageId);
      await sleep(clock, lookEveryMs);
    }
  }

  async function move(
    id: string,
    action: "resubmit" | "dismiss",
    check: (row: OutboxRow) => void,
  ): Promise<OutboxRow> {
    const row = outbox.byId(id);
    if (!row) throw new InputError(`there is no delivery ${JSON.stringify(id)}; deliveries.list shows them`);
    if (row.state !== "unknown" && row.state !== "rejected")
      throw new InputError(
        `this delivery is ${row.state}; only one that is unknown or rejected can be answered for`,
      );
    if (moving.has(id)) throw new InputError("this delivery is being answered for by another request");
    check(row);
    moving.add(id);
    try {
      const isAgain = action === "resubmit";
      const next: OutboxRow = {
        ...row,
        state: isAgain ? "pending" : "dismissed",
        attempts: isAgain ? 0 : row.attempts,
        notBefore: 0,
        updatedAt: clock.now(),
      };
      const { state, attempts, notBefore, detail, updatedAt: at } = next;
      await commit([
        outbox.move(id, { state, attempts, notBefore, at, ...(detail === undefined ? {} : { detail }) }),
        ledger.append({
          stage: "delivery",
          kind: "verdict",
          action,
          messageId: row.messageId,
          runId: row.runId,
          facts: { outbox: id, was: row.state },
        }),
      ]);
      return next;
    } finally {
      moving.delete(id);
    }
  }

  return {
    send,
    async resubmit(id, mayRepeat) {
      const row = await move(id, "resubmit", ({ state }) => {
        if (state === "unknown" && !mayRepeat)
          throw new InputError(
            "this message may have been seen; look at the chat, and say mayRepeat (--even-if-seen) to risk that it is there twice",
          );
      });
      ports.sender.offer([row]);
      return { id, state: "pending" };
    },
    async dismiss(id) {
      await move(id, "dismiss", () => {});
      return { id, state: "dismissed" };
    },
  };
}

/** What tells a repeat from another order; the files are the ones that were there at the first time. */
function whatOf({ text, files = [], agentId = "", replyToId = "" }: OutgoingOrder): string {
  if (files.length === 0 && replyToId === "") return text;
  return `${text}\n${JSON.stringify({ files, agentId, replyToId })}`;
}

/** The first part says which message it answers. */
function answeringTo(replyToId: string | undefined, rows: readonly OutboxRow[]): readonly OutboxRow[] {
  if (replyToId === undefined) return rows;
  return rows.map((row, index) =>
    index === 0 ? { ...row, message: { ...row.message, replyToMessageId: replyToId } } : row,
  );
}

function notDelivered(row: OutboxRow, channel: string, deliveryId: string): MethodError {
  const why = row.detail === undefined ? "" : `: ${row.detail}`;
  const details = { id: row.id, deliveryId, state: row.state };
  return row.state === "unknown"
    ? new MethodError(
        unavailable(
          `it is not known whether ${channel} took the message${why}. It is not sent again by itself`,
          {
            code: "OUTBOUND_DELIVERY_UNKNOWN",
            ...details,
          },
        ),
      )
    : new MethodError(
        unavailable(`${channel} did not take the message${why}`, {
          code: "OUTBOUND_DELIVERY_REJECTED",
          ...details,
        }),
      );
}

function stillQueued(rows: readonly OutboxRow[], channel: string, deliveryId: string): MethodError {
  const detail = rows.find((row) => row.state !== "sent")?.detail;
  return new MethodError(
    unavailable(
      `${channel} has not taken the message yet${detail === undefined ? "" : `: ${detail}`}. It is kept and tried again; do not send it anew`,
      { code: "OUTBOUND_DELIVERY_QUEUED", deliveryId },
    ),
  );
}
