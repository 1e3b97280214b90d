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
import type { Platform } from "./platform.ts";

export type * from "./platform.ts";
export { readSecretFile } from "./secret-file.ts";

/** The platforms, each with what loads its settings reader; a platform that is not configured is not loaded. */
const platforms: Readonly<Record<string, () => Promise<Platform>>> = {
  telegram: async () => (await import("./telegram/settings.ts")).telegram,
  discord: async () => (await import("./discord/settings.ts")).discord,
  slack: async () => (await import("./slack/settings.ts")).slack,
  email: async () => (await import("./email/settings.ts")).email,
  irc: async () => (await import("./irc/settings.ts")).irc,
  signal: async () => (await import("./signal/settings.ts")).signal,
  github: async () => (await import("./github/settings.ts")).github,
  imessage: async () => (await import("./imessage/settings.ts")).imessage,
  whatsapp: async () => (await import("./whatsapp/settings.ts")).whatsapp,
};

/** In the order in which they are shown. */
export const platformIds: readonly string[] = Object.keys(platforms);

/** Undefined for a name that is no platform of ours. */
export async function loadPlatform(id: string): Promise<Platform | undefined> {
  return Object.hasOwn(platforms, id) ? platforms[id]?.() : undefined;
}
