import type { Message, SentFile } from "../session/mod.ts";
import { type AttachmentBlock, chatFilePath } from "./protocol.ts";

/** The files of a reply, as clients read of them. */
export function attachmentBlocks(
  files: readonly SentFile[],
  sessionKey: string,
  seq: number,
): AttachmentBlock[] {
  return files.map(({ name, type, bytes, kept }) => ({
    type: "attachment",
    fileName: name,
    mimeType: type,
    sizeBytes: bytes,
    ...(kept === undefined ? {} : { url: fileAddress({ sessionKey, seq, kept }) }),
  }));
}

/** What people read of a message, in one piece. */
export function readText(message: Message): string {
  if (message.role === "user") return message.content;
  const delivered = message.role === "assistant" ? message.delivered : undefined;
  return delivered?.text ?? message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** Which file of which entry a request asks for. */
export interface AskedFile {
  readonly sessionKey: string;
  readonly seq: number;
  readonly kept: string;
}

function fileAddress({ sessionKey, seq, kept }: AskedFile): string {
  return `${chatFilePath}?${new URLSearchParams({ session: sessionKey, entry: String(seq), file: kept })}`;
}

/** Reads the query of such an address; undefined for one that was never given out. */
export function askedFile(query: string): AskedFile | undefined {
  const params = new URLSearchParams(query);
  const [sessionKey, entry, kept] = ["session", "entry", "file"].map((name) => params.get(name));
  if (!sessionKey || !kept || !entry || !/^[1-9]\d{0,14}$/.test(entry)) return undefined;
  return { sessionKey, seq: Number(entry), kept };
}
