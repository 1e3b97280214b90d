import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { object, open, optional, string } = schema;

const account = open(object({ channel: string({ minLength: 1 }), accountId: optional(string()) }));

/** channels.start, channels.stop, channels.logout. */
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
  ];
}
