import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { chmod, type FileHandle, lstat, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { InputError } from "../kernel/mod.ts";

/** Makes the folder (700) where it is missing, and tightens it where others may enter. Refuses a symbolic link. */
export async function ensureFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const stat = await lstat(path);
  if (!stat.isDirectory())
    throw new InputError(`${path} is not a folder (a link or a file stands there); remove it`);
  if ((stat.mode & 0o077) !== 0) await chmod(path, 0o700);
}

/**
 * The parsed file, or undefined when there is none. Throws an InputError for anything else: a file that cannot be
 * read or parsed admits nobody, and is never silently taken for an empty one.
 */
export async function readJsonFile(path: string): Promise<unknown> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new InputError(`${path}: cannot be opened (${(error as Error).message})`);
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > 16_000_000)
      throw new InputError(`${path}: not a regular file under 16 MB`);
    return JSON.parse(await handle.readFile("utf8"));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}: not valid JSON (${(error as Error).message}); mend or remove it`);
  } finally {
    await handle.close();
  }
}

/** Replaces the file as a whole (temporary file, sync, rename, sync of the folder), mode 600. */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

export async function writeFileAtomic(path: string, text: string): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${randomUUID()}.tmp`);
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
  await rename(temporary, path);
  const folderHandle = await open(folder, "r");
  await folderHandle.sync().finally(() => folderHandle.close());
}
