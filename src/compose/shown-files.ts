import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, InputError } from "../kernel/mod.ts";
import type { HostWorkspace } from "../sandbox/mod.ts";
import { ensureFolder } from "../store/mod.ts";
import type { ConversationStore } from "./personal-files.ts";

/**
 * Files of replies that people see on the page and in the terminal: a folder for each session below
 * `<state>/media/shown`, which goes with the session. They are written, read and removed as the sandbox does it: through
 * no link that leads out.
 */
export interface ShownFiles extends ConversationStore {
  keep(sessionId: string, name: string, bytes: Buffer): Promise<void>;
  /** Undefined when it is gone, or is none that can be there. */
  read(sessionId: string, name: string, maxBytes: number): Promise<Buffer | undefined>;
  /** Those of these messages. */
  of(messageIds: ReadonlySet<string>): Promise<readonly { readonly path: string; remove(): Promise<void> }[]>;
  /** Removes what sessions left that are no more. */
  sweep(): Promise<void>;
}

const sessionName = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** A message's id, which of its files, and what it is. */
const fileName = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d{1,3}\.[a-z0-9]{1,5}$/;
/** A younger folder may be that of a session which is about to be committed. */
const orphanAgeMs = 600_000;

export function createShownFiles(ports: {
  readonly stateFolder: string;
  readonly openFolder: (root: string) => Promise<HostWorkspace>;
  readonly hasSession: (sessionId: string) => boolean;
  readonly messageIdOf: (runId: string) => string | undefined;
  readonly clock: Clock;
}): ShownFiles {
  const media = join(ports.stateFolder, "media");
  const root = join(media, "shown");

  async function opened<T>(use: (folder: HostWorkspace) => Promise<T>): Promise<T> {
    const folder = await ports.openFolder(root);
    try {
      return await use(folder);
    } finally {
      await folder.close();
    }
  }

  const sessionIds = async () => (await readdir(root).catch(() => [])).filter((id) => sessionName.test(id));
  const remove = (path: string) => rm(join(root, path), { recursive: true, force: true });

  async function of(messageIds: ReadonlySet<string>, among?: readonly string[]) {
    const found: { path: string; remove(): Promise<void> }[] = [];
    for (const id of among ?? (await sessionIds()))
      for (const name of await readdir(join(root, id)).catch(() => []))
        if (messageIds.has(fileName.exec(name)?.[1] ?? ""))
          found.push({ path: join(root, id, name), remove: () => remove(join(id, name)) });
    return found;
  }

  return {
    of: (messageIds) => of(messageIds),
    async keep(sessionId, name, bytes) {
      await ensureFolder(media);
      await ensureFolder(root);
      await opened((folder) => folder.write(`${sessionId}/${name}`, bytes));
    },
    async read(sessionId, name, maxBytes) {
      if (!sessionName.test(sessionId) || !fileName.test(name)) return undefined;
      if (!(await stat(root).catch(() => undefined))) return undefined;
      try {
        const { bytes, truncated } = await opened((folder) => folder.read(`${sessionId}/${name}`, maxBytes));
        return truncated ? undefined : bytes;
      } catch (error) {
        if (error instanceof InputError) return undefined;
        throw error;
      }
    },
    async forget({ sessionId }) {
      if (sessionName.test(sessionId)) await remove(sessionId);
    },
    async forgetRuns({ sessionId }, runIds) {
      const ids = [...runIds].flatMap((runId) => ports.messageIdOf(runId) ?? []);
      for (const file of await of(new Set(ids), [sessionId])) await file.remove();
    },
    async sweep() {
      for (const id of await sessionIds()) {
        const ageMs = ports.clock.now() - ((await stat(join(root, id)).catch(() => undefined))?.mtimeMs ?? 0);
        if (ageMs > orphanAgeMs && !ports.hasSession(id)) await remove(id);
      }
    },
  };
}
