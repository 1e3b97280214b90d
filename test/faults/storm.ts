/** Hundreds of messages through one channel of a whole gateway while everything on the way breaks, from a seed. */
import { setTimeout as pause } from "node:timers/promises";
import { seeded } from "../fuzz/lines.ts";
import { type Ending, GatewayProcess, modelConfig } from "../support/gateway.ts";
import { type ModelServer, startModelServer } from "../support/model-servers/mod.ts";
import type { Carrier, SendFault } from "./carrier.ts";
import { rows, type Written, wordOf } from "./verdict.ts";

export interface Broken {
  kills: number;
  cuts: number;
  repeats: number;
  swaps: number;
  /** Written while no gateway ran. */
  away: number;
  /** Sends refused for a while. */
  limited: number;
  /** Sends whose answer was lost, before or after they took effect. */
  lost: number;
}

export interface Storm {
  readonly carrier: Carrier;
  readonly gateway: GatewayProcess;
  readonly model: ModelServer;
  readonly written: readonly Written[];
  readonly broken: Broken;
}

export interface StormOptions {
  readonly messages: number;
  readonly seed: number;
  /** Only the first of the carrier's; all of them otherwise. */
  readonly conversations?: number;
  readonly ending: Ending;
  readonly progress?: (written: number) => void;
}

/** Nothing new has happened for so long: what is not settled by then never will be. */
const patienceMs = 90_000;
const lookEveryMs = 5;

/** Ends with a gateway that runs, and has settled all that it can. */
export async function storm(carrier: Carrier, options: StormOptions): Promise<Storm> {
  const { messages, seed, ending } = options;
  ending.after(() => carrier.close());
  const model = await startModelServer({ wire: "openai-completions", script: echo });
  ending.after(() => model.close());
  const { channel, section, port, env } = carrier;
  const gateway = await GatewayProcess.prepare(ending, {
    ...(port === undefined ? {} : { port }),
    ...(env === undefined ? {} : { env }),
    config: {
      ...modelConfig(model.url),
      channels: { [channel]: { ...section, messageLimits: { perSender: false, perChat: false } } },
      // Each message has an answer of its own, and none is too old for one.
      messages: { queue: { mode: "followup" }, inbound: { maxAgeMinutes: 0 } },
    },
  });
  const weather = new Weather(
    { ...carrier, conversations: carrier.conversations.slice(0, options.conversations) },
    { gateway, model, random: seeded(seed) },
  );
  await weather.begin();
  while (weather.written.length < messages) {
    await weather.round(messages);
    options.progress?.(weather.written.length);
  }
  await weather.calm();
  const { written, broken } = weather;
  return { carrier, gateway, model, written, broken };
}

/** Answers with the word of the last message, so that each reply says what it answers. */
function echo(body: { messages: { role: string; content: unknown }[] }) {
  const last = body.messages.findLast((message) => message.role === "user");
  return [{ text: `re: ${wordOf(JSON.stringify(last?.content)) ?? "?"}` }];
}

class Weather {
  readonly written: Written[] = [];
  readonly broken: Broken = { kills: 0, cuts: 0, repeats: 0, swaps: 0, away: 0, limited: 0, lost: 0 };
  readonly #carrier: Carrier;
  readonly #gateway: GatewayProcess;
  readonly #model: ModelServer;
  readonly #random: () => number;
  #place = 0;

  constructor(
    carrier: Carrier,
    { gateway, model, random }: { gateway: GatewayProcess; model: ModelServer; random: () => number },
  ) {
    this.#carrier = carrier;
    this.#gateway = gateway;
    this.#model = model;
    this.#random = random;
  }

  /** Each conversation once in fair weather: what a channel learns of it, it learns here. */
  async begin(): Promise<void> {
    await this.#gateway.start();
    await this.#untilConnected();
    for (const conversation of this.#carrier.conversations) this.#write(conversation, false);
    await this.calm();
  }

  /** Some messages, some faults; in the end often a kill, and a new start. */
  async round(limit: number): Promise<void> {
    this.#breakSend();
    const count = Math.min(1 + this.#below(6), limit - this.written.length);
    this.#batch(count, false);
    if (this.#chance(0.5)) this.#repeat();
    const steps = 1 + this.#below(8 + 6 * count);
    if (this.#chance(0.3)) {
      await this.#steps(this.#below(steps));
      this.broken.cuts += 1;
      this.#carrier.cut();
    }
    await this.#steps(steps);
    if (!this.#chance(0.7)) return;
    this.broken.kills += 1;
    await this.#gateway.kill();
    if (this.#chance(0.4)) this.#batch(Math.min(2, limit - this.written.length), true);
    await this.#start();
  }

  /** Until the gateway says that nothing is left to do. */
  async calm(): Promise<void> {
    let seen = "";
    let since = Date.now();
    for (;;) {
      const now = JSON.stringify([this.#carrier.said().length, this.#model.requests.length, this.#left()]);
      if (this.#left() === 0) return;
      if (now !== seen) since = Date.now();
      else if (Date.now() - since > patienceMs) return;
      seen = now;
      await pause(100);
    }
  }

  /** Messages that have no final state, and replies on their way. */
  #left(): number {
    const [row] = rows(
      this.#gateway,
      `SELECT (SELECT count(*) FROM inbox WHERE state NOT IN ('accepted', 'running')) AS settled,
      (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')) AS sending`,
    );
    return Math.max(0, this.written.length - Number(row?.settled)) + Number(row?.sending);
  }

  async #untilConnected(): Promise<void> {
    const { channel } = this.#carrier;
    const client = await this.#gateway.connect();
    for (const since = Date.now(); ; await pause(50)) {
      const { channelAccounts } = await client.rpc("channels.status", { channel });
      const [account] = channelAccounts[channel] ?? [];
      if (account?.state === "connected") return;
      if (Date.now() - since > patienceMs) throw new Error(`${channel} did not connect: ${account?.detail}`);
    }
  }

  /** Sometimes killed again before it is ready. */
  async #start(): Promise<void> {
    while (this.#chance(0.15)) {
      const starting = this.#gateway.start().catch(() => undefined);
      await this.#steps(1 + this.#below(4));
      this.broken.kills += 1;
      await this.#gateway.kill();
      await starting;
    }
    await this.#gateway.start();
  }

  /** Until the platform and the model have seen so many more calls, or nothing has moved for a while. */
  async #steps(count: number): Promise<void> {
    const steps = () => this.#carrier.steps() + this.#model.requests.length;
    const goal = steps() + count;
    let last = steps();
    let since = Date.now();
    while (steps() < goal && Date.now() - since < 700) {
      await pause(lookEveryMs);
      if (steps() !== last) since = Date.now();
      last = steps();
    }
  }

  #batch(count: number, away: boolean): void {
    if (away) this.broken.away += count;
    for (let left = count; left > 0; left -= 1) {
      const { conversations } = this.#carrier;
      const conversation = conversations[this.#below(conversations.length)] ?? "";
      if (!away && left > 1 && this.#carrier.writeSwapped && this.#chance(0.2)) {
        const [earlier, later] = [this.#note(conversation), this.#note(conversation, this.#place)];
        this.#carrier.writeSwapped(conversation, earlier, later);
        this.broken.swaps += 1;
        left -= 1;
      } else this.#write(conversation, away);
    }
  }

  #write(conversation: string, away: boolean): void {
    this.#carrier.write(conversation, this.#note(conversation), away);
  }

  #note(conversation: string, place = ++this.#place): string {
    const word = `w${String(this.written.length + 1).padStart(5, "0")}`;
    this.written.push({ word, conversation, place });
    return word;
  }

  #repeat(): void {
    const one = this.written[this.#below(this.written.length)];
    if (!one) return;
    this.broken.repeats += 1;
    this.#carrier.repeat(one.word);
  }

  #breakSend(): void {
    const ways = Object.entries(this.#carrier.breakSend) as [SendFault, () => unknown][];
    const way = ways[this.#below(ways.length)];
    if (!way || !this.#chance(0.3)) return;
    if (way[1]() !== false) this.broken[way[0] === "limited" ? "limited" : "lost"] += 1;
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }
}
