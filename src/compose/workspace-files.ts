import { constants } from "node:fs";
import { lstat, mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ContextFile } from "../agent/mod.ts";
import type { Clock } from "../kernel/mod.ts";

const templates: Readonly<Record<string, string>> = {
  "AGENTS.md":
    "# How to work here\n\nThis folder is yours: keep notes and results in it. Ask before you do what cannot be undone.\n",
  "SOUL.md": "# Who you are\n\nFriendly, brief, honest about what you do not know.\n",
  "USER.md": "# Who you work for\n\n(Write here what the assistant should know about you.)\n",
  "IDENTITY.md": "# Identity\n\nName: OpenClaw\n",
  "TOOLS.md": "# Notes about tools\n\n(Paths, hosts and habits of this machine that help the assistant.)\n",
  "MEMORY.md": "# What to remember\n\n",
};

/** Makes the workspace; a new one gets its first files. Existing files are never touched. */
export async function prepareWorkspace(root: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  if (await exists(join(root, "AGENTS.md"))) return;
  for (const [name, text] of Object.entries(templates)) {
    await writeFile(join(root, name), text, { flag: "wx", mode: 0o600 }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      },
    );
  }
}

const recheckMs = 2000;

/** Reads the prompt's files of a workspace, again only when they may have changed (checked every two seconds). */
export function contextReader(
  names: readonly string[],
  perFileChars: number,
  clock: Clock,
): (root: string) => Promise<{ readonly files: readonly ContextFile[]; readonly stamp: string }> {
  const kept = new Map<string, { checkedAt: number; stamp: string; files: readonly ContextFile[] }>();
  return async (root) => {
    const now = clock.monotonic();
    const known = kept.get(root);
    if (known && now - known.checkedAt < recheckMs) return known;
    const stamps = await Promise.all(names.map((name) => stampOf(join(root, name))));
    const stamp = stamps.join(";");
    if (known?.stamp === stamp) {
      known.checkedAt = now;
      return known;
    }
    const files = await Promise.all(
      names.map(async (name) => ({ name, text: await readText(join(root, name), perFileChars * 4) })),
    );
    const fresh = { checkedAt: now, stamp, files: files.filter((file) => file.text !== "") };
    kept.set(root, fresh);
    return fresh;
  };
}

async function stampOf(path: string): Promise<string> {
  try {
    const stat = await lstat(path);
    return `${stat.ino}:${stat.size}:${stat.mtimeMs}`;
  } catch {
    return "";
  }
}

/** A regular file's text; "" for what is none (a link could point at a file that the agent may not see). */
async function readText(path: string, maxBytes: number): Promise<string> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile() || stat.nlink > 1) return "";
      const buffer = Buffer.alloc(Math.min(stat.size, maxBytes));
      await handle.read(buffer, 0, buffer.length, 0);
      return buffer.toString("utf8");
    } finally {
      await handle.close();
    }
  } catch {
    return "";
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
