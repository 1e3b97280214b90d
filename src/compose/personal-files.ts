import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";

const maxFiles = 20_000;
const maxBytes = 4_000_000;

/** Accounts of a channel that have a file of pairings. */
export async function pairingAccounts(credentials: string, channel: string): Promise<string[]> {
  const found = new Set<string>();
  for (const name of await namesIn(credentials)) {
    const rest = name.startsWith(`${channel}-`) ? name.slice(channel.length + 1) : "";
    const account = /^(?:(.+)-)?(?:pairing|allowFrom)\.json$/.exec(rest);
    if (account) found.add(account[1] ?? "default");
  }
  return [...found];
}

/** Copies of conversations that are in the database no more, and name this person. */
export async function orphanTranscripts(
  stateFolder: string,
  isKnown: (sessionId: string) => boolean,
  names: (text: string) => boolean,
): Promise<string[]> {
  const found: string[] = [];
  for (const agentId of await namesIn(join(stateFolder, "agents"))) {
    const folder = join(stateFolder, "agents", agentId, "sessions");
    for (const name of await namesIn(folder)) {
      const id = /^(.+)\.jsonl$/.exec(name)?.[1];
      if (id === undefined || isKnown(id)) continue;
      if (names(await readFile(join(folder, name), "utf8"))) found.push(join(folder, name));
    }
  }
  return found;
}

/** Files of the state folder, but the database and the conversations, in which somebody is named: the first line. */
export async function filesThatName(
  stateFolder: string,
  names: (text: string) => boolean,
): Promise<{ readonly file: string; readonly line: number }[]> {
  const found: { file: string; line: number }[] = [];
  const folders = [stateFolder];
  let files = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name);
      const place = relative(stateFolder, path);
      if (
        /^state\/gateway\.sqlite|^agents\/[^/]+\/sessions$|^homes\/[^/]+\/\.(?:npm|cache)$|(?:^|\/)node_modules$|(?:^|\/)\.git$/.test(
          place,
        )
      )
        continue;
      if (entry.isDirectory()) folders.push(path);
      if (!entry.isFile() || ++files > maxFiles || (await stat(path)).size > maxBytes) continue;
      const text = await readFile(path, "utf8");
      if (!names(text)) continue;
      const line = text.split("\n").findIndex((item) => names(item));
      found.push({ file: path, line: Math.max(line, 0) + 1 });
    }
  }
  return found;
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw error;
  });
}
