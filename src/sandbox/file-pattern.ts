import { type Dirent, lstatSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { InputError } from "../kernel/mod.ts";

const maxMatches = 50_000;
/** Of one part of a path; a name has 255 bytes at most. */
const maxPartChars = 2048;

/**
 * The names that a file pattern stands for, as bash finds them by default: sorted by bytes, names that begin with a
 * dot only where the pattern does. Empty when there is none. In the pattern a backslash makes a character literal.
 * `folder` is what relative patterns start from.
 */
export async function expandPattern(pattern: string, folder: string): Promise<readonly string[]> {
  const parts = pattern.split(/(\/+)/);
  let found = [""];
  for (let at = 0; at < parts.length && found.length > 0; at += 2) {
    const part = parts[at] ?? "";
    const slashes = parts[at + 1] ?? "";
    const next: string[] = [];
    for (const start of found) next.push(...(await inFolder(start, part, slashes, folder)));
    if (next.length > maxMatches)
      throw new InputError(`A file pattern stands for more than ${maxMatches} names.`);
    found = next;
  }
  return found.filter((name) => name !== "").sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

async function inFolder(start: string, part: string, slashes: string, folder: string): Promise<string[]> {
  const isLast = slashes === "";
  if (part === "") return isLast && start !== "" ? [start] : [`${start}${slashes}`];
  if (!/[*?[]/.test(part.replace(/\\./g, ""))) {
    const name = start + part.replace(/\\(.)/gs, "$1");
    return exists(placeOf(name, folder), !isLast) ? [name + slashes] : [];
  }
  const pieces = piecesOf(part);
  const entries = await readFolder(placeOf(start === "" ? "." : start, folder));
  const names: string[] = [];
  for (const entry of entries) {
    if (!matches(pieces, entry.name) || (entry.name.startsWith(".") && !/^(?:\\?\.)/.test(part))) continue;
    if (!isLast && !isFolder(entry, placeOf(start + entry.name, folder))) continue;
    names.push(start + entry.name + slashes);
  }
  return names;
}

function placeOf(path: string, folder: string): string {
  return path.startsWith("/") ? path : `${folder}/${path}`;
}

async function readFolder(path: string): Promise<Dirent[]> {
  let entries: Dirent<Buffer>[];
  try {
    entries = await readdir(path, { withFileTypes: true, encoding: "buffer" });
  } catch {
    return [];
  }
  return entries.map((entry) => {
    const name = entry.name.toString();
    if (!Buffer.from(name).equals(entry.name))
      throw new InputError("A file pattern meets a name that is not valid text; name the files one by one.");
    return Object.assign(Object.create(entry) as Dirent, { name });
  });
}

function exists(path: string, asFolder: boolean): boolean {
  try {
    return lstatSync(asFolder ? `${path}/.` : path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // A file where a folder would have to be, or one that may not be looked into.
    return false;
  }
}

function isFolder(entry: Dirent, path: string): boolean {
  return entry.isDirectory() || (entry.isSymbolicLink() && exists(path, true));
}

const classes: Readonly<Record<string, RegExp>> = {
  alnum: /^[\p{L}\p{N}]$/u,
  alpha: /^\p{L}$/u,
  blank: /^[ \t]$/,
  digit: /^[0-9]$/,
  lower: /^\p{Ll}$/u,
  upper: /^\p{Lu}$/u,
  punct: /^[!-/:-@[-`{-~]$/,
  space: /^[ \t\n\v\f\r]$/,
  xdigit: /^[0-9A-Fa-f]$/,
  word: /^[\p{L}\p{N}_]$/u,
};

/** What one character must be; a star stands for any number of any. */
type Piece = "star" | ((char: string) => boolean);

function piecesOf(part: string): readonly Piece[] {
  if (part.length > maxPartChars) throw new InputError("A file pattern is too long. Name the files.");
  const chars = Array.from(part);
  const pieces: Piece[] = [];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? "";
    if (char === "*") {
      if (pieces.at(-1) !== "star") pieces.push("star");
    } else if (char === "?") pieces.push(() => true);
    else if (char === "[") {
      const bracket = bracketOf(chars, at);
      pieces.push(bracket ? bracket.matches : (other) => other === "[");
      if (bracket) at = bracket.end;
    } else {
      if (char === "\\") at += 1;
      const literal = chars[at] ?? "";
      pieces.push((other) => other === literal);
    }
  }
  return pieces;
}

/** Goes back to the last star only, which is enough, and keeps the work within the product of both lengths. */
function matches(pieces: readonly Piece[], name: string): boolean {
  const chars = Array.from(name);
  let piece = 0;
  let star = -1;
  let starAt = 0;
  for (let at = 0; at < chars.length; ) {
    const wanted = pieces[piece];
    if (wanted === "star") {
      star = piece;
      starAt = at;
      piece += 1;
    } else if (wanted?.(chars[at] ?? "")) {
      at += 1;
      piece += 1;
    } else if (star >= 0) {
      piece = star + 1;
      starAt += 1;
      at = starAt;
    } else return false;
  }
  return pieces.slice(piece).every((left) => left === "star");
}

/** `[...]` from its opening on; undefined when it is not closed, and so plain text. */
function bracketOf(
  chars: readonly string[],
  start: number,
): { readonly matches: (char: string) => boolean; readonly end: number } | undefined {
  let at = start + 1;
  const isNegated = chars[at] === "!" || chars[at] === "^";
  if (isNegated) at += 1;
  const members: ((char: string) => boolean)[] = [];
  for (let first = true; at < chars.length; at += 1, first = false) {
    if (chars[at] === "]" && !first)
      return { matches: (char) => members.some((member) => member(char)) !== isNegated, end: at };
    const opensClass = chars[at] === "[" && chars[at + 1] === ":";
    const named = opensClass ? /^\[:(.*?):\]/su.exec(chars.slice(at).join("")) : null;
    if (named) {
      members.push(classOf(named[1] ?? ""));
      at += Array.from(named[0]).length - 1;
      continue;
    }
    if (chars[at] === "[" && /^[.=]$/.test(chars[at + 1] ?? ""))
      throw new InputError("A file pattern with [. .] or [= =] is not understood; name the files.");
    if (chars[at] === "\\") at += 1;
    const from = chars[at] ?? "";
    if (chars[at + 1] === "-" && chars[at + 2] !== undefined && chars[at + 2] !== "]") {
      at += chars[at + 2] === "\\" ? 3 : 2;
      const to = chars[at] ?? "";
      members.push((char) => order(from) <= order(char) && order(char) <= order(to));
    } else members.push((char) => char === from);
  }
  return undefined;
}

function order(char: string): number {
  return char.codePointAt(0) ?? 0;
}

/** A class that nobody knows has no characters. */
function classOf(name: string): (char: string) => boolean {
  const set = Object.hasOwn(classes, name) ? classes[name] : undefined;
  return (char) => set?.test(char) === true;
}
