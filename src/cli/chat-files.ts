import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type AttachmentBlock, chatFilePath, sizeText } from "../control/protocol.ts";
import { visibleLine } from "./visible.ts";

/** Where files of replies may be had from. */
export interface FilePlaces {
  /** Of this machine: a gateway of this state folder keeps its copies there. */
  readonly stateFolder: string;
  /** ws:// or wss:// */
  readonly gatewayUrl: string;
}

/** A row for each file: what it is, and where: its path when it lies on this machine, else its address. */
export function fileRows(files: readonly AttachmentBlock[], places: FilePlaces): string[] {
  return files.map((file) => {
    const { fileName, mimeType, sizeBytes } = file;
    const row = `↓ ${fileName} (${mimeType}, ${sizeText(sizeBytes)}): ${placeOf(file, places)}`;
    return visibleLine(row);
  });
}

/** The files among a message's blocks. */
export function filesOf(content: readonly { readonly type: string }[]): AttachmentBlock[] {
  return content.filter((block): block is AttachmentBlock => block.type === "attachment");
}

function placeOf({ url }: AttachmentBlock, { stateFolder, gatewayUrl }: FilePlaces): string {
  if (!url?.startsWith(`${chatFilePath}?`)) return "sent to the chat app";
  const address = new URL(url, gatewayUrl.replace(/^ws/, "http"));
  return pathOf(address.searchParams.get("file") ?? "", stateFolder) ?? address.href;
}

/** A copy's name is drawn at random, so one of that name is that copy. */
function pathOf(name: string, stateFolder: string): string | undefined {
  if (!/^[0-9a-f-]+\.[a-z0-9]+$/.test(name)) return undefined;
  const folder = join(stateFolder, "media", "shown");
  const sessions = existsSync(folder) ? readdirSync(folder) : [];
  return sessions.map((session) => join(folder, session, name)).find((path) => existsSync(path));
}
