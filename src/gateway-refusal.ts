import { mayBeTold } from "./access/mod.ts";
import type { InboundMessage, InboxRow, OutboxRow } from "./delivery/mod.ts";
import type { GatewayParts } from "./gateway-parts.ts";
import type { GatewayRows } from "./gateway-rows.ts";
import { type Reason, reasonText, refuse, type Source, type Verdict } from "./kernel/mod.ts";

/** What becomes of a platform's message that a stage refused. */
export function createRefusal(
  parts: Pick<
    GatewayParts,
    "commit" | "inbox" | "outbox" | "sender" | "pairings" | "pairingChanged" | "meters"
  >,
  { rowOf, repliesTo, record }: GatewayRows,
) {
  const { commit, inbox } = parts;

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

  return turnAway;
}
