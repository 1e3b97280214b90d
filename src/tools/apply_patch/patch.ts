import { InputError } from "../../kernel/mod.ts";

/** One file's part of a patch. */
export type FilePatch =
  | { readonly kind: "add"; readonly path: string; readonly content: string }
  | { readonly kind: "delete"; readonly path: string }
  | {
      readonly kind: "update";
      readonly path: string;
      /** Where the file goes, when it also moves. */
      readonly moveTo: string | undefined;
      readonly hunks: readonly Hunk[];
    };

/** A run of lines to find and what stands there afterwards. */
export interface Hunk {
  /** Lines that must come before it (from `@@ text`), each somewhere after the one before. */
  readonly anchors: readonly string[];
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** The run is the end of the file. */
  readonly isAtEnd: boolean;
}

const maxFiles = 200;

/**
 * Reads a patch in the `*** Begin Patch` form. Throws an InputError that names the line which does not fit. A file
 * occurs in it only once, so that the order of its parts cannot matter.
 */
export function parsePatch(input: string): readonly FilePatch[] {
  const lines = input.trim().split(/\r?\n/);
  if (lines[0]?.trim() !== "*** Begin Patch") throw wrong(1, 'the patch must begin with "*** Begin Patch"');
  if (lines.at(-1)?.trim() !== "*** End Patch")
    throw wrong(lines.length, 'the patch must end with "*** End Patch"');
  const patches: FilePatch[] = [];
  const end = lines.length - 1;
  let at = 1;
  while (at < end) {
    const line = lines[at] ?? "";
    const header = /^\*\*\* (Add|Update|Delete) File: (.+?)\s*$/.exec(line);
    if (!header) {
      if (line.trim() === "") {
        at += 1;
        continue;
      }
      throw wrong(at + 1, 'expected "*** Add File: ", "*** Update File: " or "*** Delete File: "');
    }
    const path = header[2] ?? "";
    let next = at + 1;
    while (next < end && !/^\*\*\* (?:Add|Update|Delete) File: /.test(lines[next] ?? "")) next += 1;
    const body = lines.slice(at + 1, next);
    patches.push(
      header[1] === "Add"
        ? { kind: "add", path, content: addedContent(body, at + 2) }
        : header[1] === "Delete"
          ? deletion(path, body, at + 2)
          : update(path, body, at + 2),
    );
    at = next;
  }
  if (patches.length === 0) throw new InputError("The patch changes no file.");
  if (patches.length > maxFiles)
    throw new InputError(`The patch changes more than ${maxFiles} files; split it.`);
  const paths = patches.flatMap((patch) =>
    patch.kind === "update" && patch.moveTo ? [patch.path, patch.moveTo] : [patch.path],
  );
  const plain = paths.map((path) =>
    path
      .split("/")
      .filter((name) => name !== "" && name !== ".")
      .join("/"),
  );
  const twice = plain.find((path, index) => plain.indexOf(path) !== index);
  if (twice !== undefined)
    throw new InputError(`The patch names ${JSON.stringify(twice)} twice; put its changes together.`);
  return patches;
}

function addedContent(body: readonly string[], firstLine: number): string {
  const content: string[] = [];
  for (const [index, line] of body.entries()) {
    if (line.startsWith("+")) content.push(line.slice(1));
    else if (line !== "" || body.slice(index).some((rest) => rest !== ""))
      throw wrong(firstLine + index, 'each line of an added file begins with "+"');
  }
  return content.length === 0 ? "" : `${content.join("\n")}\n`;
}

function deletion(path: string, body: readonly string[], firstLine: number): FilePatch {
  if (body.some((line) => line.trim() !== "")) throw wrong(firstLine, "nothing follows a deleted file");
  return { kind: "delete", path };
}

function update(path: string, body: readonly string[], firstLine: number): FilePatch {
  const move = /^\*\*\* Move to: (.+?)\s*$/.exec(body[0] ?? "");
  const hunks: Hunk[] = [];
  let anchors: string[] = [];
  let before: string[] = [];
  let after: string[] = [];
  const finish = (isAtEnd: boolean) => {
    if (before.length > 0 || after.length > 0) hunks.push({ anchors, before, after, isAtEnd });
    else if (isAtEnd) throw wrong(firstLine, "*** End of File follows no change");
    else return;
    anchors = [];
    before = [];
    after = [];
  };
  for (const [index, line] of body.entries()) {
    if (index === 0 && move) continue;
    const mark = line.charAt(0);
    if (line === "*** End of File") finish(true);
    else if (line.startsWith("@@")) {
      finish(false);
      const anchor = line.slice(2).replace(/^ /, "");
      if (anchor.trim() !== "") anchors.push(anchor);
    } else if (mark === "+") after.push(line.slice(1));
    else if (mark === "-") before.push(line.slice(1));
    else if (mark === " " || line === "") {
      // Blank lines at the very end are the patch's own, not the file's.
      if (line === "" && body.slice(index).every((rest) => rest === "")) break;
      before.push(line.slice(1));
      after.push(line.slice(1));
    } else throw wrong(firstLine + index, 'a changed line begins with " ", "+", "-" or "@@"');
  }
  finish(false);
  if (hunks.length === 0 && !move)
    throw wrong(firstLine, `the update of ${JSON.stringify(path)} changes nothing`);
  return { kind: "update", path, moveTo: move?.[1], hunks };
}

/**
 * The text after all hunks. Each is looked for after the one before; lines match exactly, or, where nothing does, but
 * for blanks at their ends. Throws an InputError that shows the first lines of the hunk that does not match.
 */
export function applyHunks(text: string, hunks: readonly Hunk[], path: string): string {
  const lineEnd = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = text.split(/\r?\n/);
  const endsWithNewline = lines.at(-1) === "";
  if (endsWithNewline) lines.pop();
  const out: string[] = [];
  let from = 0;
  for (const hunk of hunks) {
    let searchFrom = from;
    for (const anchor of hunk.anchors) {
      const at = find(lines, [anchor], searchFrom, false);
      if (at < 0) throw notFound(path, [anchor]);
      searchFrom = at + 1;
    }
    const at =
      hunk.before.length === 0
        ? insertionPoint(hunk, searchFrom, lines.length)
        : find(lines, hunk.before, searchFrom, hunk.isAtEnd);
    if (at < 0) throw notFound(path, hunk.before);
    out.push(...lines.slice(from, at), ...hunk.after);
    from = at + hunk.before.length;
  }
  out.push(...lines.slice(from));
  const joined = out.join(lineEnd);
  return out.length > 0 && (endsWithNewline || text === "") ? joined + lineEnd : joined;
}

/** Lines that are only added go below their anchor, or, without one, to the end. */
function insertionPoint(hunk: Hunk, searchFrom: number, end: number): number {
  return hunk.anchors.length > 0 && !hunk.isAtEnd ? searchFrom : end;
}

function find(lines: readonly string[], wanted: readonly string[], from: number, isAtEnd: boolean): number {
  const last = lines.length - wanted.length;
  const equal: readonly ((a: string, b: string) => boolean)[] = [
    (a, b) => a === b,
    (a, b) => a.trimEnd() === b.trimEnd(),
  ];
  for (const same of equal) {
    for (let at = isAtEnd ? Math.max(from, last) : from; at <= last; at += 1) {
      if (wanted.every((line, index) => same(lines[at + index] ?? "", line))) return at;
    }
  }
  return -1;
}

function notFound(path: string, wanted: readonly string[]): InputError {
  const shown = wanted.slice(0, 3).join("\n").slice(0, 300);
  return new InputError(
    `These lines do not occur in ${JSON.stringify(path)} where the patch looks for them; read the file again:\n${shown}`,
  );
}

function wrong(line: number, what: string): InputError {
  return new InputError(`Line ${line} of the patch: ${what}. Nothing was changed.`);
}
