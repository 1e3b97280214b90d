import { fence } from "../../agent/mod.ts";
import type { Principal } from "../../auth/mod.ts";
import { schema } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpRequest } from "../../network/mod.ts";
import { parseSessionKey } from "../../session/mod.ts";
import { ApiProblem, apiError, badRequest, json, jsonObject } from "./answers.ts";
import { checked, refuseClientTools, withoutNulls } from "./chat-completions.ts";
import { contentText, conversationText, newTurns, type Turn } from "./conversation.ts";
import { eventStream } from "./event-stream.ts";
import type { ApiParts } from "./parts.ts";
import { failureOf, type RunDesk, type RunReply, sameAsBefore } from "./run-desk.ts";
import { createSpokenText } from "./run-tap.ts";
import type { ApiSettings } from "./settings.ts";
import { type ApiSession, agentOf, apiSession } from "./target.ts";

const { any, array, boolean, integer, number, object, open, optional, string, union } = schema;

const requestSchema = open(
  object({
    model: string({ minLength: 1, maxLength: 200 }),
    input: union([string({ minLength: 1 }), array(any(), { minItems: 1, maxItems: 2000 })]),
    instructions: optional(string()),
    stream: optional(boolean()),
    user: optional(string({ maxLength: 300 })),
    previous_response_id: optional(string({ maxLength: 200 })),
    max_output_tokens: optional(integer({ minimum: 1 })),
    temperature: optional(number({ minimum: 0, maximum: 2 })),
    top_p: optional(number({ minimum: 0, maximum: 1 })),
  }),
);

/** POST /v1/responses (OpenAI API reference, "Responses"). */
export async function response(
  request: HttpRequest,
  caller: Principal,
  parts: ApiParts,
  desk: RunDesk,
  settings: ApiSettings,
): Promise<HttpAnswer> {
  const body = checked(requestSchema, withoutNulls(jsonObject(request.body)));
  refuseClientTools(body);
  const agentId = agentOf(body.model, request.headers["x-openclaw-agent-id"], parts.sessionSettings());
  const runId = desk.runIdOf(request, "resp_", caller);
  const session =
    previousSession(body.previous_response_id, request, agentId, caller, parts) ??
    apiSession({
      head: request,
      caller,
      agentId,
      user: body.user,
      family: "openresponses",
      requestId: runId.slice("resp_".length),
      override: settings.sessionKeyOverride,
    });
  const instructions: Turn[] =
    body.instructions === undefined ? [] : [{ role: "system", text: body.instructions }];
  const turns = turnsOf(body.input);
  const fenced = (text: string, origin: string, place: string) =>
    fence(text, origin, `${runId}:${place}`, parts.fenceKey);
  const read = (items: readonly Turn[]) =>
    conversationText([...instructions, ...items], caller.isOwner, fenced);
  const whole = read(turns);
  const isKnown = session.kept && parts.sessions.get(session.key) !== undefined;
  const text = isKnown
    ? sameAsBefore(parts.inbox.byRunId(runId), session.key, whole, read(newTurns(turns)))
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
  const shape = (more: Readonly<Record<string, unknown>>) => ({ ...base, ...more });
  const base = {
    id: runId,
    object: "response",
    created_at: Math.floor(parts.clock.now() / 1000),
    status: "in_progress",
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: {},
    model: body.model,
    output: [],
    parallel_tool_calls: false,
    previous_response_id: body.previous_response_id ?? null,
    temperature: body.temperature ?? null,
    tool_choice: "auto",
    tools: [],
    top_p: body.top_p ?? null,
    usage: null,
  };

  if (body.stream !== true) {
    const { ended } = await desk.start(order);
    const reply = await ended;
    const failure = failureOf(reply);
    if (failure) return apiError(failure.status, failure.type, failure.message, { headers: failure.headers });
    return json(200, shape(endOf(runId, reply, reply.text)));
  }

  const spoken = createSpokenText();
  let text_ = "";
  let sequence = 0;
  return eventStream(parts.clock, async (say) => {
    const event = (type: string, more: Readonly<Record<string, unknown>>) => {
      say(JSON.stringify({ type, sequence_number: sequence, ...more }), type);
      sequence += 1;
    };
    const at = { item_id: itemId(runId), output_index: 0 };
    const inPart = { ...at, content_index: 0 };
    let isOpen = false;
    const openItem = () => {
      if (isOpen) return;
      isOpen = true;
      event("response.output_item.added", { output_index: 0, item: item(runId, "in_progress", []) });
      event("response.content_part.added", { ...inPart, part: textPart("") });
    };
    const content = (piece: string) => {
      if (piece === "") return;
      openItem();
      text_ += piece;
      event("response.output_text.delta", { ...inPart, delta: piece, logprobs: [] });
    };
    // Said first: the run may have words before the order is confirmed.
    event("response.created", { response: shape({}) });
    event("response.in_progress", { response: shape({}) });
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
        const error = { code: "server_error", message: failure.message };
        event("response.failed", { response: shape({ status: "failed", error }) });
      } else {
        content(spoken.rest(reply.text));
        openItem();
        event("response.output_text.done", { ...inPart, text: text_, logprobs: [] });
        event("response.content_part.done", { ...inPart, part: textPart(text_) });
        const end = endOf(runId, reply, text_);
        event("response.output_item.done", { output_index: 0, item: end.output[0] });
        event(`response.${end.status}`, { response: shape(end) });
      }
      say("[DONE]");
    };
  });
}

/**
 * The session that an earlier answer was given in. Only the caller it was given to, and only through the same agent,
 * may go on there (attack A-019): anything else is told that there is no such answer.
 */
function previousSession(
  id: string | undefined,
  request: HttpRequest,
  agentId: string,
  caller: Principal,
  parts: ApiParts,
): ApiSession | undefined {
  if (id === undefined) return undefined;
  const row = id.startsWith("resp_") ? parts.inbox.byRunId(id) : undefined;
  const key = row?.sessionKey ?? "";
  const named = request.headers["x-openclaw-session-key"];
  const mine =
    row?.source.author === caller.id &&
    row.agentId === agentId &&
    (named !== undefined || /^openresponses(?:-user)?:/.test(parseSessionKey(key)?.rest ?? ""));
  if (!mine) {
    throw new ApiProblem(
      apiError(400, "invalid_request_error", "There is no such previous response for this agent.", {
        param: "previous_response_id",
        code: "previous_response_not_found",
      }),
    );
  }
  // With a named session the checks of that name apply, and it must be the same one.
  if (named === undefined) return { key, kept: true };
  if (!key.endsWith(`:${named}`) && key !== named) {
    throw badRequest(
      "previous_response_id and x-openclaw-session-key name different sessions.",
      "previous_response_id",
    );
  }
  return undefined;
}

function turnsOf(input: string | readonly unknown[]): readonly Turn[] {
  if (typeof input === "string") return [{ role: "user", text: input }];
  return input.flatMap((value, index) => turnOf(value, `input[${index}]`));
}

function turnOf(value: unknown, at: string): readonly Turn[] {
  const item_ = (typeof value === "object" && value !== null ? value : {}) as {
    readonly [key: string]: unknown;
  };
  const type = item_.type ?? "message";
  switch (type) {
    case "message":
      return [{ role: roleOf(item_.role, at), text: contentText(item_.content, `${at}.content`) }];
    case "function_call_output":
      return [{ role: "tool", text: contentText(item_.output, `${at}.output`) }];
    case "reasoning":
    case "item_reference":
      return [];
    default:
      throw badRequest(
        `Input items of type ${JSON.stringify(String(type).slice(0, 40))} are not supported yet.`,
        at,
      );
  }
}

function roleOf(role: unknown, at: string): Turn["role"] {
  if (role === "system" || role === "developer") return "system";
  if (role === "user" || role === "assistant") return role;
  throw badRequest("`role` must be user, assistant, system or developer.", `${at}.role`);
}

function endOf(runId: string, reply: RunReply, text: string) {
  const cut = reply.stopReason === "length";
  const status = cut ? ("incomplete" as const) : ("completed" as const);
  return {
    status,
    incomplete_details: cut ? { reason: "max_output_tokens" } : null,
    output: [item(runId, status, [textPart(text)])],
    usage: {
      input_tokens: reply.inputTokens,
      input_tokens_details: { cached_tokens: reply.cachedTokens },
      output_tokens: reply.outputTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: reply.inputTokens + reply.outputTokens,
    },
  };
}

function item(runId: string, status: string, content: readonly unknown[]) {
  return { id: itemId(runId), type: "message", role: "assistant", status, content };
}

function itemId(runId: string): string {
  return runId.replace(/^resp_/, "msg_");
}

function textPart(text: string) {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}
