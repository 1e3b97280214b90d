import type { Conversation } from "../../delivery/channel.ts";
import type { Places } from "./places.ts";
import type { WebApi } from "./web-api.ts";
import { isTimestamp } from "./wire.ts";

const maxRemembered = 1_000;

/** Slack knows emoji by name; these are the ones that gateways use. Others are given as their name. */
const names: Readonly<Record<string, string>> = {
  "👀": "eyes",
  "✅": "white_check_mark",
  "❌": "x",
  "👍": "+1",
  "👎": "-1",
  "❤️": "heart",
  "🎉": "tada",
  "🔥": "fire",
  "🤔": "thinking_face",
  "⏳": "hourglass_flowing_sand",
  "⚠️": "warning",
  "🙏": "pray",
  "😂": "joy",
  "😢": "cry",
  "👋": "wave",
  "🚀": "rocket",
  "💯": "100",
  "🤖": "robot_face",
};

/** The name without colons; undefined for an emoji whose name we do not know. */
export function emojiName(emoji: string): string | undefined {
  const name = (Object.hasOwn(names, emoji) ? names[emoji] : undefined) ?? emoji.replace(/^:(.*):$/, "$1");
  return /^[a-z0-9_+'-]{1,100}$/.test(name) ? name : undefined;
}

/** Our emoji on other people's messages: one at a time on each, and the last one asked for wins. */
export class Reactions {
  readonly #api: WebApi;
  readonly #places: Places;
  /** What we put on a message, in the order of first use, and the work on it. */
  readonly #on = new Map<string, { readonly name: string; readonly work: Promise<unknown> }>();

  constructor(api: WebApi, places: Places) {
    this.#api = api;
    this.#places = places;
  }

  /** An empty emoji takes ours away. Errors are swallowed. */
  show(conversation: Conversation, timestamp: string, emoji: string): void {
    const name = emoji === "" ? "" : emojiName(emoji);
    if (name === undefined || !isTimestamp(timestamp)) return;
    const key = `${conversation.id}/${timestamp}`;
    const last = this.#on.get(key);
    if (last?.name === name) return;
    const work = (last?.work ?? Promise.resolve())
      .then(async () => {
        const channel = await this.#places.channelOf(conversation);
        if (last?.name) await this.#api.call("reactions.remove", { channel, timestamp, name: last.name });
        if (name) await this.#api.call("reactions.add", { channel, timestamp, name });
      })
      .catch(() => {});
    this.#on.set(key, { name, work });
    for (const old of this.#on.keys()) {
      if (this.#on.size <= maxRemembered) break;
      this.#on.delete(old);
    }
  }
}
