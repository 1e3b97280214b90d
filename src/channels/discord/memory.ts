import { readKept } from "../kept-file.ts";
import type { SessionPlace } from "./position.ts";
import { isSnowflake } from "./wire.ts";

/** Our own account, as Discord named it. */
export interface BotIdentity {
  readonly id: string;
  readonly name: string;
}

/** What must outlive a restart for no message to be missed. */
export interface Remembered {
  readonly bot?: BotIdentity;
  readonly session?: SessionPlace;
  /** All messages up to about this one are stored. */
  readonly newestMessageId?: string;
  /** Direct channels that were written in, newest last: Discord lists them nowhere. */
  readonly directs: readonly (readonly [channelId: string, userId: string])[];
}

export const maxDirects = 500;
export const keptName = "session.json";

/** What was kept; nothing when there is no file, or none that can be read (`unreadable` is told): a new session begins. */
export async function remembered(folder: string, unreadable: (error: unknown) => void): Promise<Remembered> {
  const value = await readKept({ folder, name: keptName }, unreadable);
  const { bot, session, newestMessageId, directs } = (value ?? {}) as Partial<Remembered>;
  return {
    ...(isSnowflake(bot?.id) && typeof bot.name === "string" ? { bot } : {}),
    ...(typeof session?.id === "string" &&
    typeof session.resumeUrl === "string" &&
    Number.isSafeInteger(session.seq)
      ? { session }
      : {}),
    ...(isSnowflake(newestMessageId) ? { newestMessageId } : {}),
    directs: Array.isArray(directs)
      ? directs.filter((pair) => Array.isArray(pair) && isSnowflake(pair[0]) && isSnowflake(pair[1]))
      : [],
  };
}
