import type { Conversation } from "../../delivery/channel.ts";
import type { Rest } from "./rest.ts";
import { RestFault } from "./rest.ts";
import { channelTypes, isSnowflake, isThread, type WireChannel } from "./wire.ts";

/** What is known of a channel: enough to say which conversation a message in it belongs to. */
export interface Place {
  readonly type: number;
  readonly guildId?: string;
  readonly parentId?: string;
  /** A thread that Discord says we are in, or that we opened. */
  readonly isOurs: boolean;
}

const maxPlaces = 20_000;
const maxDirects = 2_000;

/** The channels that Discord told us of, and those that had to be asked for. */
export class Places {
  readonly #rest: Rest;
  readonly #known = new Map<string, Place>();
  /** User id by direct channel, and back; newest last. */
  readonly #userOf = new Map<string, string>();
  readonly #directOf = new Map<string, string>();

  constructor(rest: Rest) {
    this.#rest = rest;
  }

  /** Notes a channel as Discord sent it; `guildId` where the channel itself does not say. */
  note(channel: WireChannel, botId: string, guildId = channel.guild_id): Place | undefined {
    if (!isSnowflake(channel.id) || typeof channel.type !== "number") return undefined;
    const place: Place = {
      type: channel.type,
      ...(isSnowflake(guildId) ? { guildId } : {}),
      ...(isSnowflake(channel.parent_id) ? { parentId: channel.parent_id } : {}),
      isOurs:
        channel.member !== undefined ||
        channel.owner_id === botId ||
        this.#known.get(channel.id)?.isOurs === true,
    };
    this.#known.delete(channel.id);
    this.#known.set(channel.id, place);
    forgetOldest(this.#known, maxPlaces);
    const user = channel.recipients?.[0]?.id;
    if (place.type === channelTypes.direct && isSnowflake(user)) this.noteDirect(channel.id, user);
    return place;
  }

  forget(channelId: string): void {
    this.#known.delete(channelId);
  }

  /** We joined a thread, or left it. */
  joined(threadId: string, isOurs: boolean): void {
    const place = this.#known.get(threadId);
    if (place) this.#known.set(threadId, { ...place, isOurs });
  }

  noteDirect(channelId: string, userId: string): void {
    this.#userOf.delete(channelId);
    this.#userOf.set(channelId, userId);
    this.#directOf.set(userId, channelId);
    for (const [channel, user] of this.#userOf) {
      if (this.#userOf.size <= maxDirects) break;
      this.#userOf.delete(channel);
      this.#directOf.delete(user);
    }
  }

  /** The newest `count` direct channels with their users. */
  directs(count: number): (readonly [channelId: string, userId: string])[] {
    return [...this.#userOf].slice(-count);
  }

  /** Undefined for a channel that is gone or hidden from us; rejects with a RestFault when Discord cannot be asked. */
  async of(channelId: string, botId: string): Promise<Place | undefined> {
    const known = this.#known.get(channelId);
    if (known) return known;
    try {
      const channel = await this.#rest.call({ method: "GET", path: `/channels/${channelId}` });
      return this.note((channel ?? {}) as WireChannel, botId);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** The channel to write to; a direct one is opened where we have none yet, which nobody sees. */
  async channelOf(conversation: Conversation): Promise<string> {
    const { kind, id: to, threadId } = conversation;
    // The id becomes part of a path.
    if (!isSnowflake(threadId ?? to)) {
      const text = "this is no id of Discord's";
      throw new RestFault("channel", { kind: "answer", status: 404, code: 0, text });
    }
    if (kind !== "direct") return threadId ?? to;
    const known = this.#directOf.get(to);
    if (known !== undefined) return known;
    const opened = await this.#rest.call({
      method: "POST",
      path: "/users/@me/channels",
      json: { recipient_id: to },
    });
    const id = (opened as { readonly id?: unknown } | undefined)?.id;
    if (!isSnowflake(id)) {
      const failure = { kind: "network", code: "ANSWER_WITHOUT_ID", reached: true } as const;
      throw new RestFault("POST /users/@me/channels", failure);
    }
    this.noteDirect(id, to);
    return id;
  }
}

/** The conversation that a message belongs to; undefined for a kind of channel that we do not know. */
export function conversationOf(channelId: string, place: Place, userId: string): Conversation | undefined {
  if (place.guildId === undefined) {
    // Without a guild only these two are certain; what is neither must not pass for either (attack A-069).
    if (place.type === channelTypes.direct) return { kind: "direct", id: userId };
    return place.type === channelTypes.groupDirect ? { kind: "group", id: channelId } : undefined;
  }
  if (!isThread(place.type)) return { kind: "channel", id: channelId, spaceId: place.guildId };
  if (place.parentId === undefined) return undefined;
  return { kind: "channel", id: place.parentId, threadId: channelId, spaceId: place.guildId };
}

export function isGone(error: unknown): boolean {
  return (
    error instanceof RestFault &&
    error.failure.kind === "answer" &&
    (error.failure.status === 403 || error.failure.status === 404)
  );
}

function forgetOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
