import type { Admitted } from "./access/mod.ts";
import type { InboundMessage, Target } from "./delivery/mod.ts";
import type { GatewayParts } from "./gateway-parts.ts";
import type { GatewayRows } from "./gateway-rows.ts";
import { admit, type Verdict } from "./kernel/mod.ts";
import type { ChatCommand } from "./session/mod.ts";

export function createApprove(
  parts: Pick<GatewayParts, "commit" | "inbox" | "outbox" | "sender" | "approvals">,
  { rowOf, repliesTo, record }: GatewayRows,
) {
  const { commit, inbox } = parts;

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

  return answerApproval;
}
