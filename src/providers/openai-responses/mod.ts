/** OpenAI's Responses wire, used without its memory: each request carries the whole conversation. */

import type { Model } from "../../agent/model.ts";
import { streamCall } from "../event-stream.ts";
import { jsonText } from "../json-text.ts";
import { readModelList } from "../model-list.ts";
import type { ProviderDeps, ProviderSettings } from "../settings.ts";
import { openTransport } from "../transport.ts";
import { ResponseDecoder } from "./decode.ts";
import { encodeRequest } from "./request.ts";

export async function openOpenaiResponses(settings: ProviderSettings, deps: ProviderDeps): Promise<Model> {
  const transport = await openTransport(settings, deps);
  const headers = (): Record<string, string> =>
    settings.apiKey === undefined ? {} : { authorization: `Bearer ${settings.apiKey.reveal().trim()}` };
  return {
    provider: settings.id,
    stream: (request) =>
      streamCall(transport, {
        path: "/responses",
        headers: headers(),
        body: () => jsonText(encodeRequest(request)),
        signal: request.signal,
        decoder: (emit) => new ResponseDecoder(transport.faults, deps.random, emit),
      }),
    list: async (signal) => readModelList(await transport.getJson("/models", "", headers(), signal)),
  };
}
