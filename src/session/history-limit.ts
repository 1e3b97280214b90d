import type { OpenClawConfig } from "../config/mod.ts";

/** As documented: 50, and 20 on Discord. */
const defaultLimits: Readonly<Record<string, number>> = { discord: 20 };
const defaultLimit = 50;
/** Documented for Telegram, and held to everywhere. */
const maxLimit = 200;

interface Section {
  readonly historyLimit?: number;
  readonly accounts?: Readonly<Record<string, Section | undefined>>;
}

/**
 * How many messages of a group that did not address the agent its next turn is shown: what the account says, else the
 * channel, else the agent's groupChat, else messages.groupChat. 0: none.
 */
export function historyLimit(
  config: OpenClawConfig,
  channel: string,
  account: string,
  agentId: string,
): number {
  const sections: Readonly<Record<string, unknown>> = config.channels ?? {};
  const section = (Object.hasOwn(sections, channel) ? sections[channel] : undefined) as Section | undefined;
  const accounts = section?.accounts ?? {};
  const own = Object.hasOwn(accounts, account) ? accounts[account] : undefined;
  const { entries = {}, list = [] } = config.agents ?? {};
  const agent = Object.hasOwn(entries, agentId) ? entries[agentId] : list.find(({ id }) => id === agentId);
  const limit =
    own?.historyLimit ??
    section?.historyLimit ??
    agent?.groupChat?.historyLimit ??
    config.agents?.defaults?.groupChat?.historyLimit ??
    config.messages?.groupChat?.historyLimit ??
    (Object.hasOwn(defaultLimits, channel) ? defaultLimits[channel] : undefined) ??
    defaultLimit;
  return Math.min(limit, maxLimit);
}
