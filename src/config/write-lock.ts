import { link, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { type Clock, keepAlive, type Random, sleep } from "../kernel/mod.ts";
import { temporaryName } from "./atomic-file.ts";

/** A write takes milliseconds. A lock this old was left by a process that died. */
const staleAfterMs = 10_000;
const waitAtMostMs = 15_000;
const pollMs = 20;

export interface WriteLock {
  /** True while the lock is still ours; asked right before the write takes effect. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * One writer of `file` at a time, across processes. The lock is `<file>.lock`, made whole in one step (a hard link
 * fails when the name exists), so nobody ever reads half of it. A dead writer's lock is moved aside after ten
 * seconds; whoever loses that race sees in {@link WriteLock.held} that the lock is not his.
 * Undefined when another writer held it for longer than fifteen seconds.
 */
export async function lockForWrite(
  file: string,
  clock: Clock,
  random: Random,
): Promise<WriteLock | undefined> {
  const lock = `${file}.lock`;
  const mine = random.bytes(12).toString("hex");
  const giveUpAt = clock.monotonic() + waitAtMostMs;
  for (;;) {
    if (await create(lock, JSON.stringify({ owner: mine, since: clock.now() }), file, random)) {
      const held = async (): Promise<boolean> => (await ownerOf(lock))?.owner === mine;
      return {
        held,
        release: async () => {
          if (await held()) await unlink(lock).catch(() => {});
        },
      };
    }
    const other = await ownerOf(lock);
    // A clock that was set back makes a lock look as if it came from the future: that is stale as well.
    if (other && Math.abs(clock.now() - other.since) > staleAfterMs)
      await moveAside(lock, other, file, random);
    else if (clock.monotonic() >= giveUpAt) return undefined;
    else {
      // The clock's timers keep no process alive: a command that waits here would end, silently, without its write.
      const letEnd = keepAlive();
      await sleep(clock, pollMs).finally(letEnd);
    }
  }
}

async function create(lock: string, content: string, file: string, random: Random): Promise<boolean> {
  const whole = temporaryName(file, random);
  await writeFile(whole, content, { flag: "wx", mode: 0o600 });
  try {
    await link(whole, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await unlink(whole).catch(() => {});
  }
}

interface Owner {
  readonly owner: string;
  readonly since: number;
}

async function ownerOf(lock: string): Promise<Owner | undefined> {
  const text = await readFile(lock, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const { owner, since } = JSON.parse(text) as Partial<Owner>;
    if (typeof owner === "string" && typeof since === "number") return { owner, since };
  } catch {
    // Not one of ours: as old as can be.
  }
  return { owner: "", since: 0 };
}

/** Renames, then looks at what was renamed: if another waiter had replaced the stale lock in between, it goes back. */
async function moveAside(lock: string, stale: Owner, file: string, random: Random): Promise<void> {
  const aside = temporaryName(file, random);
  try {
    await rename(lock, aside);
  } catch {
    return;
  }
  const moved = await ownerOf(aside);
  if (moved && moved.owner !== stale.owner) await link(aside, lock).catch(() => {});
  await unlink(aside).catch(() => {});
}
