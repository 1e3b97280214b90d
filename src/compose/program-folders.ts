import { realpathSync, statSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";

/** Nobody but root writes to them. */
export const systemFolders: readonly string[] = [
  "/usr/local/bin",
  "/usr/bin",
  "/bin",
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
];

/**
 * Where programs are looked for by their bare names: the operator's folders (`tools.exec.pathPrepend`), then the
 * system's. Left out, with the reason told: a folder that is not named whole, or that an agent's files or this
 * gateway's lie in, because what an agent wrote there would be a program (attack A-109).
 */
export function searchFolders(
  prepended: readonly string[],
  places: { readonly home: string; readonly kept: readonly string[] },
  onProblem: (folder: string, problem: string) => void,
): readonly string[] {
  const own = prepended.flatMap((text) => {
    const folder = text.startsWith("~/") ? join(places.home, text.slice(2)) : text;
    const problem = folderProblem(folder, places.kept);
    if (problem === undefined) return [folder];
    onProblem(text, problem);
    return [];
  });
  return Object.freeze([...own, ...systemFolders]);
}

function folderProblem(folder: string, kept: readonly string[]): string | undefined {
  if (!isAbsolute(folder) || folder.includes(":")) return "it must be an absolute path without a colon";
  const real = realPath(folder);
  if (real === undefined) return "there is no such folder";
  const within = kept.find((place) => holds(realPath(place) ?? place, real));
  return within === undefined ? undefined : `it lies in ${within}, where agents' files are`;
}

function holds(parent: string, child: string): boolean {
  const way = relative(parent, child);
  return way === "" || !(way === ".." || way.startsWith("../") || isAbsolute(way));
}

/** Bare names only: PATH is never asked. Links are followed. */
export function findProgram(name: string, folders: readonly string[]): string | undefined {
  if (name.includes("/") || name === "") return undefined;
  for (const folder of folders) {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat?.isFile() || (stat.mode & 0o111) === 0) continue;
    // What others may write to is nobody's known program, whatever it is called (attack A-109).
    return (stat.mode & 0o022) === 0 && (statSync(folder).mode & 0o022) === 0
      ? realpathSync.native(path)
      : undefined;
  }
  return undefined;
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}
