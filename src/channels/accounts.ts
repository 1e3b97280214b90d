import { InputError, type Problem, Secret } from "../kernel/mod.ts";
import type { PlatformAccount, PlatformSettings, SettingsSources } from "./platform.ts";
import { isObject, SettingsReader } from "./settings-reader.ts";

/** One account's keys: its own, and the channel's behind them. */
export interface AccountPlace {
  readonly accountId: string;
  readonly place: SettingsReader;
  readonly root: SettingsReader;
  /** Whichever of the two has the key; the account's own wins. */
  at(key: string): SettingsReader;
  readonly isDefault: boolean;
}

const defaultAccountId = "default";

/**
 * The enabled accounts of a channel: one named "default", or those under `accounts`, where an account's value
 * overrides the channel's. `credentials` are the keys that make the channel itself an account beside named ones.
 */
function accountPlaces(root: SettingsReader, credentials: readonly string[]): AccountPlace[] {
  if (root.boolean("enabled", true) === false) return [];
  const named = root.object("accounts");
  const places: AccountPlace[] = [];
  const rootIsAccount =
    !(defaultAccountId in named) &&
    (Object.keys(named).length === 0 || credentials.some((key) => root.has(key)));
  if (rootIsAccount) {
    places.push({ accountId: defaultAccountId, place: root, root, at: () => root, isDefault: true });
  }
  for (const [accountId, value] of Object.entries(named)) {
    const place = new SettingsReader(value, [...root.path, "accounts", accountId], root.problems);
    if (place.boolean("enabled", true) === false) continue;
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(accountId)) {
      // The id becomes a part of session keys, where ":" separates (attack A-247).
      const message = "have a name of letters, digits, _ and -";
      root.problems.push({ path: place.path, kind: "value", message });
      continue;
    }
    const at = (key: string) => (place.has(key) ? place : root);
    places.push({ accountId, place, root, at, isDefault: accountId === defaultAccountId });
  }
  return places;
}

/** What was read of `channels.<id>`. */
export interface ReadAccounts<Account> {
  readonly accounts: readonly Account[];
  readonly problems: readonly Problem[];
}

/**
 * Reads `channels.<id>`; an absent block gives no accounts, whatever the environment holds. `read` gives undefined
 * for an account that lacks what it needs; `compare` notes what no two accounts may share.
 */
export function readAccounts<Account extends object>(
  section: unknown,
  id: string,
  rules: {
    /** The keys that make the channel itself an account beside named ones. */
    readonly credentials: readonly string[];
    readonly read: (account: AccountPlace) => Account | undefined;
    readonly compare: (accounts: readonly Account[], root: SettingsReader) => void;
  },
): ReadAccounts<Account> {
  if (section === undefined) return { accounts: [], problems: [] };
  const problems: Problem[] = [];
  const root = new SettingsReader(section, ["channels", id], problems);
  const accounts = accountPlaces(root, rules.credentials).flatMap((place) => {
    const account = rules.read(place);
    return account === undefined ? [] : [Object.freeze(account)];
  });
  rules.compare(accounts, root);
  return { accounts: Object.freeze(accounts), problems: withoutRepeats(problems) };
}

/** For accounts of which every key matters: one with a problem anywhere is none. */
export function onlyWhole<Account>(
  read: (account: AccountPlace) => Account | undefined,
): (account: AccountPlace) => Account | undefined {
  return (account) => {
    const { problems } = account.root;
    const before = problems.length;
    const own = read(account);
    return problems.length > before ? undefined : own;
  };
}

/** The accounts as the gateway opens them: anew whenever anything changes that was read of them. */
export function platformAccounts<Account extends { readonly accountId: string }>(
  { accounts, problems }: ReadAccounts<Account>,
  offer: (settings: Account) => Pick<PlatformAccount, "secrets" | "probe" | "open">,
): PlatformSettings {
  return {
    problems,
    accounts: accounts.map((settings) => ({
      account: settings.accountId,
      fingerprint: JSON.stringify(settings),
      ...offer(settings),
    })),
  };
}

/** The channel's own keys are read once for each account. */
function withoutRepeats(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

/**
 * A secret from `key`, from the file that `fileKey` names, or from the environment (given for the default account
 * only). A named account never inherits the channel's: two clients of one bot steal each other's messages.
 * Notes a problem and gives undefined when there is none, unless `optional`.
 */
export function accountSecret(
  account: AccountPlace,
  keys: { readonly key: string; readonly fileKey?: string; readonly env?: string },
  sources: SettingsSources,
  optional = false,
): Secret | undefined {
  const { key, fileKey } = keys;
  const own = account.place.has(key) || (fileKey !== undefined && account.place.has(fileKey));
  const place = account.isDefault && !own ? account.root : account.place;
  const given = place.raw(key);
  if (given instanceof Secret) return given;
  if (isObject(given)) {
    place.problem(key, "be a secret; the secret reference was not resolved");
    return undefined;
  }
  if (given !== undefined) {
    const text = place.string(key);
    return text === undefined ? undefined : new Secret(text);
  }
  if (fileKey !== undefined && place.has(fileKey)) {
    try {
      return new Secret(sources.readSecretFile(place.string(fileKey) ?? ""));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      place.problem(fileKey, `be readable: ${error.message}`);
      return undefined;
    }
  }
  const fromEnv = account.isDefault && keys.env !== undefined ? sources.env[keys.env] : undefined;
  if (fromEnv) return new Secret(fromEnv);
  if (!optional) {
    const ways = [fileKey, keys.env === undefined ? undefined : `${keys.env} for the default account`];
    const others = ways.filter((way) => way !== undefined).join(", or ");
    place.problem(key, others === "" ? "be set" : `be set (or ${others})`);
  }
  return undefined;
}
