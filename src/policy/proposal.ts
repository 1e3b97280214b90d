import type { Approval, ApprovalRequest } from "./approval.ts";
import { ruleForCommands, type StandingRule } from "./standing-rule.ts";

/** After so many like answers a rule is proposed. */
const enough = 3;
/** More than this nobody reads before he says yes. */
const maxCommands = 12;

/**
 * The rule that would have spared the like questions that were answered yes, and this one: exactly these commands,
 * nothing between or beside them. Undefined: there were not enough, or no rule may cover this.
 *
 * Like is: the same agent, folder and program, as many words, and the same options at the same places.
 */
export function proposalFor(
  request: Pick<ApprovalRequest, "agentId" | "standing" | "sandboxEntry" | "nodeId">,
  answered: readonly Approval[],
): StandingRule | undefined {
  const own = oneCommand(request);
  if (!own) return undefined;
  const like = answered.flatMap((approval) => {
    if (approval.decision !== "allow-once" || approval.request.agentId !== request.agentId) return [];
    const command = oneCommand(approval.request);
    return command?.workdir === own.workdir && shapeOf(command.words) === shapeOf(own.words)
      ? [command.words]
      : [];
  });
  if (like.length < enough) return undefined;
  const commands = new Map([own.words, ...like].map((words) => [JSON.stringify(words), words]));
  return commands.size > maxCommands
    ? undefined
    : ruleForCommands(request.agentId, [...commands.values()], own.workdir);
}

/** The one command that the question was about; undefined where a rule would be about more, or somewhere else. */
function oneCommand({
  standing,
  sandboxEntry,
  nodeId,
}: Pick<ApprovalRequest, "standing" | "sandboxEntry" | "nodeId">) {
  if (!standing || sandboxEntry !== undefined || nodeId !== undefined) return undefined;
  const [words] = standing.commands;
  return words && { words, workdir: standing.workdir };
}

function shapeOf([program, ...args]: readonly string[]): string {
  return JSON.stringify([program, ...args.map((word) => (word.startsWith("-") ? word : ""))]);
}
