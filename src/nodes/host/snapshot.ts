import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";

/** The folders of a PATH where nobody but their owner puts programs; the others are as good as none. */
export async function trustedFolders(path: string): Promise<readonly string[]> {
  const folders = [...new Set(path.split(":").filter(isAbsolute))];
  const trusted = await Promise.all(
    folders.map(async (folder) => {
      const found = await stat(folder).catch(() => undefined);
      return found?.isDirectory() === true && (found.mode & 0o022) === 0;
    }),
  );
  return folders.filter((_folder, index) => trusted[index]);
}

/** The real file that a word names: a bare name is looked for in `folders`, a path is taken from `cwd`. */
export async function findProgram(
  word: string,
  folders: readonly string[],
  cwd: string,
): Promise<string | undefined> {
  const candidates = word.includes("/") ? [resolve(cwd, word)] : folders.map((folder) => join(folder, word));
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      const real = await realpath(candidate);
      if ((await stat(real)).isFile()) return real;
    } catch {
      // Not there; the next one.
    }
  }
  return undefined;
}

const maxBoundFiles = 32;
const maxHashedBytes = 64 * 1024 * 1024;

/**
 * What a command is made of, in one text that differs when any of it does: the folder, the program, and the files
 * that an interpreter is given. Taken when it is prepared and again when it runs.
 */
export async function fingerprint(
  cwd: string,
  program: string,
  operands: readonly string[],
): Promise<{ readonly text: string; readonly cwdIdentity: string }> {
  const folder = await stat(cwd, { bigint: true });
  const cwdIdentity = `${folder.dev}:${folder.ino}`;
  // A number is given to the next folder once its own is gone; the time of its making is not.
  const parts = [
    `${cwdIdentity}:${folder.birthtimeNs}`,
    await fileMark(program, await isReplaceable(program)),
  ];
  for (const operand of [...new Set(operands)].slice(0, maxBoundFiles)) {
    const path = resolve(cwd, operand);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) parts.push(`${operand}=${await fileMark(path, true)}`);
  }
  return { text: parts.join("\n"), cwdIdentity };
}

/** Somebody else than root could put another file there: then the content counts, not the inode alone. */
async function isReplaceable(path: string): Promise<boolean> {
  for (const place of [path, dirname(path)]) {
    const found = await stat(place);
    if (found.uid !== 0 || (found.mode & 0o022) !== 0) return true;
  }
  return false;
}

async function fileMark(path: string, withContent: boolean): Promise<string> {
  const real = await realpath(path);
  const found = await stat(real, { bigint: true });
  const mark = `${real}:${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}`;
  return withContent ? `${mark}:${await digestOf(real)}` : mark;
}

async function digestOf(path: string): Promise<string> {
  const digest = createHash("sha256");
  for await (const chunk of createReadStream(path, { end: maxHashedBytes })) digest.update(chunk as Buffer);
  return digest.digest("hex");
}
