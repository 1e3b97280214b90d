import { InputError } from "../kernel/mod.ts";

const maxPathBytes = 4096;
const maxNameBytes = 255;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const controlCharacters = /[\u0000-\u001f\u007f]/;

/**
 * The names of `path` from the workspace root, without "." and empty parts; empty means the root itself. Takes
 * relative paths, and absolute ones below `root`. Pure: says nothing about what exists.
 * Throws an InputError, the same whether or not the target exists, for every path that another reader could
 * understand as leading outside: "..", "~", "$HOME", a URL, a backslash, a drive letter, a NUL.
 */
export function parseWorkspacePath(root: string, path: string): readonly string[] {
  if (path === "") throw new InputError('The path is empty. Use "." for the workspace itself.');
  if (!path.isWellFormed() || controlCharacters.test(path))
    throw outside(root, path, "it holds control characters or broken text");
  if (Buffer.byteLength(path) > maxPathBytes)
    throw new InputError(`The path is longer than ${maxPathBytes} bytes.`);
  if (path.includes("\\") || /^[A-Za-z]:/.test(path))
    throw outside(root, path, "Windows paths are not understood");
  if (path.startsWith("~")) throw outside(root, path, '"~" is not expanded');
  if (/^\$(\{|[A-Za-z_]+(\/|$))/.test(path)) throw outside(root, path, "variables are not expanded");
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\//.test(path)) throw outside(root, path, "it is a URL");

  let relative = path;
  if (path.startsWith("/")) {
    const base = root.endsWith("/") ? root : `${root}/`;
    // A prefix without its slash would let /srv/agent-evil pass for /srv/agent.
    if (`${path}/` === base) return [];
    if (!path.startsWith(base)) throw outside(root, path, "it is absolute");
    relative = path.slice(base.length);
  }
  const names = relative.split("/").filter((name) => name !== "" && name !== ".");
  for (const name of names) {
    if (name === "..") throw outside(root, path, '".." is refused');
    if (Buffer.byteLength(name) > maxNameBytes)
      throw new InputError(`A name in the path is longer than ${maxNameBytes} bytes: ${showPath(name)}.`);
  }
  return names;
}

/**
 * Throws an InputError for a path into a repository's own folder: its config and hooks name programs, which git would
 * run in the next command that a person has approved (attack A-116). git itself may write there.
 */
export function refuseRepositoryFolder(names: readonly string[], path: string): void {
  if (names.some((name) => name.toLowerCase() === ".git"))
    throw new InputError(
      `${showPath(path)} is in a repository's own folder, where programs are named that git runs. Use git itself (exec): git config, git branch, ...`,
    );
}

/** A path for a message: quoted, control characters escaped, at most 200 characters. */
export function showPath(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}...` : path);
}

function outside(root: string, path: string, why: string): InputError {
  return new InputError(
    `${showPath(path)} leads outside the workspace (${why}). Use a path relative to ${root}.`,
  );
}
