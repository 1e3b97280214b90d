import type { Model } from "../../agent/model.ts";
import type { ProviderDeps, ProviderSettings } from "../settings.ts";
import { openTransport } from "../transport.ts";
export async function openAnthropicMessages(settings: ProviderSettings, deps: ProviderDeps): Promise<Model> {
  const transport = await openTransport(settings, deps);
  throw transport.faults.make("badRequest", "this wire is not spoken yet");
}
