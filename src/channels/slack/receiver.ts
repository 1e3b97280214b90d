import { createHmac } from "node:crypto";
import type { Webhook, WebhookAnswer } from "../../delivery/channel.ts";
import { admit, type Clock, refuse, Secret, type Verdict } from "../../kernel/mod.ts";
import type { ActionPayload, EventPayload } from "./wire.ts";

const maxBodyBytes = 1024 * 1024;
/** https://docs.slack.dev/authentication/verifying-requests-from-slack: older ones may be replays. */
const freshForS = 300;

export interface ReceiverOptions {
  readonly path: string;
  readonly signingSecret: Secret;
  readonly clock: Clock;
  /** Resolves when the event is dealt with; rejects when it could not be stored, and Slack must send it again. */
  handle(payload: EventPayload | ActionPayload): Promise<void>;
}

/** Takes what Slack posts: events as JSON, presses on buttons as a form that holds JSON. */
export class SlackReceiver implements Webhook {
  readonly path: string;
  readonly maxBodyBytes = maxBodyBytes;
  readonly #options: ReceiverOptions;
  #isOpen = false;

  constructor(options: ReceiverOptions) {
    this.path = options.path;
    this.#options = options;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** Answers 503 from now on. */
  close(): void {
    this.#isOpen = false;
  }

  /** HMAC-SHA256 over "v0:<time>:<body>", on the bytes as they came (attack A-172). */
  verify(headers: Readonly<Record<string, string | undefined>>, rawBody: Buffer): Verdict<void> {
    const given = headers["x-slack-signature"];
    const time = headers["x-slack-request-timestamp"];
    if (given === undefined || time === undefined) return refuse("channels.webhook_secret_missing");
    if (rawBody.length > maxBodyBytes) return refuse("channels.webhook_body_too_large");
    const { clock, signingSecret } = this.#options;
    if (!/^\d{1,12}$/.test(time)) return refuse("channels.webhook_secret_mismatch");
    const digest = createHmac("sha256", signingSecret.reveal()).update(`v0:${time}:`).update(rawBody);
    if (!new Secret(`v0=${digest.digest("hex")}`).equals(given)) {
      return refuse("channels.webhook_secret_mismatch");
    }
    const isFresh = Math.abs(clock.now() / 1000 - Number(time)) <= freshForS;
    return isFresh ? admit(undefined) : refuse("channels.webhook_stale");
  }

  /**
   * 200: stored or not for us; with the challenge, when Slack asks whether this path is ours. 503: not stored, Slack
   * posts it again. 400: not an event.
   */
  async receive(rawBody: Buffer): Promise<WebhookAnswer> {
    const payload = parse(rawBody);
    if (!payload) return { status: 400 };
    if (payload.type === "url_verification") {
      const { challenge } = payload as EventPayload;
      return typeof challenge === "string" ? { status: 200, body: challenge } : { status: 400 };
    }
    if (!this.#isOpen) return { status: 503 };
    try {
      await this.#options.handle(payload);
      return { status: 200 };
    } catch {
      return { status: 503 };
    }
  }
}

function parse(rawBody: Buffer): EventPayload | ActionPayload | undefined {
  const text = rawBody.toString("utf8");
  try {
    const json = text.startsWith("payload=") ? (new URLSearchParams(text).get("payload") ?? "") : text;
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
