import type { InboundMessage } from "../delivery/mod.ts";
import type { Clock, Reason, Write } from "../kernel/mod.ts";
import type { AccessSettings } from "./settings.ts";

/** `messages` per `periodMs` in the long run, `burst` at once. */
export interface Limit {
  readonly messages: number;
  readonly periodMs: number;
  readonly burst: number;
}

/** When a bot and an agent count as talking to each other without end. */
export interface LoopSettings {
  /** Messages of the pair (the bot's, and the agent's answers) within the window. */
  readonly maxEvents: number;
  readonly windowMs: number;
  readonly cooldownMs: number;
}

/** What the meters say about a message before it is counted: ms until it would be let through, 0 for now. */
export interface Use {
  readonly senderWaitMs: number;
  readonly chatWaitMs: number;
  readonly dayWaitMs: number;
  readonly loopWaitMs: number;
}

export const unused: Use = Object.freeze({ senderWaitMs: 0, chatWaitMs: 0, dayWaitMs: 0, loopWaitMs: 0 });

/** Counts messages per sender and chat. Between `read` and `count` of one message nothing else may be read. */
export interface Meters {
  read(message: InboundMessage, settings: AccessSettings): Use;
  /** Gives what is to be kept of it, for the commit that takes the message in. */
  count(message: InboundMessage, settings: AccessSettings): readonly Write[];
  /** May this sender be told of a refusal? A few times, then once a minute: a flood is not answered by a flood. */
  takeNotice(message: InboundMessage): boolean;
  /** Counters held in memory. */
  readonly size: number;
}

/** Where day budgets outlive a restart: by key, when its credit is whole again, unix ms. */
export interface KeptBudgets {
  get(key: string): number | undefined;
  put(key: string, wholeAtMs: number): Write;
}

const perNotice: Limit = { messages: 1, periodMs: 60_000, burst: 3 };

/** Refusals of people who may talk; strangers are told nothing. */
const told: ReadonlySet<Reason> = new Set<Reason>([
  "access.command_not_allowed",
  "access.command_owner_only",
  "access.sender_too_fast",
  "access.budget_spent",
]);

/** May the sender hear of this refusal? Only one who is let in otherwise, so nobody learns from it that we listen. */
export function mayBeTold(reason: Reason): boolean {
  return told.has(reason);
}

/** Held at most for each kind of meter; with more, those that are new share one. */
const defaultMaxKeys = 20_000;

export function createMeters(clock: Clock, maxKeys = defaultMaxKeys, kept?: KeptBudgets): Meters {
  const passed = () => clock.monotonic();
  const senders = createRate(passed, maxKeys);
  const chats = createRate(passed, maxKeys);
  // By the time of day, which a restart does not begin anew.
  const days = createRate(() => clock.now(), maxKeys, kept);
  const notices = createRate(passed, maxKeys);
  const loops = createLoops(clock, maxKeys);
  const senderKey = (message: InboundMessage) =>
    `${message.channel}\n${message.account}\n${message.sender.id}`;
  const chatKey = (message: InboundMessage) =>
    `${message.channel}\n${message.account}\n${message.conversation.id}`;
  const pairKey = (message: InboundMessage) => `${chatKey(message)}\n${message.sender.id}`;
  return {
    read(message, { limits, loop }) {
      return {
        senderWaitMs: senders.waitMs(senderKey(message), limits.perSender.value),
        chatWaitMs: chats.waitMs(chatKey(message), limits.perChat.value),
        dayWaitMs: days.waitMs(senderKey(message), limits.perSenderPerDay.value),
        loopWaitMs: message.isBot ? loops.waitMs(pairKey(message), loop.value) : 0,
      };
    },
    count(message, { limits, loop }) {
      senders.count(senderKey(message), limits.perSender.value);
      chats.count(chatKey(message), limits.perChat.value);
      if (message.isBot) loops.count(pairKey(message), loop.value);
      return days.count(senderKey(message), limits.perSenderPerDay.value);
    },
    takeNotice(message) {
      // Two programs that tell each other of their refusals would never stop.
      if (message.isBot || notices.waitMs(senderKey(message), perNotice) > 0) return false;
      notices.count(senderKey(message), perNotice);
      return true;
    },
    get size() {
      return senders.size() + chats.size() + days.size() + loops.size() + notices.size();
    },
  };
}

/**
 * The generic cell rate algorithm (ITU-T I.371): per key one number, the time at which its credit is whole again.
 * That number is all that is kept, and a key whose time has come is as if it had never been there.
 */
function createRate(now: () => number, maxKeys: number, kept?: KeptBudgets) {
  const wholeAt = createKeys<number>(maxKeys, (at) => at <= now());
  /** Never later than for a credit that is all spent: the time of day may have been set back. */
  function wholeAtOf(key: string, { periodMs, messages, burst }: Limit): number {
    const at = wholeAt.get(key) ?? kept?.get(key) ?? 0;
    const latest = now() + (periodMs / messages) * burst;
    if (at <= latest) return at;
    // Kept as such, or it would go on moving away.
    wholeAt.put(key, latest);
    return latest;
  }

  return {
    waitMs(key: string, limit: Limit | undefined): number {
      if (!limit) return 0;
      const interval = limit.periodMs / limit.messages;
      return Math.max(0, Math.ceil(wholeAtOf(key, limit) - interval * (limit.burst - 1) - now()));
    },
    count(key: string, limit: Limit | undefined): readonly Write[] {
      if (!limit) return [];
      const interval = limit.periodMs / limit.messages;
      const at = Math.max(wholeAtOf(key, limit), now()) + interval;
      wholeAt.put(key, at);
      return kept ? [kept.put(key, Math.ceil(at))] : [];
    },
    size: wholeAt.size,
  };
}

interface Loop {
  /** Of the pair's messages in the window, oldest first; at most `maxEvents`. */
  readonly times: readonly number[];
  readonly quietUntil: number;
  readonly forgetAt: number;
}

function createLoops(clock: Clock, maxKeys: number) {
  const pairs = createKeys<Loop>(maxKeys, (loop) => loop.forgetAt <= clock.monotonic());
  return {
    waitMs: (key: string, settings: LoopSettings | undefined): number =>
      settings ? Math.max(0, (pairs.get(key)?.quietUntil ?? 0) - clock.monotonic()) : 0,
    /** The bot's message and the answer that it gets: a pair that alternates fills its window twice as fast. */
    count(key: string, settings: LoopSettings | undefined): void {
      if (!settings) return;
      const now = clock.monotonic();
      const { windowMs, cooldownMs, maxEvents } = settings;
      const recent = (pairs.get(key)?.times ?? []).filter((at) => at > now - windowMs);
      const times = [...recent, now, now].slice(-maxEvents);
      const isLoop = recent.length + 2 > maxEvents;
      pairs.put(key, {
        times: isLoop ? [] : times,
        quietUntil: isLoop ? now + cooldownMs : 0,
        forgetAt: now + (isLoop ? cooldownMs : windowMs),
      });
    },
    size: pairs.size,
  };
}

/**
 * A map that never holds more than `maxKeys`. Who is counted is never forgotten to make room (a flood of new senders
 * would reset the counters of old ones, attack A-244): a new key then shares the place of all that found none.
 */
function createKeys<V>(maxKeys: number, isOver: (value: V) => boolean) {
  const values = new Map<string, V>();
  const shared = "";
  const placeOf = (key: string) => (values.has(key) || values.size < maxKeys ? key : shared);
  return {
    get: (key: string): V | undefined => values.get(placeOf(key)),
    put(key: string, value: V): void {
      // A few are looked at each time, round and round: that keeps up with any flood.
      for (const [old, held] of [...firstOf(values, 4)]) {
        values.delete(old);
        if (!isOver(held)) values.set(old, held);
      }
      const place = placeOf(key);
      values.delete(place);
      values.set(place, value);
    },
    size: () => values.size,
  };
}

function* firstOf<K, V>(values: ReadonlyMap<K, V>, count: number): Generator<readonly [K, V]> {
  let left = count;
  for (const entry of values) {
    if (left-- === 0) return;
    yield entry;
  }
}
