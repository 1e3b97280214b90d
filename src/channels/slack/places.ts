import type { Conversation } from "../../delivery/channel.ts";
import type { PlaceKind } from "./inbound.ts";
import { ApiFault, type WebApi } from "./web-api.ts";
import { isConversationId, isTimestamp, isUserId } from "./wire.ts";

const maxKnown = 5_000;

/** What Slack's conversations are, and which one is a person's. */
export class Places {
  readonly #api: WebApi;
  readonly #kinds = new Map<string, PlaceKind>();
  /** Direct conversation by user id. */
  readonly #directs = new Map<string, string>();

  constructor(api: WebApi) {
    this.#api = api;
  }

  /**
   * The kind that the event names, else the one that Slack is asked for. Undefined where it does not say: what we do not
   * know must pass neither for direct nor for a group (attack A-069). Rejects with an ApiFault when it cannot be asked.
   */
  async kindOf(channel: string, named: string | undefined): Promise<PlaceKind | undefined> {
    const kind = kindNamed(named) ?? this.#kinds.get(channel);
    if (kind) return kind;
    try {
      const { channel: info } = await this.#api.call("conversations.info", { channel });
      const { is_im, is_mpim, is_channel, is_group } = (info ?? {}) as Readonly<Record<string, unknown>>;
      const asked =
        is_im === true
          ? "im"
          : is_mpim === true
            ? "mpim"
            : is_channel === true || is_group === true
              ? "channel"
              : undefined;
      if (asked) remember(this.#kinds, channel, asked);
      return asked;
    } catch (error) {
      if (error instanceof ApiFault && error.failure.kind === "answer") return undefined;
      throw error;
    }
  }

  noteDirect(channel: string, userId: string): void {
    if (isUserId(userId)) remember(this.#directs, userId, channel);
  }

  /** Where to write to; a direct conversation is opened where we know none yet, which nobody sees. */
  async channelOf({ kind, id }: Conversation): Promise<string> {
    if (kind === "direct" ? !isUserId(id) : !isConversationId(id)) {
      throw new ApiFault("conversation", { kind: "answer", error: "channel_not_found" });
    }
    if (kind !== "direct") return id;
    const known = this.#directs.get(id);
    if (known !== undefined) return known;
    const { channel } = await this.#api.call("conversations.open", { users: id });
    const opened = (channel as { readonly id?: unknown } | undefined)?.id;
    if (!isConversationId(opened)) {
      const failure = { kind: "network", code: "ANSWER_WITHOUT_ID", reached: true } as const;
      throw new ApiFault("conversations.open", failure);
    }
    this.noteDirect(opened, id);
    return opened;
  }
}

/** The thread's first message, where the conversation has one. */
export function threadOf({ threadId }: Conversation): string | undefined {
  return isTimestamp(threadId) ? threadId : undefined;
}

function kindNamed(named: string | undefined): PlaceKind | undefined {
  if (named === "im" || named === "mpim") return named;
  return named === "channel" || named === "group" ? "channel" : undefined;
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  for (const old of map.keys()) {
    if (map.size <= maxKnown) break;
    map.delete(old);
  }
}
