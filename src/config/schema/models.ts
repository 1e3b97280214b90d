import { schema as s } from "../../kernel/mod.ts";
import { count, httpUrl, named, secret, section, strings, unread } from "./section.ts";

/** A model by name, or a model and what to use when it fails. A bare name never falls back. */
export const modelChoice = s.union([
  s.string({ minLength: 1 }),
  section({ primary: s.string({ minLength: 1 }), fallbacks: strings, timeoutMs: count }),
]);

const price = s.number({ minimum: 0 });

const model = s.object({
  id: s.string({ minLength: 1 }),
  name: s.optional(s.string()),
  api: s.optional(s.string()),
  contextWindow: s.optional(s.integer({ minimum: 1 })),
  contextTokens: s.optional(s.integer({ minimum: 1 })),
  maxTokens: s.optional(s.integer({ minimum: 1 })),
  input: s.optional(s.array(s.oneOf(["text", "image", "audio", "video", "document"]))),
  /** US dollars per million tokens. */
  cost: s.optional(section({ input: price, output: price, cacheRead: price, cacheWrite: price })),
  reasoning: s.optional(s.boolean()),
  headers: s.optional(named(secret)),
  params: s.optional(unread("Passed to the provider as they are.")),
  compat: s.optional(unread("Wire quirks.")),
});

export const models = section({
  mode: s.oneOf(["merge", "replace"]),
  providers: named(
    section({
      baseUrl: httpUrl,
      api: s.oneOf([
        "openai-completions",
        "openai-responses",
        "openai-codex-responses",
        "azure-openai-responses",
        "anthropic-messages",
        "google-generative-ai",
        "google",
        "github-copilot",
        "bedrock-converse-stream",
        "ollama",
      ]),
      apiKey: secret,
      auth: s.oneOf(["api-key", "aws-sdk", "oauth", "token"]),
      authHeader: s.boolean(),
      headers: named(secret),
      injectNumCtxForOpenAICompat: s.boolean(),
      timeoutSeconds: s.number({ minimum: 0 }),
      contextWindow: s.integer({ minimum: 1 }),
      contextTokens: s.integer({ minimum: 1 }),
      maxTokens: s.integer({ minimum: 1 }),
      params: unread("Passed to the provider as they are."),
      models: s.array(model),
    }),
  ),
  bedrockDiscovery: unread("Model discovery on Amazon Bedrock."),
  pricing: section({ enabled: s.boolean() }),
});

export const auth = section({
  profiles: named(
    section({
      provider: s.string(),
      mode: s.oneOf(["api_key", "token", "oauth", "aws-sdk"]),
      email: s.string(),
      displayName: s.string(),
    }),
  ),
  order: named(strings),
  cooldowns: unread("How long a failing credential rests."),
});
