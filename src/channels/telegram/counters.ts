import type { Update } from "grammy/types";
import type { Conversation } from "../../delivery/channel.ts";

/**
 * How far the numbers of messages have come. Private chats and basic groups share the bot's own counter; each supergroup
 * and channel, whose id begins with -100, has one.
 */
export class Counters {
  readonly #highest = new Map<string, number>();
  /** Telegram has told of every message that there is; false while more than one batch waits there. */
  isCaughtUp = false;

  /** What was known before: the newest may have come, or been written by us, before this process began. */
  begin(known: ReadonlyMap<string, number>): void {
    for (const [counter, number] of known) this.#note(counter, number);
  }

  see(updates: readonly Update[]): void {
    for (const { message } of updates)
      if (message?.chat) this.#note(counterOf(String(message.chat.id)), message.message_id);
  }

  /** A message of our own. */
  wrote(conversation: Conversation, platformId: string): void {
    this.#note(counterOf(conversation.id), Number(platformId));
  }

  /** The highest number that we have seen; 0 where we have seen none. */
  highest(conversation: Conversation): number {
    return this.#highest.get(counterOf(conversation.id)) ?? 0;
  }

  /** The highest number that there is; undefined while we cannot know. */
  certain(conversation: Conversation): string | undefined {
    const highest = this.highest(conversation);
    return this.isCaughtUp && highest > 0 ? String(highest) : undefined;
  }

  #note(counter: string, number: number): void {
    if (Number.isSafeInteger(number))
      this.#highest.set(counter, Math.max(this.#highest.get(counter) ?? 0, number));
  }
}

export function counterOf(chatId: string): string {
  return chatId.startsWith("-100") ? chatId : "";
}
