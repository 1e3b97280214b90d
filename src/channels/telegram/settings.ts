import { InputError, type Problem, Secret } from "../../kernel/mod.ts";
import { isObject, SettingsReader } from "./settings-reader.ts";
import { readTokenFile } from "./token-file.ts";

/** One bot. The access fields are carried for the access stage; the channel itself never reads them. */
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
  readonly dmPolicy: DmPolicy;
  /** Decimal user ids, "*", or "accessGroup:<name>". */
  readonly allowFrom: readonly string[];
  /** Undefined: channels.defaults.groupPolicy decides. */
  readonly groupPolicy: GroupPolicy | undefined;
  /** Undefined: allowFrom is used. */
  readonly groupAllowFrom: readonly string[] | undefined;
  /** By chat id (negative decimal) or "*"; each allowFrom inside holds cleaned ids. */
  readonly groups: Readonly<Record<string, TelegramGroup>>;
}

export type DmPolicy = "pairing" | "allowlist" | "open" | "disabled";
export type GroupPolicy = "allowlist" | "open" | "disabled";

export interface TelegramGroup {
  readonly allowFrom?: readonly string[];
  readonly [key: string]: unknown;
}

export interface TelegramWebhook {
  /** Where Telegram posts to. */
  readonly url: string;
  readonly secret: Secret;
  /** The path on our own port. */
  readonly path: string;
}

export interface TelegramSettings {
  /** Accounts that are enabled and complete. */
  readonly accounts: readonly TelegramAccount[];
  /** Paths start at channels.telegram. */
  readonly problems: readonly Problem[];
}

const defaultApiRoot = "https://api.telegram.org";
const defaultAccountId = "default";

/**
 * Reads channels.telegram: one account named "default", or those under `accounts`, where an account's value
 * overrides the channel's. An absent block gives no accounts, whatever the environment holds.
 */
export function telegramSettings(
  config: unknown,
  env: Readonly<Record<string, string | undefined>>,
  readToken: (path: string) => string = readTokenFile,
): TelegramSettings {
  if (config === undefined) return { accounts: [], problems: [] };
  const problems: Problem[] = [];
  const root = new SettingsReader(config, ["channels", "telegram"], problems);
  if (root.boolean("enabled", true) === false) return { accounts: [], problems };
  const named = root.object("accounts");
  const accounts: TelegramAccount[] = [];
  const token = (place: SettingsReader, isDefault: boolean) =>
    tokenOf(place, isDefault ? env.TELEGRAM_BOT_TOKEN : undefined, readToken);

  const rootIsAccount =
    !(defaultAccountId in named) &&
    (Object.keys(named).length === 0 || root.has("botToken") || root.has("tokenFile"));
  if (rootIsAccount) {
    const botToken = token(root, true);
    if (botToken) accounts.push(accountOf(defaultAccountId, root, root, botToken));
  }
  for (const [id, value] of Object.entries(named)) {
    const place = new SettingsReader(value, [...root.path, "accounts", id], problems);
    if (place.boolean("enabled", true) === false) continue;
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(id)) {
      // The id becomes a part of session keys, where ":" separates (attack A-247).
      problems.push({ path: place.path, kind: "value", message: "have a name of letters, digits, _ and -" });
      continue;
    }
    // A named account never inherits the channel's token: two pollers of one bot steal each other's updates.
    const isDefault = id === defaultAccountId;
    const own = place.has("botToken") || place.has("tokenFile");
    const botToken = token(isDefault && !own ? root : place, isDefault);
    if (botToken) accounts.push(accountOf(id, place, root, botToken));
  }
  sameTwice(accounts, root);
  return { accounts: Object.freeze(accounts), problems: withoutRepeats(problems) };
}

/** The channel's own keys are read once for each account. */
function withoutRepeats(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

function tokenOf(
  place: SettingsReader,
  fromEnv: string | undefined,
  readToken: (path: string) => string,
): Secret | undefined {
  const given = place.raw("botToken");
  if (given instanceof Secret) return given;
  let value: string | undefined;
  if (isObject(given)) {
    place.problem("botToken", "be a token; the secret reference was not resolved");
    return undefined;
  }
  if (given !== undefined) value = place.string("botToken");
  else if (place.has("tokenFile")) {
    try {
      value = readToken(place.string("tokenFile") ?? "");
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      place.problem("tokenFile", `be readable: ${error.message}`);
      return undefined;
    }
  } else value = fromEnv;
  if (value === undefined) {
    if (given === undefined) {
      place.problem("botToken", "be set (or tokenFile, or TELEGRAM_BOT_TOKEN for the default account)");
    }
    return undefined;
  }
  // The token becomes part of a URL's path, so nothing but its own alphabet may be in it.
  if (!/^\d+:[A-Za-z0-9_-]+$/.test(value)) {
    place.problem("botToken", 'be a token as @BotFather gives it: digits, ":", letters and digits');
    return undefined;
  }
  return new Secret(value);
}

function accountOf(
  accountId: string,
  place: SettingsReader,
  root: SettingsReader,
  botToken: Secret,
): TelegramAccount {
  // Whichever of the two places has the key; the account's wins.
  const at = (key: string) => (place.has(key) ? place : root);
  const legacy = (reader: SettingsReader) =>
    new SettingsReader(reader.object("dm"), [...reader.path, "dm"], reader.problems);
  const policyAt = place.has("dmPolicy") || legacy(place).has("policy") ? place : root;
  const apiRoot = apiRootOf(at("apiRoot"));
  return Object.freeze({
    accountId,
    botToken,
    apiRoot,
    mode: modeOf(at, apiRoot),
    textChunkLimit: at("textChunkLimit").integer("textChunkLimit", 1, 4096) ?? 4000,
    linkPreview: at("linkPreview").boolean("linkPreview", false),
    dmPolicy:
      policyAt.oneOf("dmPolicy", ["pairing", "allowlist", "open", "disabled"]) ??
      legacy(policyAt).oneOf("policy", ["pairing", "allowlist", "open", "disabled"]) ??
      "pairing",
    allowFrom: allowFromOf(place, root, legacy),
    groupPolicy: at("groupPolicy").oneOf("groupPolicy", ["allowlist", "open", "disabled"]),
    groupAllowFrom: at("groupAllowFrom").userIds("groupAllowFrom"),
    groups: groupsOf(at("groups")),
  });
}

/** An account's own list may narrow the channel's, never widen it. */
function allowFromOf(
  place: SettingsReader,
  root: SettingsReader,
  legacy: (reader: SettingsReader) => SettingsReader,
): readonly string[] {
  const read = (reader: SettingsReader) => reader.userIds("allowFrom") ?? legacy(reader).userIds("allowFrom");
  const ceiling = read(root);
  if (place === root) return ceiling ?? [];
  const own = read(place);
  if (own === undefined) return ceiling ?? [];
  if (ceiling === undefined || ceiling.includes("*")) return own;
  return own.includes("*") ? ceiling : own.filter((id) => ceiling.includes(id));
}

function groupsOf(place: SettingsReader): Readonly<Record<string, TelegramGroup>> {
  const groups: [string, TelegramGroup][] = [];
  for (const [id, value] of Object.entries(place.object("groups"))) {
    const path = [...place.path, "groups", id];
    if (id !== "*" && !/^-[1-9]\d{0,19}$/.test(id)) {
      place.problems.push({
        path,
        kind: "value",
        message: "be named by a numeric chat id such as -1001234567890 (a name can be taken over by others)",
      });
      continue;
    }
    const group = new SettingsReader(value, path, place.problems);
    const allowFrom = group.userIds("allowFrom");
    groups.push([id, Object.freeze({ ...group.value, ...(allowFrom ? { allowFrom } : {}) })]);
  }
  return Object.freeze(Object.fromEntries(groups));
}

function apiRootOf(place: SettingsReader): string {
  const text = place.string("apiRoot");
  if (text === undefined) return defaultApiRoot;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    place.problem("apiRoot", "be an https URL without user, query or fragment");
    return defaultApiRoot;
  }
  if (url.protocol === "http:" && !isNearby(url.hostname)) {
    // Every request's path holds the bot token; in clear text the whole way would read it.
    place.problem("apiRoot", "use https (http only for this machine or a private network)");
    return defaultApiRoot;
  }
  return text.replace(/\/+$/, "");
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

/** This machine, a private address, or a name that has no meaning on the public internet. */
function isNearby(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (host === "localhost" || host === "::1" || /\.(local|internal|lan)$/.test(host)) return true;
  if (/^[a-z0-9-]+$/i.test(host) && /[a-z]/i.test(host)) return true;
  if (/^f[cd][0-9a-f]{2}:/i.test(host)) return true;
  return /^(127|10)\.\d+\.\d+\.\d+$|^192\.168\.\d+\.\d+$|^172\.(1[6-9]|2\d|3[01])\.\d+\.\d+$/.test(host);
}
