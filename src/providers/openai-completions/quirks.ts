import type { CallIdRule } from "../conversation.ts";

/** Where servers that claim this wire differ in what they refuse. */
export interface Quirks {
  /** OpenAI's reasoning models refuse max_tokens; most other servers know nothing else. */
  readonly maxTokensField: "max_tokens" | "max_completion_tokens";
  /** Mistral refuses stream_options as an unknown field, and sends the usage unasked. */
  readonly asksForUsage: boolean;
  readonly callIds: CallIdRule;
}

/** Chosen by host name, so that a provider under any id in the config gets its own. */
export function quirksOf(host: string): Quirks {
  const openai = host === "api.openai.com" || host.endsWith(".openai.azure.com");
  const mistral = host === "api.mistral.ai" || host === "codestral.mistral.ai";
  return {
    maxTokensField: openai ? "max_completion_tokens" : "max_tokens",
    asksForUsage: !mistral,
    callIds: mistral
      ? { pattern: /^[a-zA-Z0-9]{9}$/, maxChars: 9 }
      : { pattern: /^[a-zA-Z0-9_.:-]+$/, maxChars: 40 },
  };
}
