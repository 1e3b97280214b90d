import { createHmac } from "node:crypto";
import type { Webhook } from "../../delivery/channel.ts";
import { admit, refuse, Secret, type Verdict } from "../../kernel/mod.ts";
import type { WireEvent } from "./wire.ts";

/** An event repeats texts of up to 65,536 characters; GitHub's own limit, 25 MB, is for events that we do not take. */
const maxBodyBytes = 1024 * 1024;

export interface ReceiverOptions {
  readonly path: string;
  readonly webhookSecret: Secret;
  /** True when the event is dealt with; false when it could not be stored, and must come again. */
  handle(event: WireEvent): Promise<boolean>;
}

/** Takes what GitHub posts, as JSON. */
export class GithubReceiver implements Webhook {
  readonly path: string;
  readonly maxBodyBytes = maxBodyBytes;
  readonly #options: ReceiverOptions;

  constructor(options: ReceiverOptions) {
    this.path = options.path;
    this.#options = options;
  }

  /**
   * HMAC-SHA256 over the body, on the bytes as they came (attack A-172). No header but this one is looked at: the
   * signature covers none, so whoever has one signed body could offer it as any event and under any delivery's id.
   */
  verify(headers: Readonly<Record<string, string | undefined>>, rawBody: Buffer): Verdict<void> {
    const given = headers["x-hub-signature-256"];
    if (given === undefined) return refuse("channels.webhook_secret_missing");
    if (rawBody.length > maxBodyBytes) return refuse("channels.webhook_body_too_large");
    const digest = createHmac("sha256", this.#options.webhookSecret.reveal()).update(rawBody).digest("hex");
    return new Secret(`sha256=${digest}`).equals(given)
      ? admit(undefined)
      : refuse("channels.webhook_secret_mismatch");
  }

  /** 200: stored or not for us. 503: not stored, to be delivered again. 400: not an event in JSON. */
  async receive(rawBody: Buffer): Promise<number> {
    const event = parse(rawBody);
    if (!event) return 400;
    return (await this.#options.handle(event)) ? 200 : 503;
  }
}

function parse(rawBody: Buffer): WireEvent | undefined {
  try {
    const value: unknown = JSON.parse(rawBody.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
