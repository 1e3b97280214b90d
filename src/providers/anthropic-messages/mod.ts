/** Anthropic's Messages wire. */

import type { Model } from "../../agent/model.ts";
import { streamCall } from "../event-stream.ts";
import { jsonText } from "../json-text.ts";
import { readModelList } from "../model-list.ts";
import type { ProviderDeps, ProviderSettings } from "../settings.ts";
import { openTransport } from "../transport.ts";
import { MessageDecoder } from "./decode.ts";
import { encodeRequest } from "./request.ts";

export async function openAnthropicMessages(settings: ProviderSettings, deps: ProviderDeps): Promise<Model> {
  const transport = await openTransport(settings, deps);
  // The address is written with and without the version, by the provider's own documents too.
  const version = /\/v1\/?$/.test(transport.url.pathname) ? "" : "/v1";
  const headers = (): Record<string, string> => ({
    "anthropic-version": "2023-06-01",
    ...(settings.apiKey === undefined ? {} : { "x-api-key": settings.apiKey.reveal().trim() }),
  });
  return {
    provider: settings.id,
    stream: (request) =>
      streamCall(transport, {
        path: `${version}/messages`,
        headers: headers(),
        body: () => jsonText(encodeRequest(request)),
        signal: request.signal,
        decoder: (emit) => new MessageDecoder(transport.faults, deps.random, emit),
      }),
    list: async (signal) =>
      readModelList(await transport.getJson(`${version}/models`, "limit=1000", headers(), signal)),
  };
}
