import { hash, timingSafeEqual } from "node:crypto";
import {
  admit,
  type Cancel,
  type Clock,
  InputError,
  type Json,
  type Log,
  type Random,
  refuse,
  Secret,
  token,
  type Verdict,
} from "../kernel/mod.ts";
import { type ApiTokenRecord, apiTokenParts, parseApiTokens } from "./api-token-records.ts";
import { beyondMaker, both, closed, isLimited, type Limits, unlimited } from "./limits.ts";
import { makePrincipal, type Principal } from "./principal.ts";
import { knownScopes } from "./scopes.ts";

/** credentials/api-tokens.json. A read gives the parsed JSON, undefined when there is no file. */
export interface ApiTokenFile {
  read(): Promise<unknown>;
  write(value: unknown): Promise<void>;
  /** Calls back soon after the file may have changed. */
  watch(changed: () => void): Cancel;
}

export interface ApiTokenPorts {
  readonly file: ApiTokenFile;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The principal lost its token, or some of it: its connections end and what it started stops. */
  readonly ended: (principalId: string) => void;
  /** Puts a change that a hand made to the file on record. */
  readonly record: (action: string, facts: Readonly<Record<string, Json>>) => Promise<void>;
}

/** Who makes or revokes a token: a principal, or whoever can write the state folder (the command line). */
export type TokenMaker = Pick<Principal, "id" | "scopes" | "limits">;

export interface WantedToken extends Limits {
  readonly name: string;
  readonly scopes: readonly string[];
  /** Unix ms. */
  readonly expiresAtMs?: number | undefined;
}

/** A token as operators see it: no hash. */
export type ApiTokenView = Omit<ApiTokenRecord, "hash"> & {
  /** "orphaned": who made it lost his own token. */
  readonly state: "active" | "expired" | "orphaned";
};

/**
 * Named tokens that do less than the owner. Whoever makes one gives nothing that he does not hold, and what he made
 * ends with him. All but `find` throw an InputError while the file cannot be read.
 */
export interface ApiTokens {
  /** The principal of a token that is good at this moment. Compares in constant time. */
  find(candidate: string): Principal | undefined;
  /** False once the principal's token has ended; true for principals that came without one. */
  stands(principal: Principal): boolean;
  /**
   * What the author of a message is kept to: everything, when its token has ended. Of several, as a Source lists them,
   * what all of them may.
   */
  limitsOf(authors: string): Limits;
  /** Shown once: what is kept cannot be turned back into it. */
  create(
    maker: TokenMaker,
    wanted: WantedToken,
  ): Promise<Verdict<{ readonly token: Secret; readonly view: ApiTokenView }>>;
  list(maker: TokenMaker): readonly ApiTokenView[];
  /** By name or id; those that it made end too. */
  revoke(maker: TokenMaker, nameOrId: string): Promise<Verdict<readonly ApiTokenView[]>>;
  /** Looks at the file again; resolves when what it says counts. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

const maxTokens = 500;
// A sync of the disk for each use would make using one as slow as the disk.
const useDelayMs = 30_000;
// Timers of more than 24 days fire at once; and a wall clock that is set forward is noticed.
const longestSleepMs = 60_000;
const prefix = "token:";

export async function openApiTokens(ports: ApiTokenPorts): Promise<ApiTokens> {
  const { clock, file, log } = ports;
  let tokens = new Map<string, ApiTokenRecord>();
  let unreadable: string | undefined;
  let working: Promise<unknown> = Promise.resolve();
  let cancelFlush: Cancel | undefined;
  let cancelExpiry: Cancel = () => {};
  /** Uses that are not in the file yet. */
  const usedAt = new Map<string, number>();
  /** Those whose end was told already. */
  const over = new Set<string>();

  function serial<T>(action: () => Promise<T>): Promise<T> {
    const next = working.then(action, action);
    working = next.catch(() => {});
    return next;
  }

  function stateOf(item: ApiTokenRecord): ApiTokenView["state"] {
    let at: ApiTokenRecord | undefined = item;
    // A chain longer than there are tokens goes in a circle: a hand wrote it.
    for (let steps = 0; steps <= tokens.size; steps++) {
      if (at === undefined) return "orphaned";
      if (at.expiresAtMs !== undefined && at.expiresAtMs <= clock.now())
        return at === item ? "expired" : "orphaned";
      if (!at.createdBy.startsWith(prefix)) return "active";
      at = tokens.get(at.createdBy.slice(prefix.length));
    }
    return "orphaned";
  }

  const activeById = (id: string) => {
    const item = tokens.get(id);
    return item && stateOf(item) === "active" ? item : undefined;
  };

  function limitsOfOne(author: string): Limits {
    if (!author.startsWith(prefix)) return unlimited;
    const item = activeById(author.slice(prefix.length));
    return item ? limitsIn(item) : closed;
  }

  function view(item: ApiTokenRecord): ApiTokenView {
    const { hash: _, ...rest } = timed(item);
    return { ...rest, state: stateOf(item) };
  }

  function timed(item: ApiTokenRecord): ApiTokenRecord {
    const at = usedAt.get(item.id);
    return at === undefined ? item : { ...item, lastUsedAtMs: at };
  }

  /** Ends whoever has lost something since `before`, once; and sleeps until the next one expires. */
  function settle(before: ReadonlyMap<string, ApiTokenRecord>): void {
    let next = longestSleepMs;
    for (const [id, item] of before) {
      const now = tokens.get(id);
      const isActive = now !== undefined && stateOf(now) === "active";
      if (isActive && rightsOf(now) === rightsOf(item)) continue;
      if (now !== undefined && !isActive && over.has(id)) continue;
      if (now === undefined || isActive) over.delete(id);
      else over.add(id);
      ports.ended(`${prefix}${id}`);
    }
    for (const item of tokens.values())
      if (item.expiresAtMs !== undefined && item.expiresAtMs > clock.now())
        next = Math.min(next, item.expiresAtMs - clock.now());
    cancelExpiry();
    cancelExpiry = clock.after(next, () => settle(tokens));
  }

  async function takeOver(): Promise<void> {
    let found: Map<string, ApiTokenRecord>;
    try {
      found = parseApiTokens(await file.read());
      unreadable = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== unreadable)
        log("error", "no API token is good: credentials/api-tokens.json cannot be read; mend or remove it", {
          error: message,
        });
      unreadable = message;
      found = new Map();
    }
    const before = tokens;
    tokens = found;
    settle(before);
  }

  /** Somebody else wrote the file: what counts is in force already, then it is put on record. */
  async function followHand(): Promise<void> {
    const before = tokens;
    await takeOver();
    const ids = [...new Set([...before.keys(), ...tokens.keys()])];
    const changed = ids.filter((id) => rightsOf(before.get(id)) !== rightsOf(tokens.get(id)));
    if (changed.length > 0) await ports.record("tokens.file-changed", { ids: changed });
  }

  async function change<T>(action: (draft: Map<string, ApiTokenRecord>) => Verdict<T>): Promise<Verdict<T>> {
    return serial(async () => {
      await followHand();
      if (unreadable !== undefined) throw new InputError(`credentials/api-tokens.json: ${unreadable}`);
      const draft = new Map(tokens);
      const done = action(draft);
      if (!done.ok) return done;
      await file.write({ version: 1, tokens: [...draft.values()].map(timed) });
      const before = tokens;
      tokens = draft;
      settle(before);
      return done;
    });
  }

  function used(id: string): void {
    usedAt.set(id, clock.now());
    cancelFlush ??= clock.after(useDelayMs, () => {
      cancelFlush = undefined;
      void flush();
    });
  }

  const flush = () =>
    change(() => admit(undefined)).catch((error: Error) =>
      log("warn", "when API tokens were used could not be written", { error: error.message }),
    );

  await takeOver();
  const unwatch = file.watch(
    () =>
      void serial(followHand).catch((error: Error) =>
        log("error", "a change of credentials/api-tokens.json could not be recorded", {
          error: error.message,
        }),
      ),
  );

  return {
    find(candidate) {
      const parts = apiTokenParts(candidate);
      if (!parts) return undefined;
      const item = tokens.get(parts.id);
      // Compared with something in any case, so that the time tells nothing about which tokens there are.
      const expected = item ? Buffer.from(item.hash, "hex") : Buffer.alloc(32);
      const same = timingSafeEqual(hash("sha256", parts.secret, "buffer"), expected);
      if (!same || !item || stateOf(item) !== "active") return undefined;
      used(item.id);
      return makePrincipal(`${prefix}${item.id}`, knownScopes(item.scopes), "api-token", {
        limits: limitsIn(item),
      });
    },
    stands: (principal) =>
      principal.method !== "api-token" || activeById(principal.id.slice(prefix.length)) !== undefined,
    limitsOf: (authors) => authors.split(",").map(limitsOfOne).reduce(both),
    create(maker, wanted) {
      return change((draft) => {
        const { name, scopes, expiresAtMs, ...limits } = wanted;
        const further = beyondMaker(maker, { scopes, limits });
        if (further !== undefined) return refuse("auth.token_too_wide", further);
        if ([...draft.values()].some((item) => item.name === name || item.id === name))
          return refuse("auth.token_name_taken", name);
        if (draft.size >= maxTokens) return refuse("auth.token_full", String(maxTokens));
        // 256 random bits: nobody guesses them, so one round of SHA-256 keeps them as well as a slow hash would.
        const secret = token(ports.random);
        const item: ApiTokenRecord = {
          id: ports.random.bytes(6).toString("hex"),
          name,
          hash: hash("sha256", secret),
          scopes: knownScopes(scopes),
          ...limitsIn(limits),
          createdAtMs: clock.now(),
          createdBy: maker.id,
          ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
        };
        draft.set(item.id, item);
        const { hash: _, ...shown } = item;
        return admit({
          token: new Secret(`oc_${item.id}_${secret}`),
          view: { ...shown, state: "active" as const },
        });
      });
    },
    list: (maker) => [...tokens.values()].filter((item) => manages(maker, item)).map(view),
    revoke(maker, nameOrId) {
      return change((draft) => {
        const fits = [...draft.values()].filter(
          (item) => (item.name === nameOrId || item.id === nameOrId) && manages(maker, item),
        );
        if (fits.length === 0) return refuse("auth.token_unknown", nameOrId);
        const gone = [...fits];
        for (const item of gone)
          for (const other of draft.values())
            if (other.createdBy === `${prefix}${item.id}` && !gone.includes(other)) gone.push(other);
        for (const item of gone) {
          draft.delete(item.id);
          usedAt.delete(item.id);
        }
        return admit(gone.map(view));
      });
    },
    reload: () => serial(followHand),
    async close() {
      unwatch();
      cancelExpiry();
      if (cancelFlush) {
        cancelFlush();
        cancelFlush = undefined;
        await flush();
      }
      await working;
    },
  };
}

/** A token that is kept to something sees and ends itself and what it made; everybody else all of them. */
function manages(maker: TokenMaker, item: ApiTokenRecord): boolean {
  return !isLimited(maker.limits) || item.createdBy === maker.id || `${prefix}${item.id}` === maker.id;
}

function limitsIn(item: Limits): Limits {
  const { methods, except, tools, agents, channels } = item;
  return {
    ...(methods === undefined ? {} : { methods }),
    ...(except === undefined ? {} : { except }),
    ...(tools === undefined ? {} : { tools }),
    ...(agents === undefined ? {} : { agents }),
    ...(channels === undefined ? {} : { channels }),
  };
}

/** What of an entry gives rights, in one spelling: when any of it changes, old connections must not go on. */
function rightsOf(item: ApiTokenRecord | undefined): string {
  if (!item) return "";
  const { hash: secretHash, scopes, expiresAtMs = 0, createdBy } = item;
  return JSON.stringify([secretHash, scopes, limitsIn(item), expiresAtMs, createdBy]);
}
