import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { loadPlatform } from "../channels/mod.ts";

/** What else the account "channel:id" is called, by what its channel keeps in the credentials' folder: "signal:+1555...". */
export async function otherAccounts(credentials: string, account: string): Promise<readonly string[]> {
  const [, channel = "", id = ""] = /^([a-z][a-z0-9_-]*):(.+)$/.exec(account) ?? [];
  const platform = await loadPlatform(channel);
  if (!platform?.otherIds) return [];
  const folder = join(credentials, channel);
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const found = new Set<string>();
  for (const name of names)
    for (const other of await platform.otherIds(join(folder, name), id)) found.add(`${channel}:${other}`);
  return [...found];
}
