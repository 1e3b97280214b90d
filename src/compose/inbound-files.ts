import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError, type Log } from "../kernel/mod.ts";
import type { HostWorkspace } from "../sandbox/mod.ts";
import type { Tools } from "./tools.ts";

/** Where files that came with messages lie, below an agent's workspace or a sandbox's. */
export const inboundFolder = "media/inbound";

const maxNames = 10_000;

/** Files that came, wherever the tools of their conversations see them. */
export interface InboundFiles {
  /**
   * Calls `visit` with each folder's names, in its opened workspace. Of a folder in whose place a link is, that is
   * logged: it hides none of ours, and must not keep the others from being seen to.
   */
  visit(visit: (workspace: HostWorkspace, names: readonly string[]) => Promise<void>): Promise<void>;
  /** Removes one of those; `root` as its workspace had it. */
  remove(root: string, name: string): Promise<void>;
}

export function createInboundFiles(ports: {
  readonly stateFolder: string;
  readonly tools: Pick<Tools, "workspaceOf" | "openFolder">;
  readonly agentIds: () => readonly string[];
  readonly log: Log;
}): InboundFiles {
  const sandboxes = join(ports.stateFolder, "sandboxes");

  async function opened(root: string, use: (workspace: HostWorkspace) => Promise<void>): Promise<void> {
    const workspace = await ports.tools.openFolder(root);
    try {
      await use(workspace);
    } finally {
      await workspace.close();
    }
  }

  return {
    async visit(visit) {
      const own = await readdir(sandboxes, { withFileTypes: true }).catch(() => []);
      const roots = new Set([
        ...ports.agentIds().map(ports.tools.workspaceOf),
        ...own.filter((entry) => entry.isDirectory()).map((entry) => join(sandboxes, entry.name)),
      ]);
      for (const root of roots) {
        if (!(await stat(join(root, inboundFolder)).catch(() => undefined))) continue;
        await opened(root, async (workspace) => {
          // Through the sandbox's workspace, as they came: a planted link is refused, whatever it names.
          const names = await workspace.list(inboundFolder, maxNames);
          await visit(workspace, names);
        }).catch((error: unknown) => {
          if (!(error instanceof InputError)) throw error;
          ports.log("warn", "files that came cannot be looked at", { root, error: error.message });
        });
      }
    },
    remove: (root, name) => opened(root, (workspace) => workspace.remove(`${inboundFolder}/${name}`)),
  };
}
