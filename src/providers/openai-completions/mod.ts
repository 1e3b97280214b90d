/** The chat completions wire: OpenAI's older one, and the one that nearly everybody else speaks. */

import type { Model } from "../../agent/model.ts";
import { streamCall } from "../event-stream.ts";
import { readModelList } from "../model-list.ts";
import type { ProviderDeps, ProviderSettings } from "../settings.ts";
import { openTransport } from "../transport.ts";
import { CompletionDecoder } from "./decode.ts";
import { quirksOf } from "./quirks.ts";
import { requestWriter } from "./request.ts";

export async function openOpenaiCompletions(settings: ProviderSettings, deps: ProviderDeps): Promise<Model> {
  const transport = await openTransport(settings, deps);
  const quirks = quirksOf(transport.url.hostname);
  const write = requestWriter(quirks);
  const headers = (): Record<string, string> =>
    settings.apiKey === undefined ? {} : { authorization: `Bearer ${settings.apiKey.reveal().trim()}` };
  return {
    provider: settings.id,
    stream: (request) =>
      streamCall(transport, {
        path: "/chat/completions",
        headers: headers(),
        body: () => write(request),
        signal: request.signal,
        decoder: (emit) => new CompletionDecoder(transport.faults, deps.random, emit),
      }),
    list: async (signal) => readModelList(await transport.getJson("/models", "", headers(), signal)),
  };
}
