import { Secret } from "../../kernel/mod.ts";
import {
  type AccountPlace,
  accountSecret,
  platformAccounts,
  type ReadAccounts,
  readAccounts,
} from "../accounts.ts";
import { apiRootOf } from "../api-root.ts";
import type { IdRule, Platform, SettingsSources } from "../platform.ts";
import type { SettingsReader } from "../settings-reader.ts";

/** One bot. */
export interface TelegramAccount {
  readonly accountId: string;
  readonly botToken: Secret;
  /** Without a trailing slash. */
  readonly apiRoot: string;
  readonly mode: "polling" | TelegramWebhook;
  /** Longest outgoing text, UTF-16 units, 1 to 4096. */
  readonly textChunkLimit: number;
  /** Off unless asked for: a preview makes Telegram fetch any URL that the model was talked into writing. */
  readonly linkPreview: boolean;
}

export interface TelegramWebhook {
  /** Where Telegram posts to. */
  readonly url: string;
  readonly secret: Secret;
  /** The path on our own port. */
  readonly path: string;
}

const defaultApiRoot = "https://api.telegram.org";

/** Ids are decimal numbers: of users positive, of groups negative. */
const ids: IdRule = {
  sender(text) {
    const id = text.replace(/^(tg|telegram):/i, "");
    if (/^[1-9]\d{0,19}$/.test(id)) return { id };
    return {
      problem: /^-\d+$/.test(id)
        ? "be a user id; a chat's id belongs into groups"
        : "be a numeric user id such as 123456789 (ask the sender to write to the bot: the pairing reply shows it)",
    };
  },
  group: (text) =>
    /^-[1-9]\d{0,19}$/.test(text)
      ? { id: text }
      : {
          problem:
            "be named by a numeric chat id such as -1001234567890 (a name can be taken over by others)",
        },
};

export const telegram: Platform = {
  id: "telegram",
  label: "Telegram",
  ids,
  // https://core.telegram.org/bots/api#sendpoll
  polls: {
    questionChars: 300,
    optionChars: 100,
    maxOptions: 12,
    countsSelections: false,
    duration: { leastSeconds: 5, mostSeconds: 2_628_000, stepSeconds: 1 },
    hidesVoters: true,
  },
  setup: {
    before: ["Write to @BotFather in Telegram, send /newbot, and keep the token that it answers with."],
    questions: [{ key: "botToken", question: "The bot's token", isSecret: true }],
    after: ["Write to the bot. It answers with a code: openclaw pairing approve telegram <code>"],
  },
  read: (section, sources) =>
    platformAccounts(telegramSettings(section, sources), (settings) => ({
      secrets: [
        settings.botToken.reveal(),
        ...(settings.mode === "polling" ? [] : [settings.mode.secret.reveal()]),
      ],
      probe: async (clock) => (await import("./probe.ts")).probeTelegram(settings, clock),
      open: async (deps) => (await import("./mod.ts")).openTelegram(settings.accountId, settings, deps),
    })),
};

export function telegramSettings(config: unknown, sources: SettingsSources): ReadAccounts<TelegramAccount> {
  return readAccounts(config, "telegram", {
    credentials: ["botToken", "tokenFile"],
    read: (account) => {
      const botToken = tokenOf(account, sources);
      return botToken && accountOf(account, botToken);
    },
    compare: sameTwice,
  });
}

function tokenOf(account: AccountPlace, sources: SettingsSources): Secret | undefined {
  const keys = { key: "botToken", fileKey: "tokenFile", env: "TELEGRAM_BOT_TOKEN" };
  const token = accountSecret(account, keys, sources);
  // The token becomes part of a URL's path, so nothing but its own alphabet may be in it.
  if (token === undefined || /^\d+:[A-Za-z0-9_-]+$/.test(token.reveal())) return token;
  account.place.problem("botToken", 'be a token as @BotFather gives it: digits, ":", letters and digits');
  return undefined;
}

function accountOf(account: AccountPlace, botToken: Secret): TelegramAccount {
  const { at } = account;
  const apiRoot = apiRootOf(at("apiRoot"), defaultApiRoot);
  return Object.freeze({
    accountId: account.accountId,
    botToken,
    apiRoot,
    mode: modeOf(at, apiRoot),
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 1, 4096) ?? 4000,
    linkPreview: at("linkPreview").boolean("linkPreview", false),
  });
}

function modeOf(at: (key: string) => SettingsReader, apiRoot: string): TelegramAccount["mode"] {
  const place = at("webhookUrl");
  const url = place.string("webhookUrl");
  if (url === undefined) return "polling";
  const secretPlace = at("webhookSecret");
  const given = secretPlace.raw("webhookSecret");
  const secret = given instanceof Secret ? given.reveal() : secretPlace.string("webhookSecret");
  if (secret === undefined) {
    // Without it anybody who knows the path could write as anybody (GHSA-mp5h-m6qj-6292, attack A-171).
    secretPlace.problem("webhookSecret", "be set when webhookUrl is: it proves that Telegram is calling");
    return "polling";
  }
  if (!/^[A-Za-z0-9_-]{1,256}$/.test(secret)) {
    secretPlace.problem("webhookSecret", "have 1 to 256 characters of A-Z, a-z, 0-9, _ and -");
    return "polling";
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  // Only a self-hosted Bot API server posts to plain http.
  const fits = parsed?.protocol === "https:" || (parsed?.protocol === "http:" && apiRoot !== defaultApiRoot);
  if (!fits) {
    place.problem("webhookUrl", "be an https URL");
    return "polling";
  }
  const path = at("webhookPath").string("webhookPath") ?? "/telegram-webhook";
  if (!/^\/[A-Za-z0-9._~/-]+$/.test(path)) {
    at("webhookPath").problem("webhookPath", 'be a path such as "/telegram-webhook"');
    return "polling";
  }
  return Object.freeze({ url, secret: new Secret(secret), path });
}

/** Two accounts that cannot be told apart from outside: refused, not guessed (attack A-181). */
function sameTwice(accounts: readonly TelegramAccount[], root: SettingsReader): void {
  const tokens = new Set<string>();
  const paths = new Set<string>();
  for (const account of accounts) {
    const token = account.botToken.reveal();
    if (tokens.has(token)) {
      root.problem("accounts", `have one bot per account: ${account.accountId} repeats another one's token`);
    }
    tokens.add(token);
    if (account.mode === "polling") continue;
    if (paths.has(account.mode.path)) {
      root.problem("accounts", `have one webhookPath per account: ${account.accountId} repeats one`);
    }
    paths.add(account.mode.path);
  }
}
