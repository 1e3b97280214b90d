import type { Pairings } from "../access/mod.ts";
import type { LedgerRow } from "../audit/mod.ts";
import type { ErasureReceipt } from "../control/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import type { Json } from "../kernel/mod.ts";
import type { SessionRow } from "../session/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Media, MediaFile } from "./media.ts";
import type { Person } from "./person.ts";
import { type ChannelState, channelStates, pairingAccounts } from "./personal-files.ts";

const maxEntries = 10_000_000;

/** What was found of one person. */
export interface Found {
  readonly person: Person;
  readonly messages: readonly InboxRow[];
  /** Conversations that go as a whole. */
  readonly whole: readonly SessionRow[];
  /** Others speak in these too: only this person's runs go. */
  readonly shared: readonly SessionRow[];
  readonly deliveries: ReturnType<Store["personal"]["deliveriesOf"]>;
  readonly approvals: ReturnType<Store["personal"]["approvalsOf"]>;
  readonly files: ReturnType<Store["personal"]["filesWrittenFor"]>;
  readonly record: readonly LedgerRow[];
  readonly attachments: readonly MediaFile[];
  /** What the channels themselves keep, in which this person is named. */
  readonly states: readonly ChannelState[];
  /** Entries in the files of pairing, by channel and account. */
  readonly pairings: readonly { readonly channel: string; readonly account: string; readonly id: string }[];
}

export interface PersonDataParts {
  readonly store: Store;
  readonly credentials: string;
  readonly pairings: Pairings;
  readonly media: Pick<Media, "filesOf">;
  readonly breathe: () => Promise<void>;
}

/** Finds a person everywhere that a gateway keeps something, and tells what was found. */
export function createPersonData(parts: PersonDataParts) {
  const { store } = parts;
  const { personal } = store;

  async function find(person: Person): Promise<Found> {
    const own = personal.sessionKeysWith(":direct:").filter(person.ownsKey);
    // What operators said in a person's own conversation goes with it.
    const messages = personal.messagesOf(person.accounts, own);
    const keys = [...new Set([...own, ...messages.map((row) => row.sessionKey)])];
    const withOthers = personal.sharedWithOthers(keys, person.accounts);
    const sessions = keys.flatMap((key) => store.sessions.get(key) ?? []);
    const isWhole = ({ key, kind }: SessionRow) =>
      person.ownsKey(key) || (kind === "direct" && !withOthers.has(key));
    const whole = sessions.filter(isWhole);
    const ids = messages.map((row) => row.messageId);
    const deliveries = personal
      .deliveriesOf(ids, [...person.words, ...person.accounts.map(idOf)])
      .filter(
        (row) =>
          ids.includes(row.messageId) ||
          person.accounts.includes(`${row.channel}:${row.message.conversation.id}`) ||
          person.isNamedIn(row.message.text),
      );
    const found = {
      person,
      messages,
      whole,
      shared: sessions.filter((row) => !isWhole(row)),
      deliveries,
      approvals: personal.approvalsOf(
        runIdsOf({ messages }),
        whole.map((row) => row.key),
      ),
      files: personal.filesWrittenFor(person.accounts),
    };
    const kept = new Set([...ids, ...deliveries.map((row) => row.messageId)]);
    return {
      ...found,
      record: await recordOf(found),
      attachments: await parts.media.filesOf(kept),
      states: (await channelStates(parts.credentials, person.isNamedIn)).filter(({ channel }) =>
        person.accounts.some((account) => account.startsWith(`${channel}:`)),
      ),
      pairings: await pairingsOf(person),
    };
  }

  /** Rows of the record that tell of this person. Read in steps, because there may be millions. */
  async function recordOf({ person, messages, whole }: Pick<Found, "person" | "messages" | "whole">) {
    const threads = new Set(messages.flatMap((row) => [row.messageId, row.runId]));
    const keys = new Set(whole.map((row) => row.key));
    const found: LedgerRow[] = [];
    for (let from = 1; ; ) {
      const rows = store.ledger.scan(from, 500);
      for (const { salt, eventHash: _, ...row } of rows) {
        const isTheirs =
          threads.has(row.messageId ?? "") ||
          threads.has(row.runId ?? "") ||
          keys.has(row.sessionKey ?? "") ||
          person.isNamedIn(JSON.stringify(row));
        if (salt !== undefined && isTheirs) found.push(row);
      }
      const last = rows.at(-1);
      if (!last) return found;
      from = last.seq + 1;
      await parts.breathe();
    }
  }

  async function pairingsOf(person: Person): Promise<Found["pairings"]> {
    const found: Found["pairings"][number][] = [];
    for (const item of person.accounts) {
      const [channel, id] = [item.slice(0, item.indexOf(":")), idOf(item)];
      for (const account of await pairingAccounts(parts.credentials, channel)) {
        const waiting = await parts.pairings.pending(channel, account);
        const isWaiting = waiting.some((request) => request.senderId === id);
        if (isWaiting || (await parts.pairings.allowed(channel, account)).has(id))
          found.push({ channel, account, id });
      }
    }
    return found;
  }

  /** One after another, as `privacy.export` hands them out. */
  function itemsOf({ person: _, whole, shared, ...found }: Found): Json[] {
    const runIds = runIdsOf(found);
    const tell = (kind: string, values: readonly object[]) =>
      // Rows of our own tables: all of them are made of JSON.
      values.map((value) => JSON.parse(JSON.stringify({ kind, ...value })) as Json);
    return [
      ...tell("message", found.messages),
      ...[...whole, ...shared].flatMap((row) => [
        ...tell("session", [{ key: row.key, sessionId: row.sessionId, shared: shared.includes(row) }]),
        ...tell(
          "entry",
          (shared.includes(row)
            ? personal.entriesOf(row.sessionId, runIds)
            : store.sessions.entries(row.sessionId, { afterSeq: 0, limit: maxEntries })
          ).map((entry) => ({ sessionKey: row.key, ...entry })),
        ),
      ]),
      ...tell("delivery", found.deliveries),
      ...tell(
        "approval",
        found.approvals.map((approval) => ({ approval })),
      ),
      ...tell(
        "attachment",
        found.attachments.map(({ path }) => ({ path })),
      ),
      ...tell("file", found.files),
      ...tell("pairing", found.pairings),
      ...tell("channelState", found.states),
      ...tell(
        "record",
        found.record.map((row) => ({ row })),
      ),
    ];
  }

  return { find, itemsOf };
}

export function runIdsOf({ messages }: Pick<Found, "messages">): string[] {
  return messages.map((row) => row.runId);
}

export function countsOf(found: Found): ErasureReceipt["removed"] {
  return {
    messages: found.messages.length,
    conversations: found.whole.length,
    conversationsWithOthers: found.shared.length,
    deliveries: found.deliveries.length,
    approvals: found.approvals.length,
    pairings: found.pairings.length,
    attachments: found.attachments.length,
    channelState: found.states.reduce((sum, { files }) => sum + files.length, 0),
    fileLabels: found.files.length,
    recordRows: found.record.length,
  };
}

export function isNothing(found: Found): boolean {
  return Object.values(countsOf(found)).every((count) => count === 0);
}

function idOf(account: string): string {
  return account.slice(account.indexOf(":") + 1);
}
