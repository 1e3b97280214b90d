import type { OpenClawConfig } from "../config/mod.ts";
import { type Channel, deliverySettings } from "../delivery/mod.ts";
import { type Clock, sleep } from "../kernel/mod.ts";
import type { LiveReplyPort } from "../turn-parts.ts";

/** Between two edits on one account of a channel. */
const editEveryMs = 1000;

/** Edits of replies that still grow; one a second for each account, whichever conversations they are in. */
export function createLiveReplies(ports: {
  readonly config: () => OpenClawConfig;
  readonly channel: (id: string, account: string) => Channel | undefined;
  readonly clock: Clock;
}): LiveReplyPort {
  const { clock } = ports;
  /** When the next edit may leave, monotonic. There are as many as accounts. */
  const nextAt = new Map<string, number>();

  return {
    isOn({ channel, account }) {
      const { edit, limits } = ports.channel(channel, account) ?? {};
      if (!edit || !limits?.namesFoundMessages) return false;
      return deliverySettings(ports.config(), channel, account).streamingMode === "partial";
    },
    async turn({ channel, account }, signal) {
      const key = `${channel}\n${account}`;
      const now = clock.monotonic();
      const at = Math.max(now, nextAt.get(key) ?? now);
      nextAt.set(key, at + editEveryMs);
      if (at > now) await sleep(clock, at - now, signal);
    },
    async edit({ channel, account, reply }, platformId, text) {
      const open = ports.channel(channel, account);
      if (!open?.edit || !reply) return { outcome: "rejected", detail: "the channel edits no messages" };
      try {
        return await open.edit(reply.conversation, platformId, text);
      } catch (error) {
        return { outcome: "unknown", detail: (error as Error).message };
      }
    },
  };
}
