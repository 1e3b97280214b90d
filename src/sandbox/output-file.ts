import { close, createReadStream, openSync, rm, write } from "node:fs";
import { promisify } from "node:util";
import type { OutputTail } from "./output-tail.ts";

/** A part of what a command printed. Lines are numbered from 1 over all that is kept. */
export interface OutputLines {
  readonly first: number;
  readonly lines: readonly string[];
  readonly total: number;
}

/** All that a command printed, up to a limit, in a file of its own. */
export interface OutputFile {
  add(text: string): void;
  readonly bytes: number;
  /** Lines of the file; when not all of it is there, a note, and then the lines of the tail. */
  lines(offset: number | undefined, limit: number, tail: OutputTail): Promise<OutputLines>;
  close(): Promise<void>;
}

const maxLineChars = 4000;
/** Of one answer. */
const maxShownChars = 200_000;
const writeTo = promisify(write);
const closeFile = promisify(close);
const remove = promisify(rm);

/** Opens a new file (600) at `path`. What cannot be written (a full disk) is counted as not kept; nothing throws. */
export function createOutputFile(path: string, maxBytes: number): OutputFile {
  const waiting: string[] = [];
  let descriptor: number | undefined;
  let bytes = 0;
  let lostChars = 0;
  let writing: Promise<void> = Promise.resolve();
  let isWriting = false;
  let isFull = false;

  try {
    descriptor = openSync(path, "wx", 0o600);
  } catch {
    isFull = true;
  }

  async function drain(): Promise<void> {
    isWriting = true;
    while (waiting.length > 0 && descriptor !== undefined) {
      const text = waiting.splice(0).join("");
      const piece = Buffer.from(text);
      try {
        for (let at = 0; at < piece.length; ) at += (await writeTo(descriptor, piece, at)).bytesWritten;
      } catch {
        // A part of it may be there and is then told twice; nothing is missing without a word.
        isFull = true;
        lostChars += text.length;
      }
    }
    isWriting = false;
  }

  return {
    get bytes() {
      return bytes;
    },
    add(text) {
      const size = Buffer.byteLength(text);
      const isOver = bytes + size > maxBytes;
      // No character takes more than three bytes for each unit of its length.
      const kept = isFull ? "" : isOver ? text.slice(0, Math.floor((maxBytes - bytes) / 3)) : text;
      lostChars += text.length - kept.length;
      // What follows would stand in the wrong place.
      isFull ||= isOver;
      if (kept === "") return;
      bytes += Buffer.byteLength(kept);
      waiting.push(kept);
      if (!isWriting) writing = drain();
    },
    async lines(offset, limit, tail) {
      await writing;
      return pageOf(offset, limit, async (add) => {
        await eachLine(path, add);
        if (lostChars === 0) return;
        const { text } = tail.read();
        const missing = Math.max(0, lostChars - text.length);
        if (missing > 0) add(`[... ${missing} characters were not kept ...]`);
        for (const line of textLines(text.slice(-lostChars))) add(line);
      });
    },
    async close() {
      await writing;
      if (descriptor === undefined) return;
      const open = descriptor;
      descriptor = undefined;
      await closeFile(open).catch(() => {});
      if (bytes === 0) await remove(path, { force: true }).catch(() => {});
    },
  };
}

/** Lines of what is in memory alone. */
export function linesOf(tail: OutputTail, offset: number | undefined, limit: number): Promise<OutputLines> {
  return pageOf(offset, limit, (add) => {
    const { text, droppedChars } = tail.read();
    if (droppedChars > 0) add(`[... ${droppedChars} characters were not kept ...]`);
    for (const line of textLines(text)) add(line);
  });
}

/** Lines of a file that a command left; empty when it is not there. */
export function linesOfFile(path: string, offset: number | undefined, limit: number): Promise<OutputLines> {
  return pageOf(offset, limit, (add) => eachLine(path, add));
}

async function pageOf(
  offset: number | undefined,
  limit: number,
  each: (add: (line: string) => void) => void | Promise<void>,
): Promise<OutputLines> {
  const kept: string[] = [];
  let total = 0;
  await each((line) => {
    total += 1;
    if (offset !== undefined && (total < offset || total >= offset + limit)) return;
    kept.push(line.length > maxLineChars ? `${line.slice(0, maxLineChars)}[... cut]` : line);
    if (offset === undefined && kept.length > 2 * limit) kept.splice(0, kept.length - limit);
  });
  if (offset === undefined) kept.splice(0, kept.length - limit);
  let chars = 0;
  const room = (line: string) => {
    chars += line.length + 1;
    return chars <= maxShownChars;
  };
  // The last ones are what is asked for without an offset.
  const lines = offset === undefined ? kept.reverse().filter(room).reverse() : kept.filter(room);
  return { first: offset ?? total - lines.length + 1, lines, total };
}

/** One line at a time, whatever the size of the file; a line without an end is cut where nobody reads further. */
async function eachLine(path: string, add: (line: string) => void): Promise<void> {
  let open = "";
  try {
    for await (const piece of createReadStream(path, { encoding: "utf8" })) {
      const lines = `${piece}`.split("\n");
      lines[0] = open + lines[0];
      open = (lines.pop() ?? "").slice(0, maxLineChars + 1);
      for (const line of lines) add(line);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if (open !== "") add(open);
}

function textLines(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
