import type { OpenClawConfig } from "../config/mod.ts";

/** As documented: 50, and 20 on Discord. */
const defaultLimits: Readonly<Record<string, number>> = { discord: 20 };
const defaultLimit = 50;
/** Documented for Telegram, and held to everywhere. */
const maxLimit = 200;

interface Section {
  readonly historyLimit?: number;
  readonly dmHistoryLimit?: number;
  readonly dms?: Readonly<Record<string, { readonly historyLimit?: number } | undefined>>;
  readonly accounts?: Readonly<Record<string, Section | undefined>>;
}

/** The account's own keys, then the channel's. */
function sectionsOf(config: OpenClawConfig, channel: string, account: string): readonly Section[] {
  const sections: Readonly<Record<string, unknown>> = config.channels ?? {};
  const section = (Object.hasOwn(sections, channel) ? sections[channel] : undefined) as Section | undefined;
  const accounts = section?.accounts ?? {};
  const own = Object.hasOwn(accounts, account) ? accounts[account] : undefined;
  return [own, section].filter((item) => item !== undefined);
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
  const { entries = {}, list = [] } = config.agents ?? {};
  const agent = Object.hasOwn(entries, agentId) ? entries[agentId] : list.find(({ id }) => id === agentId);
  const limit =
    first(sectionsOf(config, channel, account), (section) => section.historyLimit) ??
    agent?.groupChat?.historyLimit ??
    config.agents?.defaults?.groupChat?.historyLimit ??
    config.messages?.groupChat?.historyLimit ??
    (Object.hasOwn(defaultLimits, channel) ? defaultLimits[channel] : undefined) ??
    defaultLimit;
  return Math.min(limit, maxLimit);
}

/**
 * How many earlier turns of a direct chat its next one is shown: what `dms` says of the person, else `dmHistoryLimit`,
 * each of the account before the channel's. 0: none; undefined: all that fit. `isPerson`: whether a key of `dms` names
 * the one who writes.
 */
export function directTurns(
  config: OpenClawConfig,
  channel: string,
  account: string,
  isPerson: (key: string) => boolean,
): number | undefined {
  const sections = sectionsOf(config, channel, account);
  const limitOf = ({ dms = {} }: Section) => {
    const limits = Object.entries(dms).flatMap(([key, of]) =>
      isPerson(key) ? (of?.historyLimit ?? []) : [],
    );
    // Under two names of one person, the narrower one counts.
    return limits.length === 0 ? undefined : Math.min(...limits);
  };
  return first(sections, limitOf) ?? first(sections, (section) => section.dmHistoryLimit);
}

function first<T>(sections: readonly Section[], of: (section: Section) => T | undefined): T | undefined {
  for (const section of sections) {
    const value = of(section);
    if (value !== undefined) return value;
  }
  return undefined;
}
