import type { Secret } from "../../kernel/mod.ts";
import {
  type AccountPlace,
  accountSecret,
  platformAccounts,
  type ReadAccounts,
  readAccounts,
} from "../accounts.ts";
import { apiRootOf } from "../api-root.ts";
import type { IdRule, Platform, SettingsSources } from "../platform.ts";
import { SettingsReader } from "../settings-reader.ts";
import type { Audience } from "./audience.ts";

/** One bot. */
export interface DiscordAccount {
  readonly accountId: string;
  readonly token: Secret;
  /** With its version, without a trailing slash. */
  readonly apiRoot: string;
  /** Longest outgoing text, UTF-16 units, 1 to 2000. */
  readonly textChunkLimit: number;
  /** On unless turned off: a preview makes Discord fetch any URL that the model was talked into writing. */
  readonly suppressEmbeds: boolean;
  /** Ask for what people write; without it only direct messages and mentions have a text. */
  readonly messageContent: boolean;
  /** Of whoever writes directly it is asked which of these channels they can view. */
  readonly audiences: readonly Audience[];
}

export const defaultApiRoot = "https://discord.com/api/v10";

const snowflake = /^[1-9]\d{5,19}$/;

/** Ids are decimal numbers of 64 bits. */
const ids: IdRule = {
  sender(text) {
    const id = text.replace(/^(?:discord|user):/i, "").replace(/^<@!?(\d+)>$/, "$1");
    if (snowflake.test(id)) return { id };
    return {
      problem:
        "be a numeric user id such as 80351110224678912 (Discord: Settings, Advanced, Developer Mode; then right-click the person, Copy User ID)",
    };
  },
  group(text) {
    const id = text.replace(/^channel:/i, "").replace(/^<#(\d+)>$/, "$1");
    // "guild:<id>": all channels of a server that lists none of its own.
    if (snowflake.test(id) || /^guild:[1-9]\d{5,19}$/.test(id)) return { id };
    return {
      problem:
        "be named by a numeric channel id such as 41771983423143937 (a name can be taken over by others)",
    };
  },
};

export const discord: Platform = {
  id: "discord",
  label: "Discord",
  ids,
  // https://docs.discord.com/developers/resources/poll#poll-create-request-object
  polls: {
    questionChars: 300,
    optionChars: 55,
    maxOptions: 10,
    countsSelections: false,
    duration: { leastSeconds: 3600, mostSeconds: 768 * 3600, stepSeconds: 3600 },
    hidesVoters: false,
  },
  setup: {
    before: [
      "In the Developer Portal (discord.com/developers/applications): New Application; then Bot, Reset Token, and copy the token.",
      "On the same page turn on the Message Content Intent.",
      "OAuth2, URL Generator: scope bot; View Channels, Send Messages, Send Messages in Threads, Read Message History, Attach Files, Add Reactions. Open the address and pick your server.",
    ],
    questions: [{ key: "token", question: "The bot's token", isSecret: true }],
    after: ["Write to the bot. It answers with a code: openclaw pairing approve discord <code>"],
  },
  read: (section, sources) =>
    platformAccounts(discordSettings(section, sources), (settings) => ({
      secrets: [settings.token.reveal()],
      probe: async (clock) => (await import("./probe.ts")).probeDiscord(settings, clock),
      open: async (deps) => (await import("./mod.ts")).openDiscord(settings, deps),
    })),
};

export function discordSettings(config: unknown, sources: SettingsSources): ReadAccounts<DiscordAccount> {
  return readAccounts(config, "discord", {
    credentials: ["token"],
    read: (account) => {
      const token = tokenOf(account, sources);
      return token && accountOf(account, token, sources.audiences ?? []);
    },
    compare: sameTwice,
  });
}

function tokenOf(account: AccountPlace, sources: SettingsSources): Secret | undefined {
  const token = accountSecret(account, { key: "token", env: "DISCORD_BOT_TOKEN" }, sources);
  // It becomes a header: nothing but its own alphabet may be in it.
  if (token === undefined || /^[A-Za-z0-9_.-]{20,200}$/.test(token.reveal())) return token;
  const message = 'be a bot token as the Developer Portal gives it (without "Bot " in front)';
  account.place.problem("token", message);
  return undefined;
}

function accountOf(account: AccountPlace, token: Secret, audiences: readonly Audience[]): DiscordAccount {
  const { at } = account;
  const intents = new SettingsReader(
    at("intents").object("intents"),
    [...at("intents").path, "intents"],
    at("intents").problems,
  );
  return Object.freeze({
    accountId: account.accountId,
    token,
    apiRoot: apiRootOf(at("apiRoot"), defaultApiRoot),
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 1, 2000) ?? 2000,
    suppressEmbeds: at("suppressEmbeds").boolean("suppressEmbeds", true),
    messageContent: intents.boolean("messageContent", true),
    // The ids become part of a path.
    audiences: audiences.filter((item) => snowflake.test(item.guildId) && snowflake.test(item.channelId)),
  });
}

/** Two accounts that cannot be told apart from outside: refused, not guessed (attack A-181). */
function sameTwice(accounts: readonly DiscordAccount[], root: SettingsReader): void {
  const tokens = new Set<string>();
  for (const { token, accountId } of accounts) {
    if (tokens.has(token.reveal())) {
      root.problem("accounts", `have one bot per account: ${accountId} repeats another one's token`);
    }
    tokens.add(token.reveal());
  }
}
