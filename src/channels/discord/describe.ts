import type { Places } from "./places.ts";
import type { Guild } from "./wire.ts";

/** Notes what an event of the gateway says about channels and threads, and about our part in them. */
export function describe(name: string, data: Guild, botId: string, places: Places): void {
  switch (name) {
    case "GUILD_CREATE":
      for (const channel of data.channels ?? []) places.note(channel, botId, data.id);
      for (const thread of data.threads ?? []) places.note(thread, botId, data.id);
      break;
    case "CHANNEL_CREATE":
    case "CHANNEL_UPDATE":
    case "THREAD_CREATE":
    case "THREAD_UPDATE":
      places.note(data, botId);
      break;
    case "CHANNEL_DELETE":
    case "THREAD_DELETE":
      places.forget(data.id);
      break;
    case "THREAD_LIST_SYNC":
      for (const thread of data.threads ?? []) places.note(thread, botId);
      break;
    case "THREAD_MEMBERS_UPDATE":
      if (data.removed_member_ids?.includes(botId)) places.joined(data.id, false);
      break;
    case "THREAD_MEMBER_UPDATE":
      places.joined(data.id, true);
  }
}
