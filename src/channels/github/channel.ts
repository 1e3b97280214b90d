import type {
  Channel,
  ChannelHost,
  ChannelLimits,
  OutboundMessage,
  SendResult,
  Webhook,
} from "../../delivery/channel.ts";
import { sleep } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { openHttp } from "../http-calls.ts";
import type { ChannelDeps } from "../platform.ts";
import { type ChannelLog, channelLog, StatusReports } from "../status.ts";
import { troubleOf } from "./connection.ts";
import { type Credentials, openCredentials } from "./credentials.ts";
import { MissedDeliveries } from "./deliveries.ts";
import { Intake } from "./intake.ts";
import { type Outbound, sendMessage } from "./outbound.ts";
import { GithubReceiver } from "./receiver.ts";
import { ApiFault, openRest } from "./rest.ts";
import type { GithubAccount } from "./settings.ts";
import { wasSent } from "./was-sent.ts";

/** GitHub is asked this often what it could not deliver, and whether it still knows us. */
const checkEveryMs = 60_000;

/** One App, or one user's token. */
export function openGithub(settings: GithubAccount, deps: ChannelDeps): Channel {
  return new GithubChannel(settings, deps);
}

class GithubChannel implements Channel {
  readonly id = "github";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly webhook: Webhook;
  readonly #settings: GithubAccount;
  readonly #deps: ChannelDeps;
  readonly #out: Outbound;
  readonly #credentials: Credentials;
  readonly #intake: Intake;
  readonly #missed: MissedDeliveries;
  readonly #status: StatusReports;
  readonly #log: ChannelLog;
  readonly #stopping = new AbortController();
  #host: ChannelHost | undefined;
  #running: Promise<void> = Promise.resolve();
  #isUp = false;
  #mayReadLog = true;

  constructor(settings: GithubAccount, deps: ChannelDeps) {
    const { clock, random } = deps;
    const { apiRoot, auth, webhookPath: path, webhookSecret } = settings;
    this.account = settings.accountId;
    this.limits = { textChars: settings.textChunkLimit };
    this.#settings = settings;
    this.#deps = deps;
    this.#status = new StatusReports(deps.clock, () => this.#intake.bot && `@${this.#intake.bot.login}`);
    this.#log = channelLog(deps.log, `github ${this.account}`);
    const rest = openRest({ apiRoot, http: openHttp(clock), clock });
    this.#credentials = openCredentials(auth, rest, clock);
    this.#out = { rest, credentials: this.#credentials };
    this.#missed = new MissedDeliveries(rest, clock);
    this.#intake = new Intake({
      account: this.account,
      installationId: auth.kind === "app" ? auth.installationId : undefined,
      clock,
      random,
      signal: this.#stopping.signal,
      accept: async (message) => this.#host?.accept(message),
      changed: () => this.#storingChanged(),
      log: (what, error) => this.#log(what, error),
    });
    this.webhook = new GithubReceiver({
      path,
      webhookSecret,
      handle: (event) => this.#intake.take(event),
    });
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`github account ${this.account} was started before; open it again`);
    this.#host = host;
    this.#status.begin(host);
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#intake.idle();
    await this.#running;
    this.#status.end();
  }

  send(message: OutboundMessage): Promise<SendResult> {
    return sendMessage(message, this.#out);
  }

  wasSent(message: OutboundMessage) {
    return wasSent(message, this.#out);
  }

  /** GitHub has nothing to show it by. */
  typing(): void {}

  /** Asks again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, random } = this.#deps;
    for (let failures = 0; !signal.aborted; ) {
      let waitMs = checkEveryMs;
      try {
        this.#intake.bot = await this.#credentials.whoAmI(signal);
        await this.#makeUp(signal);
        failures = 0;
        this.#isUp = true;
        if (!signal.aborted && !this.#intake.isFailing) this.#connected();
      } catch (error) {
        if (signal.aborted) break;
        failures += 1;
        this.#isUp = false;
        const trouble = troubleOf(error, backoffMs(failures, random), this.#settings.auth.kind);
        if (!(error instanceof ApiFault)) this.#log("an error of our own", error);
        this.#status.report(trouble.state, trouble.detail);
        waitMs = trouble.waitMs;
      }
      attempted();
      await sleep(clock, waitMs, signal);
    }
    attempted();
  }

  /** A token need not be allowed to look at webhooks: then what is missed stays missed, and the status says so. */
  async #makeUp(signal: AbortSignal): Promise<void> {
    try {
      const logs = await this.#credentials.deliveryLogs(this.webhook.path, signal);
      await this.#missed.makeUp(logs, signal);
      this.#mayReadLog = logs.length > 0;
    } catch (error) {
      const failure = error instanceof ApiFault ? error.failure : undefined;
      if (failure?.kind !== "answer" || failure.status >= 500) throw error;
      this.#mayReadLog = false;
    }
  }

  #storingChanged(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#intake.isFailing) {
      this.#status.report("reconnecting", "a message could not be stored; it is tried again soon");
    } else if (this.#status.state !== "connected" && this.#isUp) this.#connected();
  }

  #connected(): void {
    const { lost } = this.#missed;
    const { path } = this.webhook;
    if (lost > 0) {
      this.#status.report(
        "connected",
        `GitHub cannot deliver to ${path} (${lost} events were asked for again in vain): see Recent deliveries in the webhook's settings, and check its address and secret`,
      );
    } else if (!this.#mayReadLog) {
      this.#status.report(
        "connected",
        `what GitHub cannot deliver to ${path} is lost: its log cannot be read; use an App, or list the webhook's repositories and allow the token to read webhooks`,
      );
    } else this.#status.report("connected");
  }
}
