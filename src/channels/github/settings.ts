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
import { appKey } from "./app-key.ts";
import { isId, repositoryOf } from "./wire.ts";

/** One App, or one user's token. */
export interface GithubAccount {
  readonly accountId: string;
  readonly auth: GithubAuth;
  readonly webhookSecret: Secret;
  readonly webhookPath: string;
  /** Without a trailing slash. */
  readonly apiRoot: string;
  /** Longest outgoing text, UTF-16 units, 1 to 40000. */
  readonly textChunkLimit: number;
}

export type GithubAuth =
  | {
      readonly kind: "app";
      /** The App's id or client id. */
      readonly appId: string;
      readonly privateKey: Secret;
      /** Events of another installation are let go; undefined: each one's are taken. */
      readonly installationId: number | undefined;
    }
  | {
      readonly kind: "token";
      readonly token: Secret;
      /** Whose webhooks' logs are read for what did not arrive. */
      readonly repositories: readonly string[];
    };

const defaultApiRoot = "https://api.github.com";
const defaultWebhookPath = "/github/events";

/** A user is a number: the login is a name that changes hands. A repository is "owner/repo", whatever the case. */
const ids: IdRule = {
  sender(text) {
    const id = text.replace(/^(?:github|user):/i, "");
    if (/^[1-9]\d{0,14}$/.test(id)) return { id };
    return {
      problem:
        "be a user's number, such as 583231 (the id at https://api.github.com/users/<login>), not a login",
    };
  },
  group(text) {
    const id = repositoryOf(text.replace(/^repo:/i, ""));
    return id === undefined ? { problem: 'be named by a repository, as "owner/repo"' } : { id };
  },
};

export const github: Platform = {
  id: "github",
  label: "GitHub",
  ids,
  setup: {
    before: [
      "Make a GitHub App (Settings, Developer settings): webhook active, at the gateway's public address with /github/events, content type JSON, with a secret (openssl rand -hex 32).",
      "Give it Issues, Pull requests and Discussions (read and write), and the events of issues, pull requests, reviews, discussions and their comments.",
      "Generate a private key, and install the App on the repositories that it is for.",
    ],
    questions: [
      { key: "appId", question: "The App's id", isOptional: true },
      { key: "token", question: "In place of an App: a token", isSecret: true, isOptional: true },
      {
        key: "privateKey",
        question: "The App's private key, on one line (base64 -w0 key.pem)",
        isSecret: true,
        isOptional: true,
      },
      {
        key: "privateKeyFile",
        question: "In its place: the path of the .pem file (mode 600)",
        isOptional: true,
      },
      { key: "webhookSecret", question: "The webhook's secret", isSecret: true },
    ],
    after: ["List the repositories under channels.github.groups, and mention the App in an issue."],
  },
  read: (section, sources) =>
    platformAccounts(githubSettings(section, sources), (settings) => ({
      secrets: [keyOf(settings.auth), settings.webhookSecret].map((secret) => secret.reveal()),
      probe: async (clock) => (await import("./probe.ts")).probeGithub(settings, clock),
      open: async (deps) => (await import("./mod.ts")).openGithub(settings, deps),
    })),
};

function keyOf(auth: GithubAuth): Secret {
  return auth.kind === "app" ? auth.privateKey : auth.token;
}

export function githubSettings(config: unknown, sources: SettingsSources): ReadAccounts<GithubAccount> {
  return readAccounts(config, "github", {
    credentials: ["appId", "token", "tokenFile"],
    read: (account) => {
      const auth = authOf(account, sources);
      const webhookSecret = webhookSecretOf(account, sources);
      const webhookPath = webhookPathOf(account);
      return auth && webhookSecret && webhookPath
        ? accountOf(account, { auth, webhookSecret, webhookPath })
        : undefined;
    },
    compare: sameTwice,
  });
}

function accountOf(
  account: AccountPlace,
  own: Pick<GithubAccount, "auth" | "webhookSecret" | "webhookPath">,
): GithubAccount {
  const { at } = account;
  return Object.freeze({
    accountId: account.accountId,
    ...own,
    apiRoot: apiRootOf(at("apiRoot"), defaultApiRoot),
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 1, 40_000) ?? 40_000,
  });
}

function authOf(account: AccountPlace, sources: SettingsSources): GithubAuth | undefined {
  const { place, at } = account;
  const isApp = place.has("appId");
  if (isApp && (place.has("token") || place.has("tokenFile"))) {
    place.problem("appId", "stand alone: set an App (appId, privateKey), or a token, not both");
    return undefined;
  }
  if (!isApp) {
    const token = accountSecret(account, { key: "token", fileKey: "tokenFile" }, sources);
    if (token === undefined) return undefined;
    // It becomes a header, so nothing else may be in it.
    if (/^[A-Za-z0-9_]{20,255}$/.test(token.reveal())) {
      return Object.freeze({ kind: "token", token, repositories: repositoriesOf(at("repositories")) });
    }
    place.problem("token", "be a token of GitHub's, such as github_pat_... (Settings, Developer settings)");
    return undefined;
  }
  const appId = String(place.raw("appId"));
  if (!/^[A-Za-z0-9.]{1,64}$/.test(appId)) {
    place.problem("appId", "be the App's id, such as 123456, or its client id");
    return undefined;
  }
  const privateKey = accountSecret(account, { key: "privateKey", fileKey: "privateKeyFile" }, sources);
  if (privateKey === undefined) return undefined;
  try {
    appKey(privateKey);
  } catch {
    place.problem(
      "privateKey",
      "be the App's private key: the downloaded file's text, or base64 of it (an RSA key of 2048 bits)",
    );
    return undefined;
  }
  const installationId = place.integer("installationId", 1, Number.MAX_SAFE_INTEGER);
  // A limit that cannot be read must not be none.
  if (place.has("installationId") && !isId(installationId)) return undefined;
  return Object.freeze({ kind: "app", appId, privateKey, installationId });
}

function webhookSecretOf(account: AccountPlace, sources: SettingsSources): Secret | undefined {
  const keys = { key: "webhookSecret", fileKey: "webhookSecretFile" };
  const secret = accountSecret(account, keys, sources);
  if (secret === undefined || secret.length >= 16) return secret;
  account.place.problem("webhookSecret", "have at least 16 characters (openssl rand -hex 32)");
  return undefined;
}

function webhookPathOf({ at }: AccountPlace): string | undefined {
  const place = at("webhookPath");
  if (!place.has("webhookPath")) return defaultWebhookPath;
  const path = place.string("webhookPath") ?? "";
  if (/^\/[A-Za-z0-9._~/-]+$/.test(path)) return path;
  place.problem("webhookPath", `be a path such as "${defaultWebhookPath}"`);
  return undefined;
}

function repositoriesOf(place: SettingsReader): readonly string[] {
  const given = place.raw("repositories") ?? [];
  if (!Array.isArray(given)) {
    place.problem("repositories", 'be an array of repositories, each as "owner/repo"');
    return [];
  }
  return (given as unknown[]).flatMap((item, index) => {
    const repository = repositoryOf(item);
    if (repository !== undefined) return [repository];
    const path = [...place.path, "repositories", index];
    place.problems.push({ path, kind: "value", message: 'be a repository, as "owner/repo"' });
    return [];
  });
}

/** Two accounts that cannot be told apart from outside: refused, not guessed (attack A-181). */
function sameTwice(accounts: readonly GithubAccount[], root: SettingsReader): void {
  const identities = new Set<string>();
  const paths = new Set<string>();
  for (const { accountId, auth, webhookPath } of accounts) {
    const identity = auth.kind === "app" ? auth.appId : auth.token.reveal();
    if (identities.has(identity)) {
      const key = auth.kind === "app" ? "appId" : "token";
      root.problem("accounts", `have one App or user per account: ${accountId} repeats another one's ${key}`);
    }
    identities.add(identity);
    if (paths.has(webhookPath)) {
      root.problem("accounts", `have one webhookPath per account: ${accountId} repeats one`);
    }
    paths.add(webhookPath);
  }
}
