import type {
  Channel,
  ChannelHost,
  ChannelLimits,
  Conversation,
  OutboundMessage,
  SendResult,
  WasSent,
} from "../../delivery/channel.ts";
import { InputError, type Json, sleep } from "../../kernel/mod.ts";
import { Arrivals } from "../arrivals.ts";
import { backoffMs } from "../backoff.ts";
import { LineRpc, RpcFault } from "../line-rpc.ts";
import type { PlatformDeps, TalkingProgram } from "../platform.ts";
import { isObject } from "../settings-reader.ts";
import { StatusReports } from "../status.ts";
import { readAttachment } from "./files.ts";
import { inboundOf, ownOf } from "./inbound.ts";
import { chatNumberOf, maxFileBytes, sendMessage } from "./outbound.ts";
import { handleId, type IMessageAccount } from "./settings.ts";
import { wasSent } from "./was-sent.ts";

const heartbeatMs = 60_000;
const sendDeadlineMs = 60_000;
const maxLineChars = 8 * 1024 * 1024;
const maxOurs = 500;
const maxChats = 500;

/** One Mac user's Messages, through imsg. */
export function openIMessage(settings: IMessageAccount, deps: PlatformDeps): Channel {
  return new IMessageChannel(settings, deps);
}

/** imsg ended, with what it said. */
class ProgramEnded extends Error {}

class IMessageChannel implements Channel {
  readonly id = "imessage";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly #settings: IMessageAccount;
  readonly #deps: PlatformDeps;
  readonly #status: StatusReports;
  readonly #stopping = new AbortController();
  readonly #ours = new Map<string, string>();
  readonly #services = new Map<number, string>();
  #rpc: LineRpc | undefined;
  #arrivals: Arrivals | undefined;
  #host: ChannelHost | undefined;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;

  constructor(settings: IMessageAccount, deps: PlatformDeps) {
    this.account = settings.accountId;
    this.limits = {
      textChars: settings.textChunkLimit,
      ...(settings.isLocal ? { fileBytes: maxFileBytes } : {}),
    };
    this.#settings = settings;
    this.#deps = deps;
    this.#status = new StatusReports(deps.clock, () => `Messages (${this.account})`);
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`imessage account ${this.account} was started before; open it again`);
    this.#host = host;
    const { accountId } = this.#settings;
    this.#arrivals = new Arrivals({
      ...this.#deps,
      name: `imessage ${this.account}`,
      folder: this.#deps.stateFolder,
      host,
      signal: this.#stopping.signal,
      read: (event) => inboundOf(event, { accountId, ours: this.#ours, services: this.#services }),
      behind: (isBehind) => {
        if (isBehind)
          this.#status.report("reconnecting", "a message could not be stored; it is tried again soon");
        else if (this.#rpc) this.#status.report("connected");
      },
    });
    this.#status.begin(host);
    this.#arrivals.takeLeft();
    const arrivals = this.#arrivals;
    return new Promise((resolve) => {
      this.#running = this.#run(arrivals, resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#arrivals?.idle();
    await this.#running;
    this.#status.end();
  }

  get isConnected(): boolean {
    return this.#rpc !== undefined;
  }

  send(message: OutboundMessage): Promise<SendResult> {
    return sendMessage(message, this.#settings, (method, params) =>
      this.#call(method, params, sendDeadlineMs),
    );
  }

  wasSent(message: OutboundMessage, isKnown: (platformId: string) => boolean): Promise<WasSent> {
    return wasSent(message, isKnown, {
      call: (method, params) => this.#call(method, params, this.#settings.probeTimeoutMs),
      chatsOf: (conversation) => this.#chatsOf(conversation),
      wait: (ms) => sleep(this.#deps.clock, ms, this.#stopping.signal),
    });
  }

  /** imsg shows nobody that we write. */
  typing(): void {}

  fetch(reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return readAttachment(reference, this.#settings.attachmentRoots ?? [], maxBytes, signal);
  }

  #call(method: string, params: object, timeoutMs: number): Promise<unknown> {
    return this.#rpc
      ? this.#rpc.call(method, params, timeoutMs)
      : Promise.reject(new RpcFault("it is not running", false));
  }

  async #chatsOf({ id }: Conversation): Promise<readonly number[]> {
    const group = chatNumberOf(id);
    if (group !== undefined) return [group];
    const chats = chatsIn(await this.#call("chats.list", { limit: maxChats }, this.#settings.probeTimeoutMs));
    return chats.flatMap((chat) =>
      typeof chat.id === "number" && typeof chat.identifier === "string" && handleId(chat.identifier) === id
        ? [chat.id]
        : [],
    );
  }

  /** Runs imsg again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(arrivals: Arrivals, attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, random } = this.#deps;
    while (!signal.aborted) {
      let program: TalkingProgram | undefined;
      try {
        const rpc: LineRpc = new LineRpc(clock, (line) => program?.write(line) ?? false, maxLineChars);
        const { program: cli, dbPath } = this.#settings;
        const args = ["rpc", ...(dbPath === undefined ? [] : ["--db", dbPath])];
        program = await this.#deps.programs.talk(cli, args, (text) => rpc.feed(text));
        await this.#talk(program, rpc, arrivals, attempted);
      } catch (error) {
        this.#rpc = undefined;
        if (!signal.aborted) {
          this.#failures += 1;
          const waitMs = backoffMs(this.#failures, random);
          this.#trouble(error, waitMs);
          attempted();
          await sleep(clock, waitMs, signal);
        }
      }
      this.#rpc = undefined;
      program?.stop();
      await program?.ended;
    }
    await arrivals.idle();
    attempted();
  }

  /** Resolves when we stop; rejects when imsg ended or does not answer. */
  async #talk(
    program: TalkingProgram,
    rpc: LineRpc,
    arrivals: Arrivals,
    attempted: () => void,
  ): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, over.signal]);
    rpc.onNotification = (method, params) => {
      if (method !== "message" || !isObject(params) || !isObject(params.message)) return;
      this.#take(params.message as Readonly<Record<string, Json>>, arrivals);
    };
    const ended = program.ended.then(({ code, stderr }) => {
      rpc.end();
      throw new ProgramEnded(`imsg ended (${code ?? "by a signal"})${hint(stderr)}`);
    });
    const serving = (async () => {
      await this.#subscribe(rpc, arrivals);
      while (!signal.aborted) {
        this.#rpc = rpc;
        this.#failures = 0;
        if (!arrivals.isBehind) this.#status.report("connected");
        attempted();
        await sleep(this.#deps.clock, heartbeatMs, signal);
        if (!signal.aborted) await this.#learnChats(rpc, 1);
      }
    })();
    // Stopped before imsg answered: nothing is waited for.
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });
    // What it says about its end says more than that the call got no answer.
    const told = serving.catch(async (error: unknown) => {
      if (error instanceof RpcFault && !error.refusal && error.message === "the connection was lost")
        await ended;
      throw error;
    });
    try {
      await Promise.race([ended, told, stopped]);
    } finally {
      over.abort();
    }
  }

  async #subscribe(rpc: LineRpc, arrivals: Arrivals): Promise<void> {
    const { probeTimeoutMs, attachmentRoots } = this.#settings;
    const newest = await this.#learnChats(rpc, maxChats);
    // The first time of all begins with what is newest now: what was written before was not for us.
    if (arrivals.mark === undefined && newest !== undefined) {
      const history = await rpc.call("messages.history", { chat_id: newest, limit: 1 }, probeTimeoutMs);
      const last = isObject(history) && Array.isArray(history.messages) ? history.messages[0] : undefined;
      if (isObject(last) && Number.isSafeInteger(last.id)) arrivals.begin(String(last.id));
    }
    const since = arrivals.mark === undefined ? {} : { since_rowid: Number(arrivals.mark) };
    const params = { ...since, attachments: attachmentRoots !== undefined };
    await rpc.call("watch.subscribe", params, probeTimeoutMs);
  }

  /** Gives the number of the chat with the newest message. */
  async #learnChats(rpc: LineRpc, limit: number): Promise<number | undefined> {
    const chats = chatsIn(await rpc.call("chats.list", { limit }, this.#settings.probeTimeoutMs));
    for (const { id, service } of chats) {
      if (typeof id === "number" && typeof service === "string") this.#services.set(id, service);
    }
    const [first] = chats;
    return typeof first?.id === "number" ? first.id : undefined;
  }

  #take(message: Readonly<Record<string, Json>>, arrivals: Arrivals): void {
    const own = ownOf(message);
    if (own) {
      this.#ours.set(own.guid, own.text);
      for (const oldest of this.#ours.keys()) {
        if (this.#ours.size <= maxOurs) break;
        this.#ours.delete(oldest);
      }
    }
    arrivals.take(message, Number.isSafeInteger(message.id) ? String(message.id) : undefined);
  }

  #trouble(error: unknown, waitMs: number): void {
    const again = `trying again in ${Math.ceil(waitMs / 1000)} s`;
    if (error instanceof InputError || error instanceof ProgramEnded) {
      this.#status.report("failed", `${error.message}; ${again}`);
    } else if (error instanceof RpcFault) {
      const what = error.refusal
        ? `imsg cannot read the messages (${error.refusal.code}): give it Full Disk Access on the Mac`
        : `imsg: ${error.message}`;
      this.#status.report(error.refusal ? "failed" : "reconnecting", `${what}; ${again}`);
    } else {
      const kind = error instanceof Error ? error.name : typeof error;
      this.#deps.log("error", `imessage ${this.account}: an error of our own`, { error: kind });
      this.#status.report("failed", `an error of our own, see the log; ${again}`);
    }
  }
}

function chatsIn(answer: unknown): readonly Readonly<Record<string, unknown>>[] {
  return isObject(answer) && Array.isArray(answer.chats) ? answer.chats.filter(isObject) : [];
}

/** What a program that ended says about it, where that is something to act on. */
function hint(stderr: string): string {
  if (/authorization denied|unable to open database|permission ?denied.*chat\.db/i.test(stderr))
    return ": it cannot read the messages; give it Full Disk Access on the Mac";
  if (/host key verification failed/i.test(stderr))
    return ": the Mac's host key is not known or changed; check it, and add it to known_hosts by hand";
  if (/permission denied \(|could not resolve|connection (?:refused|timed out)/i.test(stderr))
    return ": ssh cannot log in to the Mac; try it by hand, with BatchMode=yes";
  return ": run it by hand to see why";
}
