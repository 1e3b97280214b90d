import { amount, fields, text } from "./untrusted.ts";
import { chatFilePath, sizeText } from "./wire.ts";

/** A file that went with a reply. */
export interface Attachment {
  readonly name: string;
  /** A MIME type; "" where the gateway did not say. */
  readonly type: string;
  readonly bytes: number | undefined;
  /** On this gateway; "" where the file is not to be had here. */
  readonly url: string;
}

/** Undefined for a block that is none. An address that leads anywhere but to the gateway's files counts as none. */
export function readAttachment(raw: unknown): Attachment | undefined {
  const block = fields(raw);
  if (block.type !== "attachment") return undefined;
  const url = text(block.url);
  return {
    name: text(block.fileName).trim() || "file",
    type: text(block.mimeType),
    bytes: amount(block.sizeBytes),
    url: url.startsWith(`${chatFilePath}?`) ? url : "",
  };
}

/** Pictures that a browser shows and in which nothing runs; the gateway gives no others to be shown. */
export function isPicture({ type, url }: Attachment): boolean {
  return url !== "" && /^image\/(?:png|jpeg|gif|webp)$/.test(type);
}

/** "image/png, 312 KB" */
export function attachmentWords({ type, bytes }: Attachment): string {
  return [type, ...(bytes === undefined ? [] : [sizeText(bytes)])].filter(Boolean).join(", ");
}
