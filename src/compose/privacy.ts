import { hash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { Pairings } from "../access/mod.ts";
import type { Histories } from "../agent/mod.ts";
import type { LedgerRow } from "../audit/mod.ts";
import type { ErasureReceipt, ExportPage, PrivacyControl } from "../control/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import { type Clock, InputError, type Json, type Log, type Random, type Write } from "../kernel/mod.ts";
import type { Overheard, RunOutcome, SessionRow, SessionSettings } from "../session/mod.ts";
import type { Store, TranscriptFiles } from "../store/mod.ts";
import type { Media, MediaFile } from "./media.ts";
import { type Person, personOf } from "./person.ts";
import {
  type ChannelState,
  type ConversationStore,
  channelStates,
  filesThatName,
  orphanTranscripts,
  pairingAccounts,
  takeOut,
} from "./personal-files.ts";
import type { Tools } from "./tools.ts";

const stopWithinMs = 20_000;
/** Of one answer to `privacy.export`, roughly. */
const pageChars = 2_000_000;
const maxEntries = 10_000_000;
/** Says that the database must be written anew: what was erased may still be in its free space. */
export const rewriteDueKey = "privacy:rewriteDue";
const ownerRouteKey = "missed:ownerRoute";

/** What was found of one person. */
interface Found {
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

/** A person's data: found everywhere that a gateway keeps some, handed out, and taken out for good. */
export function composePrivacy(parts: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly stateFolder: string;
  readonly credentials: string;
  readonly logFile: () => string;
  readonly pairings: Pairings;
  readonly transcripts: TranscriptFiles;
  readonly histories: Histories;
  readonly media: Pick<Media, "filesOf">;
  readonly snapshot: { readonly touch: (agentId: string) => void; readonly flush: () => Promise<void> };
  readonly sessionSettings: () => SessionSettings;
  readonly tools: Pick<Tools, "filesFolder" | "openFolder">;
  readonly runs: {
    abort(sessionKey: string, runId?: string): readonly string[];
    wait(runId: string, timeoutMs: number): Promise<RunOutcome | undefined>;
    forget(runId: string): void;
  };
  readonly overheard: Pick<Overheard, "forgetAuthors">;
  readonly breathe: () => Promise<void>;
  readonly stores: readonly ConversationStore[];
  /** Runs an action while an account of a channel stands still, and what it keeps of its own is nobody's. */
  readonly whileStopped: (channel: string, account: string, action: () => Promise<void>) => Promise<void>;
}): PrivacyControl {
  const { store, clock } = parts;
  const { personal } = store;
  const runIdsOf = ({ messages }: Pick<Found, "messages">) => messages.map((row) => row.runId);

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

  /** Ends what runs or waits for this person, so that nothing is written behind the erasure's back. */
  async function stopRuns({ messages, whole }: Found): Promise<void> {
    const open = messages.filter((row) => row.state === "accepted" || row.state === "running");
    const stopped = new Set([
      ...open.flatMap((row) => [row.runId, ...parts.runs.abort(row.sessionKey, row.runId)]),
      ...whole.flatMap((row) => parts.runs.abort(row.key)),
    ]);
    for (const runId of stopped)
      if (!(await parts.runs.wait(runId, stopWithinMs)))
        throw new InputError("a turn of this person did not stop in time; nothing was erased; try again");
  }

  /** What was written for this person alone, inside an agent's workspace. */
  function goingFilesOf({ files, person }: Found): Found["files"] {
    return files.filter(({ agentId, path, source }) => {
      const workspace = parts.tools.filesFolder(agentId);
      const place = relative(workspace, resolve(workspace, path));
      const isInside = !place.startsWith("..") && !isAbsolute(place);
      return isSole(source.author, person) && isInside && !isBehindLink(workspace, place);
    });
  }

  /** As a tool would: a link that a command left there leads nowhere. What is gone is gone. */
  async function removeFile({ agentId, path }: Found["files"][number]): Promise<void> {
    const root = parts.tools.filesFolder(agentId);
    if (!existsSync(join(root, path))) return;
    const workspace = await parts.tools.openFolder(root);
    try {
      await workspace.remove(path);
    } finally {
      await workspace.close();
    }
  }

  async function take(
    found: Found,
    withFiles: boolean,
    actor: string,
  ): Promise<Pick<ErasureReceipt, "seq" | "proof">> {
    const { person, messages, whole, shared } = found;
    const runIds = runIdsOf(found);
    for (const { channel, account, id } of found.pairings) await parts.pairings.forget(channel, account, id);
    parts.overheard.forgetAuthors(person.accounts);
    for (const file of found.attachments) await file.remove();
    for (const one of parts.stores) {
      for (const row of whole) await one.forget(row);
      for (const row of shared) await one.forgetRuns(row, new Set(runIds));
    }
    for (const { channel, account, files } of found.states)
      await parts.whileStopped(channel, account, async () => {
        for (const file of files) await takeOut(file, channel, person.isNamedIn);
      });
    const goingFiles = withFiles ? goingFilesOf(found) : [];
    for (const file of goingFiles) await removeFile(file);
    const route = store.meta.get(ownerRouteKey);
    const proof = digestOf(person);
    const writes: Write[] = [
      personal.eraseMessages(messages.map((row) => row.messageId)),
      personal.eraseDeliveries(found.deliveries.map((row) => row.id)),
      personal.eraseApprovals(found.approvals.map((row) => row.id)),
      ...whole.map((row) => store.sessions.delete(row.key, row.sessionId)),
      ...shared.map((row) => personal.eraseRuns(row, runIds)),
      ...shared.flatMap((row) => (routeIsOf(row.route, person) ? [personal.eraseRoute(row.key)] : [])),
      ...found.files.map((file) =>
        goingFiles.includes(file)
          ? personal.eraseFileSource(file.agentId, file.path)
          : store.fileSources.put(file.agentId, file.path, {
              ...file.source,
              author: withoutAuthors(file.source.author, person),
            }),
      ),
      ...(route !== undefined && routeIsOf(route, person) ? [personal.eraseMeta(ownerRouteKey)] : []),
      store.meta.put(rewriteDueKey, "yes"),
      store.ledger.erase(
        found.record.map((row) => row.seq),
        (ranges) => ({
          stage: "operator",
          kind: "admin",
          action: "privacy.erase",
          actor,
          facts: { person: proof.digest, rows: ranges.map((range) => [...range]), ...countsOf(found) },
        }),
      ),
    ];
    await store.commit(writes);
    const { seq } = store.ledger.head();
    for (const runId of runIds) parts.runs.forget(runId);
    for (const row of [...whole, ...shared]) {
      parts.histories.forget(row.sessionId);
      await parts.transcripts.erase(row);
      parts.snapshot.touch(row.agentId);
    }
    for (const file of await orphanTranscripts(parts.stateFolder, personal.hasSession, person.isNamedIn))
      await rm(file, { force: true });
    await parts.snapshot.flush();
    await store.rewrite();
    await store.commit([personal.eraseMeta(rewriteDueKey)]);
    return { seq, proof };
  }

  /** The record names nobody: only who holds the receipt, and so the salt, can show whose erasure its row tells of. */
  function digestOf({ accounts }: Person) {
    const salt = parts.random.bytes(16).toString("hex");
    return { salt, digest: hash("sha256", `${salt}\n${accounts.join("\n")}`) };
  }

  async function toldOf(found: Found, withFiles: boolean) {
    const going = withFiles ? goingFilesOf(found) : [];
    return {
      removed: countsOf(found),
      files: going.map(({ agentId, path }) => resolve(parts.tools.filesFolder(agentId), path)),
      left: await leftOf(found, withFiles),
    };
  }

  async function leftOf(found: Found, withFiles: boolean): Promise<ErasureReceipt["left"]> {
    const going = withFiles ? goingFilesOf(found) : [];
    const kept = found.files.filter((file) => !going.includes(file));
    const named = await filesThatName(parts.stateFolder, found.person.isNamedIn);
    return [
      ...named.map(({ file, line }) => ({
        what: `${file}:${line}`,
        why: "names the person; a file that people or agents write is not changed: edit or remove it",
      })),
      ...kept.map(({ agentId, path, source }) => ({
        what: resolve(parts.tools.filesFolder(agentId), path),
        why: isSole(source.author, found.person)
          ? "written for this person by an agent; removed with --files, unless a link leads there"
          : "written by an agent for several people",
      })),
      {
        what: parts.logFile(),
        why: "the operations log may name the sender; remove it or let it be rotated away",
      },
      ...(found.shared.length > 0
        ? [
            {
              what: found.shared.map((row) => row.key).join(", "),
              why: "others spoke there too: what they, or answers to them, repeat of this person stays",
            },
          ]
        : []),
      { what: "the chat platforms", why: "what was sent there is theirs to delete" },
      { what: "the model providers", why: "what was sent to a model is kept as its provider says" },
      { what: "backups and copies of the state folder", why: "not known to the gateway" },
    ];
  }

  return {
    async export(peer, cursor): Promise<ExportPage> {
      const person = personOf(peer, parts.sessionSettings().identities);
      const items = itemsOf(await find(person));
      const page: Json[] = [];
      let chars = 0;
      let next = cursor;
      for (; next < items.length && chars < pageChars; next++) {
        const item = items[next] as Json;
        page.push(item);
        chars += JSON.stringify(item).length;
      }
      return {
        accounts: person.accounts,
        items: page,
        total: items.length,
        ...(next < items.length ? { nextCursor: next } : {}),
      };
    },
    async erase({ peer, dryRun, files }, actor): Promise<ErasureReceipt> {
      const person = personOf(peer, parts.sessionSettings().identities);
      let found = await find(person);
      const at = clock.now();
      const about = { accounts: person.accounts, at, found: !isNothing(found), dryRun };
      if (dryRun || isNothing(found)) return { ...about, ...(await toldOf(found, files)) };
      await stopRuns(found);
      found = await find(person);
      const done = await take(found, files, actor);
      parts.log("info", "a person's data was erased", { seq: done.seq });
      return { ...about, ...(await toldOf(found, files)), ...done };
    },
  };

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
}

function countsOf(found: Found): ErasureReceipt["removed"] {
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

function isNothing(found: Found): boolean {
  return Object.values(countsOf(found)).every((count) => count === 0);
}

function isSole(author: string, { accounts }: Person): boolean {
  return author.split(",").every((item) => accounts.includes(item) || /^(?:tool|model|file):/.test(item));
}

function withoutAuthors(author: string, { accounts }: Person): string {
  const others = author.split(",").filter((item) => !accounts.includes(item));
  return [...others, "erased"].sort().join(",");
}

function routeIsOf(route: string | undefined, { accounts }: Person): boolean {
  if (route === undefined) return false;
  const { channel, conversation, reply } = JSON.parse(route);
  return accounts.includes(`${channel}:${(conversation ?? reply?.conversation)?.id}`);
}

function idOf(account: string): string {
  return account.slice(account.indexOf(":") + 1);
}

/** What a command made of a folder after the file was written: what it leads to is not the agent's. */
function isBehindLink(workspace: string, path: string): boolean {
  const folder = join(workspace, dirname(path));
  if (!existsSync(folder)) return false;
  return realpathSync(folder) !== join(realpathSync(workspace), dirname(path));
}
