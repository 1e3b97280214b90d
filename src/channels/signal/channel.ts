import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type {
  Channel,
  ChannelHost,
  ChannelLimits,
  Conversation,
  InboundMessage,
  OutboundMessage,
  SendResult,
} from "../../delivery/channel.ts";
import { InputError, sleep } from "../../kernel/mod.ts";
import { Arrivals } from "../arrivals.ts";
import { backoffMs } from "../backoff.ts";
import { type HttpCalls, openHttp } from "../http-calls.ts";
import { RpcFault } from "../line-rpc.ts";
import { Pace } from "../pace.ts";
import type { PlatformDeps, TalkingProgram } from "../platform.ts";
import { isObject } from "../settings-reader.ts";
import { StatusReports } from "../status.ts";
import { Identities } from "./identities.ts";
import { inboundOf } from "./inbound.ts";
import { callDeadlineMs, type SignalLink } from "./link.ts";
import { containerLink } from "./link-container.ts";
import { httpLink } from "./link-http.ts";
import { socketLink } from "./link-socket.ts";
import { maxFileBytes, messageOf, sendMessage, targetOf } from "./outbound.ts";
import type { SignalAccount } from "./settings.ts";

/** Signal shows "typing" for fifteen seconds. */
const typingEveryMs = 10_000;
const fetchDeadlineMs = 120_000;
const startPollMs = 250;
const socketName = "signal-cli.sock";
const maxSocketPathChars = 100;

/** One Signal account, through signal-cli. */
export function openSignal(settings: SignalAccount, deps: PlatformDeps): Channel {
  return new SignalChannel(settings, deps);
}

/** signal-cli ended, with what it said. */
class ProgramEnded extends Error {}

class SignalChannel implements Channel {
  readonly id = "signal";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly #settings: SignalAccount;
  readonly #deps: PlatformDeps;
  readonly #http: HttpCalls;
  readonly #link: SignalLink;
  readonly #socketPath: string;
  readonly #typing: Pace;
  readonly #status: StatusReports;
  readonly #stopping = new AbortController();
  #identities: Identities | undefined;
  #arrivals: Arrivals | undefined;
  #host: ChannelHost | undefined;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;

  constructor(settings: SignalAccount, deps: PlatformDeps) {
    this.account = settings.accountId;
    this.limits = { textChars: settings.textChunkLimit, fileBytes: maxFileBytes };
    this.#settings = settings;
    this.#deps = deps;
    this.#status = new StatusReports(deps.clock, () => settings.number);
    this.#http = openHttp(deps.clock);
    this.#typing = new Pace(deps.clock, typingEveryMs);
    const { transport } = settings;
    const own = transport.kind === "managed" ? transport.socketPath : undefined;
    this.#socketPath = own ?? join(deps.stateFolder, socketName);
    this.#link = this.#openLink();
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`signal account ${this.account} was started before; open it again`);
    this.#host = host;
    this.#status.begin(host);
    return new Promise((resolve) => {
      this.#running = this.#run(host, resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#arrivals?.idle();
    await this.#running;
    this.#status.end();
  }

  send(message: OutboundMessage): Promise<SendResult> {
    if (!this.#identities) return Promise.resolve(notConnected);
    return sendMessage(message, { link: this.#link, identities: this.#identities });
  }

  typing(conversation: Conversation): void {
    const identities = this.#identities;
    if (!identities || !this.#typing.isDue(JSON.stringify(conversation))) return;
    this.#tell("sendTyping", targetOf(conversation, identities));
  }

  react(conversation: Conversation, messageId: string, emoji: string): void {
    const message = messageOf(messageId);
    if (!message || !this.#identities) return;
    this.#tell("sendReaction", {
      ...targetOf(conversation, this.#identities),
      targetAuthor: message.author,
      targetTimestamp: message.at,
      // Signal takes a reaction away by naming one; which one, it does not ask.
      ...(emoji === "" ? { emoji: "👍", remove: true } : { emoji }),
    });
  }

  async fetch(reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const params = fileOf(reference);
    if (!params) throw new InputError("the file's reference is not one of Signal's");
    signal.throwIfAborted();
    let answer: unknown;
    try {
      // In base64 within JSON.
      const room = Math.ceil(maxBytes / 3) * 4 + 1024;
      answer = await this.#link.call("getAttachment", params, {
        deadlineMs: fetchDeadlineMs,
        maxBytes: room,
      });
    } catch (error) {
      const isLarge = error instanceof RpcFault && /ANSWER_TOO_LARGE/.test(error.message);
      if (isLarge) throw new InputError(`the file is larger than ${maxBytes} bytes; send a smaller one`);
      throw new InputError("signal-cli does not give the file; it may be gone");
    }
    const data = isObject(answer) ? answer.data : answer;
    if (typeof data !== "string") throw new InputError("signal-cli does not give the file; it may be gone");
    // Before it is decoded (attack A-186).
    if (Math.floor((data.replace(/=+$/, "").length * 3) / 4) > maxBytes)
      throw new InputError(`the file is larger than ${maxBytes} bytes; send a smaller one`);
    return Buffer.from(data, "base64");
  }

  #openLink(): SignalLink {
    const { transport, number } = this.#settings;
    const { clock } = this.#deps;
    if (transport.kind === "socket") return forAccount(socketLink(transport.at, clock), number);
    if (transport.kind === "http") return forAccount(httpLink(transport.url, clock, this.#http), number);
    if (transport.kind === "container") return containerLink(transport.url, number, clock, this.#http);
    if (transport.http) {
      const { host, port } = transport.http;
      return httpLink(`http://${host.includes(":") ? `[${host}]` : host}:${port}`, clock, this.#http);
    }
    return socketLink({ path: this.#socketPath }, clock);
  }

  /** Nothing depends on it. */
  #tell(method: string, params: Readonly<Record<string, unknown>>): void {
    this.#link.call(method, params, { deadlineMs: callDeadlineMs }).catch(() => {});
  }

  /** Connects again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(host: ChannelHost, attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, random } = this.#deps;
    let program: TalkingProgram | undefined;
    while (!signal.aborted) {
      try {
        await this.#openState(host);
        program = await this.#startProgram();
        await this.#listen(program, attempted);
      } catch (error) {
        if (signal.aborted) break;
        this.#failures += 1;
        const waitMs = backoffMs(this.#failures, random);
        this.#trouble(error, waitMs);
        attempted();
        program?.stop();
        await program?.ended;
        program = undefined;
        await sleep(clock, waitMs, signal);
      }
    }
    program?.stop();
    await program?.ended;
    await this.#arrivals?.idle();
    await this.#identities?.save();
    attempted();
  }

  async #openState(host: ChannelHost): Promise<void> {
    if (this.#arrivals) return;
    const { clock, stateFolder, log } = this.#deps;
    const { accountId, number, uuid, sendReadReceipts } = this.#settings;
    const identities = await Identities.open(stateFolder, clock, () =>
      log("error", `signal ${this.account}: who is who could not be kept on disk`),
    );
    this.#identities = identities;
    this.#arrivals = new Arrivals({
      ...this.#deps,
      name: `signal ${this.account}`,
      folder: stateFolder,
      host,
      signal: this.#stopping.signal,
      read: (event) => inboundOf(event, { accountId, number, uuid }, identities),
      ...(sendReadReceipts ? { admitted: (message: InboundMessage) => this.#receipt(message) } : {}),
      behind: (isBehind) => {
        if (isBehind)
          this.#status.report("reconnecting", "a message could not be stored; it is tried again soon");
        else if (this.#status.state === "reconnecting") this.#status.report("connected");
      },
    });
    this.#arrivals.takeLeft();
  }

  #receipt({ messageId }: InboundMessage): void {
    const message = messageOf(messageId);
    if (message)
      this.#tell("sendReceipt", { recipient: message.author, targetTimestamp: message.at, type: "read" });
  }

  async #startProgram(): Promise<TalkingProgram | undefined> {
    const { transport } = this.#settings;
    if (transport.kind !== "managed") return undefined;
    if (!transport.http && this.#socketPath.length > maxSocketPathChars) {
      throw new InputError(
        `${this.#socketPath} is too long for a unix socket; set channels.signal.socketPath to a shorter path in a folder of yours (mode 700)`,
      );
    }
    await mkdir(this.#deps.stateFolder, { recursive: true, mode: 0o700 });
    // One that was killed leaves its socket behind, and the next could not open it.
    if (!transport.http && transport.socketPath === undefined) await rm(this.#socketPath, { force: true });
    const { host, port } = transport.http ?? {};
    const door = transport.http ? ["--http", `${host}:${port}`] : ["--socket", this.#socketPath];
    return this.#deps.programs.talk(transport.program, [...transport.args, ...door], () => {});
  }

  async #listen(program: TalkingProgram | undefined, attempted: () => void): Promise<void> {
    const arrivals = this.#arrivals;
    if (!arrivals) return;
    const over = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, over.signal]);
    let isReady = false;
    const listening = async () => {
      const { clock } = this.#deps;
      const deadline = clock.monotonic() + this.#settings.startupTimeoutMs;
      for (;;) {
        try {
          return await this.#link.listen(
            {
              mark: arrivals.mark,
              ready: () => {
                isReady = true;
                this.#failures = 0;
                if (!arrivals.isBehind) this.#status.confirm();
                attempted();
              },
              event: async (event, mark) => {
                arrivals.take(event, mark);
                await arrivals.room();
              },
            },
            signal,
          );
        } catch (error) {
          // One that we have just started takes a moment to open its door.
          if (!program || isReady || signal.aborted || clock.monotonic() >= deadline) throw error;
          await sleep(clock, startPollMs, signal);
        }
      }
    };
    try {
      await Promise.race([
        listening(),
        ...(program
          ? [
              program.ended.then(({ code, stderr }) => {
                throw new ProgramEnded(`signal-cli ended (${code ?? "by a signal"})${hint(stderr)}`);
              }),
            ]
          : []),
      ]);
    } finally {
      over.abort();
    }
  }

  #trouble(error: unknown, waitMs: number): void {
    const again = `trying again in ${Math.ceil(waitMs / 1000)} s`;
    if (error instanceof InputError || error instanceof ProgramEnded) {
      this.#status.report("failed", `${error.message}; ${again}`);
    } else if (error instanceof RpcFault) {
      const what = error.refusal ? `signal-cli refuses (${error.refusal.code})` : error.message;
      this.#status.report("reconnecting", `signal-cli cannot be reached: ${what}; is it running? ${again}`);
    } else {
      const kind = error instanceof Error ? error.name : typeof error;
      this.#deps.log("error", `signal ${this.account}: an error of our own`, { error: kind });
      this.#status.report("failed", `an error of our own, see the log; ${again}`);
    }
  }
}

/** One that we did not start may serve several accounts: each call says which. */
function forAccount(link: SignalLink, account: string): SignalLink {
  return { ...link, call: (method, params, options) => link.call(method, { account, ...params }, options) };
}

const notConnected: SendResult = {
  outcome: "retry",
  retryAfterMs: 5_000,
  detail: "not connected to signal-cli",
};

/** What a program that ended says about it, where that is something to act on. */
function hint(stderr: string): string {
  if (/not registered/i.test(stderr))
    return ": the account is not registered or not linked any more; link it again with `signal-cli link`, then restart the channel";
  if (/in use by another instance|lock/i.test(stderr))
    return ": another signal-cli uses this account; stop it, or name its address in transport.url";
  if (/address already in use/i.test(stderr)) return ": its port or socket is taken; stop the other one";
  return ": run it by hand to see why";
}

function fileOf(reference: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(reference);
    if (!isObject(value) || typeof value.id !== "string" || !/^[A-Za-z0-9._-]{1,200}$/.test(value.id))
      return undefined;
    const { id, groupId, recipient } = value;
    return typeof groupId === "string" ? { id, groupId } : { id, recipient };
  } catch {
    return undefined;
  }
}
