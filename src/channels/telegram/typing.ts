import type { Conversation } from "../../delivery/channel.ts";
import type { Clock } from "../../kernel/mod.ts";
import type { BotApi } from "./bot-api.ts";
import { threadOf } from "./outbound.ts";

/** Telegram shows "typing" for five seconds. */
const everyMs = 4_000;
const deadlineMs = 10_000;
const maxRemembered = 1_000;

/** Shows "typing" at most once per four seconds and conversation. */
export class TypingNotes {
  readonly #api: BotApi;
  readonly #clock: Clock;
  /** Monotonic time of the last note; oldest first, because a repeated key is moved to the end. */
  readonly #shownAt = new Map<string, number>();

  constructor(api: BotApi, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  show(conversation: Conversation): void {
    const now = this.#clock.monotonic();
    const key = JSON.stringify([conversation.id, conversation.threadId]);
    const last = this.#shownAt.get(key);
    if (last !== undefined && now - last < everyMs) return;
    this.#shownAt.delete(key);
    this.#shownAt.set(key, now);
    for (const [old, at] of this.#shownAt) {
      if (now - at < everyMs && this.#shownAt.size <= maxRemembered) break;
      this.#shownAt.delete(old);
    }
    const thread = threadOf(conversation.threadId);
    const other = thread === undefined ? {} : { message_thread_id: thread };
    this.#api
      .call("sendChatAction", { deadlineMs }, (bot, signal) =>
        bot.sendChatAction(conversation.id, "typing", other, signal),
      )
      .catch(() => {});
  }
}
