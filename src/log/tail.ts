import { open } from "node:fs/promises";

/** A piece of the log file: whole lines from a byte position on. */
export interface LogTail {
  readonly file: string;
  /** Byte position behind the last line given. */
  readonly cursor: number;
  readonly size: number;
  readonly lines: readonly string[];
  /** True when older lines were left out. */
  readonly truncated: boolean;
  /** True when the file is shorter than the cursor: it was changed for another. */
  readonly reset: boolean;
}

export async function tailLog(
  file: string,
  cursor: number | undefined,
  limit: number,
  maxBytes: number,
): Promise<LogTail> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, "r");
  } catch {
    return {
      file,
      cursor: 0,
      size: 0,
      lines: [],
      truncated: false,
      reset: cursor !== undefined && cursor > 0,
    };
  }
  try {
    const { size } = await handle.stat();
    const reset = cursor !== undefined && cursor > size;
    const from =
      cursor === undefined || reset ? Math.max(0, size - maxBytes) : Math.max(cursor, size - maxBytes);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    await handle.read(buffer, 0, buffer.length, from);
    const end = buffer.lastIndexOf(0x0a) + 1;
    // A window that starts inside a line drops that line's rest.
    const start = from > 0 && from !== cursor ? buffer.indexOf(0x0a) + 1 : 0;
    const all = buffer
      .subarray(start, end)
      .toString("utf8")
      .split("\n")
      .filter((line) => line !== "");
    const lines = all.slice(-limit);
    return {
      file,
      cursor: from + end,
      size,
      lines,
      truncated: lines.length < all.length || (cursor === undefined && from > 0),
      reset,
    };
  } finally {
    await handle.close();
  }
}
