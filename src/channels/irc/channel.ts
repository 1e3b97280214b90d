import type {
  Channel,
  ChannelHost,
  ChannelLimits,
  Conversation,
  OutboundMessage,
  SendResult,
} from "../../delivery/channel.ts";
import { sleep } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { Lanes } from "../lanes.ts";
import type { ChannelDeps } from "../platform.ts";
import { StatusReports } from "../status.ts";
import { IrcConnection } from "./connection.ts";
import { hasHistory, missedSince } from "./history.ts";
import { Inbox, type Live } from "./inbox.ts";
import { notConnected, outgoingLines, Pace, sendLines } from "./outbound.ts";
import { Position } from "./position.ts";
import { Roster } from "./roster.ts";
import { SignInFault, signIn } from "./session.ts";
import type { IrcAccount } from "./settings.ts";
import { troubleOf } from "./trouble.ts";
import { wasSent } from "./was-sent.ts";
import { escapeTag, type IrcLine } from "./wire.ts";

const heartbeatMs = 90_000;
const typingEveryMs = 3_000;
const maxOurs = 500;

/** One nick on one network. */
export function openIrc(settings: IrcAccount, deps: ChannelDeps): Channel {
  return new IrcChannel(settings, deps);
}

class IrcChannel implements Channel {
  readonly id = "irc";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly #settings: IrcAccount;
  readonly #deps: ChannelDeps;
  readonly #status: StatusReports;
  readonly #stopping = new AbortController();
  readonly #position: Position;
  readonly #roster: Roster;
  readonly #pace: Pace;
  readonly #sends = new Lanes(1);
  readonly #ours = new Map<string, string>();
  readonly #typedAt = new Map<string, number>();
  #host: ChannelHost | undefined;
  #inbox: Inbox | undefined;
  #live: Live | undefined;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  #wasConnected = false;

  constructor(settings: IrcAccount, deps: ChannelDeps) {
    this.account = settings.accountId;
    this.limits = { textChars: settings.textChunkLimit };
    this.#settings = settings;
    this.#deps = deps;
    this.#status = new StatusReports(deps.clock, () => this.#live?.session.self.nick);
    this.#position = new Position(deps.stateFolder);
    this.#roster = new Roster(settings);
    this.#pace = new Pace(deps.clock, settings.lineIntervalMs);
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`irc account ${this.account} was started before; open it again`);
    this.#host = host;
    this.#inbox = new Inbox({
      ...this.#deps,
      host,
      account: this.account,
      position: this.#position,
      pace: this.#pace,
      signal: this.#stopping.signal,
      joined: this.#roster.joined,
      ours: this.#ours,
      seen: (accountId, nick) => this.#roster.seen(accountId, nick),
      notStored: () =>
        this.#status.report("reconnecting", "a message could not be stored; it is tried again soon"),
      storedAgain: () => this.#connected(),
    });
    this.#status.begin(host);
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  async stop(): Promise<void> {
    const first = !this.#stopping.signal.aborted;
    this.#stopping.abort();
    await this.#inbox?.idle();
    await this.#running;
    if (first) this.#status.end();
  }

  get isConnected(): boolean {
    return this.#live !== undefined;
  }

  /** One after the other: the server's answers carry no name of what they answer. */
  send(message: OutboundMessage): Promise<SendResult> {
    return this.#sends.run("", async () => {
      const live = this.#live;
      if (!live) return notConnected;
      const target = await this.#roster.targetOf(message.conversation, live, this.#pace);
      if (typeof target !== "string") return target;
      const lines = outgoingLines(message, live.session, target);
      const replyTo = message.replyToMessageId;
      const canTag = replyTo !== undefined && !/^at:/.test(replyTo) && live.session.caps.has("message-tags");
      const result = await sendLines(lines, target, message.id, {
        ...live,
        pace: this.#pace,
        random: this.#deps.random,
        tags: canTag ? `@+draft/reply=${escapeTag(replyTo)} ` : "",
      });
      if (result.outcome === "sent") this.#remember(result.platformId, message.text);
      return result;
    });
  }

  wasSent(message: OutboundMessage, isKnown: (platformId: string) => boolean) {
    return this.#sends.run("", async () => {
      const live = this.#live;
      if (!live) throw new Error("not connected to the IRC server");
      if (!hasHistory(live.session)) return "unknown";
      const target = await this.#roster.targetOf(message.conversation, live, this.#pace);
      if (typeof target === "string") return wasSent(live, message, target, isKnown);
      if (target.outcome === "retry") throw new Error(target.detail);
      return "unknown";
    });
  }

  typing(conversation: Conversation): void {
    const target = this.#roster.lastTargetOf(conversation);
    const now = this.#deps.clock.monotonic();
    if (target === undefined || now - (this.#typedAt.get(target) ?? -typingEveryMs) < typingEveryMs) return;
    if (this.#typedAt.size > maxOurs) this.#typedAt.clear();
    this.#typedAt.set(target, now);
    this.#tag("+typing=active", target);
  }

  react(conversation: Conversation, messageId: string, emoji: string): void {
    const target = this.#roster.lastTargetOf(conversation);
    if (target === undefined || /^at:/.test(messageId) || emoji === "") return;
    this.#tag(`+draft/react=${escapeTag(emoji)};+draft/reply=${escapeTag(messageId)}`, target);
  }

  #tag(tags: string, target: string): void {
    const live = this.#live;
    if (!live?.session.caps.has("message-tags") || !this.#pace.tryTake()) return;
    live.connection.send(`@${tags} TAGMSG ${target}`);
  }

  #remember(messageId: string, text: string): void {
    this.#ours.set(messageId, text);
    for (const oldest of this.#ours.keys()) {
      if (this.#ours.size <= maxOurs) break;
      this.#ours.delete(oldest);
    }
  }

  /** Connects again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, random } = this.#deps;
    while (!signal.aborted) {
      let connection: IrcConnection | undefined;
      try {
        connection = await IrcConnection.open(this.#settings, clock, signal);
        await this.#serve(connection, attempted);
      } catch (error) {
        if (!signal.aborted) {
          this.#failures += 1;
          const waitMs = this.#trouble(error, backoffMs(this.#failures, random));
          connection?.destroy();
          this.#live = undefined;
          attempted();
          await sleep(clock, waitMs, signal);
        }
      }
      this.#live = undefined;
      connection?.quit();
    }
    attempted();
  }

  /** Resolves when we stop; rejects when the connection is lost. */
  async #serve(connection: IrcConnection, attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock } = this.#deps;
    let held: IrcLine[] | undefined = [];
    let live: Live | undefined;
    const handle = (line: IrcLine) => {
      if (!live) return;
      if (held && line.command === "PRIVMSG") held.push(line);
      else this.#take(line, live);
    };
    connection.onLine = handle;
    const stopped = new Promise<"stopped">((resolve) => {
      signal.addEventListener("abort", () => resolve("stopped"), { once: true });
      if (signal.aborted) resolve("stopped");
    });
    const ready = (async () => {
      const session = await signIn(connection, this.#settings);
      live = { connection, session };
      this.#roster.begin();
      await this.#roster.join(live, this.#settings.channels);
      this.#inbox?.takeLeft(live);
      const missed = await this.#missed(live);
      for (const line of missed) this.#take(line, live);
      // What came meanwhile is behind what was missed; what came both ways is in flight, and known by its id.
      const waiting = held ?? [];
      held = undefined;
      for (const line of waiting) this.#take(line, live);
      this.#live = live;
      this.#wasConnected = true;
      this.#connected();
      attempted();
    })();
    ready.catch(() => {});
    if ((await Promise.race([ready, stopped])) === "stopped") return;
    for (;;) {
      const pause = new AbortController();
      const lost = await Promise.race([
        connection.closed,
        stopped,
        sleep(clock, heartbeatMs, pause.signal).then(() => undefined),
      ]);
      pause.abort();
      if (lost === "stopped") return;
      if (lost) throw lost;
      await connection.ask(
        ["PING :alive"],
        (line) => (line.command === "PONG" ? true : undefined),
        heartbeatMs,
      );
      this.#failures = 0;
      this.#connected();
    }
  }

  async #missed({ connection, session }: Live): Promise<readonly IrcLine[]> {
    if (!hasHistory(session)) return [];
    const since = this.#position.storedUntilMs;
    const now = session.serverNowMs ?? this.#deps.clock.now();
    if (since === undefined) {
      this.#position.begin(now);
      return [];
    }
    // One before: a second message of the same millisecond may be missing.
    return missedSince(connection, since - 1, now);
  }

  #take(line: IrcLine, live: Live): void {
    live.session.see(line);
    const note = this.#roster.see(line, live.session);
    if (note !== undefined) {
      this.#deps.log("warn", `irc ${this.account}: ${note}`);
      this.#connected();
    }
    // The lines of a history's answer are handed in by whoever asked.
    if (line.command === "PRIVMSG") this.#inbox?.take(line, live);
  }

  #connected(): void {
    const { session } = this.#live ?? {};
    if (session && !this.#inbox?.isBehind) this.#status.report("connected", this.#roster.missing);
  }

  /** Tells what is wrong; gives how long to wait. */
  #trouble(error: unknown, backoff: number): number {
    const { state, detail, waitMs } = troubleOf(error, backoff, this.#wasConnected);
    if (state === "failed" && !(error instanceof SignInFault)) {
      const kind = error instanceof Error ? error.name : typeof error;
      this.#deps.log("error", `irc ${this.account}: the connection failed`, { error: kind });
    }
    this.#status.report(state, detail);
    return waitMs;
  }
}
