import type { OpenClawConfig } from "../config/mod.ts";
import { type Channel, deliverySettings, type SendResult } from "../delivery/mod.ts";
import { type Clock, sleep } from "../kernel/mod.ts";
import type { LiveReplyPort } from "../turn-parts.ts";

/** Between two edits on one account of a channel. */
const editEveryMs = 1000;
/** Slack allows about fifty changes of messages a minute to an app in one workspace. */
const slackEditEveryMs = 1250;

/**
 * Edits of replies that still grow: one a second for each account, whichever conversations they are in, and none while a
 * platform asks for a pause. They give way to what is delivered, which is held to the same limits.
 */
export function createLiveReplies(ports: {
  readonly config: () => OpenClawConfig;
  readonly channel: (id: string, account: string) => Channel | undefined;
  readonly clock: Clock;
}): LiveReplyPort {
  const { clock } = ports;
  /** When the next edit may leave, monotonic. There are as many as accounts. */
  const nextAt = new Map<string, number>();
  const keyOf = (channel: string, account: string) => `${channel}\n${account}`;

  return {
    manner({ channel, account }) {
      const { edit, limits } = ports.channel(channel, account) ?? {};
      if (!edit || !limits?.namesFoundMessages) return undefined;
      const { streaming } = deliverySettings(ports.config(), channel, account);
      return streaming.mode === "off" ? undefined : streaming;
    },
    async turn({ channel, account }, signal) {
      const key = keyOf(channel, account);
      const now = clock.monotonic();
      const at = Math.max(now, nextAt.get(key) ?? now);
      nextAt.set(key, at + (channel === "slack" ? slackEditEveryMs : editEveryMs));
      if (at > now) await sleep(clock, at - now, signal);
    },
    async edit({ channel, account, reply }, platformId, text) {
      const open = ports.channel(channel, account);
      if (!open?.edit || !reply) return { outcome: "rejected", detail: "the channel edits no messages" };
      let result: SendResult;
      try {
        result = await open.edit(reply.conversation, platformId, text);
      } catch (error) {
        return { outcome: "unknown", detail: (error as Error).message };
      }
      if (result.outcome === "retry") {
        const key = keyOf(channel, account);
        const restUntil = clock.monotonic() + result.retryAfterMs;
        nextAt.set(key, Math.max(nextAt.get(key) ?? 0, restUntil));
      }
      return result;
    },
  };
}
