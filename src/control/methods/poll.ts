import type { Poll } from "../../delivery/mod.ts";
import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Call, type Method, method } from "../method.ts";
import { channelOf } from "../named-channel.ts";
import type { ControlParts, OutgoingOrder } from "../parts.ts";
import { sourceOf } from "./chat.ts";

const { array, boolean, integer, object, open, optional, string } = schema;

const hourSeconds = 3600;
const maxHours = 24 * 366;

const text = string({ minLength: 1, maxLength: 1000 });

/** What the parameters of a poll can be, however they are called. */
export const pollFields = {
  place: string({ minLength: 1, maxLength: 512 }),
  text,
  options: array(text, { minItems: 2, maxItems: 32 }),
  hours: integer({ minimum: 1, maximum: maxHours }),
  seconds: integer({ minimum: 1, maximum: maxHours * hourSeconds }),
  name: string({ minLength: 1, maxLength: 128 }),
};

/** What makes a poll, besides where it goes. */
export interface PollParams {
  readonly question: string;
  readonly options: readonly string[];
  readonly maxSelections?: number;
  readonly durationSeconds?: number;
  readonly durationHours?: number;
  readonly silent?: boolean;
  readonly isAnonymous?: boolean;
}

/** poll: a question to a chat, as a poll of the platform's own. */
export function pollMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "poll",
      scope: "operator.write",
      perMinute: 60,
      repeats: "own",
      params: open(
        object({
          to: pollFields.place,
          question: text,
          options: pollFields.options,
          idempotencyKey: string({ minLength: 1, maxLength: 256 }),
          maxSelections: optional(integer({ minimum: 1, maximum: 32 })),
          durationSeconds: optional(pollFields.seconds),
          durationHours: optional(pollFields.hours),
          silent: optional(boolean()),
          isAnonymous: optional(boolean()),
          threadId: optional(pollFields.name),
          channel: optional(string({ minLength: 1, maxLength: 64 })),
          accountId: optional(pollFields.name),
        }),
      ),
      admin: (params) => ({ action: "poll", facts: { channel: params.channel ?? "", to: params.to } }),
      run: (params, call) => {
        const { to, idempotencyKey, channel, accountId, threadId } = params;
        return sendPoll(parts, { to, idempotencyKey, channel, accountId, threadId }, params, call);
      },
    }),
  ];
}

/** Puts it on its way, and waits for what becomes of it. */
export function sendPoll(
  parts: ControlParts,
  {
    channel,
    accountId,
    threadId,
    ...order
  }: Pick<OutgoingOrder, "to" | "idempotencyKey"> & {
    readonly channel: string | undefined;
    readonly accountId: string | undefined;
    readonly threadId: string | undefined;
  },
  params: PollParams,
  call: Call,
) {
  return parts.outgoing.send({
    ...order,
    channel: channelOf(parts, channel),
    text: "",
    poll: pollOf(params),
    source: sourceOf(call),
    actor: call.principal.id,
    ...(accountId === undefined ? {} : { accountId }),
    ...(threadId === undefined ? {} : { threadId }),
  });
}

function pollOf(params: PollParams): Poll {
  const { maxSelections, durationSeconds, durationHours, isAnonymous } = params;
  // Left out silently, somebody would believe that it was done.
  if (params.silent)
    throw new MethodError(
      unavailable("silent is not available yet; nothing was sent", { reason: "not-available-yet" }),
    );
  if (durationSeconds !== undefined && durationHours !== undefined)
    throw new MethodError(invalid("give durationSeconds or durationHours, not both; nothing was sent"));
  const seconds = durationHours === undefined ? durationSeconds : durationHours * hourSeconds;
  return {
    question: params.question.trim(),
    options: params.options.map((option) => option.trim()),
    ...(maxSelections === undefined ? {} : { maxSelections }),
    ...(seconds === undefined ? {} : { durationSeconds: seconds }),
    ...(isAnonymous === undefined ? {} : { isAnonymous }),
  };
}
