import { invalid, MethodError } from "./frames.ts";
import { attachmentLimits } from "./protocol.ts";

const { maxBytes, maxImageBytes } = attachmentLimits;
const maxAttachments = 16;

/** A file that came in a frame; what the client says of it is a claim. */
export interface UploadedFile {
  readonly claimedType?: string;
  readonly claimedName?: string;
  readonly bytes: Buffer;
}

/**
 * The files of a chat message: `{type?, mimeType?, fileName?, content}`, content in base64 (a data: URL's too). Sizes
 * are told from the encoded length, before anything is decoded (attack A-186). Any other source of a file (a path, a
 * URL) is refused by name (attack A-149). Throws a MethodError that says which one is wrong.
 */
export function uploadedFiles(attachments: readonly unknown[] | undefined): UploadedFile[] {
  const list = attachments ?? [];
  if (list.length > maxAttachments) throw wrong("", `at most ${maxAttachments} files`);
  let total = 0;
  return list.map((item, index) => {
    const at = `[${index}]`;
    if (typeof item !== "object" || item === null) throw wrong(at, "expected an object");
    const fields = item as Readonly<Record<string, unknown>>;
    const foreign = Object.keys(fields).find((key) => !knownFields.has(key));
    if (foreign !== undefined)
      throw wrong(at, `unexpected property '${foreign}'; a file is sent as base64 in 'content'`);
    const mimeType = textOf(fields, "mimeType", at);
    const content = textOf(fields, "content", at) ?? "";
    const encoded = /^data:[^,]{0,200};base64,/.exec(content)?.[0].length ?? 0;
    const bytes = decodedBytes(content.length - encoded);
    const isImage = mimeType?.startsWith("image/") ?? false;
    const limit = isImage ? maxImageBytes : maxBytes;
    total += bytes;
    if (bytes > limit) throw wrong(at, `about ${bytes} bytes; at most ${limit}`);
    if (total > maxBytes) throw wrong(at, `all files together are more than ${maxBytes} bytes`);
    return {
      ...claim("claimedType", mimeType),
      ...claim("claimedName", textOf(fields, "fileName", at)),
      bytes: decode(content.slice(encoded), at),
    };
  });
}

const knownFields: ReadonlySet<string> = new Set(["type", "mimeType", "fileName", "content"]);

function claim(key: "claimedType" | "claimedName", value: string | undefined) {
  return value === undefined ? {} : { [key]: value.slice(0, 255) };
}

function textOf(fields: Readonly<Record<string, unknown>>, key: string, at: string): string | undefined {
  const value = fields[key];
  if (value === undefined || typeof value === "string") return value;
  throw wrong(at, `'${key}' must be a string`);
}

function decodedBytes(encodedLength: number): number {
  return Math.floor((encodedLength * 3) / 4);
}

function decode(text: string, at: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  // Node skips what is not base64 without a word; what was meant is then anybody's guess.
  if (bytes.length === 0 || bytes.toString("base64").replace(/=+$/, "") !== text.replace(/=+$/, ""))
    throw wrong(at, "'content' must be the file in base64, and not empty");
  return bytes;
}

function wrong(at: string, problem: string): MethodError {
  return new MethodError(invalid(`attachments${at}: ${problem}`, { reason: "attachments-invalid" }));
}
