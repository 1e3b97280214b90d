import { constants, open, realpath } from "node:fs/promises";
import { isAbsolute, sep } from "node:path";
import { InputError } from "../../kernel/mod.ts";

/** A file that Messages keeps, from under one of `roots` (after all links); rejects with an InputError. */
export async function readAttachment(
  path: string,
  roots: readonly string[],
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const gone = () => new InputError("the file is gone, or lies outside of attachmentRoots");
  if (!isAbsolute(path)) throw gone();
  let real: string;
  try {
    real = await realpath(path);
  } catch {
    throw gone();
  }
  const places = await Promise.all(roots.map((root) => realpath(root).catch(() => undefined)));
  if (!places.some((place) => place !== undefined && real.startsWith(place + sep))) throw gone();
  // Opened without following: what was looked at is what is read. O_NONBLOCK: a FIFO would hang.
  const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => {
      throw gone();
    },
  );
  try {
    const status = await file.stat();
    if (!status.isFile()) throw gone();
    if (status.size > maxBytes)
      throw new InputError(`the file is larger than ${maxBytes} bytes; send a smaller one`);
    signal.throwIfAborted();
    const buffer = Buffer.alloc(status.size);
    const { bytesRead } = await file.read(buffer, 0, status.size, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
