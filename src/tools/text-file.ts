import { InputError } from "../kernel/mod.ts";
import type { Workspace } from "../sandbox/tool.ts";
import { binaryKind } from "./binary-kind.ts";

/** Larger files are not taken apart in the gateway's memory. */
export const maxFileBytes = 10 * 1024 * 1024;

/** A whole text file; throws an InputError when it is too large, binary, or not UTF-8. A byte order mark is kept. */
export async function readTextFile(workspace: Workspace, path: string): Promise<string> {
  const { bytes, truncated, size } = await workspace.read(path, maxFileBytes);
  if (truncated)
    throw new InputError(
      `${JSON.stringify(path)} has ${size} bytes; at most ${maxFileBytes} can be changed at once.`,
    );
  return decodeText(bytes, path);
}

/** The text of `bytes`, or an InputError that says why it is none. `cut`: the end may fall inside a character. */
export function decodeText(bytes: Buffer, path: string, cut = false): string {
  const kind = binaryKind(bytes);
  if (kind !== undefined || bytes.includes(0))
    throw new InputError(
      `${JSON.stringify(path)} is ${kind ?? "a binary file"} (${bytes.length} bytes read), not text.${hintFor(kind)}`,
    );
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
  } catch {
    throw new InputError(
      `${JSON.stringify(path)} is not valid UTF-8 (first wrong byte at ${firstWrongByte(bytes)}).`,
    );
  }
}

function hintFor(kind: string | undefined): string {
  if (kind !== undefined && /PNG|JPEG|GIF|WebP/.test(kind)) return " The tool read shows pictures.";
  if (kind?.endsWith("image")) return " Pictures are shown by the tool read once they are PNG or JPEG.";
  return kind?.includes("archive") || kind === "a gzip file"
    ? " The tool extract lists and unpacks archives."
    : "";
}

function firstWrongByte(bytes: Buffer): number {
  // What decoding changed begins where the two differ.
  const again = Buffer.from(bytes.toString("utf8"), "utf8");
  let at = 0;
  while (at < bytes.length && bytes[at] === again[at]) at += 1;
  return at;
}
