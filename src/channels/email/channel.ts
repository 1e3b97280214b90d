import type {
  Channel,
  ChannelHost,
  ChannelLimits,
  OutboundMessage,
  SendResult,
} from "../../delivery/channel.ts";
import { InputError, sleep } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { Lanes } from "../lanes.ts";
import type { ChannelDeps } from "../platform.ts";
import { StatusReports } from "../status.ts";
import { type Arrived, inboundOf, ownMessageId } from "./inbound.ts";
import { Credential } from "./login.ts";
import { isInSent, Mailbox } from "./mailbox.ts";
import { sendMail } from "./outbound.ts";
import type { EmailAccount } from "./settings.ts";
import { EmailState } from "./threads.ts";
import { troubleOf } from "./trouble.ts";

/** Servers end an IDLE after half an hour, firewalls earlier. */
const heartbeatMs = 240_000;
const answerMs = 60_000;
const concurrentSenders = 8;
const maxInFlight = 100;

/** One mailbox. */
export function openEmail(settings: EmailAccount, deps: ChannelDeps): Channel {
  return new EmailChannel(settings, deps);
}

class EmailChannel implements Channel {
  readonly id = "email";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly #settings: EmailAccount;
  readonly #deps: ChannelDeps;
  readonly #credential: Credential;
  readonly #state: EmailState;
  readonly #status: StatusReports;
  readonly #stopping = new AbortController();
  readonly #lanes = new Lanes(concurrentSenders);
  readonly #inFlight = new Set<string>();
  /** Stored, but the server does not know it yet. */
  readonly #unmarked = new Set<string>();
  readonly #behind = new Set<string>();
  #host: ChannelHost | undefined;
  #mailbox: Mailbox | undefined;
  #running: Promise<void> = Promise.resolve();
  #scanning: Promise<void> | undefined;
  #scanAgain = false;
  #isMore = false;
  #failures = 0;

  constructor(settings: EmailAccount, deps: ChannelDeps) {
    this.account = settings.accountId;
    this.limits = { textChars: settings.textChunkLimit, fileBytes: settings.maxFileBytes };
    this.#settings = settings;
    this.#deps = deps;
    this.#status = new StatusReports(deps.clock, () => settings.address);
    this.#credential = new Credential(settings.login, deps.clock, deps.stateFolder);
    this.#state = new EmailState(deps.stateFolder);
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`email account ${this.account} was started before; open it again`);
    this.#host = host;
    this.#status.begin(host);
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  async stop(): Promise<void> {
    const first = !this.#stopping.signal.aborted;
    this.#stopping.abort();
    await this.#scanning?.catch(() => {});
    await this.#lanes.idle();
    await this.#running;
    if (first) this.#status.end();
  }

  send(message: OutboundMessage): Promise<SendResult> {
    return sendMail(message, this.#settings, this.#credential, this.#state);
  }

  async wasSent(message: OutboundMessage): Promise<"sent" | "absent" | "unknown"> {
    const credentials = await this.#credential.get();
    const found = await isInSent(this.#settings, credentials, ownMessageId(message.id, this.#settings));
    if (found) return "sent";
    // Only a server that files by itself what it takes can say that it took nothing.
    return found === false && this.#settings.smtpKeepsSent ? "absent" : "unknown";
  }

  typing(): void {}

  async fetch(reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const mailbox = this.#mailbox;
    if (!mailbox || signal.aborted) throw new InputError("the mailbox is not connected; try again later");
    try {
      return await mailbox.attachment(reference, maxBytes);
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new InputError("the attachment could not be fetched; try again later");
    } finally {
      mailbox.idle();
    }
  }

  /** Connects again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, random } = this.#deps;
    while (!signal.aborted) {
      let mailbox: Mailbox | undefined;
      try {
        const credentials = await this.#credential.get();
        mailbox = await Mailbox.open(this.#settings, credentials, this.#state, signal);
        await this.#serve(mailbox, attempted);
      } catch (error) {
        if (!signal.aborted) {
          this.#failures += 1;
          this.#mailbox = undefined;
          this.#credential.forget();
          const trouble = troubleOf(error, backoffMs(this.#failures, random));
          if (trouble.isOurs) this.#log("an error of our own", error);
          this.#status.report(trouble.state, trouble.detail);
          attempted();
          mailbox?.close();
          await sleep(clock, trouble.waitMs, signal);
        }
      }
      this.#mailbox = undefined;
      mailbox?.close();
    }
    attempted();
  }

  /** Resolves when we stop; rejects when the connection is lost. */
  async #serve(mailbox: Mailbox, attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock } = this.#deps;
    if (signal.aborted) return;
    this.#mailbox = mailbox;
    mailbox.onChange = () => this.#scan(mailbox);
    await mailbox.ping();
    this.#connected();
    attempted();
    this.#scan(mailbox);
    const stopped = new Promise<"stopped">((resolve) => {
      signal.addEventListener("abort", () => resolve("stopped"), { once: true });
    });
    const lost = mailbox.closed.then(() => "lost" as const);
    for (;;) {
      const pause = new AbortController();
      const end = await Promise.race([lost, stopped, sleep(clock, heartbeatMs, pause.signal)]);
      pause.abort();
      if (end === "stopped") {
        await this.#scanning?.catch(() => {});
        await this.#lanes.idle();
        return mailbox.quit();
      }
      if (end === "lost") throw new Error("the server closed the connection");
      const answer = new AbortController();
      const late = sleep(clock, answerMs, answer.signal).then(() => answer.signal.aborted || "late");
      const round = await Promise.race([lost, late, mailbox.ping().then(() => "answered" as const)]);
      answer.abort();
      if (round !== "answered") throw new Error("the server does not answer");
      this.#failures = 0;
      this.#connected();
      this.#scan(mailbox);
    }
  }

  /** Looks for messages that are not handled; one look at a time. */
  #scan(mailbox: Mailbox): void {
    if (this.#scanning) {
      this.#scanAgain = true;
      return;
    }
    this.#scanAgain = false;
    this.#scanning = this.#look(mailbox)
      // A lost connection is noticed where it is waited for.
      .catch((error: unknown) => this.#log("looking for mail failed", error))
      .then(() => {
        this.#scanning = undefined;
        if (this.#scanAgain && !this.#stopping.signal.aborted && this.#mailbox === mailbox)
          this.#scan(mailbox);
        else if (this.#mailbox === mailbox) mailbox.idle();
      });
  }

  async #look(mailbox: Mailbox): Promise<void> {
    this.#isMore = false;
    for (const uid of await mailbox.waiting()) {
      const place = `${mailbox.uidValidity}:${uid}`;
      if (this.#stopping.signal.aborted) return;
      if (this.#inFlight.has(place)) continue;
      if (this.#inFlight.size >= maxInFlight) {
        this.#isMore = true;
        return;
      }
      if (this.#unmarked.has(place)) {
        await this.#mark(mailbox, uid, place);
        continue;
      }
      const arrived = await this.#read(mailbox, uid);
      if (arrived === undefined) await this.#mark(mailbox, uid, place);
      else this.#handIn(arrived, mailbox, uid, place);
    }
  }

  /** Undefined for what is not for us, and for what cannot be read and will not get better. */
  async #read(mailbox: Mailbox, uid: number): Promise<Arrived | undefined> {
    const mail = await mailbox.read(uid);
    if (mail === undefined) return undefined;
    const found = inboundOf(mail, this.#settings);
    if (!("ignored" in found)) return found;
    this.#deps.log("info", `email ${this.account}: a message is left alone: ${found.ignored}`, { uid });
    return undefined;
  }

  #handIn(arrived: Arrived, mailbox: Mailbox, uid: number, place: string): void {
    const { signal } = this.#stopping;
    const { clock, random } = this.#deps;
    const { message, thread } = arrived;
    this.#inFlight.add(place);
    void this.#lanes.run(message.conversation.id, async () => {
      try {
        for (let failures = 1; ; failures += 1) {
          if (signal.aborted) return;
          try {
            this.#state.keep(message.conversation.id, message.conversation.threadId ?? "", thread);
            await this.#host?.accept(message);
            break;
          } catch {
            this.#behind.add(place);
            this.#status.report(
              "reconnecting",
              "a message could not be stored; it stays in the mailbox and is tried again soon",
            );
            await sleep(clock, backoffMs(failures, random), signal);
          }
        }
        this.#unmarked.add(place);
        if (this.#behind.delete(place)) this.#connected();
        await this.#mark(mailbox, uid, place).catch(() => {});
      } finally {
        this.#inFlight.delete(place);
        this.#next(mailbox);
      }
    });
  }

  /** Waits for news again, or takes what did not fit before. */
  #next(mailbox: Mailbox): void {
    if (this.#stopping.signal.aborted || this.#mailbox !== mailbox) return;
    if (this.#isMore && this.#inFlight.size < maxInFlight / 2) this.#scan(mailbox);
    else if (!this.#scanning) mailbox.idle();
  }

  async #mark(mailbox: Mailbox, uid: number, place: string): Promise<void> {
    await mailbox.handled(uid);
    this.#unmarked.delete(place);
  }

  #connected(): void {
    if (this.#mailbox && this.#behind.size === 0) this.#status.report("connected");
  }

  /** Only an error's class: what a server writes may repeat what it was sent. */
  #log(what: string, error: unknown): void {
    const kind = error instanceof Error ? error.name : typeof error;
    this.#deps.log("warn", `email ${this.account}: ${what}`, { error: kind });
  }
}
