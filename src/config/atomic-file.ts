import { open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Random } from "../kernel/mod.ts";

/**
 * Puts `text` at `file`, readable by its owner only, so that a crash at any point leaves either the old file or the
 * new one whole: written beside it, synced, renamed over it, and the folder synced.
 */
export async function writeAtomically(file: string, text: string, random: Random): Promise<void> {
  const temporary = temporaryName(file, random);
  const handle = await open(temporary, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await handle.close();
  try {
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(file));
}

/** Beside the file, hidden, and never the same twice. */
export function temporaryName(file: string, random: Random): string {
  return join(dirname(file), `.${basename(file)}.${random.bytes(6).toString("hex")}.tmp`);
}

async function syncFolder(folder: string): Promise<void> {
  // Some systems cannot open a folder; there the rename is as durable as it gets.
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
