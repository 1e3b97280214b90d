import type { InboundMessage } from "../../delivery/channel.ts";
import type { Clock, Json } from "../../kernel/mod.ts";
import { KeptFile } from "../kept-file.ts";
import { Lanes } from "../lanes.ts";
import type { Audiences } from "./audience.ts";
import { catchUp, catchUpFrom } from "./catch-up.ts";
import { describe } from "./describe.ts";
import type { Ready } from "./gateway.ts";
import { inboundOf, pressOf } from "./inbound.ts";
import { type BotIdentity, keptName, maxDirects, type Remembered, remembered } from "./memory.ts";
import type { Place, Places } from "./places.ts";
import { Position, type SessionPlace } from "./position.ts";
import type { Rest } from "./rest.ts";
import { channelTypes, type Guild, type Interaction, isSnowflake, type WireMessage } from "./wire.ts";

export interface IntakePorts {
  readonly account: string;
  readonly clock: Clock;
  readonly rest: Rest;
  readonly places: Places;
  readonly audiences: Audiences;
  readonly folder: string;
  /** Aborts when nothing more is to be handed in. */
  readonly signal: AbortSignal;
  /** Resolves when the message's outcome is on disk; rejects when it is not, and it must come again. */
  accept(message: InboundMessage): Promise<unknown>;
  /** Something was stored after all. */
  stored(): void;
  log(what: string, error?: unknown, fields?: Readonly<Record<string, Json>>): void;
}

/** Channels whose messages are handed in side by side. */
const maxConcurrentChannels = 16;
const maxNonces = 1_000;
const deferredUpdate = 6;

/** Making up for what was missed between two sessions. */
interface Behind {
  readonly from: string;
  /** Guilds that Discord has yet to describe. */
  readonly guilds: Set<string>;
  jobs: number;
}

/** Takes the gateway's events, hands messages in, and knows how far that is done, here and on disk. */
export class Intake {
  readonly #ports: IntakePorts;
  readonly #lanes = new Lanes(maxConcurrentChannels);
  readonly #memory: KeptFile;
  /** Channels with a message that could not be stored: what comes after it must wait. */
  readonly #blocked = new Set<string>();
  readonly #nonces = new Set<string>();
  /** Direct channels that the next life knows. */
  readonly #keptDirects = new Set<string>();
  #bot: BotIdentity | undefined;
  #session: Omit<SessionPlace, "seq"> | undefined;
  #position = new Position(0);
  #newest: string | undefined;
  #newestDone = 0n;
  #behind: Behind | undefined;
  #notStored: () => void = () => {};
  #isLive = false;
  #isShared = false;
  #failures = 0;

  constructor(ports: IntakePorts) {
    this.#ports = ports;
    this.#memory = new KeptFile(
      { folder: ports.folder, name: keptName },
      ports.clock,
      (): Remembered => ({
        ...(this.#bot ? { bot: this.#bot } : {}),
        // While something has yet to be made up for, a restart must do so again: it begins a new session.
        ...(this.session && !this.#behind ? { session: this.session } : {}),
        ...(this.#newest === undefined ? {} : { newestMessageId: this.#newest }),
        directs: ports.places.directs(maxDirects),
      }),
      (error) => ports.log("where we stand could not be kept on disk", error),
    );
  }

  get bot(): BotIdentity | undefined {
    return this.#bot;
  }

  get session(): SessionPlace | undefined {
    return this.#session && { ...this.#session, seq: this.#position.seq };
  }

  get seq(): number {
    return this.#position.seq;
  }

  /** Something could not be stored, and has not been since. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** How often in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** The session stands: what comes now has just happened. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** Somebody else writes with our token. */
  get isShared(): boolean {
    return this.#isShared;
  }

  async open(): Promise<void> {
    const kept = await remembered(this.#ports.folder, (error) =>
      this.#ports.log("where we stood cannot be read; messages sent meanwhile may be missed", error),
    );
    this.#bot = kept.bot;
    this.#newest = kept.newestMessageId;
    for (const [channelId, userId] of kept.directs) {
      this.#ports.places.noteDirect(channelId, userId);
      this.#keptDirects.add(channelId);
    }
    if (!kept.session || !kept.bot) return;
    const { seq, ...session } = kept.session;
    this.#session = session;
    this.#position = new Position(seq);
  }

  /** Resolves when nothing is in flight, once a connection is gone. What was not stored comes again. */
  async settle(): Promise<void> {
    this.#isLive = false;
    await this.#lanes.idle();
    this.#position.lost();
    this.#blocked.clear();
  }

  async close(): Promise<void> {
    if (this.#bot) await this.#memory.save();
  }

  onNotStored(action: () => void): void {
    this.#notStored = action;
  }

  /** A message of ours with this nonce is on its way. */
  wrote(nonce: string): void {
    this.#nonces.add(nonce);
    for (const old of this.#nonces) {
      if (this.#nonces.size <= maxNonces) break;
      this.#nonces.delete(old);
    }
  }

  sessionOver(): void {
    this.#session = undefined;
  }

  /** A new session has begun. What was written since the last one is fetched from the history. */
  ready({ bot, session, guilds }: Ready, seq: number): void {
    this.#bot = bot;
    this.#session = session;
    this.#position = new Position(seq);
    this.#isLive = true;
    this.#isShared = false;
    const from = this.#behind?.from ?? (this.#newest && catchUpFrom(this.#newest));
    this.#behind = from === undefined ? undefined : { from, guilds: new Set(guilds), jobs: 0 };
    if (this.#behind) {
      for (const [channelId] of this.#ports.places.directs(maxDirects))
        this.#catchUp(channelId, this.#behind);
    }
    // Killed within the second that other changes wait, we could not go on with this session.
    void this.#memory.save();
  }

  resumed(): void {
    this.#isLive = true;
    this.#isShared = false;
  }

  /** Discord answered a heartbeat. */
  answered(): void {
    if (this.#position.isSettled && this.#isLive) this.#failures = 0;
  }

  event(name: string, data: unknown, seq: number): void {
    if (!this.#position.receive(seq)) {
      this.#changed();
      return;
    }
    const done = () => {
      this.#position.done(seq);
      this.#changed();
    };
    if (name === "MESSAGE_CREATE") {
      const message = (data ?? {}) as WireMessage;
      this.#notice(message);
      this.#job(String(message.channel_id), () => this.#message(message), done);
    } else if (name === "INTERACTION_CREATE") {
      const press = (data ?? {}) as Interaction;
      this.#job(String(press.channel_id), () => this.#press(press), done);
    } else {
      this.#describe(name, (data ?? {}) as Guild);
      done();
    }
  }

  /** In the channel's order; when it fails, the connection ends and the event is delivered again. */
  #job(lane: string, work: () => Promise<void>, done: () => void, failed: () => void = () => {}): void {
    void this.#lanes.run(lane, async () => {
      if (this.#blocked.has(lane) || this.#ports.signal.aborted) return failed();
      try {
        await work();
        this.#failures = 0;
        done();
        this.#ports.stored();
      } catch {
        this.#blocked.add(lane);
        this.#failures += 1;
        failed();
        this.#notStored();
      }
    });
  }

  async #message(message: WireMessage): Promise<void> {
    if (!this.#bot || !isSnowflake(message.channel_id) || message.author?.id === this.#bot.id) return;
    const place = await this.#placeOf(message.channel_id, message.channel_type, message.guild_id);
    if (!place)
      return this.#ports.log("a message is in no channel that Discord describes to us; it was let go");
    if (place.type === channelTypes.direct && isSnowflake(message.author?.id)) {
      await this.#direct(message.channel_id, message.author.id);
    }
    await this.#handIn(place, (seen) => inboundOf(message, seen));
    if (BigInt(message.id) > this.#newestDone) this.#newestDone = BigInt(message.id);
    if (this.#newest !== undefined) return;
    // The first of all: without it the next life would read no history.
    this.#newest = message.id;
    await this.#memory.save();
  }

  async #press(press: Interaction): Promise<void> {
    const channelId = press.channel_id ?? press.channel?.id;
    if (!this.#bot || !isSnowflake(channelId)) return;
    const place =
      (press.channel && this.#ports.places.note(press.channel, this.#bot.id, press.guild_id)) ??
      (await this.#placeOf(channelId, undefined, press.guild_id));
    if (!place) return;
    const user = press.user?.id;
    if (place.type === channelTypes.direct && isSnowflake(user)) await this.#direct(channelId, user);
    await this.#handIn(place, (seen) => pressOf({ ...press, channel_id: channelId }, seen));
    this.#settlePress(press);
  }

  /** One that the next life does not know is one whose history it does not read, should the session be over. */
  async #direct(channelId: string, userId: string): Promise<void> {
    this.#ports.places.noteDirect(channelId, userId);
    if (this.#keptDirects.has(channelId)) return;
    this.#keptDirects.add(channelId);
    await this.#memory.save();
  }

  async #handIn(
    place: Place,
    read: (seen: {
      readonly account: string;
      readonly bot: BotIdentity;
      readonly place: Place;
    }) => InboundMessage | undefined,
  ): Promise<void> {
    const { account } = this.#ports;
    let message: InboundMessage | undefined;
    try {
      message = this.#bot && read({ account, bot: this.#bot, place });
    } catch (error) {
      // What we cannot read will not get better: it is let go, so that it does not block its channel for ever.
      return this.#ports.log("an event could not be read and was skipped", error);
    }
    if (message) await this.#ports.accept(await this.#withAudiences(message));
  }

  /** A direct message tells of no server: what its sender belongs to there is asked for. */
  async #withAudiences(message: InboundMessage): Promise<InboundMessage> {
    const { conversation, sender } = message;
    if (conversation.kind !== "direct" || !isSnowflake(sender.id)) return message;
    const memberOf = await this.#ports.audiences.of(sender.id);
    return memberOf.length === 0 ? message : { ...message, sender: { ...sender, memberOf } };
  }

  async #placeOf(
    channelId: string,
    type: number | undefined,
    guildId: string | undefined,
  ): Promise<Place | undefined> {
    const { places } = this.#ports;
    const botId = this.#bot?.id ?? "";
    if (guildId === undefined && type === channelTypes.direct)
      return places.note({ id: channelId, type }, botId);
    return places.of(channelId, botId);
  }

  /** Takes the press's spinner away; nothing depends on it. */
  #settlePress({ id, token }: Interaction): void {
    if (!/^[\w-]{1,512}$/.test(token)) return;
    const path = `/interactions/${id}/${token}/callback`;
    this.#ports.rest.call({ method: "POST", path, json: { type: deferredUpdate } }).catch(() => {});
  }

  /** A message of ours that we did not write: another process uses our token. */
  #notice({ author, nonce, type }: WireMessage): void {
    if (!this.#isLive || author?.id !== this.#bot?.id || (type !== 0 && type !== 19)) return;
    if (this.#nonces.has(String(nonce)) || this.#isShared) return;
    this.#isShared = true;
    this.#ports.log("another process writes as this bot");
  }

  #describe(name: string, data: Guild): void {
    const behind = this.#behind;
    if (name === "GUILD_CREATE" && behind) {
      for (const { id, last_message_id: last } of [...(data.channels ?? []), ...(data.threads ?? [])]) {
        if (isSnowflake(id) && isSnowflake(last) && BigInt(last) > BigInt(behind.from))
          this.#catchUp(id, behind);
      }
    }
    describe(name, data, this.#bot?.id ?? "", this.#ports.places);
    if (!behind || (name !== "GUILD_CREATE" && name !== "GUILD_DELETE")) return;
    behind.guilds.delete(data.id);
    this.#caughtUp(behind);
  }

  #catchUp(channelId: string, behind: Behind): void {
    behind.jobs += 1;
    const { rest, signal } = this.#ports;
    const work = async () => {
      const isAll = await catchUp(channelId, behind.from, {
        rest,
        signal,
        handle: (message) => this.#message(message),
      });
      if (!isAll) this.#ports.log("more was written than is made up for", undefined, { channelId });
    };
    const done = () => {
      behind.jobs -= 1;
      this.#caughtUp(behind);
    };
    // Begun again with a new session, from the same place.
    this.#job(channelId, work, done, () => this.sessionOver());
  }

  #caughtUp(behind: Behind): void {
    if (behind.jobs > 0 || behind.guilds.size > 0 || behind !== this.#behind) return;
    this.#behind = undefined;
    this.#changed();
  }

  #changed(): void {
    // A message that is not stored yet may be older than those that are.
    const isAhead = this.#newestDone > BigInt(this.#newest ?? "0");
    if (isAhead && this.#position.isSettled && !this.#behind) this.#newest = String(this.#newestDone);
    this.#memory.changed();
  }
}
