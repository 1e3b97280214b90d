import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { SecretProvider } from "../../config/mod.ts";
import { absolutePath, NotFollowed } from "./not-followed.ts";

type FileProvider = Extract<SecretProvider, { readonly source: "file" }>;

const defaultMaxBytes = 1_048_576;

/** The whole file (mode singleValue, id "value"), or the text at a JSON pointer in it. */
export async function readFileSource(
  { path, mode = "json", maxBytes = defaultMaxBytes }: FileProvider,
  id: string,
  { uid, home }: { readonly uid: number; readonly home: string | undefined },
): Promise<string> {
  const file = absolutePath(path, home);
  if (file === undefined) throw new NotFollowed(`${path} is not an absolute path`);
  if ((id === "value") !== (mode === "singleValue"))
    throw new NotFollowed(
      mode === "singleValue"
        ? 'in mode "singleValue" the id is "value"'
        : 'in mode "json" the id is a JSON pointer',
    );
  const text = await readPrivate(file, Math.min(maxBytes, defaultMaxBytes), uid);
  if (mode === "singleValue") return text.replace(/\r?\n$/, "");
  const value = pointedAt(parsed(text, file), id);
  if (typeof value !== "string") throw new NotFollowed(`${file} holds no text at ${id}`);
  return value;
}

async function readPrivate(file: string, maxBytes: number, uid: number): Promise<string> {
  const refuse = (what: string) => new NotFollowed(`${file} ${what}`);
  let handle: FileHandle;
  try {
    // Who may write to the folder could put a link there; opening a FIFO that nobody writes to would hang the start.
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code = "error" } = error as NodeJS.ErrnoException;
    throw refuse(code === "ELOOP" ? "is a symbolic link" : `cannot be opened (${code})`);
  }
  try {
    const state = await handle.stat();
    if (!state.isFile()) throw refuse("is not a regular file");
    if (state.nlink !== 1) throw refuse("has another name too (a hard link)");
    if (state.uid !== uid && state.uid !== 0) throw refuse("belongs to somebody else");
    if ((state.mode & 0o077) !== 0) throw refuse("may be read or written by others; make it mode 600");
    if (state.size > maxBytes) throw refuse(`is larger than ${maxBytes} bytes`);
    const buffer = Buffer.alloc(maxBytes);
    const { bytesRead } = await handle.read(buffer, 0, maxBytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words quote what it read.
    throw new NotFollowed(`${file} is not JSON`);
  }
}

/** RFC 6901. */
function pointedAt(value: unknown, pointer: string): unknown {
  let node = value;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof node !== "object" || node === null) return undefined;
    node = (node as Readonly<Record<string, unknown>>)[key];
  }
  return node;
}
