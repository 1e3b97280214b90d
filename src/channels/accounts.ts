import { InputError, type Problem, Secret } from "../kernel/mod.ts";
import type { SettingsSources } from "./platform.ts";
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
export function accountPlaces(root: SettingsReader, credentials: readonly string[]): AccountPlace[] {
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

/** The channel's own keys are read once for each account. */
export function withoutRepeats(problems: readonly Problem[]): readonly Problem[] {
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
