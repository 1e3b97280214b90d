import { InputError } from "../../kernel/mod.ts";

/** One thing in an archive, as its headers describe it. */
export interface ArchiveEntry {
  /** As written there. */
  readonly name: string;
  /** "other": a link, a device, a pipe, or what is not known. */
  readonly kind: "file" | "folder" | "other";
  /** Of a file, unpacked; what `read` gives is exactly so long. */
  readonly size: number;
  /** The content of a file, checked. Rejects with an InputError when it is not what its headers say. */
  read(): Promise<Buffer>;
}

export interface ArchiveLimits {
  readonly maxEntries: number;
  readonly maxTotalBytes: number;
  /** Unpacked bytes for each byte of the archive; asked only above `ratioFromBytes`. */
  readonly maxRatio: number;
  readonly ratioFromBytes: number;
}

export const archiveLimits: ArchiveLimits = Object.freeze({
  maxEntries: 2000,
  maxTotalBytes: 128 * 1024 * 1024,
  maxRatio: 200,
  ratioFromBytes: 8 * 1024 * 1024,
});

const maxDepth = 32;
const maxNameBytes = 255;
const maxPathBytes = 1024;

/** Where a file of the archive goes. */
export interface PlannedFile {
  /** Below the target folder, in one spelling. */
  readonly path: string;
  readonly entry: ArchiveEntry;
}

/**
 * The files of an archive, each with its place below the target folder. One entry that is not an ordinary file or
 * folder, or whose name could lead elsewhere or to the same file as another, refuses the whole: throws an InputError
 * that names it (attack A-155).
 */
export function planExtraction(
  entries: readonly ArchiveEntry[],
  archiveBytes: number,
  limits: ArchiveLimits,
): readonly PlannedFile[] {
  if (entries.length > limits.maxEntries)
    throw new InputError(
      `The archive holds ${entries.length} entries; at most ${limits.maxEntries} are unpacked.`,
    );
  const total = entries.reduce((sum, entry) => sum + entry.size, 0);
  if (total > limits.maxTotalBytes)
    throw new InputError(
      `The archive unpacks to ${total} bytes; at most ${limits.maxTotalBytes} are unpacked.`,
    );
  if (total > limits.ratioFromBytes && total > archiveBytes * limits.maxRatio)
    throw new InputError(
      `The archive unpacks to more than ${limits.maxRatio} times its size, as archives do that are made to fill a disk.`,
    );
  const files = new Map<string, string>();
  const folders = new Map<string, string>();
  return entries.flatMap((entry) => {
    if (entry.kind === "other")
      throw refused(entry.name, "is a link, a device or another thing that is neither file nor folder");
    const parts = placeOf(entry.name);
    const isFile = entry.kind === "file";
    const inside = isFile ? parts.slice(0, -1) : parts;
    for (let depth = 1; depth <= inside.length; depth += 1)
      claim(folders, files, inside.slice(0, depth).join("/"), entry.name);
    if (!isFile) return [];
    const path = parts.join("/");
    if (path === "") throw refused(entry.name, "has no name");
    const key = foldedName(path);
    if (files.has(key) || folders.has(key))
      throw refused(entry.name, "has the same name as another one, on some file systems or here");
    files.set(key, path);
    return [{ path, entry }];
  });
}

/** A folder may be named again and again, but in one spelling, and never where a file is. */
function claim(
  folders: Map<string, string>,
  files: ReadonlyMap<string, string>,
  path: string,
  name: string,
): void {
  const key = foldedName(path);
  if (files.has(key) || (folders.get(key) ?? path) !== path)
    throw refused(name, "has the same name as another one, on some file systems or here");
  folders.set(key, path);
}

/** What file systems that do not tell case, or composed letters, apart would make of it. */
function foldedName(path: string): string {
  return path.normalize("NFKC").toLowerCase().normalize("NFKC");
}

function placeOf(name: string): readonly string[] {
  if (name.startsWith("/") || /^[A-Za-z]:/.test(name)) throw refused(name, "has an absolute name");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f\\]/.test(name) || !name.isWellFormed() || name.includes("\ufffd"))
    throw refused(name, "has a name with control characters, backslashes or broken letters");
  if (Buffer.byteLength(name) > maxPathBytes) throw refused(name, "has too long a name");
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length > maxDepth) throw refused(name, "is too deep in folders");
  for (const part of parts) {
    if (part === "..") throw refused(name, 'leads outside (".." is refused)');
    // Its config names programs that git runs.
    if (part.toLowerCase() === ".git") throw refused(name, "is in a repository's own folder");
    if (Buffer.byteLength(part) > maxNameBytes) throw refused(name, "has too long a name");
  }
  return parts;
}

function refused(name: string, why: string): InputError {
  const shown = JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}...` : name);
  return new InputError(`The entry ${shown} ${why}. Nothing was unpacked.`);
}

export function broken(what: string): InputError {
  return new InputError(`The archive is damaged, or not what it seems to be: ${what}. Nothing was unpacked.`);
}
