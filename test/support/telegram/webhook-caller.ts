import { request } from "node:http";
import type { Update } from "grammy/types";
import type { UpdateQueue } from "./queue.ts";

/** Pause before an update that was not taken is posted again. */
const againMs = 10;

/** Posts updates to the bot's webhook, one at a time, each until it is answered with a 2xx. */
export class WebhookCaller {
  url = "";
  readonly #queue: UpdateQueue;
  readonly #answered: () => void;
  readonly #to: (url: string) => string;
  #secret: string | undefined;
  #busy = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(queue: UpdateQueue, answered: () => void, to: (url: string) => string = (url) => url) {
    this.#to = to;
    this.#queue = queue;
    this.#answered = answered;
  }

  /** An empty URL turns the webhook off. */
  set(url: string, secret: string | undefined): void {
    this.url = url;
    this.#secret = secret;
    this.#queue.onChange(url === "" ? undefined : () => this.#next());
    this.#next();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #next(): void {
    if (this.#busy || this.#closed || this.url === "") return;
    const update = this.#queue.take(1)[0];
    if (!update) return;
    this.#busy = true;
    this.#post(update).then((status) => {
      this.#busy = false;
      const taken = status >= 200 && status < 300;
      if (taken) this.#queue.drop(update.update_id);
      this.#answered();
      if (taken) this.#next();
      else this.#timer = setTimeout(() => this.#next(), againMs);
    });
  }

  /** 0 when there was no answer. */
  #post(update: Update): Promise<number> {
    return new Promise((resolve) => {
      const call = request(this.#to(this.url), {
        method: "POST",
        agent: false,
        headers: {
          "content-type": "application/json",
          ...(this.#secret === undefined ? {} : { "x-telegram-bot-api-secret-token": this.#secret }),
        },
      });
      call.on("error", () => resolve(0));
      call.on("response", (response) => {
        response.resume();
        response.on("close", () => resolve(response.statusCode ?? 0));
      });
      call.end(JSON.stringify(update));
    });
  }
}
