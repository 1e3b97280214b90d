import type { Clock } from "../../kernel/mod.ts";
import { isGone } from "./places.ts";
import type { Rest } from "./rest.ts";
import { isThread, type Member, type WireChannel } from "./wire.ts";

/** Those who can view a channel of a server: `accessGroups` of type "discord.channelAudience". */
export interface Audience {
  readonly guildId: string;
  readonly channelId: string;
}

interface WireGuild {
  readonly id?: string;
  readonly owner_id?: string;
  readonly roles?: readonly { readonly id: string; readonly permissions?: string }[];
}

interface Overwrite {
  readonly id: string;
  /** 0: a role's, 1: a member's. */
  readonly type?: number;
  readonly allow?: string;
  readonly deny?: string;
}

type AudienceChannel = WireChannel & { readonly permission_overwrites?: readonly Overwrite[] };

/** Of people and servers; whoever left is still let in for as long. */
const keptMs = 60_000;
const maxKept = 5_000;

const administrator = 1n << 3n;
const viewChannel = 1n << 10n;

/** Asks Discord which of the config's audiences somebody belongs to, for direct messages, which tell of no server. */
export class Audiences {
  readonly #audiences: readonly Audience[];
  readonly #rest: Rest;
  readonly #clock: Clock;
  readonly #answers = new Map<string, { readonly atMs: number; readonly value: Promise<unknown> }>();

  constructor(audiences: readonly Audience[], rest: Rest, clock: Clock) {
    this.#audiences = audiences;
    this.#rest = rest;
    this.#clock = clock;
  }

  /**
   * As lists name them: "audience:<guild>/<channel>". Empty for who can view none. Rejects with a RestFault when
   * Discord cannot be asked: its silence is not held against anybody.
   */
  async of(userId: string): Promise<readonly string[]> {
    const found: string[] = [];
    for (const audience of this.#audiences) {
      const { guildId, channelId } = audience;
      if (await this.#holds(audience, userId)) found.push(`audience:${guildId}/${channelId}`);
    }
    return found;
  }

  async #holds({ guildId, channelId }: Audience, userId: string): Promise<boolean> {
    const member = (await this.#ask(`/guilds/${guildId}/members/${userId}`)) as Member | undefined;
    if (member?.user?.id !== userId) return false;
    const guild = (await this.#ask(`/guilds/${guildId}`)) as WireGuild | undefined;
    const channel = (await this.#ask(`/channels/${channelId}`)) as AudienceChannel | undefined;
    if (!guild || channel?.guild_id !== guildId) return false;
    // A private thread's members are not those of its permissions.
    return !isThread(channel.type) && canView(userId, { guild, channel, member });
  }

  /** Undefined for what is gone, or hidden from us. */
  #ask(path: string): Promise<unknown> {
    const now = this.#clock.monotonic();
    const known = this.#answers.get(path);
    if (known && now - known.atMs < keptMs) return known.value;
    const value = this.#rest.call({ method: "GET", path }).catch((error: unknown) => {
      if (isGone(error)) return undefined;
      this.#answers.delete(path);
      throw error;
    });
    this.#answers.delete(path);
    this.#answers.set(path, { atMs: now, value });
    for (const old of this.#answers.keys()) {
      if (this.#answers.size <= maxKept) break;
      this.#answers.delete(old);
    }
    return value;
  }
}

/** As Discord documents it (developers/topics/permissions): the roles' permissions, then the channel's own words. */
export function canView(
  userId: string,
  of: { readonly guild: WireGuild; readonly channel: AudienceChannel; readonly member: Member },
): boolean {
  const { guild, channel, member } = of;
  if (guild.owner_id === userId) return true;
  const everyone = guild.id;
  const held = new Set([everyone, ...(member.roles ?? [])]);
  let permissions = 0n;
  for (const { id, permissions: text } of guild.roles ?? []) if (held.has(id)) permissions |= bits(text, 0n);
  if ((permissions & administrator) !== 0n) return true;
  const overwrites = channel.permission_overwrites ?? [];
  const roles = overwrites.filter(({ type }) => type === 0);
  for (const words of [
    roles.filter(({ id }) => id === everyone),
    roles.filter(({ id }) => id !== everyone && held.has(id)),
    overwrites.filter(({ id, type }) => type === 1 && id === userId),
  ]) {
    // Within one step what is allowed wins: among several roles the most generous counts.
    for (const { deny } of words) permissions &= ~bits(deny, viewChannel);
    for (const { allow } of words) permissions |= bits(allow, 0n);
  }
  return (permissions & viewChannel) !== 0n;
}

/** What is no number is read as what opens nothing. */
function bits(text: unknown, otherwise: bigint): bigint {
  return typeof text === "string" && /^\d{1,40}$/.test(text) ? BigInt(text) : otherwise;
}
