import type { OutboundMessage, SendResult } from "../../delivery/channel.ts";
import { type Clock, type Random, sleep, token } from "../../kernel/mod.ts";
import { ConnectionLost, type IrcConnection } from "./connection.ts";
import type { Session } from "./session.ts";
import { linesOf } from "./text.ts";
import { type IrcLine, withoutControls } from "./wire.ts";

/** A line with its end, by the protocol. */
const maxLineBytes = 512;
const answerDeadlineMs = 30_000;
const limitedMs = 60_000;
const absentMs = 60_000;

/** So many lines at once. */
const burst = 5;

/** Keeps our own flood within what the server takes. */
export class Pace {
  readonly #clock: Clock;
  readonly #perLineMs: number;
  /** When all lines so far are paid for. */
  #paidAtMs = 0;

  constructor(clock: Clock, perLineMs: number) {
    this.#clock = clock;
    this.#perLineMs = perLineMs;
  }

  /** Resolves when the next line may go. */
  async take(): Promise<void> {
    const now = this.#clock.monotonic();
    this.#paidAtMs = Math.max(this.#paidAtMs, now) + this.#perLineMs;
    const waitMs = this.#paidAtMs - burst * this.#perLineMs - now;
    if (waitMs > 0) await sleep(this.#clock, waitMs);
  }

  /** True when a line may go at once; for what may as well not be sent. */
  tryTake(): boolean {
    const now = this.#clock.monotonic();
    if (this.#paidAtMs - now > (burst - 2) * this.#perLineMs) return false;
    this.#paidAtMs = Math.max(this.#paidAtMs, now) + this.#perLineMs;
    return true;
  }
}

/** How the text of a message leaves: what the server puts in front of a line, others must receive too. */
export function outgoingLines(message: OutboundMessage, session: Session, target: string): readonly string[] {
  const { nick, user, host } = session.self;
  // Longest user and host of the networks, while ours are not known.
  const prefix = `:${nick}!${user || "x".repeat(11)}@${host || "x".repeat(63)} PRIVMSG ${target} :`;
  return linesOf(textOf(message), maxLineBytes - 2 - Buffer.byteLength(prefix));
}

function textOf(message: OutboundMessage): string {
  const choices = (message.choices ?? []).map((choice) => `\n${choice.label}: ${choice.command}`);
  return message.text + choices.join("");
}

export interface SendDeps {
  readonly connection: IrcConnection;
  readonly session: Session;
  readonly pace: Pace;
  readonly random: Random;
  /** "@+draft/reply=... " in front of the first line, or "". */
  readonly tags: string;
}

/** The lines of one message, in order. The name that the server gives the last one is kept where it gives one. */
export async function sendLines(
  lines: readonly string[],
  target: string,
  outboxId: string,
  deps: SendDeps,
): Promise<SendResult> {
  const { connection, pace } = deps;
  const [first, ...others] = lines;
  if (first === undefined) return { outcome: "rejected", detail: "the message has no text" };
  await pace.take();
  if (!connection.isOpen) return notConnected;
  // The first line tells whether we may write there at all, before the rest follows.
  const begun = await deliver(first, target, deps);
  if (begun.outcome !== "sent" || others.length === 0) return named(begun, outboxId);
  for (const line of others.slice(0, -1)) {
    await pace.take();
    if (!connection.send(`PRIVMSG ${target} :${line}`)) return partly("the connection was lost");
  }
  await pace.take();
  if (!connection.isOpen) return partly("the connection was lost");
  const ended = await deliver(others.at(-1) ?? "", target, { ...deps, tags: "" });
  if (ended.outcome !== "sent") return partly("detail" in ended ? ended.detail : "");
  return named(ended, outboxId);
}

export const notConnected: SendResult = {
  outcome: "retry",
  retryAfterMs: 5_000,
  detail: "not connected to the IRC server",
};

function partly(why: string): SendResult {
  return { outcome: "unknown", detail: `only the first lines surely arrived: ${why}` };
}

function named(result: SendResult, outboxId: string): SendResult {
  return result.outcome === "sent" && result.platformId === ""
    ? { outcome: "sent", platformId: `outbox:${outboxId}` }
    : result;
}

/**
 * IRC does not confirm a message, but it answers in order: whatever is wrong with it is said before the answer to a
 * PING behind it.
 */
async function deliver(text: string, target: string, deps: SendDeps): Promise<SendResult> {
  const { connection, session, random, tags: own } = deps;
  const mark = token(random, 9);
  let echoed = "";
  let refusal: SendResult | undefined;
  const look = (line: IrcLine): SendResult | undefined => {
    const { from, params, command, tags } = line;
    if (command === "PONG" && params.at(-1) === mark)
      return refusal ?? { outcome: "sent", platformId: echoed };
    if (
      command === "PRIVMSG" &&
      from &&
      session.isSelf(from.nick) &&
      sameTarget(params[0], target, session)
    ) {
      if (!tags.has("batch")) echoed = tags.get("msgid") ?? "";
    }
    refusal ??= refusalOf(line, target, session);
    return undefined;
  };
  try {
    return await connection.ask(
      [`${own}PRIVMSG ${target} :${text}`, `PING :${mark}`],
      look,
      answerDeadlineMs,
    );
  } catch (error) {
    const why = error instanceof ConnectionLost ? "the connection was lost" : "no answer in 30 s";
    return { outcome: "unknown", detail: `the message left, then ${why}` };
  }
}

function isChannel(target: string): boolean {
  return /^[@+%&~!]?[#&+!]/.test(target);
}

function sameTarget(name: string | undefined, target: string, session: Session): boolean {
  return name !== undefined && session.fold(name) === session.fold(target);
}

/** What a numeric between a message and its PING means. */
export function refusalOf(line: IrcLine, target: string, session: Session): SendResult | undefined {
  const { command, params } = line;
  const detail = `${command} ${withoutControls(params.at(-1) ?? "").slice(0, 200)}`;
  if (command === "FAIL" && params[0] === "PRIVMSG") {
    return params[1] === "RATE_LIMITED" || params[1] === "MESSAGE_RATE_LIMITED"
      ? { outcome: "retry", retryAfterMs: limitedMs, detail }
      : { outcome: "rejected", detail };
  }
  const limited =
    (command === "263" && params[1] === "PRIVMSG") ||
    ((command === "439" || command === "707") && sameTarget(params[1], target, session));
  if (limited) {
    const seconds = Number(/(\d{1,4}) ?s/.exec(params.at(-1) ?? "")?.[1]);
    return { outcome: "retry", retryAfterMs: seconds > 0 ? seconds * 1000 : limitedMs, detail };
  }
  if (!sameTarget(params[1], target, session)) return undefined;
  // Who is not there now may be back in a minute; IRC keeps nothing for them.
  if (command === "401" && !isChannel(target))
    return { outcome: "retry", retryAfterMs: absentMs, detail: `${target} is not online` };
  if (!/^(?:401|403|404|405|407|408|411|412|415|417|437|477|482|486|489|492|531|716|742)$/.test(command)) {
    return undefined;
  }
  return { outcome: "rejected", detail };
}
