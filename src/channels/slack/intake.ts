import type { InboundMessage } from "../../delivery/channel.ts";
import { type Clock, type Json, type Random, sleep } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { Lanes } from "../lanes.ts";
import { type BotIdentity, inboundOf, isMessage, type PlaceKind, pressOf } from "./inbound.ts";
import type { Places } from "./places.ts";
import type { ActionPayload, EventPayload } from "./wire.ts";

export interface IntakePorts {
  readonly account: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly places: Places;
  /** Aborts when nothing more is to be handed in. */
  readonly signal: AbortSignal;
  /** Resolves when the message's outcome is on disk; rejects when it is not, and it must come again. */
  accept(message: InboundMessage): Promise<unknown>;
  /** Resolves once what was written before in this conversation is handed in; undefined where that is so. */
  before(channel: string): Promise<void> | undefined;
  /** A message of this conversation, and all before it, are dealt with. Resolves when that is known to the next life. */
  dealtWith(channel: string, ts: string): Promise<void>;
  /** Called when something could not be stored, and when something was. */
  changed(): void;
  log(what: string, error?: unknown, fields?: Readonly<Record<string, Json>>): void;
}

/** Conversations whose messages are handed in side by side. */
const maxConcurrentChannels = 16;

/** Takes events, hands messages in, each conversation's in order. */
export class Intake {
  readonly #ports: IntakePorts;
  readonly #lanes = new Lanes(maxConcurrentChannels);
  #failures = 0;
  bot: BotIdentity | undefined;
  /** As Slack named it when the connection was made; undefined where it does not say. */
  appId: string | undefined;

  constructor(ports: IntakePorts) {
    this.#ports = ports;
  }

  /** Something could not be stored, and nothing has been since. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  idle(): Promise<void> {
    return this.#lanes.idle();
  }

  /** Resolves when the event is dealt with; rejects when it could not be stored. */
  async once(payload: EventPayload | ActionPayload): Promise<void> {
    const lane = channelOf(payload);
    await this.#ports.before(lane);
    return this.#lanes.run(lane, () => this.#handle(payload));
  }

  /**
   * As `once`, again and again until it is stored: Slack offers an event over a socket only a few times within some
   * minutes, and a full disk may last longer. What comes after it in its conversation waits. True once it is dealt with,
   * false when that did not happen before the end.
   */
  async until(payload: EventPayload | ActionPayload): Promise<boolean> {
    await this.#ports.before(channelOf(payload));
    return this.past(payload);
  }

  /** As `until`, of what was written before. */
  past(payload: EventPayload | ActionPayload): Promise<boolean> {
    const { clock, random, signal } = this.#ports;
    return this.#lanes.run(channelOf(payload), async () => {
      for (let attempt = 1; !signal.aborted; attempt++) {
        try {
          await this.#handle(payload);
          return true;
        } catch {
          await sleep(clock, backoffMs(attempt, random), signal);
        }
      }
      return false;
    });
  }

  async #handle(payload: EventPayload | ActionPayload): Promise<void> {
    try {
      await this.#read(payload);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      throw error;
    } finally {
      this.#ports.changed();
    }
  }

  async #read(payload: EventPayload | ActionPayload): Promise<void> {
    const { bot } = this;
    if (!bot) throw new Error("slack: not connected yet");
    if (!this.#isOurs(payload, bot)) {
      return this.#ports.log("an event of another workspace or app was let go");
    }
    if (payload.type === "block_actions") {
      const press = payload as ActionPayload;
      const channel = press.channel?.id ?? "";
      return this.#handIn(channel, undefined, (kind) =>
        pressOf(press, { account: this.#ports.account, bot, kind }),
      );
    }
    const { event } = payload as EventPayload;
    if (payload.type !== "event_callback" || !isMessage(event, bot)) return;
    await this.#handIn(event.channel ?? "", event.channel_type, (kind) => {
      if (kind === "im") this.#ports.places.noteDirect(event.channel ?? "", event.user ?? "");
      return inboundOf(event, { account: this.#ports.account, bot, kind });
    });
    await this.#ports.dealtWith(event.channel ?? "", event.ts ?? "");
  }

  /** Attack A-078: what another workspace or app sends through ours is not for us. */
  #isOurs(payload: EventPayload | ActionPayload, bot: BotIdentity): boolean {
    const { api_app_id: app } = payload;
    if (app !== undefined && this.appId !== undefined && app !== this.appId) return false;
    if (payload.type === "block_actions") return (payload as ActionPayload).team?.id === bot.teamId;
    const { team_id, authorizations } = payload as EventPayload;
    return team_id === bot.teamId || authorizations?.some((item) => item.team_id === bot.teamId) === true;
  }

  async #handIn(
    channel: string,
    named: string | undefined,
    read: (kind: PlaceKind) => InboundMessage | undefined,
  ): Promise<void> {
    const kind = await this.#ports.places.kindOf(channel, named);
    if (!kind)
      return this.#ports.log("a message is in no conversation that Slack describes to us; it was let go");
    let message: InboundMessage | undefined;
    try {
      message = read(kind);
    } catch (error) {
      // What we cannot read will not get better: it is let go, so that it does not block its conversation for ever.
      return this.#ports.log("an event could not be read and was skipped", error);
    }
    if (message) await this.#ports.accept(message);
  }
}

function channelOf(payload: EventPayload | ActionPayload): string {
  if ("event" in payload) return String(payload.event?.channel ?? "");
  return String(("channel" in payload ? payload.channel?.id : undefined) ?? "");
}
