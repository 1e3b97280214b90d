import { uuid } from "../kernel/mod.ts";
import { define, group } from "./define.ts";
import { UsageError } from "./failure.ts";
import { deliver, refuseAgents } from "./message-delivery.ts";
import { messagePoll } from "./message-poll-command.ts";

const send = define({
  help: {
    usage: "message send --target <chat> --message <text> [options]",
    about: `Sends a text, files or both to a chat, as yourself and not as an agent's answer. It is kept until the platform has it, and on record.
Exit code 1 when the platform did not take it: the sentence says whether it is tried again by itself.`,
    options: [
      ["--channel <id>", "telegram, ...; needed when more than one is configured"],
      ["--target <chat>", "user:<id>, group:<id> or the platform's id by itself; also --to"],
      ["--message <text>", 'the text; "-" reads it from standard input'],
      ["--media <path>", "a file in the agent's workspace, by its path there; may be given several times"],
      ["--agent <id>", "whose workspace that is (the default agent's)"],
      ["--reply-to <id>", "the platform's id of the message that this one answers"],
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
    media: "texts",
    agent: "text",
    "reply-to": "text",
    account: "text",
    thread: "text",
    key: "text",
  },
  run: async (context) => {
    const { cli, options } = context;
    refuseAgents(cli);
    const to = options.target ?? options.to;
    const message = options.message === "-" ? (await cli.stdin()).trimEnd() : options.message;
    const { channel, account, thread, agent, media = [], "reply-to": replyToId } = options;
    const isEmpty = message === undefined || message.trim() === "";
    if (to === undefined || (isEmpty && media.length === 0))
      throw new UsageError("say where to and what: --target <chat> --message <text>, or --media <path>");
    const idempotencyKey = options.key ?? uuid(cli.random);
    return deliver(context, "send", {
      to,
      idempotencyKey,
      ...(isEmpty ? {} : { message }),
      ...(media.length === 0 ? {} : { mediaUrls: media }),
      ...(agent === undefined ? {} : { agentId: agent }),
      ...(replyToId === undefined ? {} : { replyToId }),
      ...(channel === undefined ? {} : { channel }),
      ...(account === undefined ? {} : { accountId: account }),
      ...(thread === undefined ? {} : { threadId: thread }),
    });
  },
});

export const messageCommand = group(
  {
    usage: "message",
    about:
      "Messages and polls to chats that no agent wrote: message send, message poll. Options: openclaw message send --help",
    example: 'openclaw message send --target user:123456789 --message "Back at six"',
  },
  { send, poll: messagePoll },
);
