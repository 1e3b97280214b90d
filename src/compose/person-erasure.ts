import { hash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { Pairings } from "../access/mod.ts";
import type { Histories } from "../agent/mod.ts";
import type { ErasureReceipt } from "../control/mod.ts";
import type { Random, Write } from "../kernel/mod.ts";
import type { Overheard } from "../session/mod.ts";
import type { Store, TranscriptFiles } from "../store/mod.ts";
import type { Person } from "./person.ts";
import { countsOf, type Found, runIdsOf } from "./person-data.ts";
import { type ConversationStore, orphanTranscripts, takeOut } from "./personal-files.ts";
import type { Tools } from "./tools.ts";

/** Says that the database must be written anew: what was erased may still be in its free space. */
export const rewriteDueKey = "privacy:rewriteDue";
const ownerRouteKey = "missed:ownerRoute";

export interface PersonErasureParts {
  readonly store: Store;
  readonly random: Random;
  readonly stateFolder: string;
  readonly pairings: Pairings;
  readonly transcripts: TranscriptFiles;
  readonly histories: Histories;
  readonly snapshot: { readonly touch: (agentId: string) => void; readonly flush: () => Promise<void> };
  readonly tools: Pick<Tools, "filesFolder" | "openFolder">;
  readonly runs: { forget(runId: string): void };
  readonly overheard: Pick<Overheard, "forgetAuthors">;
  readonly stores: readonly ConversationStore[];
  /** Runs an action while an account of a channel stands still, and what it keeps of its own is nobody's. */
  readonly whileStopped: (channel: string, account: string, action: () => Promise<void>) => Promise<void>;
}

/** Takes out for good what was found of a person, and proves it in the record. */
export function createPersonErasure(parts: PersonErasureParts) {
  const { store } = parts;
  const { personal } = store;

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
      personal.eraseTargets(person.accounts),
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

  return { take, goingFilesOf };
}

export function isSole(author: string, { accounts }: Person): boolean {
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

/** What a command made of a folder after the file was written: what it leads to is not the agent's. */
function isBehindLink(workspace: string, path: string): boolean {
  const folder = join(workspace, dirname(path));
  if (!existsSync(folder)) return false;
  return realpathSync(folder) !== join(realpathSync(workspace), dirname(path));
}
