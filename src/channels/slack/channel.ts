import type {
  Channel,
  ChannelHost,
  ChannelLimits,
  Conversation,
  OutboundMessage,
  SendResult,
  Webhook,
} from "../../delivery/channel.ts";
import { sleep } from "../../kernel/mod.ts";
import { backoffMs } from "../backoff.ts";
import { type HttpCalls, openHttp } from "../http-calls.ts";
import { KeptFile, readKept } from "../kept-file.ts";
import { Pace } from "../pace.ts";
import type { ChannelDeps } from "../platform.ts";
import { type ChannelLog, channelLog, StatusReports } from "../status.ts";
import { CatchUp, Newest } from "./catch-up.ts";
import { endTrouble, type Trouble, troubleOf } from "./connection.ts";
import { fetchFile } from "./files.ts";
import type { BotIdentity } from "./inbound.ts";
import { Intake } from "./intake.ts";
import { editMessage, maxFileBytes, sendMessage } from "./outbound.ts";
import { Places, threadOf } from "./places.ts";
import { Reactions } from "./reactions.ts";
import { SlackReceiver } from "./receiver.ts";
import { defaultApiRoot, type SlackAccount, type SlackMode } from "./settings.ts";
import { runSocket, type SocketEnd, socketUrl } from "./socket-mode.ts";
import { wasSent } from "./was-sent.ts";
import { ApiFault, openWebApi, type WebApi } from "./web-api.ts";
import type { ActionPayload, EventPayload } from "./wire.ts";

/** With posted events, how often Slack is asked whether it still knows us. */
const checkEveryMs = 300_000;
/** After a silence that is longer, what was written meanwhile is read from the history. */
const missedAfterMs = 90_000;
const keptName = "newest.json";
/** Slack shows a status of a thread for two minutes. */
const typingEveryMs = 60_000;

/** One Slack app in one workspace. */
export function openSlack(settings: SlackAccount, deps: ChannelDeps): Channel {
  return new SlackChannel(settings, deps);
}

class SlackChannel implements Channel {
  readonly id = "slack";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly webhook?: Webhook;
  readonly #settings: SlackAccount;
  readonly #deps: ChannelDeps;
  readonly #http: HttpCalls;
  readonly #api: WebApi;
  readonly #places: Places;
  readonly #intake: Intake;
  readonly #catchUp: CatchUp;
  readonly #reactions: Reactions;
  readonly #typing: Pace;
  readonly #receiver: SlackReceiver | undefined;
  readonly #status: StatusReports;
  readonly #log: ChannelLog;
  readonly #stopping = new AbortController();
  /** Aborts when all that is in flight is dealt with, and acknowledged. */
  readonly #leaving = new AbortController();
  readonly #nearbyHost: { readonly nearbyHost?: string };
  readonly #kept: KeptFile;
  #newest = new Newest();
  #host: ChannelHost | undefined;
  /** Monotonic; undefined before the first contact of this life. */
  #contactAtMs: number | undefined;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  #isUp = false;
  #isShared = false;
  #mayShowStatus = true;

  constructor(settings: SlackAccount, deps: ChannelDeps) {
    const { clock, random } = deps;
    const { apiRoot, mode } = settings;
    this.account = settings.accountId;
    this.limits = { textChars: settings.textChunkLimit, fileBytes: maxFileBytes, namesFoundMessages: true };
    this.#settings = settings;
    this.#deps = deps;
    this.#status = new StatusReports(deps.clock, () => this.#intake.bot && `@${this.#intake.bot.name}`);
    this.#log = channelLog(deps.log, `slack ${this.account}`);
    this.#http = openHttp(clock);
    this.#api = openWebApi({ apiRoot, token: settings.botToken, http: this.#http, clock });
    this.#places = new Places(this.#api);
    this.#reactions = new Reactions(this.#api, this.#places);
    this.#typing = new Pace(clock, typingEveryMs);
    this.#nearbyHost = apiRoot === defaultApiRoot ? {} : { nearbyHost: new URL(apiRoot).host };
    this.#intake = new Intake({
      account: this.account,
      clock,
      random,
      places: this.#places,
      signal: this.#stopping.signal,
      accept: async (message) => this.#host?.accept(message),
      before: (channel) => this.#catchUp.before(channel),
      dealtWith: async (channel, ts) => {
        // A conversation that the next life does not know is one whose history it does not read.
        if (this.#newest.note(channel, ts)) await this.#kept.save();
        else this.#kept.changed();
      },
      changed: () => this.#storingChanged(),
      log: (what, error, fields) => this.#log(what, error, fields),
    });
    this.#catchUp = new CatchUp({
      api: this.#api,
      clock,
      random,
      signal: this.#stopping.signal,
      take: (channel, message) => {
        const event = { ...message, type: "message", channel };
        const team_id = this.#intake.bot?.teamId ?? "";
        return this.#intake.past({ type: "event_callback", event, team_id });
      },
      missed: (channel, why) =>
        this.#log("what was written meanwhile is not all known", undefined, { channel, why }),
    });
    const kept = { folder: deps.stateFolder, name: keptName };
    this.#kept = new KeptFile(
      kept,
      clock,
      () => this.#newest.all(),
      (error) => this.#log("where we stand could not be kept on disk", error),
    );
    if (mode.kind === "http") {
      this.#receiver = new SlackReceiver({ ...mode, clock, handle: (payload) => this.#intake.once(payload) });
      this.webhook = this.#receiver;
    }
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`slack account ${this.account} was started before; open it again`);
    this.#host = host;
    this.#status.begin(host);
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#receiver?.close();
    await this.#intake.idle();
    this.#leaving.abort();
    await this.#running;
    if (this.#newest.all().length > 0) await this.#kept.save();
    this.#status.end();
  }

  send(message: OutboundMessage): Promise<SendResult> {
    return sendMessage(message, {
      api: this.#api,
      http: this.#http,
      places: this.#places,
      ...this.#nearbyHost,
    });
  }

  wasSent(message: OutboundMessage) {
    return wasSent(message, { api: this.#api, places: this.#places });
  }

  /** Only threads have something to show it by, and only for apps that Slack counts as assistants. */
  typing(conversation: Conversation): void {
    const thread_ts = threadOf(conversation);
    if (thread_ts === undefined || !this.#mayShowStatus || !this.#typing.isDue(thread_ts)) return;
    this.#places
      .channelOf(conversation)
      .then((channel_id) => {
        const args = { channel_id, thread_ts, status: "is working on it…" };
        return this.#api.call("assistant.threads.setStatus", args);
      })
      .catch((error: unknown) => {
        if (error instanceof ApiFault && error.failure.kind === "answer") this.#mayShowStatus = false;
      });
  }

  react(conversation: Conversation, messageId: string, emoji: string): void {
    this.#reactions.show(conversation, messageId, emoji);
  }

  async edit(conversation: Conversation, platformId: string, text: string): Promise<SendResult> {
    const channel = await this.#places.channelOf(conversation).catch(() => undefined);
    if (channel === undefined) {
      return { outcome: "retry", retryAfterMs: 5_000, detail: "the conversation cannot be looked up now" };
    }
    return editMessage(channel, platformId, text, this.#api);
  }

  fetch(reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return fetchFile(reference, maxBytes, signal, {
      api: this.#api,
      http: this.#http,
      token: this.#settings.botToken,
      ...this.#nearbyHost,
    });
  }

  /** Connects again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, random } = this.#deps;
    const { mode } = this.#settings;
    const kept = { folder: this.#deps.stateFolder, name: keptName };
    this.#newest = new Newest(
      await readKept(kept, (error) =>
        this.#log("where we stood cannot be read; messages sent meanwhile may be missed", error),
      ),
    );
    while (!signal.aborted) {
      let trouble: Trouble;
      try {
        this.#intake.bot = await this.#whoAmI(signal);
        if (mode.kind === "http") {
          await this.#keepPosted(attempted);
          break;
        }
        const end = await this.#connect(mode, attempted);
        if (!(end.isAsked && end.wasReady)) this.#failures += 1;
        trouble = endTrouble(end, backoffMs(Math.max(1, this.#failures), random));
      } catch (error) {
        if (signal.aborted) break;
        this.#failures += 1;
        trouble = troubleOf(error, backoffMs(this.#failures, random));
        if (!(error instanceof ApiFault)) this.#log("an error of our own", error);
      }
      this.#isUp = false;
      if (signal.aborted) break;
      this.#status.report(trouble.state, trouble.detail);
      attempted();
      if (trouble.waitMs > 0) await sleep(clock, trouble.waitMs, signal);
    }
    attempted();
  }

  async #whoAmI(signal: AbortSignal): Promise<BotIdentity> {
    const { user_id, bot_id, user, team_id } = await this.#api.call("auth.test", {}, { signal });
    return {
      userId: String(user_id),
      botId: String(bot_id),
      name: String(user),
      teamId: String(team_id),
    };
  }

  /** Resolves when stopped; rejects with an ApiFault when Slack does not know us any more. */
  async #keepPosted(attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    this.#receiver?.open();
    this.#makeUp();
    while (!signal.aborted) {
      this.#answered();
      attempted();
      await sleep(this.#deps.clock, checkEveryMs, signal);
      if (!signal.aborted) await this.#whoAmI(signal);
    }
  }

  async #connect(
    { appToken }: Extract<SlackMode, { readonly kind: "socket" }>,
    attempted: () => void,
  ): Promise<SocketEnd> {
    const { clock } = this.#deps;
    const { apiRoot } = this.#settings;
    const { signal } = this.#stopping;
    const api = openWebApi({ apiRoot, token: appToken, http: this.#http, clock });
    const url = await socketUrl(api, apiRoot, signal);
    return runSocket({
      url,
      clock,
      signal: this.#leaving.signal,
      onHello: ({ appId, connections }) => {
        this.#intake.appId = appId;
        // Slack deals the events out among an app's connections: each one gets a part of them.
        this.#isShared = connections > 1;
        this.#makeUp();
        this.#answered();
        attempted();
      },
      onEnvelope: ({ payload, type }, acknowledge) => {
        if (signal.aborted) return;
        if (type !== "events_api" && type !== "interactive") return acknowledge();
        this.#intake.until((payload ?? {}) as EventPayload | ActionPayload).then((isDone) => {
          if (isDone) acknowledge();
        });
      },
      onAnswer: () => this.#answered(),
    });
  }

  #storingChanged(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#intake.isFailing) {
      this.#status.report("reconnecting", "a message could not be stored; it is tried again soon");
    } else if (this.#status.state !== "connected" && this.#isUp) this.#answered();
  }

  /** What came while nobody listened is fetched once somebody does. */
  #makeUp(): void {
    const last = this.#contactAtMs;
    if (last !== undefined && this.#deps.clock.monotonic() - last <= missedAfterMs) return;
    this.#catchUp.begin(this.#newest.all());
  }

  #answered(): void {
    this.#contactAtMs = this.#deps.clock.monotonic();
    this.#isUp = true;
    this.#failures = 0;
    if (this.#intake.isFailing) return;
    const detail = this.#isShared
      ? "another process is connected as this app, and gets a part of its messages: stop it, or give each gateway an app of its own"
      : undefined;
    this.#status.confirm(detail);
  }
}
