import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../kernel/mod.ts";
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
const saveAfterMs = 1_000;
const fileName = "session.json";

/**
 * Keeps {@link Remembered} in a file. It is written a second after a change and at the end: a crash in between means
 * that a few events are delivered again, which the gateway recognises, and never that one is missed.
 */
export class Memory {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #read: () => Remembered;
  readonly #failed: (error: unknown) => void;
  #writing: Promise<void> = Promise.resolve();
  #due: (() => void) | undefined;

  /** `read` gives what is to be kept now; `failed` hears of a write that did not work (the next change tries again). */
  constructor(folder: string, clock: Clock, read: () => Remembered, failed: (error: unknown) => void) {
    this.#folder = folder;
    this.#clock = clock;
    this.#read = read;
    this.#failed = failed;
  }

  changed(): void {
    this.#due ??= this.#clock.after(saveAfterMs, () => void this.save());
  }

  /** Resolves when what is to be kept now is on disk, or could not be written. */
  save(): Promise<void> {
    this.#due?.();
    this.#due = undefined;
    this.#writing = this.#writing
      .then(() => write(this.#folder, this.#read()))
      .catch((error: unknown) => {
        this.#failed(error);
      });
    return this.#writing;
  }
}

async function write(folder: string, value: Remembered): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, fileName);
  await writeFile(`${path}.new`, JSON.stringify(value), { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
}

/** What was kept; nothing when there is no file, or none that can be read (`unreadable` is told): a new session begins. */
export async function remembered(folder: string, unreadable: (error: unknown) => void): Promise<Remembered> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(join(folder, fileName), "utf8"));
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "ENOENT") unreadable(error);
    return { directs: [] };
  }
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
