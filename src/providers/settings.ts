import type { Clock, Random, Secret } from "../kernel/mod.ts";

/** The wires that we speak; `demo` is the built-in model and opens no socket. */
export const providerApis = ["openai-completions", "openai-responses", "anthropic-messages", "demo"] as const;
export type ProviderApi = (typeof providerApis)[number];

/** One configured provider. */
export interface ProviderSettings {
  /** The id in the config; it opens every error message. */
  readonly id: string;
  readonly api: ProviderApi;
  /** http or https, without user information. A query in it is sent with every request. Unused by `demo`. */
  readonly baseUrl: string;
  readonly apiKey?: Secret;
  /** Sent with every request; they win over our own. Values may be secret and are never shown. */
  readonly headers: Readonly<Record<string, string>>;
  /** From the request to the first byte of the body. */
  readonly firstByteTimeoutMs: number;
  /** Between two bytes of the body. */
  readonly stallTimeoutMs: number;
  /** Name lookup, TCP and TLS together. */
  readonly connectTimeoutMs: number;
}

export interface ProviderDeps {
  readonly clock: Clock;
  readonly random: Random;
}
