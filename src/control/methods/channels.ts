import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { any, object, open, optional, record, string } = schema;

const account = open(object({ channel: string({ minLength: 1 }), accountId: optional(string()) }));

/** channels.start, channels.stop, channels.logout; send and message.action, which have no tool behind them yet. */
export function channelMethods(parts: ControlParts): Method[] {
  const row = (name: string, done: string, act: (channel: string, accountId: string) => Promise<boolean>) =>
    method({
      name,
      scope: "operator.admin",
      params: account,
      admin: (params) => ({ action: name, facts: { channel: params.channel } }),
      run: async (params) => {
        const accountId = params.accountId ?? "default";
        const isDone = await act(params.channel, accountId);
        if (!isDone) {
          const known = parts.channels().some((item) => item.id === params.channel);
          throw new MethodError(
            invalid(
              known
                ? `unknown account ${JSON.stringify(accountId)} of ${params.channel}; channels.status shows them`
                : `invalid ${name} channel`,
            ),
          );
        }
        return { channel: params.channel, accountId, [done]: true };
      },
    });
  return [
    row("channels.start", "started", (channel, accountId) => parts.channelControl.start(channel, accountId)),
    row("channels.stop", "stopped", (channel, accountId) => parts.channelControl.stop(channel, accountId)),
    // What a channel signs in with lies in the config, so there is no session to end on the platform.
    row("channels.logout", "stopped", (channel, accountId) => parts.channelControl.stop(channel, accountId)),
    method({
      name: "send",
      scope: "operator.write",
      maxBytes: 4_194_304,
      repeats: "remembered",
      params: open(
        object({
          to: string({ minLength: 1 }),
          idempotencyKey: string({ minLength: 1, maxLength: 256 }),
          message: optional(string()),
          channel: optional(string()),
        }),
      ),
      run: (params) => refuseToSend(parts, params.channel),
    }),
    method({
      name: "message.action",
      scope: "operator.write",
      maxBytes: 4_194_304,
      repeats: "remembered",
      params: open(
        object({
          channel: string({ minLength: 1 }),
          action: string({ minLength: 1 }),
          params: record(any()),
          idempotencyKey: string({ minLength: 1, maxLength: 256 }),
        }),
      ),
      run: (params) => refuseToSend(parts, params.channel),
    }),
  ];
}

function refuseToSend(parts: ControlParts, channel: string | undefined): never {
  const configured = parts.channels().map((item) => item.id);
  if (configured.length === 0) {
    throw new MethodError(
      invalid("Error: Channel is required (no configured channels detected). Configure one in channels.*"),
    );
  }
  if (channel !== undefined && !configured.includes(channel))
    throw new MethodError(
      invalid(`unknown channel ${JSON.stringify(channel)}; configured: ${configured.join(", ")}`),
    );
  throw new MethodError(
    unavailable("sending outside of a conversation is not available yet; nothing was sent", {
      reason: "not-available-yet",
    }),
  );
}
