import {
  type AccessSettings,
  type Activation,
  accessSettings,
  type Change,
  explain,
  type Facts,
  type IdRule,
  type Pairings,
  plainIds,
  type Reach,
  reachable,
  roomsOf,
  type Step,
  type ToolLimit,
  toolLimits,
  unused,
} from "../access/mod.ts";
import { loadPlatform } from "../channels/mod.ts";
import { formatPath, type LoadedConfig, placeOf } from "../config/mod.ts";
import type { AccessAnswer, AccessChange, AccessQuery, AccessStep, ToolReach } from "../control/mod.ts";
import type { InboundMessage, InboxRow } from "../delivery/mod.ts";
import { admitted, InputError, type Problem, reasonText } from "../kernel/mod.ts";
import { narrowed, type PolicySettings, policySettings, toolAllowed } from "../policy/mod.ts";
import { parseChatCommand, route, type SessionSettings, sessionSettings } from "../session/mod.ts";

/** Who may talk, as the config in force says; the gateway, the page and the command line ask the same. */
export interface Access {
  /** Of one account; an account that the config does not have is closed. */
  settingsOf(channel: string, account: string): Promise<AccessSettings>;
  /** What narrows the tools of this message's turn, by the config as it is now. */
  toolLimitsOf(row: InboxRow): Promise<readonly ToolLimit[]>;
  explain(query: AccessQuery): Promise<AccessAnswer>;
  whoCan(tool: string): Promise<readonly ToolReach[]>;
}

export function createAccess(ports: {
  readonly loaded: () => LoadedConfig;
  readonly pairings: Pick<Pairings, "allowed">;
  /** Absent where only the files are at hand: what owners chose in groups is known to a running gateway. */
  readonly activationOf?: (message: InboundMessage) => Activation | undefined;
  /** Told of entries that match nobody, once for each config. */
  readonly onProblem: (problem: Problem) => void;
}): Access {
  // Compiled once for each account and config: a turn looks things up.
  let current: { readonly of: LoadedConfig; readonly accounts: Map<string, AccessSettings> } | undefined;

  async function settingsOf(channel: string, account: string): Promise<AccessSettings> {
    const ids = await idsOf(channel);
    const of = ports.loaded();
    if (current?.of !== of) current = { of, accounts: new Map() };
    const key = `${channel}\n${account}`;
    const known = current.accounts.get(key);
    if (known) return known;
    const { settings, problems } = accessSettings(of.config, channel, account, ids);
    for (const problem of problems) ports.onProblem(problem);
    current.accounts.set(key, settings);
    return settings;
  }

  function agentFor(message: InboundMessage, sessions: SessionSettings): string | undefined {
    const routed = route(message, sessions);
    return admitted(routed) ? routed.value.agentId : undefined;
  }

  async function lineOf(step: Pick<Step, "at">): Promise<Pick<AccessStep, "path" | "file" | "line">> {
    if (step.at.length === 0) return {};
    const { file, line } = await placeOf(ports.loaded().origin, step.at, true);
    return { path: formatPath(step.at), file, line };
  }

  async function stepOf(step: Step): Promise<AccessStep> {
    const { rule, outcome, reason, facts, isSet } = step;
    return {
      rule,
      outcome,
      ...(reason === undefined ? {} : { reason }),
      facts,
      isSet,
      ...(await lineOf(step)),
    };
  }

  const changeOf = async (change: Change): Promise<AccessChange> => ({
    text: change.text,
    ...(await lineOf(change)),
  });

  return {
    settingsOf,
    async toolLimitsOf(row) {
      const { reply, agentId, source, channel, account, aliases } = row;
      // Control clients have no sender on a platform; what narrows them comes with who they are.
      if (!reply) return [];
      const settings = await settingsOf(channel, account);
      const { conversation } = reply;
      // Of a text that several people wrote, each one's limit holds.
      const authors = source.author.split(",");
      return authors.flatMap((author) => {
        const id = author.slice(channel.length + 1);
        const own = aliases && authors.length === 1 ? { aliases } : {};
        const sender = { id, proof: source.proof, ...own };
        return toolLimits({ sender, agentId, rooms: roomsOf({ conversation, sender }, settings) }, settings);
      });
    },
    async explain(query) {
      const settings = await settingsOf(query.channel, query.account ?? "default");
      const message = messageOf(query);
      const sessions = sessionSettings(ports.loaded().config);
      const agentId = query.agent ?? agentFor(message, sessions);
      const command = parseChatCommand(message.text, sessions.resetTriggers)?.name;
      const paired = await ports.pairings.allowed(settings.channel, settings.account);
      const activation = ports.activationOf?.(message);
      const facts: Facts = { message, paired, agentId, command, use: unused, activation };
      const { answer, steps, needs, losses } = explain(facts, settings);
      const isRefused = "reason" in answer;
      return {
        admitted: !isRefused,
        ...(isRefused ? { reason: answer.reason, sentence: reasonText(answer.reason) } : {}),
        ...(agentId === undefined ? {} : { agentId }),
        steps: await Promise.all(steps.map(stepOf)),
        needs: await Promise.all(needs.map(changeOf)),
        losses: await Promise.all(losses.map(changeOf)),
      };
    },
    async whoCan(tool) {
      const { toolNames } = await import("../tools/mod.ts");
      if (!toolNames.some((name) => name === tool)) {
        throw new InputError(`there is no tool ${JSON.stringify(tool)}; there are: ${toolNames.join(", ")}`);
      }
      const { config } = ports.loaded();
      const sessions = sessionSettings(config);
      const rows: ToolReach[] = sessions.agentIds
        .filter((agentId) => mayUse(tool, policySettings(config, agentId, "")))
        .map((agentId) => ({
          sender: "operator",
          channel: "control",
          agentId,
          needs: approvalNeeds(tool, policySettings(config, agentId, "")),
        }));
      for (const { channel, account } of accountsOf(config)) {
        const settings = await settingsOf(channel, account);
        const paired = await ports.pairings.allowed(channel, account);
        for (const reach of reachable(settings, paired, (message) => agentFor(message, sessions))) {
          const policy = narrowed(policySettings(config, reach.agentId, ""), reach.who.tools);
          if (mayUse(tool, policy)) rows.push(await rowOf(reach, settings, approvalNeeds(tool, policy)));
        }
      }
      return withoutRepeats(rows);
    },
  };

  async function rowOf(reach: Reach, settings: AccessSettings, needs: readonly string[]): Promise<ToolReach> {
    const { sender, kind, chat, threadId, agentId, who, because, needsMention } = reach;
    return {
      sender: sender === undefined ? "anybody else" : `${settings.channel}:${sender}`,
      channel: settings.channel,
      account: settings.account,
      kind,
      ...(chat === undefined ? {} : { chat }),
      ...(threadId === undefined ? {} : { threadId }),
      ...(kind !== "direct" && chat === undefined ? { chat: "any other group" } : {}),
      agentId,
      needs: needsMention ? ["a mention", ...needs] : needs,
      isOwner: who.isOwner,
      because: because.facts,
      ...(await lineOf(because)),
    };
  }
}

function mayUse(tool: string, policy: PolicySettings): boolean {
  return toolAllowed(tool, policy) && !(tool === "exec" && policy.exec.mode === "deny");
}

/** Commands that are on no list wait for an operator, unless the agent may run anything. */
function approvalNeeds(tool: string, policy: PolicySettings): readonly string[] {
  if (tool !== "exec" || policy.exec.mode === "full") return [];
  return [policy.exec.mode === "allowlist" ? "a listed command" : "an approval for what is on no list"];
}

/** The platform's own spelling of ids; for one that is not ours, the plain one. */
async function idsOf(channel: string): Promise<IdRule> {
  return (await loadPlatform(channel))?.ids ?? plainIds;
}

/** Every account that the config turns on. */
function accountsOf(
  config: LoadedConfig["config"],
): { readonly channel: string; readonly account: string }[] {
  const sections: Readonly<Record<string, unknown>> = config.channels ?? {};
  return Object.entries(sections).flatMap(([channel, value]) => {
    if (channel === "defaults" || channel === "modelByChannel") return [];
    const { accounts } = value as { readonly accounts?: Readonly<Record<string, unknown>> };
    const names = Object.keys(accounts ?? {});
    return [...new Set(["default", ...names])].map((account) => ({ channel, account }));
  });
}

function messageOf(query: AccessQuery): InboundMessage {
  const { channel, account = "default", sender, alias, chat, kind, thread, text } = query;
  if (kind !== undefined && kind !== "direct" && chat === undefined) {
    throw new InputError(`a message in a ${kind} needs the ${kind}'s id`);
  }
  return {
    channel,
    account,
    eventId: "",
    conversation: {
      kind: kind ?? (chat === undefined || chat === sender ? "direct" : "group"),
      id: chat ?? sender,
      ...(thread === undefined ? {} : { threadId: thread }),
    },
    sender: {
      id: sender,
      proof: "platform",
      ...(alias === undefined ? {} : { aliases: { proved: [alias], own: [alias] } }),
    },
    text,
    messageId: "",
    mentionsBot: query.mention === true,
    repliesToBot: query.reply === true,
    isBot: query.bot === true,
  };
}

/** A person who is admitted only as anybody else is, by the same rule, is not worth a row of their own. */
function withoutRepeats(rows: readonly ToolReach[]): readonly ToolReach[] {
  const keyOf = (row: ToolReach) =>
    JSON.stringify([row.channel, row.account, row.kind, row.chat, row.threadId, row.agentId, row.path]);
  const anybody = new Set(rows.filter((row) => row.sender === "anybody else").map(keyOf));
  return rows.filter(
    (row) => row.sender === "anybody else" || row.isOwner === true || !anybody.has(keyOf(row)),
  );
}
