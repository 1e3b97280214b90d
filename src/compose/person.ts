import { InputError } from "../kernel/mod.ts";
import { keyPart } from "../session/mod.ts";

/** Somebody whose data is asked for: all accounts that are known to be one person's. */
export interface Person {
  /** "telegram:42". */
  readonly accounts: readonly string[];
  /** Whether a conversation's key is this person's own. */
  ownsKey(key: string): boolean;
  /** Whether a text names one of the accounts. */
  isNamedIn(text: string): boolean;
  /** Words to look for in a table before {@link isNamedIn} decides. */
  readonly words: readonly string[];
}

/** Shorter ids are words and numbers that stand for other things too. */
const tellingChars = 6;

/**
 * The person of "channel:id", with the other accounts that session.identityLinks names as the same person's, or of a
 * name in it. `others`: what else the peer's account is called. Throws an InputError for what is neither.
 */
export function personOf(
  peer: string,
  identities: ReadonlyMap<string, string>,
  others: readonly string[] = [],
): Person {
  const linkedAs = [peer, ...others].find((account) => identities.has(account)) ?? peer;
  const name = identities.get(linkedAs) ?? [...identities.values()].find((item) => item === peer);
  const linked = [...identities].flatMap(([account, of]) => (of === name ? [account] : []));
  const isAccount = /^[a-z][a-z0-9_-]*:\S/.test(peer);
  if (!isAccount && linked.length === 0)
    throw new InputError(
      `${JSON.stringify(peer)} is no account; write <channel>:<sender id>, as in telegram:42, or a name of session.identityLinks`,
    );
  const accounts = [...new Set([...(isAccount ? [peer, ...others] : []), ...linked])];
  const parts = accounts.map((account) => {
    const colon = account.indexOf(":");
    return { channel: account.slice(0, colon), id: account.slice(colon + 1) };
  });
  const keys = parts.map(
    ({ channel, id }) =>
      new RegExp(`^agent:[^:]+:${escaped(keyPart(channel))}:(?:[^:]+:)?direct:${escaped(keyPart(id))}$`),
  );
  if (name !== undefined) keys.push(new RegExp(`^agent:[^:]+:direct:person:${escaped(keyPart(name))}$`));
  // "uuid:<id>" stands without its word in what a platform itself says.
  const ids = parts.flatMap(({ id }) => [id, id.replace(/^[a-z]+:/, "")]);
  const telling = ids.flatMap((id) => (id.length < tellingChars ? [] : [id, keyPart(id)]));
  // As they are, and as they stand in JSON.
  const words = [...new Set([...accounts, ...telling].flatMap((word) => [word, inJson(word)]))];
  const whole = new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.map(escaped).join("|")})(?![\\p{L}\\p{N}])`, "u");
  const ownKey = new RegExp(
    parts
      .map(({ channel, id }) => `${escaped(channel)}:[^"\\s]*:?direct:${escaped(keyPart(id))}(?![\\w%])`)
      .join("|"),
  );
  // A short id counts where it stands alone beside its channel's name.
  const alone = parts.map(({ channel, id }) => [`"${channel}"`, `"${id}"`] as const);
  return {
    accounts,
    words,
    ownsKey: (key) => keys.some((pattern) => pattern.test(key)),
    isNamedIn: (text) =>
      whole.test(text) ||
      ownKey.test(text) ||
      alone.some(([channel, id]) => text.includes(id) && text.includes(channel)),
  };
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
