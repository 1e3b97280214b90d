import { loadPlatform } from "../channels/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { Conversation } from "../delivery/channel.ts";
import { type InboxRow, type OutboxRow, type OutboxSender, replyRows } from "../delivery/mod.ts";
import { type Clock, type Log, type Random, unknownSource, uuid } from "../kernel/mod.ts";
import { type Approval, type ApprovalNotice, approvalNotice } from "../policy/mod.ts";
import type { Store } from "../store/mod.ts";
import { conversationAt } from "./outgoing-target.ts";

/** Where a question is told, beside the page and the terminal. Who may answer it there is the access stage's to say. */
interface Place {
  readonly channel: string;
  readonly account: string;
  readonly conversation: Conversation;
  readonly asker: InboxRow | undefined;
}

/** The rows of notices stand beside those of control clients, under a key of their own. */
const place = { channel: "control", account: "approval" };

/**
 * Tells a question in chats: in the owner's own direct chat when the run began there, and where `approvals.exec` says.
 * In a group it is told only where the config names that group: a command may hold what its members must not read.
 */
export function createApprovalNotices(ports: {
  readonly config: () => OpenClawConfig;
  readonly store: Pick<Store, "inbox" | "outbox" | "commit">;
  readonly sender: () => Pick<OutboxSender, "offer">;
  readonly textLimit: (channel: string, account: string) => number;
  readonly redact: (text: string) => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): (approval: Approval) => void {
  const { clock, log } = ports;
  const { inbox, outbox, commit } = ports.store;

  async function tell(approval: Approval): Promise<void> {
    const notice = approvalNotice(approval, clock.now(), ports.redact);
    for (const [index, at] of (await placesOf(approval)).entries()) await send(approval, notice, at, index);
  }

  async function placesOf(approval: Approval): Promise<Place[]> {
    const {
      enabled,
      mode = "session",
      agentFilter = [],
      sessionFilter = [],
      targets = [],
    } = ports.config().approvals?.exec ?? {};
    const { agentId, sessionKey, runId } = approval.request;
    const isMeant =
      (agentFilter.length === 0 || agentFilter.includes(agentId)) &&
      (sessionFilter.length === 0 || sessionFilter.some((part) => sessionKey.includes(part)));
    if (enabled === false || !isMeant) return [];
    const places: Place[] = [];
    const asker = inbox.byRunId(runId);
    if (
      mode !== "targets" &&
      asker?.reply?.conversation.kind === "direct" &&
      asker.source.trust === "owner"
    ) {
      const { channel, account, reply } = asker;
      places.push({ channel, account, conversation: reply.conversation, asker });
    }
    if (enabled === true && mode !== "session")
      for (const { channel, to, accountId, threadId } of targets) {
        const platform = channel === undefined ? undefined : await loadPlatform(channel);
        if (!platform || channel === undefined || to === undefined)
          throw new Error(`approvals.exec.targets: there is no channel ${channel}, or no "to"`);
        const found = conversationAt(String(to), channel, platform.ids);
        const conversation = threadId === undefined ? found : { ...found, threadId: String(threadId) };
        places.push({ channel, account: accountId ?? "default", conversation, asker });
      }
    return places;
  }

  async function send(approval: Approval, notice: ApprovalNotice, at: Place, index: number): Promise<void> {
    const eventId = `${approval.id}:${index}`;
    // A question that is taken up after a restart was told before.
    if (inbox.find(place.channel, place.account, eventId)) return;
    const now = clock.now();
    const messageId = uuid(ports.random);
    const row: InboxRow = {
      ...place,
      messageId,
      runId: messageId,
      eventId,
      state: "done",
      sessionKey: approval.request.sessionKey,
      agentId: approval.request.agentId,
      receivedAt: now,
      updatedAt: now,
      text: "",
      digest: "",
      source: at.asker?.source ?? unknownSource,
    };
    const { channel, account, conversation } = at;
    const about = { ...row, channel, account };
    const limit = ports.textLimit(channel, account);
    const rows = replyRows(about, notice.text, { conversation }, limit, now);
    // Half of a question is none: what would be cut is answered where it can be read whole.
    const whole =
      rows.length > 1
        ? replyRows(
            about,
            "An agent waits for your answer to a command that is too long for this chat: openclaw approvals pending",
            { conversation },
            limit,
            now,
          )
        : rows.map(
            (item): OutboxRow => ({
              ...item,
              message: { ...item.message, choices: notice.choices },
            }),
          );
    await commit([inbox.insert(row), ...whole.map((item) => outbox.insert(item))]);
    ports.sender().offer(whole);
  }

  return (approval) => {
    if (approval.state !== "pending") return;
    tell(approval).catch((error: Error) =>
      log("warn", "an approval could not be told in a chat", { id: approval.id, error: error.message }),
    );
  };
}
