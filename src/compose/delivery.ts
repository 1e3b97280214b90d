import type { Hub } from "../control/mod.ts";
import { createOutboxSender } from "../delivery/mod.ts";
import type { Agents } from "./agents.ts";
import { createApprovalNotices } from "./approval-notices.ts";
import { composeApprovals } from "./approvals.ts";
import type { Channels } from "./channels.ts";
import type { Foundation } from "./foundation.ts";
import { createMedia } from "./media.ts";
import type { NodeCommands } from "./node-commands.ts";

export type Delivery = ReturnType<typeof composeDelivery>;

/** What goes out: replies, files, and questions to whoever may approve. */
export function composeDelivery(
  foundation: Foundation,
  parts: {
    readonly agents: Agents;
    readonly hub: Hub;
    readonly channels: () => Channels;
    /** False for an approval of what runs on this machine. */
    readonly rememberOnNode: NodeCommands["remember"];
  },
) {
  const { paths, clock, random, config, log, redact, shown, store, commit, sessionSettings } = foundation;
  const { agents, channels } = parts;
  const { tools } = agents;
  const channel = (id: string, account: string) => channels().get(id, account);
  const channelTextLimit = (id: string, account: string) => channel(id, account)?.limits.textChars ?? 4000;
  const media = createMedia({
    config,
    stateFolder: paths.root,
    store,
    tools,
    channel,
    agentIds: () => sessionSettings().agentIds,
    agentEmoji: (agentId) => agents.agentOf(agentId).emoji,
    clock,
    log,
  });
  const sender = createOutboxSender({
    store: store.outbox,
    commit,
    clock,
    log,
    channel,
    settled: media.settled,
    record: (row, step, detail) =>
      store.ledger.append({
        stage: "delivery",
        kind: step === "start" ? "effect.start" : "effect.end",
        action: "send",
        messageId: row.messageId,
        runId: row.runId,
        ...(step === "start" ? {} : { outcome: step }),
        facts: {
          outbox: row.id,
          channel: row.channel,
          ...(detail === undefined ? {} : { detail: redact(detail) }),
        },
      }),
  });
  const remember: typeof tools.remember = async (approval) => {
    if (!parts.rememberOnNode(approval)) await tools.remember(approval);
  };
  const notify = createApprovalNotices({
    config,
    store,
    sender: () => sender,
    textLimit: channelTextLimit,
    redact,
    clock,
    random,
    log,
  });
  const approvals = composeApprovals({ store, clock, hub: parts.hub, redact, shown, remember, notify });
  return { channel, channelTextLimit, media, sender, approvals };
}
