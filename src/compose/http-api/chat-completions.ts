import { fence } from "../../agent/mod.ts";
import type { Principal } from "../../auth/mod.ts";
import { schema } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpRequest } from "../../network/mod.ts";
import { apiError, badRequest, json, jsonObject } from "./answers.ts";
import { contentText, conversationText, newTurns, type Turn } from "./conversation.ts";
import { eventStream } from "./event-stream.ts";
import type { ApiParts } from "./parts.ts";
import { failureOf, type RunDesk, type RunReply, sameAsBefore } from "./run-desk.ts";
import { createSpokenText } from "./run-tap.ts";
import type { ApiSettings } from "./settings.ts";
import { agentOf, apiSession } from "./target.ts";

const { any, array, boolean, integer, number, object, open, optional, string, union } = schema;

const penalty = optional(number({ minimum: -2, maximum: 2 }));
const maxTokens = optional(integer({ minimum: 1 }));

const requestSchema = open(
  object({
    model: string({ minLength: 1, maxLength: 200 }),
    messages: array(open(object({ role: string(), content: optional(any()) })), {
      minItems: 1,
      maxItems: 2000,
    }),
    stream: optional(boolean()),
    stream_options: optional(open(object({ include_usage: optional(boolean()) }))),
    user: optional(string({ maxLength: 300 })),
    n: optional(integer({ minimum: 1 })),
    // Checked, so that a client learns of its mistake; the agent's own settings decide.
    temperature: optional(number({ minimum: 0, maximum: 2 })),
    top_p: optional(number({ minimum: 0, maximum: 1 })),
    presence_penalty: penalty,
    frequency_penalty: penalty,
    seed: optional(integer()),
    stop: optional(union([string(), array(string(), { maxItems: 4 })])),
    max_tokens: maxTokens,
    max_completion_tokens: maxTokens,
  }),
);

/** POST /v1/chat/completions: the agent answers as if it were a model (OpenAI API reference, "Chat Completions"). */
export async function chatCompletion(
  request: HttpRequest,
  caller: Principal,
  parts: ApiParts,
  desk: RunDesk,
  settings: ApiSettings,
): Promise<HttpAnswer> {
  const body = checked(requestSchema, withoutNulls(jsonObject(request.body)));
  refuseUnsupported(body);
  const turns = body.messages.map((message, index) => turnOf(message, `messages[${index}]`));
  const agentId = agentOf(body.model, request.headers["x-openclaw-agent-id"], parts.sessionSettings());
  const runId = desk.runIdOf(request, "chatcmpl_", caller);
  const session = apiSession({
    head: request,
    caller,
    agentId,
    user: body.user,
    family: "openai",
    requestId: runId.slice("chatcmpl_".length),
    override: settings.sessionKeyOverride,
  });
  const fenced = (text: string, origin: string, place: string) =>
    fence(text, origin, `${runId}:${place}`, parts.fenceKey);
  const whole = conversationText(turns, caller.isOwner, fenced);
  // A kept session holds what was said before; saying it again would show the agent everything twice.
  const isKnown = session.kept && parts.sessions.get(session.key) !== undefined;
  const text = isKnown
    ? sameAsBefore(
        parts.inbox.byRunId(runId),
        session.key,
        whole,
        conversationText(newTurns(turns), caller.isOwner, fenced),
      )
    : whole;
  const order = {
    runId,
    agentId,
    sessionKey: session.key,
    text,
    caller,
    model: request.headers["x-openclaw-model"],
    closed: request.closed,
  };
  const head = { id: runId, created: Math.floor(parts.clock.now() / 1000), model: body.model };
  if (body.stream !== true) {
    const { ended } = await desk.start(order);
    return completionAnswer(head, await ended);
  }

  const spoken = createSpokenText();
  const chunk = (delta: Readonly<Record<string, unknown>>, finish: string | null = null) =>
    JSON.stringify({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    });
  return eventStream(parts.clock, async (say) => {
    const content = (piece: string) => {
      if (piece !== "") say(chunk({ content: piece }));
    };
    // Said first: the run may have words before the order is confirmed.
    say(chunk({ role: "assistant", content: "" }));
    const { ended } = await desk.start({
      ...order,
      listener: {
        text: (soFar) => content(spoken.heard(soFar)),
        again: spoken.again,
        tool: spoken.tool,
      },
    });
    return async () => {
      const reply = await ended;
      const failure = failureOf(reply);
      if (failure) {
        const { message, type } = failure;
        say(JSON.stringify({ error: { message, type, param: null, code: null } }));
      } else {
        content(spoken.rest(reply.text));
        say(chunk({}, finishReason(reply)));
        if (body.stream_options?.include_usage === true) {
          say(
            JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [], usage: usageOf(reply) }),
          );
        }
      }
      say("[DONE]");
    };
  });
}

function completionAnswer(
  head: { readonly id: string; readonly created: number; readonly model: string },
  reply: RunReply,
): HttpAnswer {
  const failure = failureOf(reply);
  if (failure) return apiError(failure.status, failure.type, failure.message, { headers: failure.headers });
  const message = { role: "assistant", content: reply.text, refusal: null };
  return json(200, {
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason(reply) }],
    usage: usageOf(reply),
  });
}

function finishReason(reply: RunReply): string {
  return reply.stopReason === "length" ? "length" : "stop";
}

function usageOf(reply: RunReply) {
  const prompt = reply.inputTokens;
  return {
    prompt_tokens: prompt,
    completion_tokens: reply.outputTokens,
    total_tokens: prompt + reply.outputTokens,
    prompt_tokens_details: { cached_tokens: reply.cachedTokens },
  };
}

function turnOf(message: { readonly role: string; readonly content?: unknown }, at: string): Turn {
  const text = contentText(message.content, `${at}.content`);
  switch (message.role) {
    case "system":
    case "developer":
      return { role: "system", text };
    case "user":
    case "assistant":
      return { role: message.role, text };
    case "tool":
    case "function":
      return { role: "tool", text };
    default:
      throw badRequest(`There is no role ${JSON.stringify(message.role.slice(0, 40))}.`, `${at}.role`);
  }
}

/** What a client relies on and would not get must not look as if it had worked. */
function refuseUnsupported(body: Readonly<Record<string, unknown>>): void {
  refuseClientTools(body);
  if (typeof body.n === "number" && body.n > 1) throw badRequest("Only one answer (n = 1) is given.", "n");
  const format = body.response_format as { readonly type?: unknown } | undefined;
  if (format !== undefined && format?.type !== "text") {
    throw badRequest("Only response_format text is supported yet.", "response_format");
  }
}

/** Tools of the client's own do not fit an agent that carries out its own: refused until they do. */
export function refuseClientTools(body: Readonly<Record<string, unknown>>): void {
  const { tools, functions, tool_choice: choice } = body;
  for (const [param, list] of Object.entries({ tools, functions })) {
    if (list === undefined) continue;
    if (!Array.isArray(list)) throw badRequest(`\`${param}\` must be a list.`, param);
    if (list.length > 0) {
      throw badRequest(
        `Tools of the client (function calling) are not supported yet: the agent uses its own. Leave \`${param}\` out.`,
        param,
        "unsupported",
      );
    }
  }
  if (choice !== undefined && choice !== "auto" && choice !== "none") {
    throw badRequest("`tool_choice` needs tools, and those are not supported yet.", "tool_choice");
  }
}

/** The body when it fits; otherwise a 400 that names the first member that does not. */
export function checked<T>(
  shape: schema.Schema<T>,
  body: Readonly<Record<string, unknown>>,
): T & Readonly<Record<string, unknown>> {
  const [problem] = schema.check(shape, body);
  if (!problem) return body as T & Readonly<Record<string, unknown>>;
  const param = problem.path.map(String).join(".");
  throw badRequest(`Invalid request: ${schema.problemText(problem)}.`, param === "" ? undefined : param);
}

/** On this wire null stands for a member that is left out. */
export function withoutNulls(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}
