import type { PairingInfo } from "../control/protocol.ts";
import { define, group } from "./define.ts";
import { ago, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

const list = define({
  help: {
    usage: "pairing list [channel] [options]",
    about:
      "People who wrote to an agent and wait for your yes. The name is what the sender claims; the id is proved.",
    example: "openclaw pairing list telegram",
  },
  words: [0, 1],
  run: async (context) => {
    const [channel] = context.words;
    const answer = await context.ask<{ requests: readonly PairingInfo[] }>(
      "operator.pairing",
      "channels.pairing.list",
      channel === undefined ? {} : { channel },
    );
    context.print(answer, () =>
      answer.requests.length === 0
        ? "Nobody waits to be paired.\n"
        : table(
            ["CODE", "CHANNEL", "ACCOUNT", "SENDER ID", "CLAIMED NAME", "ASKED", "EXPIRES"],
            answer.requests.map((request) => [
              request.requestId,
              request.channel,
              request.accountId,
              request.senderId,
              request.senderLabel === request.senderId ? "" : request.senderLabel,
              ago(Date.parse(request.createdAt), context.now),
              ago(Date.parse(request.expiresAt), context.now),
            ]),
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

const answering = (verb: "approve" | "dismiss", about: string, done: string) =>
  define({
    help: {
      usage: `pairing ${verb} <channel> <code> [options]`,
      about,
      options: [["--account <id>", "the channel's account (default)"]],
      example: `openclaw pairing ${verb} telegram ABCD2345`,
    },
    options: { account: "text" },
    words: [2, 2],
    run: async (context) => {
      const [channel = "", code = ""] = context.words;
      const { account } = context.options;
      const answer = await context.ask<{ senderId: string }>("operator.pairing", `channels.pairing.${verb}`, {
        channel,
        requestId: code.trim(),
        accountId: account ?? "default",
      });
      context.print(answer, () => `${visibleLine(`${channel}:${answer.senderId}`)} ${done}\n`);
      return 0;
    },
  });

export const pairingCommand = group(
  {
    usage: "pairing list|approve|dismiss",
    about: `People who ask to talk to an agent. All three go through the running gateway (exit code 3 when none answers).

  list [channel]             who waits, with code and proved id
  approve <channel> <code>   let this sender write to the agent in direct messages
  dismiss <channel> <code>   take the request off the list; the sender may ask again`,
    example: "openclaw pairing approve telegram ABCD2345",
  },
  {
    list,
    approve: answering(
      "approve",
      "Lets the sender of this code write to the agent in direct messages; never in a group.",
      "may now write to the agent in direct messages.",
    ),
    dismiss: answering(
      "dismiss",
      "Takes the request off the list. The sender may ask again.",
      "was dismissed.",
    ),
  },
  "list",
);
