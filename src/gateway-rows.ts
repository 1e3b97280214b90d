import type { Admitted } from "./access/mod.ts";
import { fence, withoutTokens } from "./agent/mod.ts";
import {
  type InboundMessage,
  type InboxRow,
  type InboxState,
  inboxRowOf,
  type OutboxRow,
  replyRows,
  type Target,
} from "./delivery/mod.ts";
import type { GatewayParts } from "./gateway-parts.ts";
import { type Json, type Reason, type Source, uuid, type Write } from "./kernel/mod.ts";

const maxAttachments = 16;
const maxReferenceBytes = 4096;
const maxClaimChars = 255;

export type GatewayRows = ReturnType<typeof createGatewayRows>;

/** What the message path writes: inbox rows, short replies, and what the record says of each. */
export function createGatewayRows(
  parts: Pick<GatewayParts, "clock" | "random" | "ledger" | "channelTextLimit" | "fenceKey">,
) {
  const { clock } = parts;

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

  return { rowOf, readable, filesOf, repliesTo, record };
}
