import { InputError } from "../../kernel/mod.ts";
import { isObject } from "../settings-reader.ts";
import type { Baileys } from "./library.ts";

/** The content of an attachment, from WhatsApp's own hosts. Rejects with an InputError. */
export async function readFile(
  reference: string,
  library: Baileys | undefined,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const file = fileOf(reference);
  if (!file || !library) throw new InputError("the file cannot be fetched: it is not one of WhatsApp's");
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    const { directPath, mediaKey, type } = file;
    const content = await library.downloadContentFromMessage({ directPath, mediaKey }, type, {
      options: { signal },
    });
    for await (const chunk of content) {
      signal.throwIfAborted();
      size += chunk.length;
      if (size > maxBytes)
        throw new InputError(`the file is larger than ${maxBytes} bytes; send a smaller one`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError("WhatsApp does not give the file; it may be gone");
  }
  return Buffer.concat(chunks);
}

function fileOf(
  reference: string,
): { readonly directPath: string; readonly mediaKey: Uint8Array; readonly type: string } | undefined {
  try {
    const value: unknown = JSON.parse(reference);
    if (!isObject(value)) return undefined;
    const { directPath, mediaKey, type } = value;
    if (typeof directPath !== "string" || typeof mediaKey !== "string" || typeof type !== "string")
      return undefined;
    return { directPath, mediaKey: Buffer.from(mediaKey, "base64"), type };
  } catch {
    return undefined;
  }
}
