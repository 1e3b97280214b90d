import { uuid } from "../kernel/mod.ts";
import { define } from "./define.ts";
import { UsageError } from "./failure.ts";
import { deliver, refuseAgents } from "./message-delivery.ts";

export const messagePoll = define({
  help: {
    usage: "message poll --target <chat> --poll-question <text> --poll-option <text> --poll-option <text>",
    about: `Asks a chat by a poll of its platform's own: Telegram, Discord, WhatsApp. Kept and recorded as a message is.
What a platform's polls cannot be is refused before anything is sent, with the limit.`,
    options: [
      ["--channel <id>", "telegram, ...; needed when more than one is configured"],
      ["--target <chat>", "user:<id>, group:<id> or the platform's id by itself; also --to"],
      ["--poll-question <text>", "what is asked; also --question"],
      ["--poll-option <text>", "one answer; give it two or more times; also --option"],
      ["--poll-multi", "people may choose as many as they like (one)"],
      ["--poll-duration-hours <n>", "takes votes for so long: Discord, Telegram"],
      ["--poll-duration-seconds <n>", "the same in seconds: Telegram"],
      ["--poll-anonymous, --poll-public", "hides or shows who chose what: Telegram"],
      ["--account <id>", "the channel's account, when it has several"],
      ["--thread <id>", "the topic or thread in the chat"],
      ["--key <text>", "a second call with the same key sends nothing again (a random one)"],
    ],
    example:
      'openclaw message poll --target group:-1001234567890 --poll-question "Lunch?" --poll-option Yes --poll-option No',
  },
  options: {
    channel: "text",
    target: "text",
    to: "text",
    "poll-question": "text",
    question: "text",
    "poll-option": "texts",
    option: "texts",
    "poll-multi": "flag",
    "poll-duration-hours": "integer",
    "poll-duration-seconds": "integer",
    "poll-anonymous": "flag",
    "poll-public": "flag",
    account: "text",
    thread: "text",
    key: "text",
  },
  run: (context) => {
    const { cli, options: given } = context;
    refuseAgents(cli);
    const to = given.target ?? given.to;
    const question = given["poll-question"] ?? given.question;
    const options = given["poll-option"] ?? given.option ?? [];
    if (to === undefined || question === undefined || options.length < 2)
      throw new UsageError(
        "say where to and what: --target <chat> --poll-question <text>, and --poll-option <text> twice or more",
      );
    if (given["poll-anonymous"] && given["poll-public"])
      throw new UsageError("a poll is anonymous or public, not both");
    const params: Readonly<Record<string, unknown>> = {
      to,
      question,
      options,
      idempotencyKey: given.key ?? uuid(cli.random),
      channel: given.channel,
      accountId: given.account,
      threadId: given.thread,
      maxSelections: given["poll-multi"] ? options.length : undefined,
      durationHours: given["poll-duration-hours"],
      durationSeconds: given["poll-duration-seconds"],
      isAnonymous: given["poll-anonymous"] ?? (given["poll-public"] ? false : undefined),
    };
    return deliver(context, "poll", params);
  },
});
