import type { Update } from "grammy/types";
import type { Webhook } from "../../delivery/channel.ts";
import { admit, type Clock, refuse, sleep, type Verdict } from "../../kernel/mod.ts";
import { Lanes } from "../lanes.ts";
import type { BotApi } from "./bot-api.ts";
import { allowedUpdates, chatOf, maxConcurrentChats } from "./polling.ts";
import type { TelegramWebhook } from "./settings.ts";

const secretHeader = "x-telegram-bot-api-secret-token";
const maxBodyBytes = 1024 * 1024;
const callDeadlineMs = 15_000;
/** How often Telegram is asked whether the webhook is still ours; sooner while messages wait there. */
const checkEveryMs = 300_000;
const waitingEveryMs = 1_000;

/** Takes what Telegram posts. */
export class TelegramReceiver implements Webhook {
  readonly path: string;
  readonly maxBodyBytes = maxBodyBytes;
  readonly #settings: TelegramWebhook;
  readonly #handle: (update: Update) => Promise<void>;
  readonly #lanes = new Lanes(maxConcurrentChats);
  #isOpen = false;
  #inFlight = 0;

  constructor(settings: TelegramWebhook, handle: (update: Update) => Promise<void>) {
    this.path = settings.path;
    this.#settings = settings;
    this.#handle = handle;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** Telegram posts no more at once: others may wait there. */
  get isFull(): boolean {
    return this.#inFlight >= maxConcurrentChats;
  }

  /** Answers 503 from now on; resolves when nothing is in flight. */
  close(): Promise<void> {
    this.#isOpen = false;
    return this.#lanes.idle();
  }

  verify(headers: Readonly<Record<string, string | undefined>>, rawBody: Buffer): Verdict<void> {
    const given = headers[secretHeader];
    if (given === undefined) return refuse("channels.webhook_secret_missing");
    if (!this.#settings.secret.equals(given)) return refuse("channels.webhook_secret_mismatch");
    if (rawBody.length > maxBodyBytes) return refuse("channels.webhook_body_too_large");
    return admit(undefined);
  }

  /** 200: stored or not for us. 503: not stored, Telegram posts it again. 400: not an update. */
  async receive(rawBody: Buffer): Promise<number> {
    if (!this.#isOpen) return 503;
    const update = parseUpdate(rawBody);
    if (!update) return 400;
    this.#inFlight += 1;
    try {
      await this.#lanes.run(chatOf(update), () => this.#handle(update));
      return 200;
    } catch {
      return 503;
    } finally {
      this.#inFlight -= 1;
    }
  }
}

function parseUpdate(rawBody: Buffer): Update | undefined {
  try {
    const value: unknown = JSON.parse(rawBody.toString("utf8"));
    const id = (value as { readonly update_id?: unknown } | null)?.update_id;
    return Number.isSafeInteger(id) ? (value as Update) : undefined;
  } catch {
    return undefined;
  }
}

export interface KeepOptions {
  readonly api: BotApi;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called after each round trip that showed the webhook in place. */
  answered(): void;
  /** Told how many updates wait at Telegram. */
  waiting(count: number): void;
}

/** Registers the webhook and looks after it until the signal aborts. Rejects with an ApiFault. */
export async function keepWebhook(webhook: TelegramWebhook, options: KeepOptions): Promise<void> {
  const { api, clock, signal, answered, waiting } = options;
  const call = { deadlineMs: callDeadlineMs, signal };
  const register = () =>
    api.call("setWebhook", call, (bot, abort) =>
      bot.setWebhook(
        webhook.url,
        {
          secret_token: webhook.secret.reveal(),
          allowed_updates: [...allowedUpdates],
          // What people wrote while we were away is still theirs to have answered.
          drop_pending_updates: false,
          max_connections: maxConcurrentChats,
        },
        abort,
      ),
    );
  await register();
  for (;;) {
    answered();
    const info = await api.call("getWebhookInfo", call, (bot, abort) => bot.getWebhookInfo(abort));
    const count = info.pending_update_count;
    waiting(count);
    if (info.url !== webhook.url) await register();
    if (!signal.aborted) await sleep(clock, count > 0 ? waitingEveryMs : checkEveryMs, signal);
    if (signal.aborted) return;
  }
}

/** Telegram refuses polling while a webhook is set. Pending updates are kept. */
export async function removeWebhook(api: BotApi, signal: AbortSignal): Promise<void> {
  const call = { deadlineMs: callDeadlineMs, signal };
  const info = await api.call("getWebhookInfo", call, (bot, abort) => bot.getWebhookInfo(abort));
  if (!info.url) return;
  await api.call("deleteWebhook", call, (bot, abort) =>
    bot.deleteWebhook({ drop_pending_updates: false }, abort),
  );
}
