import type { Conversation } from "../../delivery/channel.ts";
import type { Places } from "./places.ts";
import type { Rest } from "./rest.ts";
import { isSnowflake } from "./wire.ts";

const maxRemembered = 1_000;

/** Our emoji on other people's messages: one at a time on each, and the last one asked for wins. */
export class Reactions {
  readonly #rest: Rest;
  readonly #places: Places;
  /** What we put on a message, in the order of first use, and the work on it. */
  readonly #on = new Map<string, { emoji: string; work: Promise<unknown> }>();

  constructor(rest: Rest, places: Places) {
    this.#rest = rest;
    this.#places = places;
  }

  /** An empty emoji takes ours away. Errors are swallowed. */
  show(conversation: Conversation, messageId: string, emoji: string): void {
    if (!isSnowflake(messageId)) return;
    const last = this.#on.get(messageId);
    if (last?.emoji === emoji) return;
    const work = (last?.work ?? Promise.resolve())
      .then(async () => {
        const channelId = await this.#places.channelOf(conversation);
        const path = (name: string) =>
          `/channels/${channelId}/messages/${messageId}/reactions/${encodeURIComponent(name)}/@me`;
        if (last?.emoji) await this.#rest.call({ method: "DELETE", path: path(last.emoji) });
        if (emoji) await this.#rest.call({ method: "PUT", path: path(emoji) });
      })
      .catch(() => {});
    this.#on.set(messageId, { emoji, work });
    for (const key of this.#on.keys()) {
      if (this.#on.size <= maxRemembered) break;
      this.#on.delete(key);
    }
  }
}
