import type { ReactionTypeEmoji, Update } from "grammy/types";
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
import type { ChannelDeps } from "../platform.ts";
import { type ChannelLog, channelLog, StatusReports } from "../status.ts";
import { ApiFault, type BotApi, openBotApi } from "./bot-api.ts";
import { troubleOf } from "./connection.ts";
import { Counters, counterOf } from "./counters.ts";
import { fetchFile, maxFileBytes } from "./files.ts";
import { type BotIdentity, inboundOf } from "./inbound.ts";
import { editMessage, sendMessage } from "./outbound.ts";
import { poll, startPosition } from "./polling.ts";
import type { TelegramAccount } from "./settings.ts";
import { TypingNotes } from "./typing.ts";
import { wasSent } from "./was-sent.ts";
import { keepWebhook, removeWebhook, TelegramReceiver } from "./webhook.ts";

const callDeadlineMs = 15_000;

/** One Telegram bot. */
export function openTelegram(account: string, settings: TelegramAccount, deps: ChannelDeps): Channel {
  return new TelegramChannel(account, settings, deps);
}

class TelegramChannel implements Channel {
  readonly id = "telegram";
  readonly account: string;
  readonly limits: ChannelLimits;
  readonly webhook?: Webhook;
  readonly #settings: TelegramAccount;
  readonly #deps: ChannelDeps;
  readonly #api: BotApi;
  readonly #typing: TypingNotes;
  readonly #status: StatusReports;
  readonly #log: ChannelLog;
  readonly #stopping = new AbortController();
  readonly #receiver: TelegramReceiver | undefined;
  readonly #position = startPosition();
  #host: ChannelHost | undefined;
  #identity: BotIdentity | undefined;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  readonly #counters = new Counters();

  constructor(account: string, settings: TelegramAccount, deps: ChannelDeps) {
    this.account = account;
    this.limits = { textChars: settings.textChunkLimit, fileBytes: maxFileBytes, namesFoundMessages: true };
    this.#settings = settings;
    this.#deps = deps;
    this.#status = new StatusReports(deps.clock, () => this.#identity && `@${this.#identity.username}`);
    this.#log = channelLog(deps.log, `telegram ${this.account}`);
    this.#api = openBotApi(settings, deps.clock);
    this.#typing = new TypingNotes(this.#api, deps.clock);
    if (settings.mode !== "polling") {
      this.#receiver = new TelegramReceiver(settings.mode, (update) => {
        this.#counters.see([update]);
        return this.#handle(update);
      });
      this.webhook = this.#receiver;
    }
  }

  start(host: ChannelHost): Promise<void> {
    if (this.#host) throw new Error(`telegram account ${this.account} was started before; open it again`);
    this.#host = host;
    this.#counters.begin(host.newestNumbers());
    this.#status.begin(host);
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#receiver?.close();
    await this.#running;
    this.#status.end();
  }

  async send(message: OutboundMessage): Promise<SendResult> {
    const result = await sendMessage(this.#api, this.#settings, message);
    if (result.outcome === "sent") this.#counters.wrote(message.conversation, result.platformId);
    return result;
  }

  newestMessageId(conversation: Conversation): string | undefined {
    return this.#receiver?.isFull === true ? undefined : this.#counters.certain(conversation);
  }

  counterOf(conversation: Conversation): string {
    return counterOf(conversation.id);
  }

  wasSent(message: OutboundMessage, isKnown: (platformId: string) => boolean) {
    const { conversation } = message;
    const isNewest = this.newestMessageId(conversation) !== undefined;
    return wasSent(this.#api, message, isKnown, this.#counters.highest(conversation), isNewest);
  }

  typing(conversation: Conversation): void {
    this.#typing.show(conversation);
  }

  fetch(reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return fetchFile(this.#api, reference, maxBytes, signal);
  }

  edit(conversation: Conversation, platformId: string, text: string): Promise<SendResult> {
    return editMessage(this.#api, this.#settings, conversation, platformId, text);
  }

  react(conversation: Conversation, messageId: string, emoji: string): void {
    // Telegram takes a few dozen emoji only; it refuses any other.
    const reaction =
      emoji === "" ? [] : [{ type: "emoji" as const, emoji: emoji as ReactionTypeEmoji["emoji"] }];
    this.#api
      .call("setMessageReaction", { deadlineMs: callDeadlineMs }, (bot, signal) =>
        bot.setMessageReaction(conversation.id, Number(messageId), reaction, {}, signal),
      )
      .catch(() => {});
  }

  /** Connects again and again until stopped. `attempted` is called when the first attempt has ended. */
  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { clock } = this.#deps;
    while (!signal.aborted) {
      try {
        this.#identity = await this.#whoAmI(signal);
        await this.#receive(signal, attempted);
      } catch (error) {
        if (signal.aborted) break;
        this.#failures += 1;
        const trouble = troubleOf(error, backoffMs(this.#failures, this.#deps.random));
        if (!(error instanceof ApiFault)) this.#log("an error of our own", error);
        this.#status.report(trouble.state, trouble.detail);
        attempted();
        await sleep(clock, trouble.waitMs, signal);
      }
    }
    attempted();
  }

  async #whoAmI(signal: AbortSignal): Promise<BotIdentity> {
    const me = await this.#api.call("getMe", { deadlineMs: callDeadlineMs, signal }, (bot, abort) =>
      bot.getMe(abort),
    );
    return { id: me.id, username: me.username };
  }

  async #receive(signal: AbortSignal, attempted: () => void): Promise<void> {
    const answered = () => {
      this.#failures = 0;
      this.#status.confirm();
      attempted();
    };
    const { mode } = this.#settings;
    if (mode !== "polling") {
      this.#receiver?.open();
      const waiting = (count: number) => {
        this.#counters.isCaughtUp = count === 0;
      };
      return keepWebhook(mode, { api: this.#api, clock: this.#deps.clock, signal, answered, waiting });
    }
    await removeWebhook(this.#api, signal);
    await poll(this.#position, {
      ...this.#deps,
      api: this.#api,
      signal,
      handle: (update) => this.#handle(update),
      fetched: (updates, isAll) => {
        this.#counters.see(updates);
        this.#counters.isCaughtUp = isAll;
      },
      answered,
      notStored: () =>
        this.#status.report(
          "reconnecting",
          "a message could not be stored; Telegram keeps it and it is fetched again soon",
        ),
    });
  }

  /** Resolves when the update is dealt with; rejects when it could not be stored. */
  async #handle(update: Update): Promise<void> {
    if (!this.#identity || !this.#host) throw new Error("telegram: not connected yet");
    let message: ReturnType<typeof inboundOf>;
    try {
      message = inboundOf(update, this.#identity, this.account);
    } catch (error) {
      // An update that we cannot read will not get better: it is let go, so that it does not block its chat for ever.
      this.#log("an update could not be read and was skipped", error, { updateId: update.update_id });
      return;
    }
    if (message) await this.#host.accept(message);
    const query = update.callback_query;
    if (query) this.#settleButton(query.id);
  }

  /** Stops the button's spinner; nothing depends on it. */
  #settleButton(queryId: string): void {
    this.#api
      .call("answerCallbackQuery", { deadlineMs: callDeadlineMs }, (bot, signal) =>
        bot.answerCallbackQuery(queryId, {}, signal),
      )
      .catch(() => {});
  }
}
