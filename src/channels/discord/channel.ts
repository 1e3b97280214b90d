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
import { type HttpCalls, openHttp } from "../http-calls.ts";
import { Pace } from "../pace.ts";
import type { ChannelDeps } from "../platform.ts";
import { type ChannelLog, channelLog, StatusReports } from "../status.ts";
import { Audiences } from "./audience.ts";
import { endTrouble, type Trouble, troubleOf } from "./connection.ts";
import { fetchFile } from "./files.ts";
import { type GatewayEnd, runGateway } from "./gateway.ts";
import { gatewayUrl } from "./gateway-url.ts";
import { Intake } from "./intake.ts";
import { editMessage, maxFileBytes, sendMessage } from "./outbound.ts";
import { Places } from "./places.ts";
import { Reactions } from "./reactions.ts";
import { openRest, type Rest, RestFault } from "./rest.ts";
import { type DiscordAccount, defaultApiRoot } from "./settings.ts";
import { wasSent } from "./was-sent.ts";

/** Discord shows "typing" for ten seconds. */
const typingEveryMs = 8_000;

const intents = { guilds: 1 << 0, guildMessages: 1 << 9, directMessages: 1 << 12, messageContent: 1 << 15 };

/** One Discord bot. */
export function openDiscord(settings: DiscordAccount, deps: ChannelDeps): Channel {
  return new DiscordChannel(settings, deps);
}

class DiscordChannel implements Channel {
  readonly id = "discord";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly #settings: DiscordAccount;
  readonly #deps: ChannelDeps;
  readonly #http: HttpCalls;
  readonly #rest: Rest;
  readonly #places: Places;
  readonly #intake: Intake;
  readonly #typing: Pace;
  readonly #reactions: Reactions;
  readonly #status: StatusReports;
  readonly #log: ChannelLog;
  readonly #stopping = new AbortController();
  #host: ChannelHost | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Connections in a row that did not stand. */
  #failures = 0;

  constructor(settings: DiscordAccount, deps: ChannelDeps) {
    this.account = settings.accountId;
    this.limits = { textChars: settings.textChunkLimit, fileBytes: maxFileBytes, namesFoundMessages: true };
    this.#settings = settings;
    this.#deps = deps;
    this.#status = new StatusReports(deps.clock, () => this.#intake.bot && `@${this.#intake.bot.name}`);
    this.#log = channelLog(deps.log, `discord ${this.account}`);
    const { clock } = deps;
    this.#http = openHttp(clock);
    this.#rest = openRest({ apiRoot: settings.apiRoot, token: settings.token, http: this.#http, clock });
    this.#places = new Places(this.#rest);
    this.#typing = new Pace(clock, typingEveryMs);
    this.#reactions = new Reactions(this.#rest, this.#places);
    this.#intake = new Intake({
      account: this.account,
      clock,
      rest: this.#rest,
      places: this.#places,
      audiences: new Audiences(settings.audiences, this.#rest, clock),
      folder: deps.stateFolder,
      signal: this.#stopping.signal,
      accept: async (message) => this.#host?.accept(message),
      stored: () => {
        if (this.#status.state !== "connected" && this.#intake.isLive) this.#answered();
      },
      log: (what, error, fields) => this.#log(what, error, fields),
    });
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`discord account ${this.account} was started before; open it again`);
    this.#host = host;
    this.#status.begin(host);
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#status.end();
  }

  send(message: OutboundMessage): Promise<SendResult> {
    const { suppressEmbeds } = this.#settings;
    return sendMessage(message, {
      rest: this.#rest,
      places: this.#places,
      suppressEmbeds,
      sending: (nonce) => this.#intake.wrote(nonce),
    });
  }

  wasSent(message: OutboundMessage, isKnown: (platformId: string) => boolean) {
    return wasSent(message, isKnown, {
      rest: this.#rest,
      places: this.#places,
      botId: this.#intake.bot?.id,
    });
  }

  typing(conversation: Conversation): void {
    if (!this.#typing.isDue(JSON.stringify([conversation.id, conversation.threadId]))) return;
    this.#places
      .channelOf(conversation)
      .then((id) => this.#rest.call({ method: "POST", path: `/channels/${id}/typing` }))
      .catch(() => {});
  }

  react(conversation: Conversation, messageId: string, emoji: string): void {
    this.#reactions.show(conversation, messageId, emoji);
  }

  async edit(conversation: Conversation, platformId: string, text: string): Promise<SendResult> {
    const channelId = await this.#places.channelOf(conversation).catch(() => undefined);
    if (channelId === undefined) {
      return { outcome: "retry", retryAfterMs: 5_000, detail: "the channel cannot be looked up now" };
    }
    return editMessage(channelId, platformId, text, { rest: this.#rest, ...this.#settings });
  }

  fetch(reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const { apiRoot } = this.#settings;
    return fetchFile(reference, maxBytes, signal, {
      rest: this.#rest,
      http: this.#http,
      ...(apiRoot === defaultApiRoot ? {} : { nearbyHost: new URL(apiRoot).host }),
    });
  }

  /** Connects again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    await this.#intake.open();
    while (!signal.aborted) {
      let trouble: Trouble;
      try {
        trouble = this.#troubleOfEnd(await this.#connect(attempted));
      } catch (error) {
        this.#failures += 1;
        trouble = troubleOf(error, backoffMs(this.#failures, this.#deps.random));
        if (!(error instanceof RestFault)) this.#log("an error of our own", error);
      }
      await this.#intake.settle();
      if (signal.aborted) break;
      this.#status.report(trouble.state, trouble.detail);
      attempted();
      if (trouble.waitMs > 0) await sleep(this.#deps.clock, trouble.waitMs, signal);
    }
    await this.#intake.close();
    attempted();
  }

  async #connect(attempted: () => void): Promise<GatewayEnd> {
    const { signal } = this.#stopping;
    const session = this.#intake.session;
    const url = await gatewayUrl(session?.resumeUrl, {
      rest: this.#rest,
      apiRoot: this.#settings.apiRoot,
      signal,
    });
    const lost = new AbortController();
    this.#intake.onNotStored(() => lost.abort());
    const stands = () => {
      if (!this.#intake.isFailing) {
        this.#failures = 0;
        this.#answered();
      }
      attempted();
    };
    const end = await runGateway({
      ...this.#deps,
      url,
      token: this.#settings.token,
      intents:
        intents.guilds |
        intents.guildMessages |
        intents.directMessages |
        (this.#settings.messageContent ? intents.messageContent : 0),
      signal: AbortSignal.any([signal, lost.signal]),
      ...(session ? { resume: { sessionId: session.id } } : {}),
      seq: () => this.#intake.seq,
      onReady: (ready, seq) => {
        this.#intake.ready(ready, seq);
        stands();
      },
      onResumed: () => {
        this.#intake.resumed();
        stands();
      },
      onEvent: (name, data, seq) => this.#intake.event(name, data, seq),
      onAnswer: () => {
        this.#intake.answered();
        if (!this.#intake.isFailing) this.#answered();
      },
    });
    if (end.isSessionOver) this.#intake.sessionOver();
    return end;
  }

  #troubleOfEnd(end: GatewayEnd): Trouble {
    const { random } = this.#deps;
    if (this.#intake.isFailing) {
      const waitMs = backoffMs(this.#intake.failures, random);
      const detail = "a message could not be stored; Discord delivers it again soon";
      return { state: "reconnecting", detail, waitMs };
    }
    // One that stood and was asked to come back is no failure; the others must not become a busy loop.
    if (!(end.isAsked && end.wasReady)) this.#failures += 1;
    return endTrouble(
      { ...end, isAsked: end.isAsked && end.wasReady },
      backoffMs(Math.max(1, this.#failures), random),
    );
  }

  #answered(): void {
    const detail = this.#intake.isShared
      ? "another process writes as this bot: stop it, or give each gateway a bot of its own"
      : undefined;
    this.#status.confirm(detail);
  }
}
