import { constants } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";

/**
 * The real file (links followed, absolute) that `program` names: a bare name is looked for in `folders`, in order; a
 * name with a slash is taken from `workdir`. Undefined when there is no such executable file. Only what this returns
 * is spawned, so the system never searches again.
 */
export async function resolveProgram(
  program: string,
  folders: readonly string[],
  workdir: string,
): Promise<string | undefined> {
  if (program.startsWith("/")) return executable(program);
  if (program.includes("/")) return executable(`${workdir}/${program}`);
  for (const folder of folders) {
    const found = await executable(`${folder}/${program}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function executable(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.X_OK);
    const real = await realpath(path);
    return (await stat(real)).isFile() ? real : undefined;
  } catch {
    return undefined;
  }
}
