import type { GroupAccess, IdRule } from "../platform.ts";
import { SettingsReader } from "../settings-reader.ts";

const guildId = /^[1-9]\d{5,19}$/;

/**
 * The documented `guilds` as groups: a channel by its id, with what its guild says where it says nothing itself. A guild
 * that lists channels opens these alone; one that lists none opens all of its own, under `guild:<id>`. A name is a
 * problem, never a key: channels and guilds are renamed by others (attack A-056).
 */
export function guildRooms(place: SettingsReader, ids: IdRule): Readonly<Record<string, GroupAccess>> {
  const rooms: [string, GroupAccess][] = [];
  for (const [key, value] of Object.entries(place.object("guilds"))) {
    const path = [...place.path, "guilds", key];
    if (key !== "*" && !guildId.test(key)) {
      const message =
        "be named by the numeric id of a server (Discord: right-click the server, Copy Server ID)";
      place.problems.push({ path, kind: "value", message });
      continue;
    }
    const guild = new SettingsReader(value, path, place.problems);
    const own = roomOf(guild, ids);
    const channels = Object.entries(guild.object("channels"));
    if (channels.length === 0) rooms.push([key === "*" ? key : `guild:${key}`, Object.freeze(own)]);
    for (const [name, channel] of channels) {
      const at = [...path, "channels", name];
      const read = name === "*" ? { id: key === "*" ? key : `guild:${key}` } : ids.group(name);
      if ("problem" in read) {
        place.problems.push({ path: at, kind: "value", message: read.problem });
        continue;
      }
      const room = roomOf(new SettingsReader(channel, at, place.problems), ids);
      rooms.push([read.id, Object.freeze({ ...own, ...room })]);
    }
  }
  return Object.freeze(Object.fromEntries(rooms));
}

/** `users` are the documented word for who may talk in the room, `allow` an older one for `enabled`. */
function roomOf(place: SettingsReader, ids: IdRule): GroupAccess {
  const { users, allow, channels, slug, ...rest } = place.value;
  const allowFrom = place.senderIds(users === undefined ? "allowFrom" : "users", ids);
  return {
    ...(typeof allow === "boolean" ? { enabled: allow } : {}),
    ...rest,
    ...(allowFrom ? { allowFrom } : {}),
  };
}
