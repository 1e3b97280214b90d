import type { InboundMessage } from "../../delivery/channel.ts";
import { type Clock, type Random, sleep } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { Lanes } from "../lanes.ts";
import { type BotIdentity, inboundOf } from "./inbound.ts";
import type { WireEvent } from "./wire.ts";

export interface IntakePorts {
  readonly account: string;
  readonly installationId: number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts when nothing more is to be handed in. */
  readonly signal: AbortSignal;
  /** Resolves when the message's outcome is on disk; rejects when it is not, and it must come again. */
  accept(message: InboundMessage): Promise<unknown>;
  /** Called when something could not be stored, and when something was. */
  changed(): void;
  log(what: string, error?: unknown): void;
}

const maxConcurrentConversations = 16;
/** GitHub delivers again what is up to three days old. */
const freshForMs = 4 * 24 * 3_600_000;

/** Takes events, hands messages in, each conversation's in order. */
export class Intake {
  readonly #ports: IntakePorts;
  readonly #lanes = new Lanes(maxConcurrentConversations);
  readonly #open = new Map<string, Promise<boolean>>();
  #failures = 0;
  bot: BotIdentity | undefined;

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

  /**
   * True once the event is dealt with, false when that did not happen before the end, or when we do not know yet who
   * we are. What cannot be stored is held and tried again, and what comes after it in its conversation waits; a repeat
   * of what is held is the same one.
   */
  take(event: WireEvent): Promise<boolean> {
    const message = this.#read(event);
    if (message === undefined) return Promise.resolve(this.bot !== undefined);
    const known = this.#open.get(message.eventId);
    if (known) return known;
    const lane = JSON.stringify([message.conversation.id, message.conversation.threadId]);
    const taken = this.#lanes
      .run(lane, () => this.#store(message))
      .finally(() => this.#open.delete(message.eventId));
    this.#open.set(message.eventId, taken);
    return taken;
  }

  /** What we cannot read will not get better: it is let go. */
  #read(event: WireEvent): InboundMessage | undefined {
    const { account, installationId, clock, log } = this.#ports;
    if (!this.bot) return undefined;
    if (installationId !== undefined && event.installation?.id !== installationId) {
      log("an event of another installation was let go");
      return undefined;
    }
    try {
      const message = inboundOf(event, account, this.bot);
      if (message?.sentAtMs !== undefined && clock.now() - message.sentAtMs <= freshForMs) return message;
      if (message) log("an event about something old was let go; somebody may be repeating it");
    } catch (error) {
      log("an event could not be read and was skipped", error);
    }
    return undefined;
  }

  async #store(message: InboundMessage): Promise<boolean> {
    const { accept, changed, clock, random, signal } = this.#ports;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await accept(message);
        this.#failures = 0;
        changed();
        return true;
      } catch {
        this.#failures += 1;
        changed();
        await sleep(clock, backoffMs(attempt, random), signal);
      }
    }
    return false;
  }
}
