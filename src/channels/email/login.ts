import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../kernel/mod.ts";
import type { Login } from "./settings.ts";

const deadlineMs = 20_000;
const maxAnswerChars = 64_000;
const marginMs = 60_000;

/** The provider gives no token. */
export class LoginRefused extends Error {
  constructor(detail: string) {
    super(detail);
    this.name = "LoginRefused";
  }
}

/** The provider of tokens cannot be reached now. */
export class LoginUnreachable extends Error {
  constructor() {
    super("the provider of tokens does not answer");
    this.name = "LoginUnreachable";
  }
}

export type Credentials =
  | { readonly user: string; readonly pass: string }
  | { readonly user: string; readonly accessToken: string };

/** What the servers want to see: the password, or an access token that is still good. */
export class Credential {
  readonly #login: Login;
  readonly #clock: Clock;
  readonly #file: string;
  readonly #folder: string;
  #token: { readonly value: string; readonly untilMs: number } | undefined;

  constructor(login: Login, clock: Clock, folder: string) {
    this.#login = login;
    this.#clock = clock;
    this.#folder = folder;
    this.#file = join(folder, "oauth2.json");
  }

  /** Throws LoginRefused or LoginUnreachable. */
  async get(): Promise<Credentials> {
    const { user, with: how } = this.#login;
    if (how.kind === "password") return { user, pass: how.password.reveal() };
    if (!this.#token || this.#token.untilMs <= this.#clock.monotonic()) this.#token = await this.#refresh();
    return { user, accessToken: this.#token.value };
  }

  /** A token that a server refused is not offered again. */
  forget(): void {
    this.#token = undefined;
  }

  async #refresh(): Promise<{ readonly value: string; readonly untilMs: number }> {
    const { with: how } = this.#login;
    if (how.kind !== "oauth2") throw new Error("no token is needed");
    const configured = how.refreshToken.reveal();
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: how.clientId,
      refresh_token: this.#kept(configured) ?? configured,
      ...(how.clientSecret ? { client_secret: how.clientSecret.reveal() } : {}),
      ...(how.scope === undefined ? {} : { scope: how.scope }),
    });
    const stop = new AbortController();
    const cancel = this.#clock.after(deadlineMs, () => stop.abort());
    let answer: { status: number; text: string };
    try {
      // A redirect would carry the refresh token to another host.
      const response = await fetch(how.tokenUrl, {
        method: "POST",
        body: form,
        redirect: "error",
        signal: stop.signal,
      });
      answer = { status: response.status, text: (await response.text()).slice(0, maxAnswerChars) };
    } catch {
      throw new LoginUnreachable();
    } finally {
      cancel();
    }
    if (answer.status >= 500 || answer.status === 429) throw new LoginUnreachable();
    const value = objectOf(answer.text);
    const token = value.access_token;
    if (answer.status !== 200 || typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
      throw new LoginRefused(
        `the provider gives no access token (HTTP ${answer.status}): the consent was revoked or has expired; give it again and set oauth2.refreshToken`,
      );
    }
    if (typeof value.refresh_token === "string") this.#keep(configured, value.refresh_token);
    const seconds = typeof value.expires_in === "number" ? value.expires_in : 300;
    return { value: token, untilMs: this.#clock.monotonic() + Math.max(0, seconds * 1000 - marginMs) };
  }

  /** Some providers give a new refresh token each time and drop the old one. One of another configuration is not used. */
  #kept(configured: string): string | undefined {
    try {
      const value = objectOf(readFileSync(this.#file, "utf8"));
      return value.instead === digest(configured) && typeof value.token === "string"
        ? value.token
        : undefined;
    } catch {
      return undefined;
    }
  }

  #keep(configured: string, token: string): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(this.#file, JSON.stringify({ instead: digest(configured), token }), { mode: 0o600 });
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
