import type {
  Channel,
  ChannelHost,
  ChannelLimits,
  ChannelStatus,
  Conversation,
  InboundMessage,
  OutboundMessage,
  SendResult,
  WasSent,
} from "../../delivery/channel.ts";
import { InputError, sleep } from "../../kernel/mod.ts";
import { Arrivals } from "../arrivals.ts";
import { backoffMs } from "../backoff.ts";
import { Pace } from "../pace.ts";
import type { ChannelDeps } from "../platform.ts";
import { type ConnectionEnd, runConnection } from "./connection.ts";
import { Credentials } from "./credentials.ts";
import { readFile } from "./file.ts";
import { inboundOf } from "./inbound.ts";
import { type Baileys, type BaileysSocket, loadBaileys } from "./library.ts";
import { jidOf, keyOf, maxFileBytes, Outbound } from "./outbound.ts";
import { personOf, type WhatsAppAccount } from "./settings.ts";
import { type Trouble, troubleOf } from "./trouble.ts";
import { Receipts, wasSent } from "./was-sent.ts";

/** WhatsApp shows "typing" for ten seconds. */
const typingEveryMs = 8_000;

/** One device that is linked to a WhatsApp account. `from`: where the library was added, or what gives it. */
export function openWhatsApp(
  settings: WhatsAppAccount,
  deps: ChannelDeps,
  from: string | (() => Promise<Baileys>),
): Channel {
  const load = typeof from === "string" ? () => loadBaileys(from) : from;
  return new WhatsAppChannel(settings, deps, load);
}

class WhatsAppChannel implements Channel {
  readonly id = "whatsapp";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly #settings: WhatsAppAccount;
  readonly #deps: ChannelDeps;
  readonly #load: () => Promise<Baileys>;
  readonly #folder: string;
  readonly #outbound: Outbound;
  readonly #typing: Pace;
  readonly #stopping = new AbortController();
  readonly #ownIds = new Set<string>();
  readonly #receipts = new Receipts();
  #library: Baileys | undefined;
  #socket: BaileysSocket | undefined;
  #arrivals: Arrivals | undefined;
  #host: ChannelHost | undefined;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  #notKept = false;
  #identity: string | undefined;
  #state: ChannelStatus["state"] = "stopped";

  constructor(settings: WhatsAppAccount, deps: ChannelDeps, load: () => Promise<Baileys>) {
    this.account = settings.accountId;
    this.limits = { textChars: settings.textChunkLimit, fileBytes: maxFileBytes };
    this.#settings = settings;
    this.#deps = deps;
    this.#load = load;
    this.#folder = settings.authDir ?? deps.stateFolder;
    this.#outbound = new Outbound(deps.clock);
    this.#typing = new Pace(deps.clock, typingEveryMs);
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`whatsapp account ${this.account} was started before; open it again`);
    this.#host = host;
    this.#report("starting");
    return new Promise((resolve) => {
      this.#running = this.#run(host, resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#arrivals?.idle();
    await this.#running;
    if (this.#host && this.#state !== "stopped") this.#report("stopped");
  }

  get isConnected(): boolean {
    return this.#socket !== undefined;
  }

  send(message: OutboundMessage): Promise<SendResult> {
    return this.#outbound.send(message, this.#socket);
  }

  wasSent(message: OutboundMessage): Promise<WasSent> {
    const socket = this.#socket;
    return wasSent(message, {
      receipts: this.#receipts,
      wait: async (ms) => {
        await sleep(this.#deps.clock, ms, this.#stopping.signal);
        if (!socket || socket !== this.#socket || this.#stopping.signal.aborted)
          throw new Error("the connection to WhatsApp was lost");
      },
      numberOf: async (lid) => {
        const jid = await socket?.signalRepository.lidMapping.getPNForLID(lid).catch(() => null);
        return typeof jid === "string" ? personOf(jid) : undefined;
      },
    });
  }

  typing(conversation: Conversation): void {
    if (!this.#typing.isDue(conversation.id)) return;
    this.#socket?.sendPresenceUpdate("composing", jidOf(conversation)).catch(() => {});
  }

  react(conversation: Conversation, messageId: string, emoji: string): void {
    const key = keyOf(messageId);
    if (key)
      this.#socket?.sendMessage(jidOf(conversation), { react: { text: emoji, key } }, {}).catch(() => {});
  }

  fetch(reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return readFile(reference, this.#library, maxBytes, signal);
  }

  /** Connects again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(host: ChannelHost, attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, random } = this.#deps;
    const arrivals = this.#openArrivals(host);
    let isLeftTaken = false;
    while (!signal.aborted) {
      let trouble: Trouble;
      try {
        this.#library ??= await this.#load();
        // Read anew for each connection: what was not kept must not be believed.
        const credentials = await Credentials.open(this.#folder, this.#library);
        this.#learnSelf(credentials.self);
        if (!isLeftTaken) arrivals.takeLeft();
        isLeftTaken = true;
        const end = await this.#connect(this.#library, credentials, arrivals, attempted);
        await credentials.saved();
        this.#failures += 1;
        trouble = this.#troubleOfEnd(end);
      } catch (error) {
        this.#failures += 1;
        trouble = this.#troubleOfError(error, backoffMs(this.#failures, random));
      }
      this.#socket = undefined;
      this.#outbound.lost();
      if (signal.aborted) break;
      this.#report(trouble.state, trouble.detail);
      attempted();
      await (trouble.waitMs === undefined ? aborted(signal) : sleep(clock, trouble.waitMs, signal));
    }
    await arrivals.idle();
    attempted();
  }

  #openArrivals(host: ChannelHost): Arrivals {
    const { accountId, sendReadReceipts } = this.#settings;
    const arrivals = new Arrivals({
      ...this.#deps,
      name: `whatsapp ${this.account}`,
      folder: this.#deps.stateFolder,
      host,
      signal: this.#stopping.signal,
      read: (event) => inboundOf(event, { accountId, ids: this.#ownIds }),
      ...(sendReadReceipts ? { admitted: (message: InboundMessage) => this.#markRead(message) } : {}),
      behind: (isBehind) => {
        if (isBehind) this.#report("reconnecting", "a message could not be stored; it is tried again soon");
        else if (this.#socket) this.#report("connected");
      },
    });
    this.#arrivals = arrivals;
    return arrivals;
  }

  #connect(
    library: Baileys,
    credentials: Credentials,
    arrivals: Arrivals,
    attempted: () => void,
  ): Promise<ConnectionEnd> {
    this.#notKept = false;
    return runConnection(
      library,
      credentials,
      {
        linkCode: (code) => {
          this.#host?.report({
            state: "starting",
            detail: "scan the code in WhatsApp: Settings > Linked devices > Link a device",
            linkCode: code,
          });
          this.#state = "starting";
          attempted();
        },
        open: (socket) => {
          this.#socket = socket;
          this.#failures = 0;
          this.#learnSelf(socket.user);
          if (!arrivals.isBehind) this.#report("connected");
          attempted();
        },
        message: (event) => arrivals.take(event),
        answered: (key, status) => {
          this.#receipts.status(key, status);
          this.#outbound.answered(key.id, status);
        },
        received: (key, receipt) => this.#receipts.received(key, receipt),
        notKept: (error) => {
          this.#notKept = true;
          this.#log("the device's keys could not be kept on disk", error);
        },
        messageOf: (id) => this.#outbound.messageOf(id),
      },
      this.#stopping.signal,
    );
  }

  #learnSelf(user: BaileysSocket["user"]): void {
    const own = [user?.id, user?.lid].map((jid) => (jid === undefined ? undefined : personOf(jid)));
    for (const id of own) if (id !== undefined) this.#ownIds.add(id);
    this.#identity = own.find((id) => id !== undefined) ?? this.#identity;
  }

  #markRead({ messageId }: InboundMessage): void {
    const key = keyOf(messageId);
    if (key) this.#socket?.readMessages([key]).catch(() => {});
  }

  #troubleOfEnd(end: ConnectionEnd): Trouble {
    const waitMs = backoffMs(this.#failures, this.#deps.random);
    if (!this.#notKept) return troubleOf(end, waitMs, this.#folder);
    const detail = `the device's keys could not be kept in ${this.#folder}: make room there, or correct its owner`;
    return { state: "failed", detail, waitMs };
  }

  #troubleOfError(error: unknown, waitMs: number): Trouble {
    if (error instanceof InputError) return { state: "failed", detail: error.message, waitMs: undefined };
    this.#log("an error of our own", error);
    return { state: "failed", detail: "an error of our own, see the log", waitMs };
  }

  #report(state: ChannelStatus["state"], detail?: string): void {
    this.#state = state;
    this.#host?.report({
      state,
      ...(detail === undefined ? {} : { detail }),
      ...(state === "connected" ? { lastConfirmedAtMs: this.#deps.clock.now() } : {}),
      ...(this.#identity === undefined ? {} : { identity: this.#identity }),
    });
  }

  /** Only an error's class is logged: its message may hold keys, or what a person wrote. */
  #log(what: string, error: unknown): void {
    const kind = error instanceof Error ? error.name : typeof error;
    this.#deps.log("error", `whatsapp ${this.account}: ${what}`, { error: kind });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}
