import type { ChannelHost } from "../../delivery/channel.ts";
import { type Clock, type Random, sleep, uuid } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { Lanes } from "../lanes.ts";
import type { IrcConnection } from "./connection.ts";
import { hasHistory } from "./history.ts";
import { inboundOf, type Received, received } from "./inbound.ts";
import type { Pace } from "./outbound.ts";
import type { Position, Unstored } from "./position.ts";
import type { Session } from "./session.ts";
import { accountBehind } from "./whois.ts";
import { type IrcLine, parseLine } from "./wire.ts";

const concurrentConversations = 16;
/** A message that is older than this was played back: who holds the nick now says nothing about who wrote it. */
const freshMs = 60_000;
const maxInFlight = 1_000;
const maxAccounts = 500;

/** A connection that is signed in. */
export interface Live {
  readonly connection: IrcConnection;
  readonly session: Session;
}

export interface InboxDeps {
  readonly host: ChannelHost;
  readonly account: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly position: Position;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** The channels that we are in: folded name to id. */
  readonly joined: ReadonlyMap<string, string>;
  /** Our latest messages: id to text. */
  readonly ours: ReadonlyMap<string, string>;
  /** The network vouched that this account's person uses this nick. */
  seen(accountId: string, nick: string): void;
  notStored(): void;
  storedAgain(): void;
}

/** Hands messages in: each conversation in order, each message until its outcome is stored. */
export class Inbox {
  readonly #deps: InboxDeps;
  readonly #lanes = new Lanes(concurrentConversations);
  readonly #inFlight = new Set<string>();
  readonly #unstored = new Map<string, Unstored>();

  /** Accounts that WHOIS told of, by the whole nick!user@host. */
  readonly #accounts = new Map<string, { readonly untilMs: number; readonly account: string | undefined }>();

  constructor(deps: InboxDeps) {
    this.#deps = deps;
  }

  /** True while something could not be stored. */
  get isBehind(): boolean {
    return this.#unstored.size > 0;
  }

  /** What an earlier life could not store comes first. */
  takeLeft(live: Live): void {
    for (const left of this.#deps.position.left()) {
      const line = parseLine(left.text);
      if (line) this.take(line, live, left);
    }
  }

  take(line: IrcLine, live: Live, left?: Unstored): void {
    const { joined, random, position } = this.#deps;
    const item = received(
      line,
      live.session,
      joined,
      () => left?.eventId.replace(/^at:/, "") ?? uuid(random),
    );
    if (!item || this.#inFlight.has(item.eventId)) return;
    this.#inFlight.add(item.eventId);
    if (this.#inFlight.size >= maxInFlight) live.connection.pause();
    if (item.atMs !== undefined && hasHistory(live.session)) position.arrived(item.atMs);
    const { conversation } = item;
    const lane =
      conversation.kind === "direct"
        ? live.session.fold(line.from?.nick ?? "")
        : `${conversation.threadId ?? ""}${conversation.id}`;
    void this.#lanes.run(lane, () => this.#store(item, live, left));
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    return this.#lanes.idle();
  }

  async #store(item: Received, live: Live, left: Unstored | undefined): Promise<void> {
    const { host, clock, random, signal, position, joined: _, ...deps } = this.#deps;
    const account = left ? left.account : await this.#accountOf(item, live);
    const unstored: Unstored = {
      text: item.line.raw,
      eventId: item.eventId,
      ...(account === undefined ? {} : { account }),
    };
    const message = inboundOf(item, account, live.session, deps.ours, deps.account);
    if (message.sender.proof === "platform") deps.seen(message.sender.id, item.line.from?.nick ?? "");
    for (let failures = 1; ; failures += 1) {
      if (signal.aborted) return this.#keep(unstored, live);
      try {
        await host.accept(message);
        break;
      } catch {
        this.#keep(unstored, live);
        deps.notStored();
        await sleep(clock, backoffMs(failures, random), signal);
      }
    }
    this.#inFlight.delete(item.eventId);
    if (this.#inFlight.size < maxInFlight) live.connection.resume();
    if (item.atMs !== undefined && hasHistory(live.session)) position.stored(item.atMs);
    if (!this.#unstored.delete(item.eventId) && left === undefined) return;
    position.keep([...this.#unstored.values()]);
    deps.storedAgain();
  }

  /** A server with a history gives it again; elsewhere it would be lost with this process. */
  #keep(unstored: Unstored, live: Live): void {
    if (this.#unstored.has(unstored.eventId)) return;
    this.#unstored.set(unstored.eventId, unstored);
    if (!hasHistory(live.session)) this.#deps.position.keep([...this.#unstored.values()]);
  }

  /** The account that the network vouches for; undefined when the sender is only a nick. */
  async #accountOf({ line, atMs }: Received, { connection, session }: Live): Promise<string | undefined> {
    if (session.caps.has("account-tag")) return line.tags.get("account");
    const old = line.tags.has("batch") || (atMs !== undefined && this.#deps.clock.now() - atMs > freshMs);
    if (old || !line.from) return undefined;
    const now = this.#deps.clock.monotonic();
    const key = `${line.from.nick}!${line.from.user}@${line.from.host}`;
    const known = this.#accounts.get(key);
    if (known && known.untilMs > now) return known.account;
    try {
      await this.#deps.pace.take();
      const account = await accountBehind(connection, session, line.from);
      if (this.#accounts.size >= maxAccounts) this.#accounts.clear();
      this.#accounts.set(key, { untilMs: now + freshMs, account });
      return account;
    } catch {
      // Not proved is what a sender is until somebody vouches.
      return undefined;
    }
  }
}
