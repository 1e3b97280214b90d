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
import type { SettingsReader } from "../settings-reader.ts";

/** One app in one workspace. */
export interface SlackAccount {
  readonly accountId: string;
  readonly botToken: Secret;
  readonly mode: SlackMode;
  /** Without a trailing slash. */
  readonly apiRoot: string;
  /** Longest outgoing text, UTF-16 units, 1 to 12000. */
  readonly textChunkLimit: number;
}

/** How events come: over a socket that we open, or posted to us. */
export type SlackMode =
  | { readonly kind: "socket"; readonly appToken: Secret }
  | { readonly kind: "http"; readonly signingSecret: Secret; readonly path: string };

export const defaultApiRoot = "https://slack.com/api";

/** Ids are capital letters and digits; another case is another id (attack A-057). */
const ids: IdRule = {
  sender(text) {
    const id = text.replace(/^(?:slack|user):/i, "").replace(/^<@([UW][A-Z0-9]+)>$/, "$1");
    if (/^[UW][A-Z0-9]{2,20}$/.test(id)) return { id };
    return {
      problem: "be a member id such as U012AB3CD (Slack: the person's profile, More, Copy member ID)",
    };
  },
  group(text) {
    const id = text.replace(/^channel:/i, "").replace(/^<#([CG][A-Z0-9]+)>$/, "$1");
    if (/^[CG][A-Z0-9]{2,20}$/.test(id)) return { id };
    return {
      problem:
        "be named by a channel id such as C012AB3CD (Slack: the channel's details, at the bottom; a name can be taken over)",
    };
  },
};

export const slack: Platform = {
  id: "slack",
  label: "Slack",
  ids,
  setup: {
    before: [
      "At api.slack.com/apps: Create New App, From a manifest; docs/channels/slack.md has the manifest.",
      "Basic Information, App-Level Tokens: make one with connections:write (it begins with xapp-).",
      "Install App: install it in the workspace, and copy the bot token (it begins with xoxb-).",
    ],
    questions: [
      { key: "botToken", question: "The bot token (xoxb-)", isSecret: true },
      { key: "appToken", question: "The app-level token (xapp-)", isSecret: true },
    ],
    after: ["Write to the app. It answers with a code: openclaw pairing approve slack <code>"],
  },
  read: (section, sources) =>
    platformAccounts(slackSettings(section, sources), (settings) => ({
      secrets: [settings.botToken, secretOf(settings.mode)].map((secret) => secret.reveal()),
      probe: async (clock) => (await import("./probe.ts")).probeSlack(settings, clock),
      open: async (deps) => (await import("./mod.ts")).openSlack(settings, deps),
    })),
};

function secretOf(mode: SlackMode): Secret {
  return mode.kind === "socket" ? mode.appToken : mode.signingSecret;
}

export function slackSettings(config: unknown, sources: SettingsSources): ReadAccounts<SlackAccount> {
  return readAccounts(config, "slack", {
    credentials: ["botToken"],
    read: (account) => {
      const botToken = secretAt(
        account,
        sources,
        "botToken",
        "SLACK_BOT_TOKEN",
        /^(?:xoxe\.)?xoxb-[\w.-]{8,300}$/,
      );
      const mode = modeOf(account, sources);
      return botToken && mode ? accountOf(account, botToken, mode) : undefined;
    },
    compare: sameTwice,
  });
}

function accountOf(account: AccountPlace, botToken: Secret, mode: SlackMode): SlackAccount {
  const { at } = account;
  return Object.freeze({
    accountId: account.accountId,
    botToken,
    mode,
    apiRoot: apiRootOf(at("apiRoot"), defaultApiRoot),
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 1, 12_000) ?? 4_000,
  });
}

function modeOf(account: AccountPlace, sources: SettingsSources): SlackMode | undefined {
  const { at } = account;
  const kind = at("mode").oneOf("mode", ["socket", "http", "relay"]) ?? "socket";
  if (kind === "relay") {
    at("mode").problem("mode", "be socket or http; relay is not supported");
    return undefined;
  }
  if (kind === "socket") {
    const appToken = secretAt(account, sources, "appToken", "SLACK_APP_TOKEN", /^xapp-[\w-]{8,300}$/);
    return appToken && Object.freeze({ kind, appToken });
  }
  const signingSecret = secretAt(account, sources, "signingSecret", undefined, /^[A-Za-z0-9]{16,128}$/);
  const path = at("webhookPath").string("webhookPath") ?? "/slack/events";
  if (!/^\/[A-Za-z0-9._~/-]+$/.test(path)) {
    at("webhookPath").problem("webhookPath", 'be a path such as "/slack/events"');
    return undefined;
  }
  return signingSecret && Object.freeze({ kind, signingSecret, path });
}

/** A secret of the given shape: it becomes a header, so nothing else may be in it. */
function secretAt(
  account: AccountPlace,
  sources: SettingsSources,
  key: "botToken" | "appToken" | "signingSecret",
  env: string | undefined,
  shape: RegExp,
): Secret | undefined {
  const secret = accountSecret(account, { key, ...(env === undefined ? {} : { env }) }, sources);
  if (secret === undefined || shape.test(secret.reveal())) return secret;
  const looks = {
    botToken: "be a bot token, which begins with xoxb- (OAuth & Permissions)",
    appToken: "be an app-level token with connections:write, which begins with xapp- (Basic Information)",
    signingSecret: "be the signing secret of the app (Basic Information)",
  };
  account.place.problem(key, looks[key]);
  return undefined;
}

/** Two accounts that cannot be told apart from outside: refused, not guessed (attack A-181). */
function sameTwice(accounts: readonly SlackAccount[], root: SettingsReader): void {
  const tokens = new Set<string>();
  const paths = new Set<string>();
  for (const { accountId, botToken, mode } of accounts) {
    if (tokens.has(botToken.reveal())) {
      root.problem("accounts", `have one app per account: ${accountId} repeats another one's botToken`);
    }
    tokens.add(botToken.reveal());
    if (mode.kind !== "http") continue;
    if (paths.has(mode.path)) {
      root.problem("accounts", `have one webhookPath per account: ${accountId} repeats one`);
    }
    paths.add(mode.path);
  }
}
