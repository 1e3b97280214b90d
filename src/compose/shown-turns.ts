import { senderId } from "../access/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import { directTurns } from "../session/mod.ts";
import type { Access } from "./access.ts";

/** How many earlier turns of its direct chat a message's turn is shown; undefined: all that fit. */
export function createShownTurns(ports: {
  readonly config: () => OpenClawConfig;
  readonly access: Pick<Access, "settingsOf">;
}): (row: InboxRow) => Promise<number | undefined> {
  return async ({ channel, account, source, aliases, reply }) => {
    if (reply?.conversation.kind !== "direct") return undefined;
    const { ids } = await ports.access.settingsOf(channel, account);
    const own = source.author.slice(channel.length + 1);
    // A limit narrows: who hides a number does not shed what stands under it.
    const person = new Set([own, ...(aliases?.proved ?? []), ...(aliases?.own ?? [])]);
    return directTurns(ports.config(), channel, account, (key) =>
      person.has(senderId(key, channel, ids) ?? ""),
    );
  };
}
