import { isUtf8 } from "node:buffer";
import { constants as fsConstants } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";

export type ReadFile =
  | { readonly ok: true; readonly bytes: Buffer; readonly text: string }
  | { readonly ok: false; readonly missing: boolean; readonly message: string };

/**
 * Reads a config file: a regular file, at most `maxBytes` long, in UTF-8 (a byte order mark is dropped).
 * Everything else is refused with a sentence: a link could be pointed elsewhere between two reads, and a FIFO or
 * device would block the start or never end.
 */
export async function readRegularFile(file: string, maxBytes: number): Promise<ReadFile> {
  const refuse = (message: string, missing = false): ReadFile => ({ ok: false, missing, message });
  let handle: FileHandle;
  try {
    const kind = await lstat(file);
    if (kind.isSymbolicLink()) {
      return refuse(
        "is a symbolic link; put a regular file there, or point OPENCLAW_CONFIG_PATH at the real one",
      );
    }
    if (!kind.isFile()) return refuse(`is ${kindOf(kind)}; put a regular file there`);
    // The file may be swapped after lstat: no link is followed, no FIFO waited for, and the handle is checked again.
    const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fsConstants;
    handle = await open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return refuse("does not exist", true);
    if (code === "EACCES" || code === "EPERM")
      return refuse("may not be read; its owner should be who runs this");
    return refuse(`cannot be read (${code ?? "unknown error"})`);
  }
  try {
    const state = await handle.stat();
    if (!state.isFile()) return refuse(`is ${kindOf(state)}; put a regular file there`);
    if (state.size > maxBytes) return refuse(tooLarge(maxBytes));
    const bytes = await readAtMost(handle, maxBytes);
    if (bytes === undefined) return refuse(tooLarge(maxBytes));
    if (!isUtf8(bytes)) {
      return refuse(`is not UTF-8: the byte at offset ${firstBadByte(bytes)} is not valid; save it as UTF-8`);
    }
    const text = bytes.toString("utf8");
    return { ok: true, bytes, text: text.startsWith("\ufeff") ? text.slice(1) : text };
  } finally {
    await handle.close();
  }
}

/** Reads to the end; undefined when the file grew past the limit while it was read. */
async function readAtMost(handle: FileHandle, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let total = 0;
  const buffer = Buffer.allocUnsafe(65_536);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, total);
    if (bytesRead === 0) return Buffer.concat(chunks);
    total += bytesRead;
    if (total > maxBytes) return undefined;
    chunks.push(Buffer.from(buffer.subarray(0, bytesRead)));
  }
}

function tooLarge(maxBytes: number): string {
  return `is larger than ${maxBytes / 1024 / 1024} MB; that is not a config file`;
}

function kindOf(kind: { isDirectory(): boolean; isFIFO(): boolean; isSocket(): boolean }): string {
  if (kind.isDirectory()) return "a directory";
  if (kind.isFIFO()) return "a named pipe";
  return kind.isSocket() ? "a socket" : "a device";
}

/** Where decoding and encoding again first changes something. */
function firstBadByte(bytes: Buffer): number {
  const again = Buffer.from(bytes.toString("utf8"));
  const length = Math.min(bytes.length, again.length);
  for (let at = 0; at < length; at++) if (bytes[at] !== again[at]) return at;
  return length;
}
