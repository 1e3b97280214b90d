import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Call, type Method, method } from "../method.ts";
import { channelOf } from "../named-channel.ts";
import type { ControlParts, OutgoingOrder } from "../parts.ts";
import { sourceOf } from "./chat.ts";
import { pollAction } from "./poll-action.ts";

const { any, array, boolean, object, open, optional, record, string } = schema;

const key = string({ minLength: 1, maxLength: 256 });
const text = string({ minLength: 1, maxLength: 100_000 });
const place = string({ minLength: 1, maxLength: 512 });
const deliveryId = string({ minLength: 1, maxLength: 512 });

/** What some clients send along and nothing here does yet: left out silently, somebody would believe that it was done. */
const notYet = ["buffer", "gifPlayback"] as const;
/** Under these names clients name files, and the message that is answered. */
const fileNames = ["mediaUrl", "mediaUrls", "media"] as const;
const replyNames = ["replyToId", "replyTo"] as const;
const maxFiles = 10;
const maxPathChars = 4096;

/** send, message.action: what an operator writes to a chat; deliveries.resubmit, deliveries.dismiss: what did not arrive. */
export function outgoingMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "send",
      scope: "operator.write",
      maxBytes: 4_194_304,
      perMinute: 60,
      repeats: "own",
      params: open(
        object({
          to: place,
          idempotencyKey: key,
          message: optional(text),
          mediaUrl: optional(string({ maxLength: maxPathChars })),
          mediaUrls: optional(array(string({ maxLength: maxPathChars }), { maxItems: maxFiles })),
          agentId: optional(string({ minLength: 1, maxLength: 128 })),
          replyToId: optional(string({ maxLength: 256 })),
          channel: optional(string({ minLength: 1, maxLength: 64 })),
          accountId: optional(string({ minLength: 1, maxLength: 128 })),
          threadId: optional(string({ minLength: 1, maxLength: 128 })),
        }),
      ),
      admin: (params) => ({
        action: "send",
        facts: { channel: params.channel ?? "", to: params.to, ...filesFact(params) },
      }),
      run: (params, call) => send(parts, { ...params, text: params.message }, params, call),
    }),
    method({
      name: "message.action",
      scope: "operator.write",
      maxBytes: 4_194_304,
      perMinute: 60,
      repeats: "own",
      params: open(
        object({
          channel: string({ minLength: 1, maxLength: 64 }),
          action: string({ minLength: 1, maxLength: 64 }),
          params: record(any()),
          idempotencyKey: key,
          accountId: optional(string({ minLength: 1, maxLength: 128 })),
          agentId: optional(string({ minLength: 1, maxLength: 128 })),
          reply: optional(open(object({ replyToId: string({ minLength: 1, maxLength: 256 }) }))),
        }),
      ),
      admin: (params) => ({
        action: "message.action",
        facts: { channel: params.channel, what: params.action, ...filesFact(params.params) },
      }),
      run: (params, call) => act(parts, params, call),
    }),
    method({
      name: "deliveries.resubmit",
      scope: "operator.write",
      perMinute: 60,
      params: object({ id: deliveryId, mayRepeat: optional(boolean()) }),
      admin: ({ id, mayRepeat = false }) => ({ action: "deliveries.resubmit", facts: { id, mayRepeat } }),
      run: ({ id, mayRepeat = false }) => parts.outgoing.resubmit(id, mayRepeat),
    }),
    method({
      name: "deliveries.dismiss",
      scope: "operator.write",
      perMinute: 60,
      params: object({ id: deliveryId }),
      admin: ({ id }) => ({ action: "deliveries.dismiss", facts: { id } }),
      run: ({ id }) => parts.outgoing.dismiss(id),
    }),
  ];
}

/** The documented shape of the command line's `message send`: the order is in `params`, under one of two names. */
function act(
  parts: ControlParts,
  request: {
    readonly channel: string;
    readonly action: string;
    readonly params: Readonly<Record<string, unknown>>;
    readonly idempotencyKey: string;
    readonly accountId?: string;
    readonly agentId?: string;
    readonly reply?: { readonly replyToId: string };
  },
  call: Call,
) {
  const { channel, action, params, idempotencyKey } = request;
  if (action === "poll") return pollAction(parts, request, call);
  if (action !== "send") {
    throw new MethodError(
      unavailable(`the action ${JSON.stringify(action)} is not available yet; "send" and "poll" are`, {
        reason: "not-available-yet",
      }),
    );
  }
  const given = (...names: readonly string[]) => {
    for (const name of names) {
      const value = Object.hasOwn(params, name) ? params[name] : undefined;
      if (typeof value === "string" && value !== "") return value.slice(0, 100_000);
    }
    return undefined;
  };
  const to = given("to", "target");
  if (to === undefined) throw new MethodError(invalid("message.action send needs params.to"));
  const accountId = request.accountId ?? given("accountId");
  const threadId = given("threadId");
  const agentId = request.agentId ?? given("agentId");
  const order = {
    channel,
    to,
    text: given("message", "text"),
    idempotencyKey,
    ...(accountId === undefined ? {} : { accountId }),
    ...(threadId === undefined ? {} : { threadId }),
    ...(agentId === undefined ? {} : { agentId }),
  };
  return send(parts, order, { ...params, ...request.reply }, call);
}

async function send(
  parts: ControlParts,
  order: Omit<OutgoingOrder, "text" | "channel" | "source" | "actor"> & {
    readonly channel?: string;
    readonly text: string | undefined;
  },
  given: Readonly<Record<string, unknown>>,
  call: Call,
) {
  const extra = notYet.find((name) => asksFor(given, name));
  if (extra !== undefined) {
    throw new MethodError(
      unavailable(`${extra} is not available yet; name files as mediaUrl; nothing was sent`, {
        reason: "not-available-yet",
      }),
    );
  }
  const { text: message, to, idempotencyKey, accountId, threadId, agentId } = order;
  const files = filesOf(given);
  const [replyToId] = wordsOf(given, replyNames);
  if (message === undefined && files.length === 0)
    throw new MethodError(invalid("there is no message to send"));
  if (files.length > maxFiles)
    throw new MethodError(invalid(`a message takes at most ${maxFiles} files; nothing was sent`));
  return parts.outgoing.send({
    channel: channelOf(parts, order.channel),
    to,
    text: message ?? "",
    idempotencyKey,
    source: sourceOf(call),
    actor: call.principal.id,
    ...(accountId === undefined ? {} : { accountId }),
    ...(threadId === undefined ? {} : { threadId }),
    ...(agentId === undefined ? {} : { agentId }),
    ...(files.length === 0 ? {} : { files }),
    ...(replyToId === undefined ? {} : { replyToId }),
  });
}

/** The files that are named, each once: clients say one and the same in two fields. */
function filesOf(given: Readonly<Record<string, unknown>>): readonly string[] {
  return [...new Set(wordsOf(given, fileNames))];
}

function filesFact(given: Readonly<Record<string, unknown>>): { readonly files?: number } {
  const files = filesOf(given).length;
  return files === 0 ? {} : { files };
}

/** What is written in these fields; nothing is left out silently. */
function wordsOf(given: Readonly<Record<string, unknown>>, names: readonly string[]): readonly string[] {
  return names
    .filter((name) => asksFor(given, name))
    .flatMap((name) => given[name])
    .map((word) => {
      if (typeof word === "string" && word !== "" && word.length <= maxPathChars) return word;
      throw new MethodError(invalid(`${names[0]} must be text; nothing was sent`));
    });
}

/** Clients name options that they do not use, too: false, null, an empty text or list asks for nothing. */
function asksFor(given: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = Object.hasOwn(given, name) ? given[name] : undefined;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}
