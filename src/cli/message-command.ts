import { uuid } from "../kernel/mod.ts";
import { GatewayRefusal } from "./client.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import { facts } from "./table.ts";

interface Sent {
  readonly messageId: string;
  readonly channel: string;
  readonly accountId: string;
  readonly deliveryId: string;
  readonly parts: number;
}

const send = define({
  help: {
    usage: "message send --target <chat> --message <text> [options]",
    about: `Sends a text to a chat, as yourself and not as an agent's answer. It is kept until the platform has it, and on record.
Exit code 1 when the platform did not take it: the sentence says whether it is tried again by itself.`,
    options: [
      ["--channel <id>", "telegram, ...; needed when more than one is configured"],
      ["--target <chat>", "user:<id>, group:<id> or the platform's id by itself; also --to"],
      ["--message <text>", 'the text; "-" reads it from standard input'],
      ["--account <id>", "the channel's account, when it has several"],
      ["--thread <id>", "the topic or thread in the chat"],
      ["--key <text>", "a second call with the same key sends nothing again (a random one)"],
    ],
    example:
      'openclaw message send --channel telegram --target user:123456789 --message "The build is green"',
  },
  options: {
    channel: "text",
    target: "text",
    to: "text",
    message: "text",
    account: "text",
    thread: "text",
    key: "text",
  },
  run: async (context) => {
    const { cli, options } = context;
    // As documented: what an agent runs writes to nobody on its own.
    if (cli.env.OPENCLAW_SHELL === "exec")
      throw new CommandFailure(1, "an agent's command may not send messages; nothing was sent");
    const to = options.target ?? options.to;
    const message = options.message === "-" ? (await cli.stdin()).trimEnd() : options.message;
    if (to === undefined || message === undefined || message.trim() === "")
      throw new UsageError("say where to and what: --target <chat> --message <text>");
    const { channel, account, thread } = options;
    const idempotencyKey = options.key ?? uuid(cli.random);
    try {
      const sent = await context.ask<Sent>("operator.write", "send", {
        to,
        message,
        idempotencyKey,
        ...(channel === undefined ? {} : { channel }),
        ...(account === undefined ? {} : { accountId: account }),
        ...(thread === undefined ? {} : { threadId: thread }),
      });
      context.print({ ok: true, ...sent }, () =>
        facts([
          ["sent", `${sent.channel}:${sent.accountId}, message ${sent.messageId}${partsOf(sent)}`],
          ["its story", `openclaw why ${sent.deliveryId}`],
        ]),
      );
      return 0;
    } catch (error) {
      if (!(error instanceof GatewayRefusal)) throw error;
      if (options.json) context.print({ ok: false, error: error.wire }, () => "");
      throw new CommandFailure(1, `${error.message}${nextStep(error.wire.details)}`);
    }
  },
});

function partsOf({ parts }: Sent): string {
  return parts === 1 ? "" : ` and ${parts - 1} more, as the text was too long for one`;
}

function nextStep(details: Readonly<Record<string, unknown>> | undefined): string {
  if (typeof details?.deliveryId !== "string") return "";
  const look = `\nIts story: openclaw why ${details.deliveryId}`;
  return details.code === "OUTBOUND_DELIVERY_QUEUED" ? look : `${look}\nWhat to do: openclaw deliveries list`;
}

export const messageCommand = group(
  {
    usage: "message send",
    about: "Messages to chats that no agent wrote. Options: openclaw message send --help",
    example: 'openclaw message send --target user:123456789 --message "Back at six"',
  },
  { send },
);
