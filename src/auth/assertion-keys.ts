import { createPublicKey, type JsonWebKey } from "node:crypto";
import type { Clock, Log } from "../kernel/mod.ts";
import type { AssertionKey } from "./assertion-token.ts";

/** The keys of one issuer, fetched from its published set (JWKS, RFC 7517). */
export interface AssertionKeys {
  /** What is known now, without asking; nothing once it is too old. */
  find(keyId: string): AssertionKey | undefined;
  /** True when it is time to ask again, whether or not a key is missing. */
  readonly isDue: boolean;
  /**
   * Asks again, unless that was done a moment ago: a stranger who invents key ids must not make us fetch for each.
   * Resolves, also when it failed.
   */
  refresh(): Promise<void>;
}

/** Asked again after this; worth nothing after that, so that a key which was withdrawn does not count for ever. */
const refreshAfterMs = 10 * 60_000;
const lifetimeMs = 60 * 60_000;
const minIntervalMs = 30_000;
const maxKeys = 64;
const maxSetChars = 262_144;

export function createAssertionKeys(ports: {
  /** The text of the key set. Rejects when it cannot be had. */
  readonly fetchKeys: () => Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
}): AssertionKeys {
  const { clock } = ports;
  let keys: ReadonlyMap<string, AssertionKey> = new Map();
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | undefined;
  const ageMs = () => clock.monotonic() - fetchedAt;

  async function fetchNow(): Promise<void> {
    triedAt = clock.monotonic();
    try {
      const found = keysOf(await ports.fetchKeys());
      if (found.size === 0) throw new Error("it holds no key that could be used");
      keys = found;
      fetchedAt = clock.monotonic();
    } catch (error) {
      // The old keys go on until they are too old; nobody gets in by making us forget them.
      ports.log("warn", "the keys for gateway.auth.trustedProxy.assertion could not be fetched", {
        error: (error as Error).message,
      });
    }
  }

  return {
    find: (keyId) => (ageMs() < lifetimeMs ? keys.get(keyId) : undefined),
    get isDue() {
      return ageMs() >= refreshAfterMs;
    },
    async refresh() {
      if (!fetching && clock.monotonic() - triedAt >= minIntervalMs) {
        fetching = fetchNow().finally(() => {
          fetching = undefined;
        });
      }
      await fetching;
    },
  };
}

/** The usable keys of a set, by id. Throws when it is no key set. */
function keysOf(text: string): Map<string, AssertionKey> {
  if (text.length > maxSetChars) throw new Error("it is larger than a key set is");
  const { keys } = JSON.parse(text) as { readonly keys?: unknown };
  if (!Array.isArray(keys)) throw new Error("it is not a key set");
  return new Map(keys.slice(0, maxKeys).flatMap(keyOf));
}

/** Empty for what is no key to verify with: symmetric keys, short ones, keys to encrypt with, other curves. */
function keyOf(entry: unknown): [string, AssertionKey][] {
  const jwk = (entry ?? {}) as JsonWebKey & { readonly kid?: unknown; readonly alg?: unknown };
  if (typeof jwk.kid !== "string" || (jwk.use !== undefined && jwk.use !== "sig")) return [];
  const algorithm = jwk.kty === "RSA" ? "RS256" : "ES256";
  if (jwk.alg !== undefined && jwk.alg !== algorithm) return [];
  try {
    const key = createPublicKey({ format: "jwk", key: jwk });
    const details = key.asymmetricKeyDetails;
    const isStrong =
      key.asymmetricKeyType === "rsa"
        ? Number(details?.modulusLength) >= 2048
        : details?.namedCurve === "prime256v1";
    return isStrong ? [[jwk.kid, { algorithm, key }]] : [];
  } catch {
    return [];
  }
}
