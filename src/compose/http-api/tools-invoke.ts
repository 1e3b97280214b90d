import type { Principal } from "../../auth/mod.ts";
import { admitted, type Reason, reasonText, schema } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpRequest } from "../../network/mod.ts";
import { mainKey } from "../../session/mod.ts";
import { ApiProblem, badRequest, json, jsonObject } from "./answers.ts";
import { checked, withoutNulls } from "./chat-completions.ts";
import type { ApiParts } from "./parts.ts";
import type { ApiSettings } from "./settings.ts";
import { knownAgent, mayNameSession, namedSession } from "./target.ts";

const { any, boolean, object, open, optional, record, string } = schema;

const requestSchema = open(
  object({
    tool: optional(string({ minLength: 1, maxLength: 64 })),
    name: optional(string({ minLength: 1, maxLength: 64 })),
    action: optional(string({ maxLength: 100 })),
    args: optional(record(any())),
    sessionKey: optional(string({ minLength: 1, maxLength: 512 })),
    agentId: optional(string({ minLength: 1, maxLength: 64 })),
    idempotencyKey: optional(string({ minLength: 1, maxLength: 256 })),
    // Documented, and without effect: a call is made.
    dryRun: optional(boolean()),
  }),
);

/** Whoever holds one of these holds the machine: no setting opens them to a request. */
const neverOverHttp: readonly string[] = ["exec", "process", "spawn", "shell", "bash"];
/** Closed unless gateway.tools.allow names them: they change files, start sessions or reach the gateway itself. */
const closedOverHttp: readonly string[] = [
  "fs_write",
  "fs_delete",
  "fs_move",
  "write",
  "edit",
  "apply_patch",
  "extract",
  "undo",
  "sessions_spawn",
  "sessions_send",
];
/** The same, and for owners only. */
const ownerOnly: readonly string[] = ["cron", "gateway", "nodes"];

/** True when a request may name this tool at all; policy decides about the call itself afterwards. */
export function openOverHttp(tool: string, settings: ApiSettings["tools"], isOwner: boolean): boolean {
  const name = tool.trim().toLowerCase();
  if (neverOverHttp.includes(name) || settings.deny.includes(name)) return false;
  if (ownerOnly.includes(name) && !isOwner) return false;
  if (!closedOverHttp.includes(name) && !ownerOnly.includes(name)) return true;
  return isOwner && settings.allow.includes(name);
}

/** POST /tools/invoke: one tool call without a model, through the same policy, record and sandbox. */
export async function invokeOverHttp(
  request: HttpRequest,
  caller: Principal,
  parts: ApiParts,
  settings: ApiSettings,
): Promise<HttpAnswer> {
  try {
    const call = callOf(request, caller, parts, settings);
    if (call === undefined) return notThere();
    const verdict = await parts.invokeTool(call, request.closed);
    if (!admitted(verdict)) return refused(verdict.reason, verdict.detail);
    const { text, isError, details } = verdict.value;
    if (isError) return json(500, { ok: false, error: { type: "tool_error", message: text } });
    return json(200, {
      ok: true,
      result: { content: [{ type: "text", text }], ...(details === undefined ? {} : { details }) },
    });
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error;
    const { body, ...answer } = error.answer;
    // This wire says beside each error that it is one.
    return { ...answer, body: JSON.stringify({ ok: false, ...JSON.parse(String(body)) }) };
  }
}

function callOf(request: HttpRequest, caller: Principal, parts: ApiParts, settings: ApiSettings) {
  const body = checked(requestSchema, withoutNulls(jsonObject(request.body)));
  const tool = body.tool ?? body.name;
  if (tool === undefined) throw badRequest("Name the tool: `tool`.", "tool");
  if (body.tool !== undefined && body.name !== undefined && body.tool !== body.name) {
    throw badRequest("`tool` and `name` differ; send one of them.", "name");
  }
  if (!openOverHttp(tool, settings.tools, caller.isOwner)) return undefined;
  const sessions = parts.sessionSettings();
  const fromKey = /^agent:([^:]+):/.exec(body.sessionKey ?? "")?.[1];
  const agentId = knownAgent(body.agentId ?? fromKey, sessions);
  const isMain = body.sessionKey === undefined || body.sessionKey === "main";
  if (!isMain && !mayNameSession(caller, settings.sessionKeyOverride)) {
    throw badRequest("Naming a session is turned off here.", "sessionKey");
  }
  const sessionKey = isMain ? mainKey(agentId) : namedSession(body.sessionKey ?? "", agentId, "sessionKey");
  const args = body.args ?? {};
  const withAction =
    body.action === undefined || Object.hasOwn(args, "action") ? args : { action: body.action, ...args };
  return { agentId, sessionKey, tool, args: withAction, actor: caller.id };
}

function refused(reason: Reason, detail: string): HttpAnswer {
  switch (reason) {
    // The same for a tool that is not there and one that is not allowed: nobody can find out which there are.
    case "policy.tool_unknown":
    case "policy.tool_denied":
      return notThere();
    case "policy.arguments_invalid":
      return json(400, {
        ok: false,
        error: { type: "invalid_request_error", message: `${reasonText(reason)} (${detail})` },
      });
    default:
      return json(403, {
        ok: false,
        error: {
          type: "forbidden",
          code: reason,
          message: reasonText(reason),
          ...(reason === "http.approval_needed" ? { requiresApproval: true } : {}),
        },
      });
  }
}

function notThere(): HttpAnswer {
  return json(404, {
    ok: false,
    error: { type: "not_found", message: "There is no such tool for this agent over HTTP." },
  });
}
