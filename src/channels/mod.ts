/**
 * The platforms that people write from. A channel turns its platform's wire format into messages and back. It has
 * no authority: who may talk, and what happens then, is decided behind {@link ChannelHost.accept}.
 *
 * In: updates of the platform (polled, pushed, or posted to a webhook). Out: InboundMessage; SendResult.
 *
 * 1. The platform is told "received" only after the gateway stored the outcome; what could not be stored is
 *    delivered again.
 * 2. A refusal is an outcome: the message is not delivered again.
 * 3. The messages of one conversation are handed in one at a time, in the platform's order.
 * 4. Each delivery of a message carries the same event id.
 * 5. A sender is an id that the platform proved; a name is never one, and who cannot be proved has no user's id.
 * 6. A send ends as sent, retry (surely not sent), rejected (never will be) or unknown (may have been sent).
 * 7. stop() resolves when nothing is in flight; what was not handed in is delivered to the next start.
 * 8. A lost connection is taken up again; what was sent meanwhile arrives.
 * 9. No token or webhook secret appears in a status, an error, a log or a result.
 * 10. A webhook proves its caller on the raw bytes before anything is parsed.
 */
import type { Channel } from "../delivery/channel.ts";
import type { Clock, Log, Random } from "../kernel/mod.ts";
import type { TelegramAccount } from "./telegram/settings.ts";

/** The settings that each platform's account takes. */
export interface ChannelSettings {
  readonly telegram: TelegramAccount;
}

export type ChannelId = keyof ChannelSettings;

export interface ChannelDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Opens one account of a platform; nothing is connected before start(). Loads the platform's code when first asked. */
export async function openChannel<Id extends ChannelId>(
  id: Id,
  account: string,
  settings: ChannelSettings[Id],
  deps: ChannelDeps,
): Promise<Channel> {
  switch (id) {
    case "telegram": {
      const { openTelegram } = await import("./telegram/mod.ts");
      return openTelegram(account, settings, deps);
    }
    default:
      throw new Error(`there is no channel "${String(id)}"; known: telegram`);
  }
}
