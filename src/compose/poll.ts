import { loadPlatform, platformIds } from "../channels/mod.ts";
import type { Conversation, Poll } from "../delivery/channel.ts";
import { type InboxRow, type OutboxRow, pollProblem, pollText, replyRows } from "../delivery/mod.ts";
import { InputError } from "../kernel/mod.ts";

/** Throws an InputError that names the limit where the channel's platform cannot have this poll. */
export async function checkPoll(channel: string, poll: Poll): Promise<void> {
  const platform = await loadPlatform(channel);
  const label = platform?.label ?? channel;
  if (!platform?.polls)
    throw new InputError(
      `polls cannot be sent to ${label}; they can to ${(await pollLabels()).join(", ")}. Nothing was sent`,
    );
  const problem = pollProblem(poll, platform.polls, label);
  if (problem !== undefined) throw new InputError(`${problem}. Nothing was sent`);
}

async function pollLabels(): Promise<string[]> {
  const platforms = await Promise.all(platformIds.map(loadPlatform));
  return platforms.flatMap((platform) => (platform?.polls ? [platform.label] : []));
}

/** The outbox row of a poll: one, however long the poll is in words. */
export function pollRows(about: InboxRow, poll: Poll, conversation: Conversation, now: number): OutboxRow[] {
  return replyRows(about, pollText(poll), { conversation }, Number.MAX_SAFE_INTEGER, now).map((row) => ({
    ...row,
    message: { ...row.message, poll },
  }));
}
