import { type AccessSettings, decide, type Facts, type Pairings, unused } from "../access/mod.ts";
import type { InboundMessage, InboxRow, InboxStore, ReplyTo } from "../delivery/mod.ts";
import type { Cancel, Clock, Log } from "../kernel/mod.ts";
import { parseChatCommand, type SessionSettings } from "../session/mod.ts";

/** What is left of somebody who may not come in any more: what he began. Connections are the operator's map's. */
export interface Revocation {
  /** Stops whatever these authors began: turns and messages that wait for one, tool calls, commands on nodes. */
  cancelOf(isOver: (author: string) => boolean): void;
  /** A platform's message was let in: kept as it came, so that it can be judged again while its turn is open. */
  letIn(message: InboundMessage, row: InboxRow): void;
  /**
   * Judges the open messages of all channels by the rules and pairings of now, and stops those that would not be let
   * in. A file of pairings that cannot be read admits nobody.
   */
  review(): Promise<void>;
  close(): void;
}

// A pairing is a file that a hand may edit; with nothing running, nothing is looked at.
const reviewEveryMs = 500;

export function createRevocation(ports: {
  readonly clock: Clock;
  readonly log: Log;
  readonly inbox: Pick<InboxStore, "open">;
  readonly activeRuns: () => number;
  readonly abort: (sessionKey: string, runId: string) => unknown;
  /** Everything else that runs for somebody. */
  readonly others: readonly { cancelOf(isOver: (author: string) => boolean): void }[];
  readonly accessSettings: (channel: string, account: string) => Promise<AccessSettings>;
  readonly pairings: Pick<Pairings, "allowed">;
  readonly sessionSettings: () => SessionSettings;
}): Revocation {
  const { clock, inbox } = ports;
  const kept = new Map<string, InboundMessage>();
  let reviewing: Promise<void> | undefined;
  let cancelNext: Cancel = clock.after(reviewEveryMs, function look() {
    cancelNext = clock.after(reviewEveryMs, look);
    if (ports.activeRuns() > 0 || kept.size > 0) void review();
  });

  function stop(rows: readonly InboxRow[]): void {
    for (const row of rows) ports.abort(row.sessionKey, row.runId);
    if (rows.length === 0) return;
    const authors = [...new Set(rows.map((row) => row.source.author))];
    ports.log("warn", "runs were stopped: who began them may not come in any more", { authors });
  }

  function review(): Promise<void> {
    reviewing ??= judgeOpen()
      .catch((error: Error) =>
        ports.log("error", "who may talk could not be looked at again", { error: error.message }),
      )
      .finally(() => {
        reviewing = undefined;
      });
    return reviewing;
  }

  async function judgeOpen(): Promise<void> {
    const open = inbox.open();
    const ids = new Set(open.map((row) => row.messageId));
    for (const id of kept.keys()) if (!ids.has(id)) kept.delete(id);
    const over = await Promise.all(open.map(async (row) => ((await mayStay(row)) ? [] : [row])));
    stop(over.flat());
  }

  async function mayStay(row: InboxRow): Promise<boolean> {
    const { channel, account, agentId, reply } = row;
    // An operator's own: no channel's rules let it in.
    if (!reply) return true;
    const settings = await ports.accessSettings(channel, account);
    const found = kept.get(row.messageId) ?? (knowsByIdOnly(settings) ? messageOf(row, reply) : undefined);
    // Taken up from disk, and perhaps let in by a role or a name, which are not on disk.
    if (!found) return true;
    // The agent was called when it came; that is not taken back.
    const message = { ...found, mentionsBot: true };
    const paired = await ports.pairings.allowed(channel, account).catch(() => new Set<string>());
    const command = parseChatCommand(message.text, ports.sessionSettings().resetTriggers)?.name;
    const facts: Facts = { message, paired, agentId, command, use: unused };
    return decide(facts, settings).ok;
  }

  return {
    cancelOf(isOver) {
      const isAuthor = (author: string) => author.split(",").some(isOver);
      stop(inbox.open().filter((row) => isAuthor(row.source.author)));
      for (const other of ports.others) other.cancelOf(isAuthor);
    },
    letIn: (message, row) => void kept.set(row.messageId, message),
    review,
    close: () => cancelNext(),
  };
}

/** True when no list of this account names people by anything but their id. */
function knowsByIdOnly({ allowFrom, groupAllowFrom, groups }: AccessSettings): boolean {
  const rooms = [...groups.values()].flatMap((room) => [room, ...room.topics.values()]);
  const lists = [allowFrom, groupAllowFrom, ...rooms.map((room) => room.allowFrom)];
  return lists.every((list) => !list || (list.memberships.size === 0 && list.names.size === 0));
}

/** The message of a row that an earlier gateway let in. */
function messageOf(row: InboxRow, { conversation }: ReplyTo): InboundMessage {
  const { channel, account, eventId, messageId, source, aliases, text } = row;
  return {
    channel,
    account,
    eventId,
    conversation,
    sender: {
      id: source.author.slice(channel.length + 1),
      proof: source.proof,
      ...(aliases ? { aliases } : {}),
    },
    text,
    messageId,
    mentionsBot: true,
    repliesToBot: true,
    isBot: false,
  };
}
