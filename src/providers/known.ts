import type { ProviderApi } from "./settings.ts";

/** A provider that needs nothing but a key, or a local server that needs not even that. */
export interface KnownProvider {
  readonly api: ProviderApi;
  readonly baseUrl: string;
  /** Environment variables that may hold the key, in order of preference; empty: no key is needed. */
  readonly envKeys: readonly string[];
  /** Absent where only the server can say what it has: ask `list`. */
  readonly defaultModel?: string;
  /** Tokens, of the default model; a careful guess where the server decides. */
  readonly contextWindow: number;
}

/**
 * By the id in the config. The order decides which key wins on a first run. An entry without envKeys never wins
 * by itself: nobody asked for it.
 */
export const knownProviders: Readonly<Record<string, KnownProvider>> = Object.freeze({
  anthropic: {
    api: "anthropic-messages",
    baseUrl: "https://api.anthropic.com",
    envKeys: ["ANTHROPIC_API_KEY"],
    defaultModel: "claude-sonnet-5-5",
    contextWindow: 1_000_000,
  },
  openai: {
    api: "openai-responses",
    baseUrl: "https://api.openai.com/v1",
    envKeys: ["OPENAI_API_KEY"],
    defaultModel: "gpt-5.5",
    // It holds more, but a longer prompt costs twice as much per token.
    contextWindow: 272_000,
  },
  openrouter: {
    api: "openai-completions",
    baseUrl: "https://openrouter.ai/api/v1",
    envKeys: ["OPENROUTER_API_KEY"],
    defaultModel: "openrouter/auto",
    contextWindow: 128_000,
  },
  google: {
    api: "openai-completions",
    baseUrl: "https://generativelanguage.googleapis.com/v1beta/openai",
    envKeys: ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    defaultModel: "gemini-3.8-flash",
    contextWindow: 1_000_000,
  },
  groq: {
    api: "openai-completions",
    baseUrl: "https://api.groq.com/openai/v1",
    envKeys: ["GROQ_API_KEY"],
    defaultModel: "openai/gpt-oss-120b",
    contextWindow: 131_072,
  },
  mistral: {
    api: "openai-completions",
    baseUrl: "https://api.mistral.ai/v1",
    envKeys: ["MISTRAL_API_KEY"],
    defaultModel: "mistral-large-latest",
    contextWindow: 128_000,
  },
  deepseek: {
    api: "openai-completions",
    baseUrl: "https://api.deepseek.com",
    envKeys: ["DEEPSEEK_API_KEY"],
    defaultModel: "deepseek-v4-flash",
    contextWindow: 1_000_000,
  },
  xai: {
    api: "openai-completions",
    baseUrl: "https://api.x.ai/v1",
    envKeys: ["XAI_API_KEY"],
    defaultModel: "grok-4.5",
    contextWindow: 500_000,
  },
  together: {
    api: "openai-completions",
    baseUrl: "https://api.together.xyz/v1",
    envKeys: ["TOGETHER_API_KEY"],
    defaultModel: "openai/gpt-oss-120b",
    contextWindow: 128_000,
  },
  cerebras: {
    api: "openai-completions",
    baseUrl: "https://api.cerebras.ai/v1",
    envKeys: ["CEREBRAS_API_KEY"],
    defaultModel: "gpt-oss-120b",
    contextWindow: 128_000,
  },
  ollama: {
    api: "openai-completions",
    baseUrl: "http://127.0.0.1:11434/v1",
    envKeys: [],
    contextWindow: 32_000,
  },
  lmstudio: {
    api: "openai-completions",
    baseUrl: "http://127.0.0.1:1234/v1",
    envKeys: [],
    contextWindow: 32_000,
  },
  vllm: {
    api: "openai-completions",
    baseUrl: "http://127.0.0.1:8000/v1",
    envKeys: [],
    contextWindow: 32_000,
  },
  demo: { api: "demo", baseUrl: "", envKeys: [], defaultModel: "demo", contextWindow: 32_000 },
} satisfies Record<string, KnownProvider>);
