import { type Clock, code, InputError, type Random } from "../kernel/mod.ts";

/** Somebody who wrote to the bot and waits for an operator's yes. */
export interface PairingRequest {
  /** 8 characters, upper case, without 0 O 1 I. */
  readonly code: string;
  readonly senderId: string;
  /** What the sender calls itself; for the operator's eyes only. */
  readonly claimedName?: string;
  /** The event that made it: when that very event comes again, its reply was never stored and is due. */
  readonly eventId?: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** The two files of the seeds' layout: `<channel>-pairing.json` and `<channel>-allowFrom.json`. */
export interface PairingFiles {
  readPending(channel: string, account: string): Promise<unknown>;
  writePending(channel: string, account: string, value: unknown): Promise<void>;
  readAllowed(channel: string, account: string): Promise<unknown>;
  /** Changes whenever the file of those who are allowed does, so that it is not read for each message. */
  stampAllowed(channel: string, account: string): Promise<string>;
  writeAllowed(channel: string, account: string, value: unknown): Promise<void>;
}

export interface Pairings {
  /** Sender ids that may write directly. Reads the file again when an operator has changed it. Throws when unreadable. */
  allowed(channel: string, account: string): Promise<ReadonlySet<string>>;
  /**
   * Notes that an unknown sender wrote. `created` comes once per request (and again for a redelivery of the same
   * event, whose outcome a crash lost): only then is the code sent. `full`: three others wait already.
   */
  request(
    channel: string,
    account: string,
    sender: { readonly id: string; readonly claimedName?: string },
    eventId: string,
  ): Promise<
    { readonly state: "created" | "waiting"; readonly request: PairingRequest } | { readonly state: "full" }
  >;
  pending(channel: string, account: string): Promise<readonly PairingRequest[]>;
  /** Admits the sender of this code. Throws an InputError when no such code waits. */
  approve(channel: string, account: string, code: string): Promise<PairingRequest>;
  /** Forgets the request; the sender may ask again. Throws an InputError when no such code waits. */
  dismiss(channel: string, account: string, code: string): Promise<PairingRequest>;
  /** Takes this sender out of both files; gives how many entries that were. */
  forget(channel: string, account: string, senderId: string): Promise<number>;
}

export const pairingCodeAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const codeLength = 8;
const lifetimeMs = 60 * 60 * 1000;
const maxPending = 3;

export function createPairings(ports: {
  readonly files: PairingFiles;
  readonly clock: Clock;
  readonly random: Random;
}): Pairings {
  // All changes of one account's files go through one queue: two senders at once must not overwrite each other.
  const queues = new Map<string, Promise<unknown>>();

  function serial<T>(channel: string, account: string, action: () => Promise<T>): Promise<T> {
    const key = `${channel}\n${account}`;
    const next = (queues.get(key) ?? Promise.resolve()).then(action, action);
    queues.set(
      key,
      next.catch(() => {}),
    );
    return next;
  }

  async function live(channel: string, account: string): Promise<PairingRequest[]> {
    const now = ports.clock.now();
    return parsePending(await ports.files.readPending(channel, account)).filter(
      (item) => item.expiresAtMs > now,
    );
  }

  function take(
    channel: string,
    account: string,
    wanted: string,
    admitSender: boolean,
  ): Promise<PairingRequest> {
    return serial(channel, account, async () => {
      const waiting = await live(channel, account);
      const normalised = wanted.trim().toUpperCase();
      const found = waiting.find((item) => item.code === normalised);
      if (!found) {
        throw new InputError(
          `no pairing request with code ${JSON.stringify(wanted)} waits on ${channel}; see: openclaw pairing list ${channel}`,
        );
      }
      if (admitSender) {
        const allowed = parseAllowed(await ports.files.readAllowed(channel, account));
        await ports.files.writeAllowed(channel, account, {
          version: 1,
          allowFrom: [...new Set([...allowed, found.senderId])],
        });
      }
      await ports.files.writePending(channel, account, {
        version: 1,
        requests: waiting.filter((item) => item !== found),
      });
      return found;
    });
  }

  // With ten thousand people paired, reading them again for each message would be felt.
  const known = new Map<string, { readonly stamp: string; readonly ids: ReadonlySet<string> }>();

  return {
    async allowed(channel, account) {
      const key = `${channel}\n${account}`;
      const stamp = await ports.files.stampAllowed(channel, account);
      const before = known.get(key);
      if (before?.stamp === stamp) return before.ids;
      const ids = new Set(parseAllowed(await ports.files.readAllowed(channel, account)));
      known.set(key, { stamp, ids });
      return ids;
    },
    request: (channel, account, sender, eventId) =>
      serial(channel, account, async () => {
        const waiting = await live(channel, account);
        const known = waiting.find((item) => item.senderId === sender.id);
        if (known) return { state: known.eventId === eventId ? "created" : "waiting", request: known };
        if (waiting.length >= maxPending) return { state: "full" };
        const now = ports.clock.now();
        const request: PairingRequest = {
          code: code(ports.random, pairingCodeAlphabet, codeLength),
          senderId: sender.id,
          ...(sender.claimedName === undefined ? {} : { claimedName: sender.claimedName.slice(0, 80) }),
          eventId,
          createdAtMs: now,
          expiresAtMs: now + lifetimeMs,
        };
        await ports.files.writePending(channel, account, { version: 1, requests: [...waiting, request] });
        return { state: "created", request };
      }),
    pending: (channel, account) => live(channel, account),
    approve: (channel, account, wanted) => take(channel, account, wanted, true),
    dismiss: (channel, account, wanted) => take(channel, account, wanted, false),
    forget: (channel, account, senderId) =>
      serial(channel, account, async () => {
        const allowFrom = parseAllowed(await ports.files.readAllowed(channel, account));
        const admitted = allowFrom.filter((id) => id !== senderId);
        // Those whose time is over stand in the file too, until the next one asks.
        const requests = parsePending(await ports.files.readPending(channel, account));
        const waiting = requests.filter((item) => item.senderId !== senderId);
        if (admitted.length < allowFrom.length)
          await ports.files.writeAllowed(channel, account, { version: 1, allowFrom: admitted });
        if (waiting.length < requests.length)
          await ports.files.writePending(channel, account, { version: 1, requests: waiting });
        return allowFrom.length - admitted.length + requests.length - waiting.length;
      }),
  };
}

/** An absent file is an empty list; a file of any other shape is an error, because guessing could admit somebody. */
function parseAllowed(value: unknown): string[] {
  if (value === undefined) return [];
  const list = Array.isArray(value) ? value : (value as { allowFrom?: unknown } | null)?.allowFrom;
  if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) {
    throw new InputError('the allowlist file has an unknown shape; expected {"allowFrom": ["<sender id>"]}');
  }
  // "*" is the config's to say, never a pairing's.
  return list.filter((item) => item !== "" && item !== "*");
}

function parsePending(value: unknown): PairingRequest[] {
  if (value === undefined) return [];
  const list = (value as { requests?: unknown } | null)?.requests;
  if (!Array.isArray(list) || !list.every(isRequest)) {
    throw new InputError(
      'the pairing file has an unknown shape; expected {"requests": [...]}; remove it to start over',
    );
  }
  return list;
}

function isRequest(value: unknown): value is PairingRequest {
  const item = value as Partial<PairingRequest> | null;
  return (
    typeof item?.code === "string" &&
    typeof item.senderId === "string" &&
    typeof item.createdAtMs === "number" &&
    typeof item.expiresAtMs === "number"
  );
}
