import type { Conversation, SendResult } from "../../delivery/channel.ts";
import { nickPrefix } from "./inbound.ts";
import type { Live } from "./inbox.ts";
import type { Pace } from "./outbound.ts";
import type { Session } from "./session.ts";
import { accountIdOf, type IrcAccount } from "./settings.ts";
import { whois } from "./whois.ts";
import { foldAscii, type IrcLine, withoutControls } from "./wire.ts";

const deadlineMs = 30_000;
const maxNicks = 2_000;
const joinBytes = 400;

/** Which channels we are in, and which nick an account's person uses now. */
export class Roster {
  readonly #channels = new Map<string, string>();
  readonly #nicks = new Map<string, string>();
  readonly #refused = new Map<string, string>();
  readonly #configured: readonly string[];

  constructor(settings: IrcAccount) {
    this.#configured = settings.channels;
  }

  get joined(): ReadonlyMap<string, string> {
    return this.#channels;
  }

  /** What of the configuration is not there; undefined when all is. */
  get missing(): string | undefined {
    if (this.#refused.size === 0) return undefined;
    return [...this.#refused].map(([channel, why]) => `not in ${channel}: ${why}`).join("; ");
  }

  /** A new connection is in no channel. */
  begin(): void {
    this.#channels.clear();
    this.#refused.clear();
  }

  async join({ connection, session }: Live, channels: readonly string[]): Promise<void> {
    if (channels.length === 0) return;
    await connection.ask(
      [...joinLines(channels), "PING :joined"],
      (line) => {
        this.see(line, session);
        return line.command === "PONG" && line.params.at(-1) === "joined" ? true : undefined;
      },
      deadlineMs,
    );
  }

  seen(accountId: string, nick: string): void {
    this.#nicks.delete(accountId);
    this.#nicks.set(accountId, nick);
    for (const oldest of this.#nicks.keys()) {
      if (this.#nicks.size <= maxNicks) break;
      this.#nicks.delete(oldest);
    }
  }

  /** Follows a line; gives what the operator should know. */
  see(line: IrcLine, session: Session): string | undefined {
    const { command, params, from } = line;
    const self = from !== undefined && session.isSelf(from.nick);
    if (command === "JOIN" && self) this.#joined(params[0] ?? "", session);
    else if (command === "PART" && self) return this.#left(params[0] ?? "", session, "we left");
    else if (command === "KICK" && session.isSelf(params[1] ?? "")) {
      return this.#left(params[0] ?? "", session, `we were kicked by ${withoutControls(from?.nick ?? "")}`);
    } else if (/^(?:403|405|471|473|474|475|476|477|489)$/.test(command)) {
      const channel = this.#idOf(params[1] ?? "", session);
      if (this.#configured.includes(channel) && !this.#channels.has(session.fold(params[1] ?? ""))) {
        this.#refused.set(channel, withoutControls(params.at(-1) ?? "").slice(0, 100));
      }
    }
    return undefined;
  }

  /** Where a message goes: a channel, or the nick that the account's person holds now. A result when nowhere. */
  async targetOf(conversation: Conversation, live: Live, pace: Pace): Promise<string | SendResult> {
    const { id, kind } = conversation;
    if (kind !== "direct") return channelTarget(conversation) ?? notATarget;
    if (id.startsWith(nickPrefix)) {
      const nick = id.slice(nickPrefix.length);
      return accountIdOf(nick) === undefined ? notATarget : nick;
    }
    if (accountIdOf(id) !== id) return notATarget;
    // A nick changes hands: each time it is asked whose it is, or somebody else could read the answer.
    for (const nick of new Set([this.#nicks.get(id) ?? id, id])) {
      await pace.take();
      try {
        const holder = await whois(live.connection, live.session, nick);
        if (holder === "nobody" || accountIdOf(holder.account ?? "") !== id) continue;
      } catch {
        return {
          outcome: "retry",
          retryAfterMs: 5_000,
          detail: "the connection was lost before it was sent",
        };
      }
      this.seen(id, nick);
      return nick;
    }
    return { outcome: "retry", retryAfterMs: 60_000, detail: `nobody who is logged in as ${id} is online` };
  }

  /** Where it went last, without asking; for what may go astray. */
  lastTargetOf(conversation: Conversation): string | undefined {
    if (conversation.kind !== "direct") return channelTarget(conversation);
    return this.#nicks.get(conversation.id);
  }

  #joined(name: string, session: Session): void {
    const id = this.#idOf(name, session);
    this.#channels.set(session.fold(name), id);
    this.#refused.delete(id);
  }

  #left(name: string, session: Session, why: string): string {
    const id = this.#idOf(name, session);
    this.#channels.delete(session.fold(name));
    if (this.#configured.includes(id)) this.#refused.set(id, why);
    return `${why}: ${id}`;
  }

  /** The configured spelling, where the server holds two spellings for one channel. */
  #idOf(name: string, session: Session): string {
    const folded = session.fold(name);
    return this.#configured.find((channel) => session.fold(channel) === folded) ?? foldAscii(name);
  }
}

const notATarget: SendResult = { outcome: "rejected", detail: "this is no channel and no account of IRC" };

/** A name with a space or a line end would be more than one word on the wire. */
function channelTarget({ id, threadId = "" }: Conversation): string | undefined {
  const fits =
    /^[#&+!]/.test(id) && accountIdOf(`x${id.slice(1)}`) !== undefined && /^[@+%&~!]?$/.test(threadId);
  return fits ? threadId + id : undefined;
}

function joinLines(channels: readonly string[]): string[] {
  const lines: string[] = [];
  for (const channel of channels) {
    const last = lines.at(-1);
    if (last === undefined || Buffer.byteLength(`${last},${channel}`) > joinBytes)
      lines.push(`JOIN ${channel}`);
    else lines[lines.length - 1] = `${last},${channel}`;
  }
  return lines;
}
