/**
 * The agent's Model port, over each wire that model providers speak: a conversation goes in, model events come
 * out. Nothing here decides anything; what a model says is untrusted from the first byte.
 *
 * 1. A stream ends after exactly one `end`, or throws a ModelFault and nothing else.
 * 2. An answer that is cut off, malformed or unbounded is a fault, never a shorter answer.
 * 3. A key reaches its provider's own address and nowhere else: no redirects, no messages, no logs.
 * 4. Every conversation becomes a request that the provider accepts; a result without its call is dropped, never
 *    retold in the user's voice.
 * 5. A tool call is told only when it is whole, under an id that no other call of the answer has.
 * 6. Every wait has an end: connecting, the first byte, each further byte. Abort ends all of them at once.
 * 7. The demo model opens no socket, gives the same answer to the same conversation, and labels what it says.
 */
import type { Model } from "../agent/model.ts";
import type { ProviderDeps, ProviderSettings } from "./settings.ts";

export { type KnownProvider, knownProviders } from "./known.ts";
export { type ProviderApi, type ProviderDeps, type ProviderSettings, providerApis } from "./settings.ts";

/**
 * Opens one provider, loading only the code of its wire. No connection is made yet.
 * Throws an InputError when baseUrl cannot be used.
 */
export async function openModel(settings: ProviderSettings, deps: ProviderDeps): Promise<Model> {
  switch (settings.api) {
    case "openai-completions":
      return (await import("./openai-completions/mod.ts")).openOpenaiCompletions(settings, deps);
    case "openai-responses":
      return (await import("./openai-responses/mod.ts")).openOpenaiResponses(settings, deps);
    case "anthropic-messages":
      return (await import("./anthropic-messages/mod.ts")).openAnthropicMessages(settings, deps);
    case "demo":
      return (await import("./demo/mod.ts")).openDemo(settings);
  }
}
