import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { InputError } from "../kernel/mod.ts";

/** Room for a private key of 8192 bits in PEM, twice over. */
const maxBytes = 16_384;

/**
 * What a secret file holds, trimmed. The file must be a regular file of at most 16 KB; a symbolic link is refused,
 * because whoever may write to its folder could point it at another secret (attack A-200).
 * Throws an {@link InputError} that names the file and never its content.
 */
export function readSecretFile(path: string): string {
  const problem = (what: string) =>
    new InputError(`${path} ${what}; put the secret alone into a regular file with mode 600`);
  let file: number;
  try {
    // O_NONBLOCK: opening a FIFO that nobody writes to would otherwise hang the start.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as { readonly code?: string }).code;
    throw problem(code === "ELOOP" ? "is a symbolic link" : `cannot be opened (${code ?? "error"})`);
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw problem("is not a regular file");
    if (status.size > maxBytes) throw problem(`is larger than ${maxBytes} bytes`);
    const buffer = Buffer.alloc(maxBytes);
    const length = readSync(file, buffer, 0, maxBytes, 0);
    const secret = buffer.toString("utf8", 0, length).trim();
    if (secret === "") throw problem("is empty");
    return secret;
  } finally {
    closeSync(file);
  }
}
