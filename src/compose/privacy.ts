import { resolve } from "node:path";
import type { ErasureReceipt, ExportPage, PrivacyControl } from "../control/mod.ts";
import { type Clock, InputError, type Json, type Log } from "../kernel/mod.ts";
import type { RunOutcome, SessionSettings } from "../session/mod.ts";
import { otherAccounts } from "./other-ids.ts";
import { type Person, personOf } from "./person.ts";
import { countsOf, createPersonData, type Found, isNothing, type PersonDataParts } from "./person-data.ts";
import { createPersonErasure, isSole, type PersonErasureParts } from "./person-erasure.ts";
import { filesThatName } from "./personal-files.ts";

const stopWithinMs = 20_000;
/** Of one answer to `privacy.export`, roughly. */
const pageChars = 2_000_000;

/** A person's data: found everywhere that a gateway keeps some, handed out, and taken out for good. */
export function composePrivacy(
  parts: PersonDataParts &
    PersonErasureParts & {
      readonly clock: Clock;
      readonly log: Log;
      readonly logFile: () => string;
      readonly sessionSettings: () => SessionSettings;
      readonly runs: {
        abort(sessionKey: string, runId?: string): readonly string[];
        wait(runId: string, timeoutMs: number): Promise<RunOutcome | undefined>;
      };
    },
): PrivacyControl {
  const { clock } = parts;
  const { find, itemsOf } = createPersonData(parts);
  const { take, goingFilesOf } = createPersonErasure(parts);

  async function whoIs(peer: string): Promise<Person> {
    const others = await otherAccounts(parts.credentials, peer);
    return personOf(peer, parts.sessionSettings().identities, others);
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
      const person = await whoIs(peer);
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
      const person = await whoIs(peer);
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
}
