import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import type { Call } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import { type PollParams, pollFields, sendPoll } from "./poll.ts";

const { boolean, object, open, optional, union } = schema;

/** What `message.action` poll is asked with, as the documented command line and tool name it. */
const actionParams = open(
  object({
    to: optional(pollFields.place),
    target: optional(pollFields.place),
    pollQuestion: pollFields.text,
    pollOption: union([pollFields.options, pollFields.text]),
    pollMulti: optional(boolean()),
    pollDurationHours: optional(pollFields.hours),
    pollDurationSeconds: optional(pollFields.seconds),
    pollAnonymous: optional(boolean()),
    pollPublic: optional(boolean()),
    silent: optional(boolean()),
    threadId: optional(pollFields.name),
    accountId: optional(pollFields.name),
  }),
);

/** The documented shape of the command line's `message poll`: the order is in `params`. */
export function pollAction(
  parts: ControlParts,
  request: {
    readonly channel: string;
    readonly params: Readonly<Record<string, unknown>>;
    readonly idempotencyKey: string;
    readonly accountId?: string;
  },
  call: Call,
) {
  // Clients name options that they do not use, too.
  const named = Object.fromEntries(
    Object.entries(request.params).filter(([, value]) => value !== null && value !== ""),
  );
  const [problem] = schema.check(actionParams, named);
  if (problem) throw new MethodError(invalid(`message.action poll: params ${schema.problemText(problem)}`));
  const given = named as schema.Static<typeof actionParams>;
  const to = given.to ?? given.target;
  if (to === undefined) throw new MethodError(invalid("message.action poll needs params.to"));
  if (given.pollAnonymous && given.pollPublic)
    throw new MethodError(invalid("a poll is anonymous or public, not both"));
  const isAnonymous = given.pollAnonymous || (given.pollPublic ? false : undefined);
  const options = typeof given.pollOption === "string" ? [given.pollOption] : given.pollOption;
  const { silent, pollDurationHours: durationHours, pollDurationSeconds: durationSeconds } = given;
  const poll: PollParams = {
    question: given.pollQuestion,
    options,
    ...(given.pollMulti ? { maxSelections: options.length } : {}),
    ...(durationHours === undefined ? {} : { durationHours }),
    ...(durationSeconds === undefined ? {} : { durationSeconds }),
    ...(isAnonymous === undefined ? {} : { isAnonymous }),
    ...(silent === undefined ? {} : { silent }),
  };
  const { channel, idempotencyKey, accountId = given.accountId } = request;
  return sendPoll(parts, { to, idempotencyKey, channel, accountId, threadId: given.threadId }, poll, call);
}
